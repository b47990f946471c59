"""A slice's own plane in millimetres: where short-axis angles are measured, whatever way the stack is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..stack import Stack, ijk_to_ras


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """Right-handed axes of the slices of a stack, in RAS.

    Coordinates (x, y) in mm lie along `x_axis` and `y_axis`; an angle grows from x to y, which is counter-clockwise
    for an observer at the apex who looks towards the base. That holds for oblique, flipped, left-handed and sheared
    stacks alike, because the axes come from the IJK-to-RAS matrix.

    Attributes:
        x_axis: unit vector of RAS, along the rows of the slice.
        y_axis: unit vector of RAS.
        apex_axis: unit normal of the slices, from base to apex.
        steps: (2, 2) mm in (x, y) for one step in row and in column.
    """

    grid: Stack
    x_axis: np.ndarray
    y_axis: np.ndarray
    apex_axis: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, grid: Stack, base_first: bool) -> SlicePlane:
        """The plane of the slices of `grid`.

        Args:
            grid: the stack.
            base_first: whether slice 0 is nearest the base.
        """
        steps = grid.ijk_to_ras[:3, :3][:, ::-1].T  # RAS step along each array axis
        through = steps[grid.through_plane]
        row, column = np.delete(steps, grid.through_plane, axis=0)
        normal = np.cross(row, column)
        normal /= np.linalg.norm(normal)
        if (normal @ through > 0) != base_first:
            normal = -normal
        x_axis = row / np.linalg.norm(row)
        y_axis = np.cross(normal, x_axis)
        in_plane = np.array([[step @ x_axis, step @ y_axis] for step in (row, column)])
        return cls(grid, x_axis, y_axis, normal, in_plane)

    def to_mm(self, pixels: np.ndarray) -> np.ndarray:
        """(x, y) in mm of (row, col), both (..., 2), from the centre of the slice's first pixel."""
        return np.asarray(pixels, np.float64) @ self.steps

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(row, col), fractional, of (x, y) in mm."""
        return np.asarray(points, np.float64) @ np.linalg.inv(self.steps)

    def to_ras(self, points: np.ndarray, index: int) -> np.ndarray:
        """RAS (..., 3) of points (x, y) of slice `index`."""
        return self._origin(index) + points[..., :1] * self.x_axis + points[..., 1:] * self.y_axis

    def from_ras(self, ras: np.ndarray, index: int) -> np.ndarray:
        """(x, y) in mm of a RAS point, projected at right angles onto slice `index`."""
        offset = np.asarray(ras, np.float64) - self._origin(index)
        return np.stack([offset @ self.x_axis, offset @ self.y_axis], -1)

    def direction(self, angle: float) -> np.ndarray:
        """Unit RAS vector of an angle in degrees."""
        radians = np.deg2rad(angle)
        return np.cos(radians) * self.x_axis + np.sin(radians) * self.y_axis

    def _origin(self, index: int) -> np.ndarray:
        """RAS of the first pixel of slice `index`."""
        place = np.zeros(3)
        place[2 - self.grid.through_plane] = index
        return ijk_to_ras(self.grid.ijk_to_ras, place)


def turn(angle: float | np.ndarray) -> np.ndarray:
    """`angle` in degrees brought to (-180, 180]."""
    return 180.0 - np.mod(180.0 - np.asarray(angle, np.float64), 360.0)
