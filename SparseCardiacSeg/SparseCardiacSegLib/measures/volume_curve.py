"""Volumes over the heart beat: end diastole, end systole, how fast the ventricle empties and fills."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from .beat_fit import RATE_METHOD, BeatFit, PeakRates, peak_rates

SHORTEST_BEAT_S, LONGEST_BEAT_S = 0.2, 3.0
"""Times outside are no heart beat: files whose frame times are lost often say 1 s a frame."""

MUSCLE_SPREAD = 0.35
"""Share of its mean by which the muscle's volume may range over the beat: it hardly changes in truth, and by up to a
quarter in careful labels, whose basal slices come and go."""


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """Volumes of the structures in every frame of a cine.

    Attributes:
        frames: 0, 1, ..., n - 1.
        times_s: seconds from the first frame; None where they are unknown.
        cycle_s: length of the whole beat: the last frame's time and one frame more; None as for `times_s`.
        volumes_ml: by structure, a value a frame; NaN where the structure is not labelled.
        ed: frame of the largest LV; None where fewer than two frames have one.
        es: frame of the smallest LV.
        harmonics: of the fitted series; 0 where none was fitted.
        fit_ml: the series at `fit_position`, mL; empty where none was fitted.
        fit_position: 0 to 1 of the beat, from the first frame.
        peak_ejection_rate_ml_s: positive number; None where it cannot be told, as for the next three.
        peak_filling_rate_ml_s: positive number.
        time_to_peak_filling_s: from ES.
        time_to_es_s: from ED to ES.
        rates_position: places of the two peak rates on the beat, 0 to 1; None where no rate was found.
        largest_jump_ml: largest difference of the LV between neighbouring labelled frames, around the beat.
        largest_jump_frame: the first of the two.
        unevenness_ml: root mean square distance of the frames from the fitted series; NaN where none was fitted.
        warnings: sentences the user should see.
    """

    frames: tuple[int, ...]
    times_s: tuple[float, ...] | None
    cycle_s: float | None
    volumes_ml: Mapping[Structure, tuple[float, ...]]
    ed: int | None
    es: int | None
    harmonics: int
    fit_ml: tuple[float, ...]
    fit_position: tuple[float, ...]
    peak_ejection_rate_ml_s: float | None
    peak_filling_rate_ml_s: float | None
    time_to_peak_filling_s: float | None
    time_to_es_s: float | None
    rates_position: tuple[float, float] | None
    largest_jump_ml: float
    largest_jump_frame: int | None
    unevenness_ml: float
    warnings: tuple[str, ...] = ()

    @property
    def edv_ml(self) -> float | None:
        """LV volume at ED."""
        return None if self.ed is None else self.volumes_ml[Structure.LV][self.ed]

    def per_edv(self, rate: float | None) -> float | None:
        """A rate in EDV/s, as filling rates are usually given."""
        return None if rate is None or self.edv_ml is None else rate / self.edv_ml

    def record(self) -> dict[str, Any]:
        """The same as plain JSON values, None in place of NaN."""
        return {
            "frames": len(self.frames),
            "times_s": None if self.times_s is None else list(self.times_s),
            "cycle_s": self.cycle_s,
            "volumes_ml": {
                str(structure): [_known(value) for value in values] for structure, values in self.volumes_ml.items()
            },
            "ed_frame": self.ed,
            "es_frame": self.es,
            "peak_ejection_rate_ml_s": self.peak_ejection_rate_ml_s,
            "peak_ejection_rate_edv_s": self.per_edv(self.peak_ejection_rate_ml_s),
            "peak_filling_rate_ml_s": self.peak_filling_rate_ml_s,
            "peak_filling_rate_edv_s": self.per_edv(self.peak_filling_rate_ml_s),
            "time_to_peak_filling_s": self.time_to_peak_filling_s,
            "time_ed_to_es_s": self.time_to_es_s,
            "largest_jump_ml": _known(self.largest_jump_ml),
            "largest_jump_frame": self.largest_jump_frame,
            "unevenness_ml": _known(self.unevenness_ml),
            "harmonics": self.harmonics,
            "method": RATE_METHOD,
            "warnings": list(self.warnings),
        }


def volume_curve(
    cine: Segmentation,
    frame_times: Sequence[float] | None = None,
    heart_rate: float | None = None,
    *,
    ed: int | None = None,
    es: int | None = None,
) -> VolumeCurve:
    """Volumes by structure over a labelled cine, ED and ES, and the rates of the left ventricle.

    Volumes by summation of discs. A structure that is not labelled in a frame is unknown there, not 0 mL.

    Args:
        cine: labels of one heart beat, [frame, slice, row, col].
        frame_times: seconds from the first frame; those of the cine itself if None.
        heart_rate: beats per minute, which gives the times where the file tells none (frames evenly over the beat).
        ed: frame chosen as ED; the largest LV if None.
        es: frame chosen as ES; the smallest LV if None.

    Raises:
        InputError: a single stack, no label at all, times that do not grow, or a frame that does not exist.
    """
    name = cine.labels.source or "the segmentation"
    if not cine.labels.is_cine:
        raise InputError(f"{name} is a single stack; a volume curve needs labels of several frames")
    warnings = list(cine.warnings)
    if not cine.labels.spacing_known:
        warnings.append("the file gives no spacing, 1 mm was assumed: volumes are not true")
    times = cine.labels.frame_times if frame_times is None else frame_times
    return curve_of_volumes(_volumes(cine), times, heart_rate, ed=ed, es=es, name=name, warnings=warnings)


def curve_of_volumes(
    volumes: Mapping[Structure, Sequence[float]],
    frame_times: Sequence[float] | None = None,
    heart_rate: float | None = None,
    *,
    ed: int | None = None,
    es: int | None = None,
    name: str = "the segmentation",
    warnings: Sequence[str] = (),
) -> VolumeCurve:
    """`volume_curve` of volumes that are known already.

    Args:
        volumes: mL by structure, a value a frame; NaN where the structure is not labelled.
        frame_times, heart_rate, ed, es: as for `volume_curve`.
        name: what was measured, for messages.
        warnings: what is known to be doubtful.

    Raises:
        InputError: as `volume_curve`.
    """
    if not volumes:
        raise InputError(f"{name} holds no labelled voxel")
    volumes = {structure: tuple(float(value) for value in values) for structure, values in volumes.items()}
    n_frames = len(next(iter(volumes.values())))
    times, cycle, notes = _times(frame_times, heart_rate, n_frames, name)
    warnings = [*warnings, *notes]
    left = np.array(volumes.get(Structure.LV, np.full(n_frames, np.nan)))
    held = np.flatnonzero(np.isfinite(left))
    if held.size < n_frames:
        warnings.append(f"the LV is labelled in {held.size} of {n_frames} frames")
    for role, frame in (("ED", ed), ("ES", es)):
        if frame is not None and frame not in held:
            problem = "has no LV" if 0 <= frame < n_frames else f"does not exist ({name} has 0 to {n_frames - 1})"
            raise InputError(f"frame {frame}, chosen as {role}, {problem}")
    if held.size >= 2:
        ed = int(held[left[held].argmax()]) if ed is None else ed
        es = int(held[left[held].argmin()]) if es is None else es
    else:
        ed = es = None
    muscle = np.array(volumes.get(Structure.MYO, [np.nan]))
    muscle = muscle[np.isfinite(muscle)]
    if muscle.size > 2 and np.ptp(muscle) > MUSCLE_SPREAD * muscle.mean():
        warnings.append(
            f"the muscle ranges from {muscle.min():.0f} to {muscle.max():.0f} mL over the beat, which no heart does: "
            "check the labels, at the base most of all"
        )
    jump, jump_frame = _largest_jump(left, held)
    place = np.arange(n_frames) / n_frames if times is None else np.array(times) / cycle
    fit = BeatFit.of(left, held, place, warnings) if ed is not None else None
    rates = peak_rates(fit, place[ed], place[es], cycle) if fit is not None else PeakRates()
    if fit is not None and cycle is None:
        warnings.append("frame times are unknown: the curve is over the beat in percent, and there are no rates")
    return VolumeCurve(
        frames=tuple(range(n_frames)),
        times_s=times,
        cycle_s=cycle,
        volumes_ml=volumes,
        ed=ed,
        es=es,
        harmonics=0 if fit is None else fit.harmonics,
        fit_ml=() if fit is None else tuple(fit.values.tolist()),
        fit_position=() if fit is None else tuple(fit.grid.tolist()),
        peak_ejection_rate_ml_s=rates.ejection,
        peak_filling_rate_ml_s=rates.filling,
        time_to_peak_filling_s=rates.to_filling,
        time_to_es_s=None if ed is None or cycle is None else float((place[es] - place[ed]) % 1.0) * cycle,
        rates_position=rates.position,
        largest_jump_ml=jump,
        largest_jump_frame=jump_frame,
        unevenness_ml=float("nan") if fit is None else fit.unevenness,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _volumes(cine: Segmentation) -> dict[Structure, tuple[float, ...]]:
    """mL of each structure that occurs, frame by frame; NaN where it is not labelled."""
    found = {}
    for structure in cine.structures:
        counts = np.count_nonzero(cine.mask(structure).reshape(cine.labels.n_frames, -1), axis=1)
        if counts.any():
            volumes = np.where(counts > 0, counts * cine.labels.voxel_volume_ml, np.nan)
            found[structure] = tuple(float(value) for value in volumes)
    return found


def _times(
    given: Sequence[float] | None, heart_rate: float | None, n_frames: int, name: str
) -> tuple[tuple[float, ...] | None, float | None, list[str]]:
    """Times from the first frame, length of the beat, and notes."""
    if heart_rate is not None and not 20 <= heart_rate <= 300:
        raise InputError(f"a heart rate of {heart_rate:g} is not possible; give it in beats per minute")
    beat = None if heart_rate is None else 60.0 / heart_rate
    even = None if beat is None else tuple(beat * n / n_frames for n in range(n_frames))
    if given is None:
        return even, beat, []
    times = np.asarray(given, np.float64) - float(given[0])
    if times.shape != (n_frames,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError(f"the frame times of {name} must be {n_frames} growing numbers of seconds")
    cycle = float(times[-1] + np.median(np.diff(times)))
    notes = []
    if not SHORTEST_BEAT_S <= cycle <= LONGEST_BEAT_S:
        notes.append(f"the frames span {cycle:.2f} s, which is no heart beat: their times were not used")
        return even, beat, notes
    if beat is not None and abs(cycle / beat - 1) > 0.15:
        notes.append(f"the frames span {cycle:.2f} s but a beat at {heart_rate:g} per minute lasts {beat:.2f} s")
    return tuple(times.tolist()), cycle, notes


def _largest_jump(volumes: np.ndarray, held: np.ndarray) -> tuple[float, int | None]:
    """Largest difference between neighbouring labelled frames, and the first of the two."""
    n_frames = len(volumes)
    pairs = [frame for frame in held if (frame + 1) % n_frames in held and n_frames > 1]
    if not pairs:
        return float("nan"), None
    jumps = [abs(float(volumes[(frame + 1) % n_frames] - volumes[frame])) for frame in pairs]
    return max(jumps), int(pairs[int(np.argmax(jumps))])


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
