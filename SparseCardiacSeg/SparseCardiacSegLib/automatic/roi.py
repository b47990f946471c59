"""A box that limits the field of view: labels are looked for inside it only."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..stack import Stack, ijk_to_ras, ras_to_ijk

MARGIN_MM = 10.0
"""Around the box, given to the model as context: what lies at the box's edge is judged with its surroundings."""


@dataclass(frozen=True)
class VoxelBox:
    """Half-open voxel ranges along the array axes of a stack.

    Attributes:
        start, stop: (slice, row, col); voxel indices from `start` up to but not including `stop`.

    Raises:
        InputError: a range is empty.
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    def __post_init__(self) -> None:
        if (
            len(self.start) != 3
            or len(self.stop) != 3
            or any(a >= b for a, b in zip(self.start, self.stop, strict=True))
        ):
            raise InputError(f"the region of interest is empty: voxels {tuple(self.start)} up to {tuple(self.stop)}")

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """For indexing an array [..., slice, row, col]."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    def within(self, stack: Stack) -> VoxelBox:
        """The part that lies on the grid of `stack`.

        Raises:
            InputError: there is none.
        """
        start = tuple(max(0, a) for a in self.start)
        stop = tuple(min(size, b) for size, b in zip(stack.shape, self.stop, strict=True))
        if any(a >= b for a, b in zip(start, stop, strict=True)):
            raise InputError(
                f"the region of interest lies outside {stack.source or 'the image'}: "
                f"voxels {self.start} up to {self.stop} of a grid of {stack.shape}"
            )
        return VoxelBox(start, stop)  # type: ignore[arg-type]

    def grown(self, stack: Stack, margin_mm: float) -> VoxelBox:
        """The box with `margin_mm` more on every side, as far as the grid of `stack` goes."""
        more = [math.ceil(margin_mm / distance - 1e-9) for distance in stack.spacing]
        start = tuple(max(0, a - m) for a, m in zip(self.start, more, strict=True))
        stop = tuple(min(size, b + m) for size, b, m in zip(stack.shape, self.stop, more, strict=True))
        return VoxelBox(start, stop)  # type: ignore[arg-type]


def box_from_ras(stack: Stack, low: Sequence[float], high: Sequence[float]) -> VoxelBox:
    """The smallest voxel box that holds every voxel centre in a box in RAS mm.

    On an oblique stack the voxel box reaches beyond the RAS box at its corners: nothing inside is cut off.

    Args:
        stack: the grid.
        low, high: opposite corners (R, A, S), mm.

    Raises:
        InputError: the box is empty or no numbers, or lies outside the stack.
    """
    corners = np.array([low, high], np.float64)
    if corners.shape != (2, 3) or not np.isfinite(corners).all():
        raise InputError("a region of interest in mm needs three finite numbers for each of its corners")
    if (corners[0] >= corners[1]).any():
        raise InputError(f"the region of interest is empty: it goes from {_mm(low)} to {_mm(high)} mm")
    return box_around(stack, np.array(list(product(*corners.T))))


def box_around(stack: Stack, points: np.ndarray) -> VoxelBox:
    """The smallest voxel box that holds every voxel centre between `points` (n, 3), RAS mm.

    Raises:
        InputError: it lies outside the stack, or between two voxel centres.
    """
    kji = ras_to_ijk(stack.ijk_to_ras, points)[:, ::-1]
    # Rounding noise of the matrix must not add or take a voxel at the very edge.
    start = np.ceil(kji.min(axis=0) - 1e-6).astype(int)
    stop = np.floor(kji.max(axis=0) + 1e-6).astype(int) + 1
    if (stop <= 0).any() or (start >= stack.shape).any():
        first, last = np.zeros(3), np.array(stack.shape[::-1]) - 1
        ends = ijk_to_ras(stack.ijk_to_ras, np.array(list(product(*np.stack([first, last]).T))))
        raise InputError(
            f"the region of interest lies outside {stack.source or 'the image'}, "
            f"which goes from {_mm(ends.min(axis=0))} to {_mm(ends.max(axis=0))} mm (R, A, S)"
        )
    return VoxelBox(tuple(start.tolist()), tuple(stop.tolist())).within(stack)


def read_box(path: Path, stack: Stack) -> VoxelBox:
    """A region of interest from JSON, on the grid of `stack`.

    The file holds `{"ras": [R0, R1, A0, A1, S0, S1]}` in mm, `{"voxels": [I0, I1, J0, J1, K0, K1]}` (col, row, slice,
    the last one not included), or a ROI as 3D Slicer saves it (.mrk.json), turned as it may be.

    Raises:
        InputError: the file cannot be read, holds nothing of the kind, or its box does not fit the stack.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON file") from error
    try:
        if "ras" in content:
            r0, r1, a0, a1, s0, s1 = map(float, content["ras"])
            return box_from_ras(stack, (r0, a0, s0), (r1, a1, s1))
        if "voxels" in content:
            i0, i1, j0, j1, k0, k1 = map(int, content["voxels"])
            return VoxelBox((k0, j0, i0), (k1, j1, i1)).within(stack)
        return box_around(stack, _markup_corners(content))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, StopIteration) as error:
        raise InputError(
            f"{path} holds no region of interest: it needs 'ras' or 'voxels' with six numbers, or a Slicer ROI"
        ) from error


def _markup_corners(content: dict) -> np.ndarray:
    """The eight corners, RAS mm, of the first ROI in a Slicer markups file."""
    markup = next(item for item in content["markups"] if item["type"] == "ROI")
    axes = np.array(markup.get("orientation", np.eye(3).ravel().tolist()), np.float64).reshape(3, 3)
    half = np.array(markup["size"], np.float64) / 2
    centre = np.array(markup["center"], np.float64)
    if half.shape != (3,) or centre.shape != (3,) or not (half > 0).all() or not np.isfinite([half, centre]).all():
        raise ValueError("no box")
    signs = np.array(list(product((-1, 1), repeat=3)), np.float64)
    corners = centre + (signs * half) @ axes.T
    # Slicer writes LPS unless the file says RAS.
    return corners if markup.get("coordinateSystem", "LPS") == "RAS" else corners * (-1, -1, 1)


def cropped(stack: Stack, box: VoxelBox) -> Stack:
    """The voxels of `box` as a stack of its own, every voxel where it was."""
    matrix = stack.ijk_to_ras.copy()
    matrix[:3, 3] = ijk_to_ras(stack.ijk_to_ras, np.array(box.start[::-1]))
    return replace(stack, array=stack.array[(..., *box.slices)], ijk_to_ras=matrix)


def put_back(labels: np.ndarray, crop: VoxelBox, box: VoxelBox, stack: Stack) -> np.ndarray:
    """Labels of `crop` on the grid of `stack`, background outside `box`.

    Args:
        labels: uint8 [..., slice, row, col] in the shape of `crop`.
        crop: where they lie, `box` with its margin.
        box: what counts.
        stack: the whole grid.
    """
    full = np.zeros((*labels.shape[:-3], *stack.shape), labels.dtype)
    inner = tuple(slice(a - c, b - c) for a, b, c in zip(box.start, box.stop, crop.start, strict=True))
    full[(..., *box.slices)] = labels[(..., *inner)]
    return full


def _mm(point: Sequence[float] | np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in point) + ")"
