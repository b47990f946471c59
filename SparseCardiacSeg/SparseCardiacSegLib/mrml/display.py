"""How segmentations are shown: surfaces in 3D, outlines on slices, a prediction against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack
from .segmentations import (
    BINARY_LABELMAP,
    CLOSED_SURFACE,
    reference_volume,
    segment_structures,
    segmentation_from_node,
)
from .volumes import parent_to_world

OPACITY_3D: Mapping[Structure, float] = {Structure.MYO: 0.3}
"""The wall is translucent, so that the cavity shows inside it; everything else is opaque."""

PREDICTION_COLOUR = (0.15, 0.9, 0.25)
REFERENCE_COLOUR = (0.95, 0.15, 0.15)
OUTLINE_THICKNESS = 2
"""Pixels; Slicer's 1 is lost on a dense display."""
FILL_OPACITY = 0.25
"""Share of the colour within an outline: enough to tell structures apart, little enough to see the muscle."""

SHOWN_ATTRIBUTE = "SparseCardiacSeg.Shown3D"
"""Attribute of a display node: the structures whose opacity has been set."""

SMOOTHING_FACTOR = 0.5
"""Slicer's own smoothing of the surfaces it makes from labelmaps (0 to 1)."""


def show_3d(
    node: Any, visible: bool = True, smooth: bool = True, prepared: Mapping[Structure, Any] | None = None
) -> None:
    """Show or hide the closed surfaces of a segmentation node in 3D views.

    Args:
        node: the vtkMRMLSegmentationNode.
        visible: False hides the surfaces and removes them, so that editing stays quick.
        smooth: with surfaces by shape-based interpolation between slices (`meshes`), for the structures of the heart;
            Slicer makes terraces of thick slices. An edited segment gets Slicer's surface; show it again for this one.
        prepared: the surfaces (vtkPolyData, node's own RAS) where they were made elsewhere, by structure. Making them
            here takes 0.2 s a structure on a stack of 9 x 256 x 256, which a window should leave to a worker.
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
        if segmentation.GetSourceRepresentationName() == BINARY_LABELMAP:
            if prepared is not None:
                put_surfaces(node, prepared)
            elif smooth:
                put_surfaces(node, _smooth_surfaces(node))
        # Slicer's own for the segments that have none yet, such as the user's.
        if not segmentation.CreateRepresentation(CLOSED_SURFACE):
            raise InputError(f"no surface could be made of {node.GetName()}")
        display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
        display.SetPreferredDisplayRepresentationName2D(BINARY_LABELMAP)
        display.SetVisibility(True)
        _set_first_opacities(node, display)
        display.SetVisibility3D(True)
    finally:
        node.EndModify(was_modifying)


def put_surfaces(node: Any, surfaces: Mapping[Structure, Any]) -> None:
    """Give segments closed surfaces in place of Slicer's; a structure that several segments hold keeps Slicer's.

    Args:
        node: a segmentation node, in a scene or in a sequence.
        surfaces: vtkPolyData by structure, in the node's own RAS.
    """
    held = segment_structures(node)
    for segment_id, structure in held.items():
        if structure in surfaces and list(held.values()).count(structure) == 1:
            node.GetSegmentation().GetSegment(segment_id).AddRepresentation(CLOSED_SURFACE, surfaces[structure])


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


def _set_first_opacities(node: Any, display: Any) -> None:
    """Set the opacity of each segment once, when its surface first appears: afterwards it is the user's."""
    done = set((display.GetAttribute(SHOWN_ATTRIBUTE) or "").split())
    for segment_id, structure in segment_structures(node).items():
        if structure.value not in done:
            display.SetSegmentOpacity3D(segment_id, OPACITY_3D.get(structure, 1.0))
            done.add(structure.value)
    display.SetAttribute(SHOWN_ATTRIBUTE, " ".join(sorted(done)))


def _smooth_surfaces(node: Any) -> dict[Structure, Any]:
    """Surfaces of `meshes` in the node's own RAS; none where the segmentation does not know its volume."""
    from ..meshes import surfaces  # brings SciPy along, which the opening of the module must not

    volume = reference_volume(node)
    if volume is None or not segment_structures(node):
        return {}
    labels: Segmentation = segmentation_from_node(node)
    if not labels.labels.array.any():
        return {}
    grid = labels.labels
    # The labels came in the volume's RAS; the node may be under another transform.
    moved = np.linalg.solve(parent_to_world(node), parent_to_world(volume)) @ grid.ijk_to_ras
    stack = Stack(grid.array, moved, grid.through_plane, source=grid.source)
    return dict(surfaces(Segmentation(stack, labels.scheme)))
