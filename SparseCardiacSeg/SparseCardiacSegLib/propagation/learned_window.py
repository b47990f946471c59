"""The window around the heart that the registration network sees: how pictures get into it, and fields out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

WINDOW = 128
"""Pixels of a side."""

PIXEL_MM = 1.5
"""Its pixel size: 192 mm a side, where the two ventricles of 50 ACDC patients span 138 mm at most."""

TAPER_MM = 25.0
"""Over this distance outside of the window, the field fades to zero."""

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0
"""Intensities that become 0 and 1. ACDC's public copy is clipped at the 99th percentile of each frame."""

_BLUR_MM = 12.0
"""Width of the Gaussian that turns differences between frames into a map of where the heart beats."""


@dataclass(frozen=True)
class HeartWindow:
    """A square of `WINDOW` pixels of `PIXEL_MM` on slices of any matrix and pixel size.

    Attributes:
        centre: (row, col) of its middle, in pixels of the slices, fractions allowed.
        shape: (rows, cols) of the slices.
        spacing: (row, col) pixel size of the slices in mm.
        size: pixels of a side; other than `WINDOW` only while a network is being trained.
    """

    centre: tuple[float, float]
    shape: tuple[int, int]
    spacing: tuple[float, float]
    size: int = WINDOW

    def cut(self, slices: np.ndarray) -> np.ndarray:
        """Slices [..., row, col] in the window, [..., size, size] float32.

        Each pixel of the window averages what lies under a triangle as wide as the coarser of both pixel sizes, so that
        fine pictures are not aliased; outside of a slice its edge goes on.
        """
        rows, cols = (self._averaging(axis) for axis in (0, 1))
        return np.matmul(np.matmul(rows, np.asarray(slices, np.float32)), cols.T)

    def on_slices(self) -> np.ndarray:
        """Boolean [size, size]: which of the window's pixels lie on the slices, and not beyond their edges."""
        rows, cols = ((self._places(axis) >= -0.5) & (self._places(axis) <= self.shape[axis] - 0.5) for axis in (0, 1))
        return rows[:, None] & cols

    def spread(self, field: np.ndarray) -> np.ndarray:
        """A displacement field of the window on the whole slices.

        Args:
            field: [..., 2, size, size], (d_row, d_col) in pixels of the window.

        Returns:
            [..., 2, row, col] float32 in pixels of the slices; it fades to zero outside of the window.
        """
        rows, cols = (self._reading(axis) for axis in (0, 1))
        whole = np.matmul(np.matmul(rows, np.asarray(field, np.float32)), cols.T)
        whole *= PIXEL_MM / np.array(self.spacing, np.float32)[:, None, None]
        return whole

    def _places(self, axis: int) -> np.ndarray:
        """Where the window's pixels lie along an axis of the slices, in pixels of these."""
        return self.centre[axis] + (np.arange(self.size) - (self.size - 1) / 2) * (PIXEL_MM / self.spacing[axis])

    def _averaging(self, axis: int) -> np.ndarray:
        """[size, n] weights of the slices' pixels in each of the window's."""
        n = self.shape[axis]
        width = max(1.0, PIXEL_MM / self.spacing[axis])
        places = np.clip(self._places(axis), 0, n - 1)
        weights = np.maximum(0.0, 1 - np.abs(np.arange(n)[None] - places[:, None]) / width)
        return (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    def _reading(self, axis: int) -> np.ndarray:
        """[n, size] weights of the window's pixels in each of the slices': linear inside, fading outside."""
        step = PIXEL_MM / self.spacing[axis]
        places = (np.arange(self.shape[axis]) - self.centre[axis]) / step + (self.size - 1) / 2
        inside = np.clip(places, 0, self.size - 1)
        weights = np.maximum(0.0, 1 - np.abs(np.arange(self.size)[None] - inside[:, None]))
        fade = np.maximum(0.0, 1 - np.abs(places - inside) * PIXEL_MM / TAPER_MM)
        return (weights * fade[:, None]).astype(np.float32)


def scaled(slices: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """All slices of one frame [slice, row, col] with robust percentiles at 0 and 1, float32, -0.5 to 1.5.

    Each frame by its own: frames that were stored in different scales then look alike.

    Args:
        slices: windows of a frame.
        seen: whose percentiles count; `slices` if None.
    """
    low, high = np.percentile(slices if seen is None else seen, (LOW_PERCENTILE, HIGH_PERCENTILE))
    span = float(high - low)
    if span <= 0:
        return np.zeros(slices.shape, np.float32)
    return np.clip((slices - np.float32(low)) / np.float32(span), -0.5, 1.5).astype(np.float32)


def centre_of_mask(mask: np.ndarray) -> tuple[float, float] | None:
    """(row, col) of the middle of the box around a mask [slice, row, col] in all slices; None if it is empty."""
    seen = np.argwhere(mask.any(0))
    if seen.size == 0:
        return None
    middle = (seen.min(0) + seen.max(0)) / 2
    return float(middle[0]), float(middle[1])


def centre_of_motion(fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """(row, col) of where two frames [slice, row, col] differ most, in all slices together: the beating heart.

    It is moved as little as needed to keep the window on the slices, so that two frames that hardly differ, whose
    difference is noise, do not lead it astray; slices smaller than the window have it in their middle.
    """
    energy = np.square(np.asarray(moving, np.float32) - np.asarray(fixed, np.float32)).mean(0)
    middle = (energy.shape[0] - 1) / 2, (energy.shape[1] - 1) / 2
    blurred = ndimage.gaussian_filter(energy, [_BLUR_MM / distance for distance in spacing], mode="constant")
    weights = np.maximum(0.0, blurred - 0.5 * blurred.max(initial=0.0))
    total = float(weights.sum())
    if total > 0:
        rows, cols = np.arange(weights.shape[0]), np.arange(weights.shape[1])
        found = float(weights.sum(1) @ rows) / total, float(weights.sum(0) @ cols) / total
    else:
        found = middle
    reach = [max(0.0, half - (WINDOW - 1) / 2 * PIXEL_MM / step) for half, step in zip(middle, spacing, strict=True)]
    row, col = (m + min(max(f - m, -r), r) for f, m, r in zip(found, middle, reach, strict=True))
    return row, col
