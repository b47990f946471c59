"""How a comparison is shown on slices, contours of both or the voxels that differ, and how it is taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import slicer

from ..measures.difference import Difference, difference_classes
from ..segmentation import Segmentation
from .display import PREDICTION_COLOUR, REFERENCE_COLOUR, show_comparison, show_own_colours
from .own_nodes import find_own, own_node
from .segmentations import BINARY_LABELMAP, oriented_image
from .volumes import ijk_to_ras_of

DIFFERENCE_ROLE = "difference"

DIFFERENCE_LOOK: Mapping[Difference, tuple[str, tuple[float, float, float], float]] = {
    Difference.AGREEMENT: ("both (true positive)", (0.95, 0.85, 0.25), 0.2),
    Difference.PREDICTION_ONLY: ("prediction only (false positive)", PREDICTION_COLOUR, 0.75),
    Difference.REFERENCE_ONLY: ("reference only (false negative)", REFERENCE_COLOUR, 0.75),
    Difference.OTHER_STRUCTURE: ("different structures", (0.65, 0.3, 0.9), 0.75),
}
"""Name, colour and fill opacity: green and red as the contours of prediction and reference."""

_LOOK_ATTRIBUTE = "SparseCardiacSeg.FormerLook"
_LOOK = (
    "Visibility",
    "Visibility2DFill",
    "Visibility2DOutline",
    "Opacity2DFill",
    "Opacity2DOutline",
    "SliceIntersectionThickness",
)
"""What a comparison changes of a display node, by the ending of Get and Set."""


def show_contours(prediction: Any, reference: Any) -> None:
    """Contours of two segmentation nodes, green and red; `end_comparison` brings their own looks back."""
    hide_difference(prediction)
    for node in (prediction, reference):
        _remember(node)
    show_comparison(prediction, reference)


def show_difference(prediction: Segmentation, reference: Segmentation, node: Any, volume: Any) -> Any:
    """A segmentation node of its own with agreement, false positive, false negative and mixed-up voxels, in colours.

    It is hidden from the lists of nodes, not saved with the scene, and filled anew at each call.

    Args:
        prediction: labels of the frame shown, on the grid of `volume`.
        reference: labels of that frame on the same grid.
        node: the prediction's segmentation node, to which the difference belongs.
        volume: the volume node.

    Returns:
        The node.

    Raises:
        InputError: the grids differ.
    """
    classes = difference_classes(prediction, reference)
    shown = own_node("vtkMRMLSegmentationNode", DIFFERENCE_ROLE, f"{node.GetName()} difference", node)
    was_modifying = shown.StartModify()
    try:
        shown.SetHideFromEditors(True)
        shown.SetSaveWithScene(False)
        shown.CreateDefaultDisplayNodes()
        shown.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        segmentation = shown.GetSegmentation()
        segmentation.RemoveAllSegments()
        segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
        layer = oriented_image(classes, ijk_to_ras_of(volume))
        display = shown.GetDisplayNode()
        for kind, (name, colour, opacity) in DIFFERENCE_LOOK.items():
            if not (classes == kind).any():
                continue
            segment = slicer.vtkSegment()
            segment.SetName(name)
            segment.SetColor(*colour)
            segment.AddRepresentation(BINARY_LABELMAP, layer)
            segment.SetLabelValue(int(kind))
            segmentation.AddSegment(segment, kind.name.lower())
            display.SetSegmentOpacity2DFill(kind.name.lower(), opacity)
        display.SetVisibility(True)
        display.SetVisibility3D(False)
        display.SetVisibility2DFill(True)
        display.SetVisibility2DOutline(False)
        display.SetOpacity2DFill(1.0)
    finally:
        shown.EndModify(was_modifying)
    return shown


def hide_segmentations(*nodes: Any) -> None:
    """Take segmentations off the slices, so that their difference can be seen; `end_comparison` brings them back."""
    for node in nodes:
        _remember(node)
        show_own_colours(node)
        node.GetDisplayNode().SetVisibility2DFill(False)
        node.GetDisplayNode().SetVisibility2DOutline(False)


def hide_difference(node: Any) -> None:
    """Hide the difference that belongs to a prediction's segmentation node, if there is one."""
    shown = find_own("vtkMRMLSegmentationNode", DIFFERENCE_ROLE, node)
    if shown is not None and shown.GetDisplayNode() is not None:
        shown.GetDisplayNode().SetVisibility(False)


def end_comparison(*nodes: Any) -> None:
    """Give segmentations the look back that they had before they were compared, and hide their difference."""
    for node in nodes:
        if node.GetScene() is None or node.GetDisplayNode() is None:
            continue
        hide_difference(node)
        display = node.GetDisplayNode()
        former = display.GetAttribute(_LOOK_ATTRIBUTE)
        if former is None:
            continue
        show_own_colours(node)
        for name, value in json.loads(former).items():
            getattr(display, f"Set{name}")(value)
        display.SetAttribute(_LOOK_ATTRIBUTE, None)


def _remember(node: Any) -> None:
    """Keep the look of a segmentation, unless a comparison has changed it already."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display.GetAttribute(_LOOK_ATTRIBUTE) is None:
        display.SetAttribute(_LOOK_ATTRIBUTE, json.dumps({name: getattr(display, f"Get{name}")() for name in _LOOK}))
