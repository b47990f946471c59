"""Slice views that look along a stack's own axes: a short-axis stack is always oblique to the patient."""

from __future__ import annotations

from typing import Any

import numpy as np

from .volumes import ijk_to_ras_of, matrix_from_array, through_plane_of

PARALLEL_COSINE = 0.996
"""Views tilted by up to 5 degrees still count as showing a slice of the stack."""


def slice_points(volume: Any, along: int) -> np.ndarray:
    """Centres of a volume's slices in world RAS, mm: array [slice, 3].

    Args:
        volume: the volume node; its parent transforms count.
        along: array axis (0 slice, 1 row, 2 column) along which the slices lie.
    """
    shape = tuple(reversed(volume.GetImageData().GetDimensions()))
    index = np.repeat([[(length - 1) / 2 for length in shape]], shape[along], axis=0)
    index[:, along] = np.arange(shape[along])
    return index[:, ::-1] @ ijk_to_ras_of(volume, world=True)[:3, :3].T + ijk_to_ras_of(volume, world=True)[:3, 3]


def align_to_stack(slice_node: Any, volume: Any, axis: int | None = None) -> None:
    """Turn a slice view so that it shows a stack's slices as they were acquired, columns to the right and rows down.

    Args:
        slice_node: the view's vtkMRMLSliceNode; it keeps its field of view and jumps to the stack's middle.
        volume: the volume node.
        axis: array axis to look along; None for the through-plane axis.
    """
    axis = through_plane_of(volume) if axis is None else axis
    down, right = (other for other in range(3) if other != axis)
    matrix = ijk_to_ras_of(volume, world=True)
    columns = matrix[:3, :3][:, ::-1] / np.linalg.norm(matrix[:3, :3][:, ::-1], axis=0)
    x = columns[:, right]
    y = -columns[:, down]
    # A sheared transform leaves the axes oblique to each other; a view needs right angles.
    y = y - x * (x @ y)
    y /= np.linalg.norm(y)
    to_ras = np.eye(4)
    to_ras[:3, :3] = np.stack([x, y, np.cross(x, y)], axis=1)
    points = slice_points(volume, axis)
    to_ras[:3, 3] = points[len(points) // 2]
    slice_node.GetSliceToRAS().DeepCopy(matrix_from_array(to_ras))
    slice_node.UpdateMatrices()


def shown_slice(slice_node: Any, volume: Any) -> int | None:
    """Index of the stack's slice that a view shows; None where it looks another way or beyond the stack."""
    axis = through_plane_of(volume)
    to_ras = slice_node.GetSliceToRAS()
    normal = np.array([to_ras.GetElement(row, 2) for row in range(3)])
    origin = np.array([to_ras.GetElement(row, 3) for row in range(3)])
    points = slice_points(volume, axis)
    matrix = ijk_to_ras_of(volume, world=True)[:3, :3][:, ::-1]
    in_plane = [matrix[:, other] for other in range(3) if other != axis]
    stack_normal = np.cross(*in_plane)
    stack_normal /= np.linalg.norm(stack_normal)
    if abs(normal @ stack_normal) < PARALLEL_COSINE:
        return None
    heights = points @ stack_normal
    if len(points) == 1:
        return 0
    position = (origin @ stack_normal - heights[0]) / (heights[1] - heights[0])
    index = int(np.rint(position))
    return index if 0 <= index < len(points) else None


def show_slice(slice_node: Any, volume: Any, index: int) -> None:
    """Move a view along its normal to a slice of the stack."""
    point = slice_points(volume, through_plane_of(volume))[index]
    slice_node.JumpSliceByOffsetting(*(float(value) for value in point))
