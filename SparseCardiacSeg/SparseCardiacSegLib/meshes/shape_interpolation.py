"""Shape-based interpolation: the signed distance to a structure between the slices that were drawn.

Each slice is turned into the signed distance to its outline, and the distances, not the labels, are interpolated along
the stack (Raya and Udupa, IEEE Transactions on Medical Imaging 9(1):32-42, 1990; Herman, Zheng and Bucholtz, IEEE
Computer Graphics and Applications 12(3):69-79, 1992). Two things are added for the heart:

- A ring is interpolated as its outer outline minus its cavity. The distance to the ring itself would tear the wall
  wherever the ring moves by more than its thickness from one slice to the next, as it does towards the apex.
- An end is closed with the volume of half a slice, which is what the summation of discs counts there: a tip (the
  apex) by a dome, an end that the stack or the valve plane cuts by a plane with a rounded rim.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

MARGIN_MM = 6.0
"""Empty border around the structure inside the slice, so that the level of the surface can be moved outward."""

TIP_AREA = 0.5
"""An end whose area is below this share of the largest slice of its run is a tip; a larger one was cut."""

RIM_MM = 3.0
"""Largest radius of the rounded rim of an end that was cut."""

FINEST_STEP_MM = 1.0
"""Slices are not interpolated more finely than this: it would only multiply triangles."""

NEAR_ISOTROPIC = 2.0
"""Below this ratio of slice distance to pixel size the distance is taken in 3D at once."""


class _End(Enum):
    """How the field goes on beyond the last slice of a run."""

    TIP = "tip"
    CUT = "cut"
    OPEN = "open"


@dataclass(frozen=True, eq=False)
class DistanceField:
    """Signed distance to a structure's outline on a fine grid.

    Attributes:
        values: float32 [slice, row, col], mm, positive inside; negative on the whole border.
        origin: index (slice, row, col) of the first sample in the mask's slices-first array, fractions allowed.
        step: distance of samples in those indices; (1 / n, 1, 1) with n samples a slice distance.
        spacing: distance of samples in mm.
    """

    values: np.ndarray
    origin: tuple[float, float, float]
    step: tuple[float, float, float]
    spacing: tuple[float, float, float]


def distance_field(
    mask: np.ndarray, spacing: tuple[float, float, float], cavity: np.ndarray | None = None
) -> DistanceField:
    """Signed distance to `mask`, interpolated between slices to near-isotropic samples.

    Args:
        mask: bool [slice, row, col], through-plane axis first; not empty.
        spacing: distance of voxel centres along these axes, mm.
        cavity: bool, same shape: what a wall encloses (the LV for the MYO). Holes of the mask within a slice count
            as cavity too; this is for rings that are open in some slices, and for wide steps between slices.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no outline")
    window = ndimage.find_objects(mask.astype(np.uint8))[0]
    first = tuple(float(part.start) for part in window)
    pads = [(int(np.ceil(MARGIN_MM / size)),) * 2 for size in spacing[1:]]
    solid = np.pad(mask[window], ((0, 0), *pads))
    hollow = np.zeros_like(solid) if cavity is None else np.pad(cavity[window], ((0, 0), *pads))
    hollow &= ~solid
    origin = (first[0], first[1] - pads[0][0], first[2] - pads[1][0])

    if spacing[0] < NEAR_ISOTROPIC * min(spacing[1:]):
        n, start = 1, -max(2, int(np.ceil(MARGIN_MM / spacing[0])))
        values = _isotropic_field(solid, spacing, -start)
    else:
        n, start = max(1, round(spacing[0] / max(FINEST_STEP_MM, float(np.mean(spacing[1:]))))), -1
        values = _stacked_field(solid, hollow, spacing, n)

    for axis in range(3):
        border = np.moveaxis(values, axis, 0)
        border[[0, -1]] = np.minimum(border[[0, -1]], -max(spacing))
    return DistanceField(
        values.astype(np.float32),
        (origin[0] + start, origin[1], origin[2]),
        (1.0 / n, 1.0, 1.0),
        (spacing[0] / n, spacing[1], spacing[2]),
    )


def _isotropic_field(solid: np.ndarray, spacing: tuple[float, float, float], pad: int) -> np.ndarray:
    """Distance in 3D, smoothed by 0.7 samples: it takes the terraces off without closing a vein or an appendage."""
    padded = np.pad(solid, ((pad, pad), (0, 0), (0, 0)))
    return ndimage.gaussian_filter(_signed_distance(padded, spacing), 0.7)


def _stacked_field(solid: np.ndarray, hollow: np.ndarray, spacing: tuple[float, float, float], n: int) -> np.ndarray:
    """Distance slice by slice, interpolated along the stack; the samples run from one slice before to one after."""
    filled = np.stack([ndimage.binary_fill_holes(one) for one in solid | hollow])
    present = solid.any(axis=(1, 2))
    filled &= present[:, None, None]
    hollow = filled & ~solid | hollow
    outer = _run_fields(filled, spacing, n, open_where=None)
    if not hollow.any():
        return outer
    return np.minimum(outer, -_run_fields(hollow, spacing, n, open_where=~present))


def _run_fields(
    mask: np.ndarray, spacing: tuple[float, float, float], n: int, open_where: np.ndarray | None
) -> np.ndarray:
    """Largest of the fields of all runs of consecutive slices of `mask`.

    Args:
        mask: bool [slice, row, col] without holes.
        n: samples a slice distance.
        open_where: bool [slice]; a run that ends beside such a slice (or at the stack's end) goes on unclosed, so
            that a cavity reaches through the end of its wall.
    """
    n_slices = len(mask)
    samples = np.arange(-n, n_slices * n + 1) / n
    field = np.full((len(samples), *mask.shape[1:]), -1e3)
    present = mask.any(axis=(1, 2))
    runs, n_runs = ndimage.label(present)
    for run in range(1, n_runs + 1):
        inside = np.flatnonzero(runs == run)
        first, last = int(inside[0]), int(inside[-1])
        slices = np.stack([_smoothed_distance(one, spacing[1:]) for one in mask[first : last + 1]])
        areas = np.count_nonzero(mask[first : last + 1], axis=(1, 2))
        middle = (samples >= first) & (samples <= last)
        parts = [(middle, _between(slices, samples[middle] - first))]
        for end, neighbour, toward in ((first, first - 1, -1), (last, last + 1, 1)):
            style = _End.TIP if areas[end - first] < TIP_AREA * areas.max() else _End.CUT
            if open_where is not None and (not 0 <= neighbour < n_slices or open_where[neighbour]):
                style = _End.OPEN
            depth = (samples - end) * toward
            beyond = (depth > 0) & (depth <= 1 + 1e-9)
            parts.append((beyond, _beyond(slices[end - first], depth[beyond] * spacing[0], spacing[0], style)))
        for where, values in parts:
            field[where] = np.maximum(field[where], values)
    return field


def _between(slices: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Distances at `positions` (slice units) between the first and last slice; monotone cubic, so no overshoot."""
    if len(slices) == 1:
        return np.repeat(slices, len(positions), axis=0)
    return PchipInterpolator(np.arange(len(slices)), slices, axis=0)(positions)


def _beyond(end: np.ndarray, depths: np.ndarray, distance: float, style: _End) -> np.ndarray:
    """The field `depths` (mm, > 0) beyond the last slice, whose signed distance is `end`.

    Args:
        end: [row, col], mm, positive inside.
        distance: slice distance, mm.
        style: TIP, a dome with the volume of half a slice; CUT, a plane at half a slice; OPEN, no closure.
    """
    depth = depths[:, None, None]
    if style is _End.OPEN:
        return np.repeat(end[None], len(depths), axis=0)
    if style is _End.CUT:
        left = distance / 2 - depth
        radius = min(RIM_MM, distance / 2)
        corner = np.hypot(np.maximum(radius - end, 0), np.maximum(radius - left, 0))
        return np.maximum(radius, np.minimum(end, left)) - corner
    thickest = float(end.max())
    height = _dome_height(end, distance)
    share = np.sqrt(np.clip(1 - (depth / height) ** 2, 0, None))
    return end - (1 - share) * thickest - np.maximum(depth - height, 0)


def _dome_height(end: np.ndarray, distance: float) -> float:
    """Height (mm) at which a dome over the outline of `end` has the volume of half a slice.

    The dome's outline shrinks as a circle's section does; for a disc this is half an ellipsoid, 0.75 slices high. It
    stays below the next slice, which was found empty.
    """
    heights = (np.arange(64) + 0.5) / 64
    levels = (1 - np.sqrt(1 - heights**2)) * end.max()
    inside = np.sort(end[end > 0])
    shares = (len(inside) - np.searchsorted(inside, levels, side="right")) / len(inside)
    return float(np.clip(0.5 / shares.mean(), 0.5, 0.95)) * distance


def _smoothed_distance(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Signed distance of one slice without the steps of its pixels, which would stand as ridges along the stack.

    Smoothed by one pixel, less where the structure is only a few pixels thick and would vanish.
    """
    distance = _signed_distance(mask, spacing)
    return ndimage.gaussian_filter(distance, min(1.0, float(distance.max()) / (4 * min(spacing))))


def _signed_distance(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance to the outline halfway between voxel centres, mm, positive inside; 2D or 3D; `mask` may be empty."""
    if not mask.any():
        return np.full(mask.shape, -1e3)
    inside = ndimage.distance_transform_edt(mask, spacing)
    outside = ndimage.distance_transform_edt(~mask, spacing)
    return inside - outside - np.where(mask, 0.5, -0.5) * min(spacing)
