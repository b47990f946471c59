"""A stack of slices with its true geometry, and the one place where voxel indices become millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .errors import InputError


def ijk_to_ras(matrix: np.ndarray, ijk: np.ndarray, parent: np.ndarray | None = None) -> np.ndarray:
    """Map voxel indices to RAS millimetres.

    Args:
        matrix: 4 x 4 IJK-to-RAS matrix (i = column, j = row, k = slice of the file).
        ijk: (..., 3) voxel indices, fractions allowed; (0, 0, 0) is the centre of the first voxel.
        parent: 4 x 4 transform from the volume's parent to world RAS, where the volume sits under one.

    Returns:
        (..., 3) RAS coordinates in mm.
    """
    full = matrix if parent is None else parent @ matrix
    return np.asarray(ijk, np.float64) @ full[:3, :3].T + full[:3, 3]


def ras_to_ijk(matrix: np.ndarray, ras: np.ndarray, parent: np.ndarray | None = None) -> np.ndarray:
    """Map RAS millimetres to (fractional) voxel indices (i, j, k); the inverse of `ijk_to_ras`."""
    full = matrix if parent is None else parent @ matrix
    return np.linalg.solve(full[:3, :3], (np.asarray(ras, np.float64) - full[:3, 3])[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class Stack:
    """Voxels on a regular, possibly oblique, flipped or left-handed grid.

    Attributes:
        array: [slice, row, col], or [frame, slice, row, col] for a cine: the file's own order (k, j, i).
        ijk_to_ras: 4 x 4 float64 matrix from voxel index (i = col, j = row, k = slice) to RAS mm.
        through_plane: array axis (0, 1 or 2, not counting frames) along which slices are stacked.
        frame_times: time of each frame in seconds from the first, where the file tells.
        spacing_known: False where the file gave no spacing and 1 mm was assumed.
        source: where the voxels came from, for messages and provenance.
        meta: what a writer needs to write the same header again (kept by `io`).
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    through_plane: int = 0
    frame_times: tuple[float, ...] | None = None
    spacing_known: bool = True
    source: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.source or "the image"
        if self.array.ndim not in (3, 4):
            raise InputError(f"{name} has {self.array.ndim} dimensions; 3 (a stack) or 4 (a cine) are needed")
        if 0 in self.array.shape:
            raise InputError(f"{name} holds no voxels (shape {self.array.shape})")
        matrix = np.array(self.ijk_to_ras, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise InputError(f"{name} has no usable IJK-to-RAS matrix")
        # Relative to the box that perpendicular axes would span: float32 noise makes flat axes look like 1e-8 of it.
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        if not lengths.all() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-6:
            raise InputError(f"{name} has a singular IJK-to-RAS matrix: its axes do not span space")
        if self.through_plane not in (0, 1, 2):
            raise InputError(f"the through-plane axis must be 0, 1 or 2, not {self.through_plane}")
        if self.frame_times is not None and len(self.frame_times) != self.n_frames:
            raise InputError(f"{name} has {self.n_frames} frames but {len(self.frame_times)} frame times")
        matrix.setflags(write=False)
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along the array axes (slice, row, col) in mm, gaps included."""
        lengths = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Spatial shape (slice, row, col), without frames."""
        return self.array.shape[-3:]

    @property
    def is_cine(self) -> bool:
        """Whether the array has a frame axis."""
        return self.array.ndim == 4

    @property
    def n_frames(self) -> int:
        """Number of frames; 1 for a single stack."""
        return self.array.shape[0] if self.is_cine else 1

    @property
    def n_slices(self) -> int:
        """Number of slices along the through-plane axis."""
        return self.shape[self.through_plane]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in mL, from the matrix itself, so sheared grids count right."""
        return abs(float(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0

    def frame(self, index: int) -> Stack:
        """One frame of a cine as a 3D stack; a 3D stack has only frame 0.

        Raises:
            InputError: there is no such frame.
        """
        if not 0 <= index < self.n_frames:
            raise InputError(f"{self.source or 'the image'} has frames 0 to {self.n_frames - 1}; {index} was asked for")
        if not self.is_cine:
            return self
        return replace(self, array=self.array[index], frame_times=None)

    def with_array(self, array: np.ndarray) -> Stack:
        """The same grid with other voxels, 3D or 4D.

        Raises:
            InputError: the spatial shape differs.
        """
        if array.shape[-3:] != self.shape:
            raise InputError(f"an array of shape {array.shape[-3:]} does not fit a grid of shape {self.shape}")
        n_frames = array.shape[0] if array.ndim == 4 else 1
        times = self.frame_times if self.frame_times is not None and n_frames == self.n_frames else None
        return replace(self, array=array, frame_times=times if array.ndim == 4 else None)

    def slices_first(self) -> np.ndarray:
        """A view of the voxels with the through-plane axis as the first spatial axis."""
        return np.moveaxis(self.array, self.through_plane - 3, -3)

    @property
    def slices_first_spacing(self) -> tuple[float, float, float]:
        """Spacing in the axis order of `slices_first`: (between slices, within, within), mm."""
        spacing = list(self.spacing)
        return (spacing.pop(self.through_plane), *spacing)  # type: ignore[return-value]

    def from_slices_first(self, array: np.ndarray) -> np.ndarray:
        """Undo `slices_first` for an array computed in that order."""
        return np.moveaxis(array, -3, self.through_plane - 3)

    def same_grid(self, other: Stack, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids put every voxel at the same place, within `tolerance_mm` at the corners."""
        if self.shape != other.shape:
            return False
        k, j, i = (n - 1 for n in self.shape)
        corners = np.array([(a, b, c) for a in (0, i) for b in (0, j) for c in (0, k)])
        apart = ijk_to_ras(self.ijk_to_ras, corners) - ijk_to_ras(other.ijk_to_ras, corners)
        return bool(np.abs(apart).max() <= tolerance_mm)


def through_plane_axis(spacing: tuple[float, float, float]) -> int:
    """The array axis with the largest spacing; the first one on a tie (a stack's slices come first).

    Ties within 0.1 % count as equal: isotropic volumes carry rounding noise in their spacing.
    """
    largest = max(spacing)
    return next(axis for axis, value in enumerate(spacing) if value >= largest * 0.999)
