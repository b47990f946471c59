"""The anterior insertion of the right ventricle as a Markups point that the user can see and drag.

The point lies where the labels put it until the user drags it: only then it counts as set by hand. So one that was
merely shown follows the segmentation, and figures do not depend on whether it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..stack import ijk_to_ras, ras_to_ijk
from .own_nodes import find_own, own_node
from .placing import placing_kept
from .prompt_geometry import between
from .segmentations import place_beside

CLASS = "vtkMRMLMarkupsFiducialNode"
ROLE = "RV insertion"
FOUND_ATTRIBUTE = "SparseCardiacSeg.FoundAt"
"""JSON: where the labels put the point, in its own RAS; a point elsewhere was put there by the user."""
NEAR_MM = 0.01
"""Less than a hand can drag; more than coordinates lose in a file."""
COLOUR = (0.95, 0.75, 0.1)
GLYPH_PERCENT = 2.0
"""Of the view's diagonal; Slicer's own 3.0 hides the muscle that the point lies on."""


def insertion_node(volume: Any) -> Any:
    """The point of a volume; None where it was never shown, or was removed."""
    node = find_own(CLASS, ROLE, volume)
    return node if node is not None and node.GetNumberOfControlPoints() > 0 else None


def show_insertion(volume: Any, found: Sequence[float]) -> Any:
    """Show the point of a volume; one that the user has not dragged goes to `found`.

    Args:
        volume: the volume node.
        found: where the labels put it, in the volume's own RAS, mm.

    Returns:
        The node.

    Raises:
        InputError: volume and point are under different transforms of which one is not linear.
    """
    node = find_own(CLASS, ROLE, volume)
    if node is None:
        with placing_kept():
            node = own_node(CLASS, ROLE, "RV insertion", volume)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        _describe(node.GetDisplayNode())
        place_beside(node, volume)
    node.GetDisplayNode().SetVisibility(True)
    if insertion_by_hand(volume) is None:
        _put(node, volume, found)
    return node


def follow_labels(volume: Any, found: Sequence[float]) -> None:
    """Put a point that the user has not dragged where the labels put it now."""
    node = insertion_node(volume)
    if node is not None and insertion_by_hand(volume) is None:
        _put(node, volume, found)


def release_insertion(volume: Any) -> None:
    """Take the user's word back: the point goes where the labels put it, with the next `follow_labels`."""
    node = insertion_node(volume)
    if node is not None:
        node.SetAttribute(FOUND_ATTRIBUTE, json.dumps(list(node.GetNthControlPointPosition(0))))


def hide_insertion(volume: Any) -> None:
    """Hide the point; one that was dragged still counts."""
    node = insertion_node(volume)
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(False)


def insertion_is_shown(volume: Any) -> bool:
    """Whether the user sees the point."""
    node = insertion_node(volume)
    return node is not None and node.GetDisplayNode() is not None and bool(node.GetDisplayNode().GetVisibility())


def insertion_by_hand(volume: Any) -> tuple[float, float, float] | None:
    """Where the user has put the point, in the volume's own RAS, mm; None while it lies where the labels put it.

    Raises:
        InputError: as for `show_insertion`.
    """
    node = insertion_node(volume)
    if node is None:
        return None
    place = np.array(node.GetNthControlPointPosition(0))
    found = _found(node)
    if found is not None and np.linalg.norm(place - found) < NEAR_MM:
        return None
    right, anterior, superior = (float(value) for value in ijk_to_ras(between(node, volume), place))
    return right, anterior, superior


def _found(node: Any) -> np.ndarray | None:
    try:
        place = np.array(json.loads(node.GetAttribute(FOUND_ATTRIBUTE) or "null"), np.float64)
    except (ValueError, TypeError):  # a scene that something else has written
        return None
    return place if place.shape == (3,) else None


def _put(node: Any, volume: Any, found: Sequence[float]) -> None:
    place = ras_to_ijk(between(node, volume), np.asarray(found, np.float64))
    kept = _found(node)
    if node.GetNumberOfControlPoints() and kept is not None and np.linalg.norm(place - kept) < NEAR_MM:
        return
    # First: whoever is told that the point has moved must not take that for the user's doing.
    node.SetAttribute(FOUND_ATTRIBUTE, json.dumps(place.tolist()))
    if node.GetNumberOfControlPoints() == 0:
        node.AddControlPoint(*place.tolist(), "anterior RV insertion")
        node.SetFixedNumberOfControlPoints(True)
    else:
        node.SetNthControlPointPosition(0, *place.tolist())


def _describe(display: Any) -> None:
    was_modifying = display.StartModify()
    display.SetSelectedColor(*COLOUR)
    display.SetColor(*COLOUR)
    display.SetGlyphScale(GLYPH_PERCENT)
    display.SetTextScale(2.5)
    # It marks the insertion in all slices, not only in that in which it lies.
    display.SetSliceProjection(True)
    display.SetSliceProjectionUseFiducialColor(True)
    display.EndModify(was_modifying)
