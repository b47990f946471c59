"""Where a place in the scene lies on the slices of a volume, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..stack import ijk_to_ras, ras_to_ijk
from .volumes import ijk_to_ras_of, parent_to_world, through_plane_of


def grid_of(volume: Any) -> tuple[int, int, int]:
    """Numbers of slices, rows and columns of a volume node, slices counted along its through-plane axis."""
    shape = tuple(reversed(volume.GetImageData().GetDimensions()))
    slices, rows, cols = (shape[axis] for axis in _axes(volume))
    return slices, rows, cols


def between(node: Any, volume: Any) -> np.ndarray:
    """4 x 4 matrix from a node's own RAS to the volume's own RAS; the identity where both are under one transform.

    Raises:
        InputError: they are under different transforms of which one is not linear.
    """
    if node.GetTransformNodeID() == volume.GetTransformNodeID():
        return np.eye(4)
    return np.linalg.solve(parent_to_world(volume), parent_to_world(node))


def slice_from_ras(volume: Any, ras: np.ndarray, node: Any = None) -> np.ndarray:
    """Map RAS to the slices of a volume.

    Args:
        volume: the volume node; oblique, left-handed and transformed ones are welcome.
        ras: (..., 3) coordinates in mm in the own RAS of `node` (its parent transforms not applied).
        node: the node whose coordinates they are; the volume itself where None.

    Returns:
        (..., 3) slice, column and row, fractions included; a whole slice number is the middle of that slice.
    """
    ras = np.asarray(ras, np.float64)
    if node is not None:
        ras = ijk_to_ras(between(node, volume), ras)
    ijk = ras_to_ijk(ijk_to_ras_of(volume), ras)
    slices, rows, cols = _axes(volume)
    return np.stack([ijk[..., 2 - axis] for axis in (slices, cols, rows)], axis=-1)


def ras_from_slice(volume: Any, places: np.ndarray, node: Any = None) -> np.ndarray:
    """The inverse of `slice_from_ras`: (..., 3) slice, column and row to mm in the own RAS of `node`."""
    places = np.asarray(places, np.float64)
    ijk = np.empty(places.shape)
    slices, rows, cols = _axes(volume)
    for position, axis in enumerate((slices, cols, rows)):
        ijk[..., 2 - axis] = places[..., position]
    ras = ijk_to_ras(ijk_to_ras_of(volume), ijk)
    return ras if node is None else ras_to_ijk(between(node, volume), ras)


def slice_from_world(volume: Any, ras: np.ndarray) -> np.ndarray:
    """Map world RAS, as the views show it, to slice, column and row; see `slice_from_ras`."""
    return slice_from_ras(volume, ras_to_ijk(parent_to_world(volume), ras))


def world_from_slice(volume: Any, places: np.ndarray) -> np.ndarray:
    """The inverse of `slice_from_world`: (..., 3) slice, column and row to world RAS in mm."""
    return ijk_to_ras(parent_to_world(volume), ras_from_slice(volume, places))


def slice_axes(volume: Any) -> np.ndarray:
    """3 x 3 rotation in the volume's own RAS: unit columns along its columns' and rows' direction and their normal.

    The normal is made from the other two, so the rotation is proper on a left-handed volume as well.
    """
    origin, along_cols, along_rows = ras_from_slice(volume, [[0, 0, 0], [0, 1, 0], [0, 0, 1]])
    right = (along_cols - origin) / np.linalg.norm(along_cols - origin)
    down = along_rows - origin
    down = down - right * (down @ right)
    down /= np.linalg.norm(down)
    return np.column_stack([right, down, np.cross(right, down)])


def slice_thickness(volume: Any) -> float:
    """Distance between neighbouring slices in mm, measured along their normal."""
    step = ras_from_slice(volume, [1, 0, 0]) - ras_from_slice(volume, [0, 0, 0])
    return float(abs(step @ slice_axes(volume)[:, 2]))


def _axes(volume: Any) -> tuple[int, int, int]:
    """Array axes ([k, j, i]) of slices, rows and columns: the order in which `Stack.slices_first` puts them."""
    through = through_plane_of(volume)
    rows, cols = (axis for axis in range(3) if axis != through)
    return through, rows, cols
