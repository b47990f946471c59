"""How segmentations are shown: surfaces in 3D, outlines on slices, a prediction against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

from ..anatomy import Structure
from ..errors import InputError
from ..meshes import surfaces
from ..segmentation import Segmentation
from .segmentations import (
    BINARY_LABELMAP,
    CLOSED_SURFACE,
    reference_volume,
    segment_structures,
    segmentation_from_node,
)

OPACITY_3D: Mapping[Structure, float] = {Structure.MYO: 0.3}
"""The wall is translucent, so that the cavity shows inside it; everything else is opaque."""

PREDICTION_COLOUR = (0.15, 0.9, 0.25)
REFERENCE_COLOUR = (0.95, 0.15, 0.15)
OUTLINE_THICKNESS = 2
"""Pixels; Slicer's 1 is lost on a dense display."""
FILL_OPACITY = 0.25
"""Share of the colour within an outline: enough to tell structures apart, little enough to see the muscle."""

SMOOTHING_FACTOR = 0.5
"""Slicer's own smoothing of the surfaces it makes from labelmaps (0 to 1)."""


def show_3d(node: Any, visible: bool = True, smooth: bool = True) -> None:
    """Show or hide the closed surfaces of a segmentation node in 3D views.

    Args:
        node: the vtkMRMLSegmentationNode.
        visible: False hides the surfaces and removes them, so that editing stays quick.
        smooth: with surfaces by shape-based interpolation between slices (`meshes`), for the structures of the heart;
            Slicer makes terraces of thick slices. An edited segment gets Slicer's surface; show it again for this one.
    """
    segmentation = node.GetSegmentation()
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    was_modifying = node.StartModify()
    try:
        if not visible:
            if segmentation.GetSourceRepresentationName() != CLOSED_SURFACE:
                segmentation.RemoveRepresentation(CLOSED_SURFACE)
            display.SetVisibility3D(False)
            return
        rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule
        segmentation.SetConversionParameter(rule.GetSmoothingFactorParameterName(), str(SMOOTHING_FACTOR))
        if not segmentation.CreateRepresentation(CLOSED_SURFACE):
            raise InputError(f"no surface could be made of {node.GetName()}")
        if smooth and segmentation.GetSourceRepresentationName() == BINARY_LABELMAP:
            _set_smooth_surfaces(node)
        display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
        display.SetPreferredDisplayRepresentationName2D(BINARY_LABELMAP)
        display.SetVisibility(True)
        display.SetVisibility3D(True)
        for segment_id, structure in segment_structures(node).items():
            display.SetSegmentOpacity3D(segment_id, OPACITY_3D.get(structure, 1.0))
    finally:
        node.EndModify(was_modifying)


def show_outlines(node: Any, thickness: int = OUTLINE_THICKNESS, fill: float = FILL_OPACITY) -> None:
    """Show a segmentation on slice views as outlines with a faint fill.

    Args:
        node: the vtkMRMLSegmentationNode.
        thickness: of the outline in pixels.
        fill: opacity of the fill, 0 for none.
    """
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    display.SetSliceIntersectionThickness(thickness)
    display.SetVisibility(True)
    display.SetVisibility2DOutline(True)
    display.SetVisibility2DFill(fill > 0)
    display.SetOpacity2DFill(fill)
    display.SetOpacity2DOutline(1.0)
    display.EndModify(was_modifying)


def show_comparison(prediction: Any, reference: Any, thickness: int = OUTLINE_THICKNESS) -> None:
    """Show a prediction (green) against a reference (red) as outlines without fill.

    Only the display changes: the segments keep their own colours, and `show_own_colours` brings them back.
    """
    for node, colour in ((prediction, PREDICTION_COLOUR), (reference, REFERENCE_COLOUR)):
        show_outlines(node, thickness, fill=0.0)
        display = node.GetDisplayNode()
        segmentation = node.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            display.SetSegmentOverrideColor(segmentation.GetNthSegmentID(index), *colour)


def show_own_colours(node: Any) -> None:
    """Undo the colours of `show_comparison`."""
    display = node.GetDisplayNode()
    segmentation = node.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        # A negative value is Slicer's "no override".
        display.SetSegmentOverrideColor(segmentation.GetNthSegmentID(index), -1.0, -1.0, -1.0)


def _set_smooth_surfaces(node: Any) -> None:
    """Put the surfaces of `meshes` in place of Slicer's, where the segmentation knows its volume."""
    held = segment_structures(node)
    if not held or reference_volume(node) is None:
        return
    labels: Segmentation = segmentation_from_node(node)
    if not labels.labels.array.any():
        return
    made = surfaces(labels)
    for segment_id, structure in held.items():
        only = list(held.values()).count(structure) == 1
        if structure in made and only:
            node.GetSegmentation().GetSegment(segment_id).AddRepresentation(CLOSED_SURFACE, made[structure])
