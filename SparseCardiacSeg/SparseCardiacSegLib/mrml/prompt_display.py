"""How prompts look, what they are called, and where they lie in the subject hierarchy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer

from ..anatomy import DESCRIPTIONS, Structure
from .host import add_node
from .segmentations import place_beside

KIND_ATTRIBUTE = "SparseCardiacSeg.Prompt"
"""Node attribute: `points` or `box`."""
STRUCTURE_ATTRIBUTE = "SparseCardiacSeg.PromptStructure"
SIGN_ATTRIBUTE = "SparseCardiacSeg.PromptSign"
"""`positive` or `negative`, of point lists."""
FRAME_ATTRIBUTE = "SparseCardiacSeg.PromptFrame"
"""Frame of a box; points keep theirs one by one, in their descriptions."""
SLICE_ATTRIBUTE = "SparseCardiacSeg.PromptSlice"
"""Slice of a box, as it was when the box came to rest; where the box lies counts, not this."""
VOLUME_ROLE = "SparseCardiacSeg.PromptVolume"
"""Node reference, not an attribute: it stays right when a scene is loaded into another one and node IDs change."""

POINTS, BOX = "points", "box"
POSITIVE, NEGATIVE = "positive", "negative"
FOLDER_ATTRIBUTE = "SparseCardiacSeg.PromptFolder"

GLYPH_PERCENT = 1.6
"""Of the view's diagonal; Slicer's own 3.0 covers the whole ventricle near the apex."""
NEGATIVE_SHADE = 0.45
"""A negative point has the structure's colour darkened to this share."""


def make_node(class_name: str, volume: Any, name: str, structure: Structure, attributes: dict[str, str]) -> Any:
    """A Markups node of this extension: marked, under the volume's transform, in the folder of its prompts."""
    node = add_node(class_name, name, volume.GetScene())
    node.SetAttribute(STRUCTURE_ATTRIBUTE, structure.value)
    for key, value in attributes.items():
        node.SetAttribute(key, value)
    node.SetNodeReferenceID(VOLUME_ROLE, volume.GetID())
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetUndoEnabled(True)
    node.CreateDefaultDisplayNodes()
    _put_into_folder(node, volume)
    return node


def prompt_nodes(volume: Any, kind: str) -> Iterator[Any]:
    """The prompt nodes of a volume of one kind, in the order of the scene."""
    scene = volume.GetScene()
    class_name = "vtkMRMLMarkupsROINode" if kind == BOX else "vtkMRMLMarkupsFiducialNode"
    for index in range(scene.GetNumberOfNodesByClass(class_name) if scene is not None else 0):
        node = scene.GetNthNodeByClass(index, class_name)
        if node.GetAttribute(KIND_ATTRIBUTE) == kind and node.GetNodeReferenceID(VOLUME_ROLE) == volume.GetID():
            yield node


def structure_of(node: Any) -> Structure | None:
    """The structure that a prompt node is for; None where its attribute is missing or unknown."""
    name = node.GetAttribute(STRUCTURE_ATTRIBUTE)
    return Structure(name) if name in set(Structure) else None


def colour_of(structure: Structure, positive: bool = True) -> tuple[float, float, float]:
    """RGB from 0 to 1 in which a prompt for a structure is drawn."""
    shade = 1.0 if positive else NEGATIVE_SHADE
    red, green, blue = (shade * value / 255 for value in DESCRIPTIONS[structure].colour)
    return red, green, blue


def show_as_points(node: Any, structure: Structure, positive: bool) -> None:
    """Small dots for what is meant, thick crosses for what is not; no labels over the picture."""
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    _common(display, colour_of(structure, positive))
    display.SetGlyphTypeFromString("Sphere3D" if positive else "ThickCross2D")
    display.EndModify(was_modifying)


def show_as_box(node: Any, structure: Structure) -> None:
    """A rectangle whose sides and corners can be dragged within the slice; it cannot be turned."""
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    _common(display, colour_of(structure))
    display.SetFillVisibility(False)
    display.SetOutlineVisibility(True)
    display.SetVisibility3D(False)
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(False)
    display.SetRotationHandleVisibility(False)
    display.SetScaleHandleVisibility(True)
    display.SetScaleHandleComponentVisibility(True, True, False, True)
    display.SetInteractionHandleScale(GLYPH_PERCENT)
    display.EndModify(was_modifying)


def _common(display: Any, colour: tuple[float, float, float]) -> None:
    lighter = tuple(min(1.0, 0.5 + value / 2) for value in colour)
    # Markups draw selected points, which new ones are, in the selected colour.
    display.SetColor(*colour)
    display.SetSelectedColor(*colour)
    display.SetActiveColor(*lighter)
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(GLYPH_PERCENT)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetSnapMode(display.SnapModeUnconstrained)


def _put_into_folder(node: Any, volume: Any) -> None:
    """Into the folder of the volume's prompts in the subject hierarchy, beside the volume; it is made if need be."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    if tree is None:
        return
    place_beside(node, volume)
    item = tree.GetItemByDataNode(node)
    parent = tree.GetItemParent(tree.GetItemByDataNode(volume))
    folder = _folder(tree, volume)
    if not folder:
        folder = tree.CreateFolderItem(parent, f"{volume.GetName()} prompts")
        tree.SetItemAttribute(folder, FOLDER_ATTRIBUTE, "1")
    tree.SetItemParent(item, folder)


def _folder(tree: Any, volume: Any) -> int:
    """The folder in which other prompts of the volume lie, wherever the user moved it; 0 where there is none."""
    for kind in (POINTS, BOX):
        for node in prompt_nodes(volume, kind):
            item = tree.GetItemByDataNode(node)
            folder = tree.GetItemParent(item) if item else 0
            if folder and tree.GetItemAttribute(folder, FOLDER_ATTRIBUTE) == "1":
                return folder
    return 0
