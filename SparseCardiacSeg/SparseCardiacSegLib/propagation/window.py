"""What of a cine the engines see: grey values in one scale, cut to the surroundings of the annotated heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

PERCENTILES = (1.0, 99.0)
"""Grey values that become 0 and 1, over all frames."""


def scaled(cine: np.ndarray, name: str = "the cine") -> np.ndarray:
    """Grey values of a whole cine, float32, 0 and 1 at the `PERCENTILES`; all frames in one scale.

    Raises:
        InputError: a value is not finite, or nearly all values are the same.
    """
    values = np.asarray(cine, np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are no numbers (NaN or infinite)")
    low, high = np.percentile(values, PERCENTILES)
    if high <= low:
        raise InputError(f"{name} shows nothing: nearly all of its voxels have the value {low:g}")
    return (values - low) / (high - low)


@dataclass(frozen=True)
class HeartBox:
    """A box in the plane of the slices; all slices are kept."""

    rows: slice
    columns: slice

    def cut(self, array: np.ndarray) -> np.ndarray:
        """The box of an array [..., row, col]."""
        return array[..., self.rows, self.columns]


def heart_box(mask: np.ndarray, margin_mm: float | None, spacing: tuple[float, float]) -> HeartBox:
    """The smallest box around a mask, widened by a margin and kept within the image.

    Args:
        mask: bool [..., row, col], not empty.
        margin_mm: None for the whole image.
        spacing: pixel size (row, col) in mm.
    """
    if margin_mm is None:
        return HeartBox(slice(None), slice(None))
    bounds = []
    for axis, step in ((-2, spacing[0]), (-1, spacing[1])):
        others = tuple(other for other in range(mask.ndim) if other != mask.ndim + axis)
        held = np.flatnonzero(mask.any(axis=others))
        margin = int(np.ceil(margin_mm / step))
        bounds.append(slice(max(0, held[0] - margin), min(mask.shape[axis], held[-1] + margin + 1)))
    return HeartBox(*bounds)
