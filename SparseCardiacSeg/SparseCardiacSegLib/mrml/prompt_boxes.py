"""Box prompts as Markups ROI nodes that lie in the slices of a volume, one for each structure, frame and slice.

An ROI is Slicer's one Markups type that a user draws in a slice view with two clicks and then drags by its sides and
corners. It is turned to the volume's own axes before it is drawn, and Slicer keeps these axes while the two corners are
placed (`vtkMRMLMarkupsROINode::UpdateBoundingBoxROIFromControlPoints`), so that a box on an oblique stack has its sides
along rows and columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..anatomy import Structure
from ..prompting.prompts import Box
from .prompt_display import (
    BOX,
    FRAME_ATTRIBUTE,
    KIND_ATTRIBUTE,
    SLICE_ATTRIBUTE,
    make_node,
    prompt_nodes,
    show_as_box,
    structure_of,
)
from .prompt_geometry import between, ras_from_slice, slice_axes, slice_from_ras, slice_thickness
from .volumes import array_from_matrix, matrix_from_array

THICKNESS = 0.9
"""Of a slice: a box is cut by the view of its own slice and by no other, with room for rounding."""
ROUNDING_MM = 1e-6


def new_box(volume: Any, structure: Structure, frame: int) -> Any:
    """An ROI node without corners, turned to the volume's axes, ready to be drawn."""
    attributes = {KIND_ATTRIBUTE: BOX, FRAME_ATTRIBUTE: str(frame)}
    node = make_node("vtkMRMLMarkupsROINode", volume, f"{structure} box", structure, attributes)
    show_as_box(node, structure)
    node.GetObjectToNodeMatrix().DeepCopy(_upright(volume, np.zeros(3), node))
    return node


def is_drawn(node: Any) -> bool:
    """Whether both corners of a box were placed; one that follows the mouse counts as a point of Slicer's, not here."""
    defined = node.GetNumberOfDefinedControlPoints() == node.GetNumberOfControlPoints()
    return defined and bool(node.GetControlPointPlacementComplete()) and max(node.GetSize()) > 0


def set_box(node: Any, volume: Any, slice_index: int, box: Box) -> None:
    """Put a box on a slice: its middle in the plane, its thickness within the slice, its sides along the axes."""
    col0, row0, col1, row1 = box
    low, high = ras_from_slice(volume, [[slice_index, col0, row0], [slice_index, col1, row1]], node)
    upright = _upright(volume, (low + high) / 2, node)
    axes = array_from_matrix(upright)[:3, :3]
    size = np.abs((high - low) @ axes)
    size[2] = THICKNESS * slice_thickness(volume)
    was_modifying = node.StartModify()
    node.GetObjectToNodeMatrix().DeepCopy(upright)
    node.SetSize(*size.tolist())
    node.SetAttribute(SLICE_ATTRIBUTE, str(slice_index))
    node.EndModify(was_modifying)


def box_of(node: Any, volume: Any) -> tuple[int, Box]:
    """The slice on which a box lies and its corners (col0, row0, col1, row1), in voxels of the slice.

    Where it was turned or taken off its plane, that is the upright rectangle around it on the nearest slice.
    """
    object_to_node = array_from_matrix(node.GetObjectToNodeMatrix())
    half = np.array(node.GetSize()) / 2
    signs = np.array([[x, y, 0] for x in (-1, 1) for y in (-1, 1)])
    corners = (signs * half) @ object_to_node[:3, :3].T + object_to_node[:3, 3]
    slices, cols, rows = slice_from_ras(volume, corners, node).T
    # A millionth of a voxel: what the matrices lose on the way to mm and back.
    low, high = ((round(float(end(cols)), 6), round(float(end(rows)), 6)) for end in (np.min, np.max))
    return int(np.rint(slices.mean())), (*low, *high)


def settle(node: Any, volume: Any) -> None:
    """Put a box that the user drew or dragged back into the plane of its slice; its corners stay where they are."""
    slice_index, box = box_of(node, volume)
    centre = array_from_matrix(node.GetObjectToNodeMatrix())[:3, 3]
    place = slice_from_ras(volume, centre, node)[0]
    flat = abs(node.GetSize()[2] - THICKNESS * slice_thickness(volume)) < ROUNDING_MM
    if flat and abs(place - slice_index) < ROUNDING_MM and node.GetAttribute(SLICE_ATTRIBUTE) == str(slice_index):
        return
    set_box(node, volume, slice_index, box)


def frame_of_box(node: Any) -> int:
    """The frame that a box belongs to; 0 where the attribute is missing or no number."""
    text = node.GetAttribute(FRAME_ATTRIBUTE) or "0"
    return int(text) if text.isdecimal() else 0


def boxes(volume: Any) -> dict[tuple[int, int, Structure], list[Any]]:
    """The drawn boxes of a volume by (frame, slice, structure), older ones first."""
    found: dict[tuple[int, int, Structure], list[Any]] = {}
    for node in prompt_nodes(volume, BOX):
        structure = structure_of(node)
        if structure is not None and is_drawn(node):
            key = frame_of_box(node), box_of(node, volume)[0], structure
            found.setdefault(key, []).append(node)
    return found


def _upright(volume: Any, centre: np.ndarray, node: Any) -> Any:
    """ObjectToNode matrix of a box at `centre` (own RAS of `node`) along the volume's columns and rows."""
    rotation = np.linalg.inv(between(node, volume))[:3, :3] @ slice_axes(volume)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation / np.linalg.norm(rotation, axis=0)
    matrix[:3, 3] = centre
    return matrix_from_array(matrix)
