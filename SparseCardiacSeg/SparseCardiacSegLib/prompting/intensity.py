"""From scanner intensities to the 8-bit pictures that SAM was made for."""

from __future__ import annotations

import numpy as np

from ..errors import InputError

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5
"""Robust percentiles of the whole volume: one bright vessel or an implant must not darken the heart."""

COUNTABLE = 2**20
"""Largest span of integers that is counted rather than sorted."""


def window(volume: np.ndarray, name: str = "the image") -> tuple[float, float]:
    """The intensities that become 0 and 255, from one volume of any shape.

    One window for the whole volume, not one a slice: a slice looks the same whichever slices were looked at before.

    Raises:
        InputError: the volume has no finite values, or a single one.
    """
    finite = volume.ravel() if volume.dtype.kind in "iu" else volume[np.isfinite(volume)].astype(np.float64)
    if finite.size == 0:
        raise InputError(f"{name} holds no finite values")
    low, high = _percentiles(finite, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        raise InputError(f"{name} has the same value ({low:g}) everywhere: there is nothing to prompt on")
    return low, high


def to_8_bit(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map `low` to 0 and `high` to 255, clipped and rounded, as uint8 of the same shape; NaN becomes 0."""
    scaled = (np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low) - low) * (
        255 / (high - low)
    )
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _percentiles(values: np.ndarray, percents: tuple[float, ...]) -> tuple[float, ...]:
    """`np.percentile`, for integers by counting: 6 times sooner on a cine of 20 million voxels."""
    lowest, highest = int(values.min()), int(values.max())
    if values.dtype.kind not in "iu" or highest - lowest > COUNTABLE:
        return tuple(float(value) for value in np.percentile(values, percents))
    up_to = np.cumsum(np.bincount(values.astype(np.int64) - lowest))
    found = []
    for percent in percents:
        place = percent / 100 * (values.size - 1)
        below, above = (int(np.searchsorted(up_to, rank, "right")) for rank in (np.floor(place), np.ceil(place)))
        found.append(float(lowest + below + (above - below) * (place - np.floor(place))))
    return tuple(found)
