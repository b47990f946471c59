"""What the slice classifier sees of a stack: a window around the middle of each slice, with its two neighbours."""

from __future__ import annotations

import numpy as np

SIDE = 112
"""Pixels of a side."""

PIXEL_MM = 2.0
"""Its pixel size: 224 mm a side. No label of the 70 ACDC patients lies further than 112 mm from the slices' middle."""

CONTEXT = 3
"""Slices seen at once: the one in question between its neighbours. Photographic backbones have three channels too."""

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0


def windows(array: np.ndarray, spacing: tuple[float, float, float], side: int = SIDE) -> np.ndarray:
    """Every slice of a stack in its window, intensities scaled by robust percentiles of the whole stack.

    A pixel of the window averages what lies under a triangle as wide as the coarser of both pixel sizes, so that fine
    pictures are not aliased. What lies outside of the slices is 0.

    Args:
        array: numbers [slice, row, col], the through-plane axis first.
        spacing: (slice, row, col) in mm; the distance of slices is not used.
        side: pixels of a side; other than `SIDE` only while a classifier is trained.

    Returns:
        float32 [slice, side, side]; the 1st percentile of the usual window is 0, the 99th is 1, cut at -0.5 and 1.5.
    """
    wide = resampled(array, spacing, side)
    inside = resampled(np.ones((1, *array.shape[1:])), spacing, side)[0] > 0
    border = max(0, (side - SIDE) // 2)
    middle = slice(border, side - border)
    seen = wide[:, middle, middle][:, inside[middle, middle]]
    low, high = np.percentile(seen, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high <= low:
        return np.zeros(wide.shape, np.float32)
    return np.clip((wide - np.float32(low)) / np.float32(high - low), -0.5, 1.5).astype(np.float32) * inside


def resampled(array: np.ndarray, spacing: tuple[float, float, float], side: int = SIDE) -> np.ndarray:
    """Every slice in its window, values as they are: float32 [slice, side, side]; arguments as of `windows`."""
    image = np.asarray(array, np.float32)
    rows, cols = (_averaging(size, step, side) for size, step in zip(image.shape[1:], spacing[1:], strict=True))
    return np.matmul(np.matmul(rows, image), cols.T)


def with_neighbours(slices: np.ndarray) -> np.ndarray:
    """[slice, row, col] to [slice, CONTEXT, row, col]; at the ends of a stack a slice is its own neighbour."""
    reach = CONTEXT // 2
    places = np.arange(len(slices))[:, None] + np.arange(-reach, reach + 1)
    return slices[np.clip(places, 0, len(slices) - 1)]


def _averaging(size: int, step: float, side: int) -> np.ndarray:
    """[side, size] weights of a slice's pixels in each of the window's; rows of zeros outside of the slice."""
    places = (size - 1) / 2 + (np.arange(side) - (side - 1) / 2) * (PIXEL_MM / step)
    width = max(1.0, PIXEL_MM / step)
    weights = np.maximum(0.0, 1 - np.abs(np.arange(size)[None] - np.clip(places, 0, size - 1)[:, None]) / width)
    weights /= weights.sum(1, keepdims=True)
    weights[(places < -0.5) | (places > size - 0.5)] = 0
    return weights.astype(np.float32)
