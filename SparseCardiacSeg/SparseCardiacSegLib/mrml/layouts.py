"""Arrangements of views for comparing: one slice, prediction and reference side by side with linked views, 3D."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import slicer

from ..errors import InputError
from .host import current_scene

PREDICTION_VIEW = "Red"
"""Name of the slice view that shows the prediction: Slicer's own first one."""
REFERENCE_VIEW = "SparseCardiacSegReference"
"""Name of the slice and of the 3D view that show the reference; views of the extension's own."""
FIRST_3D_VIEW = "1"

_FORMER_ATTRIBUTE = "SparseCardiacSeg.FormerLayout"
_CHOSEN_ATTRIBUTE = "SparseCardiacSeg.ChosenLayout"
_VIEWS_ATTRIBUTE = "SparseCardiacSeg.FormerViews"
_LINKED_ATTRIBUTE = "SparseCardiacSeg.FormerLink"

_SIDE_BY_SIDE_ID = 27110
"""Numbers of the extension's own layouts; Slicer's end at 503, and extensions are asked to stay clear of each other."""
_SIDE_BY_SIDE_3D_ID = 27111


class Arrangement(StrEnum):
    """What the window shows."""

    SLICE = "slice"
    SIDE_BY_SIDE = "side by side"
    SIDE_BY_SIDE_3D = "side by side and 3D"
    FOUR_UP = "four up"
    ONLY_3D = "3D"


SIDE_BY_SIDE = (Arrangement.SIDE_BY_SIDE, Arrangement.SIDE_BY_SIDE_3D)
"""Arrangements with the prediction on the left and the reference on the right."""


def find_layout_node(scene: Any = None) -> Any:
    """The scene's layout node; None outside of the application."""
    scene = current_scene() if scene is None else scene
    return scene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def layout_node(scene: Any = None) -> Any:
    """The scene's layout node.

    Raises:
        InputError: there is none, as outside of the application.
    """
    node = find_layout_node(scene)
    if node is None:
        raise InputError("there is no window whose views could be arranged")
    return node


def describe_layouts(scene: Any = None) -> None:
    """Tell the layout node of the extension's own layouts, as is done when the application starts.

    A saved scene, and the application's settings, keep only a layout's number: while nobody has described it, Slicer
    complains that it cannot find the layout and shows no view at all. Without a window nothing is done.
    """
    node = find_layout_node(scene)
    if node is None:
        return
    for arrangement in SIDE_BY_SIDE:
        _layout_id(node, arrangement)
    # Shown already, from the settings: Slicer looks the description up when the number is set.
    if arrangement_of(scene) in SIDE_BY_SIDE:
        node.SetViewArrangement(node.GetViewArrangement())


def arrange(arrangement: Arrangement, scene: Any = None) -> None:
    """Arrange the views; the user's former layout is remembered for `restore`.

    Raises:
        InputError: there is no window.
    """
    node = layout_node(scene)
    wanted = _layout_id(node, arrangement)
    current = node.GetViewArrangement()
    # A layout that the user chose since is what they want back, not the one before.
    if node.GetAttribute(_CHOSEN_ATTRIBUTE) != str(current):
        node.SetAttribute(_FORMER_ATTRIBUTE, str(current))
    node.SetAttribute(_CHOSEN_ATTRIBUTE, str(wanted))
    node.SetViewArrangement(wanted)


def arrangement_of(scene: Any = None) -> Arrangement | None:
    """Which arrangement of this module is shown; None for another layout, or without a window."""
    node = find_layout_node(scene)
    if node is None:
        return None
    return next((one for one, number in _ids().items() if number == node.GetViewArrangement()), None)


def can_restore(scene: Any = None) -> bool:
    """Whether `restore` would change the layout."""
    node = find_layout_node(scene)
    if node is None or not node.GetAttribute(_FORMER_ATTRIBUTE):
        return False
    return node.GetAttribute(_CHOSEN_ATTRIBUTE) == str(node.GetViewArrangement())


def restore(scene: Any = None) -> bool:
    """Bring the layout back that the user had before `arrange`; False where they have chosen another one since."""
    if not can_restore(scene):
        return False
    node = layout_node(scene)
    former = int(node.GetAttribute(_FORMER_ATTRIBUTE))
    node.SetAttribute(_FORMER_ATTRIBUTE, None)
    node.SetAttribute(_CHOSEN_ATTRIBUTE, None)
    node.SetViewArrangement(former)
    return True


def show_side_by_side(prediction: Any, reference: Any, volume: Any) -> None:
    """Show the prediction on the left and the reference on the right, over the same image and with linked views.

    Call it after `arrange` with one of `SIDE_BY_SIDE`. Both slice views are turned to the stack. Only the views in
    which the segmentations are shown change; `end_side_by_side` takes that back.

    Args:
        prediction: segmentation node for the left; None shows the image alone.
        reference: segmentation node for the right; None shows the image alone.
        volume: the volume node.
    """
    from .slice_views import align_to_stack  # not at the application's start, which only describes the layouts

    scene = volume.GetScene()
    left, right = (slice_node(name, scene) for name in (PREDICTION_VIEW, REFERENCE_VIEW))
    if right is None:
        raise InputError("the view for the reference is missing; choose the side-by-side layout first")
    for node in (left, right):
        align_to_stack(node, volume)
        composite = composite_node(node.GetLayoutName(), scene)
        if composite is not None:
            composite.SetBackgroundVolumeID(volume.GetID())
            if composite.GetAttribute(_LINKED_ATTRIBUTE) is None:
                composite.SetAttribute(_LINKED_ATTRIBUTE, str(int(composite.GetLinkedControl())))
            composite.SetLinkedControl(True)
    follow(left, right)
    views = _view_ids(scene)
    only_reference = [view for view in views if view.endswith(REFERENCE_VIEW)]
    for segmentation, shown in (
        (prediction, [view for view in views if view not in only_reference]),
        (reference, only_reference),
    ):
        if segmentation is not None:
            _restrict(segmentation, shown)
    for view in _views_3d(scene):
        view.SetLinkedControl(True)


def end_side_by_side(scene: Any = None) -> None:
    """Show segmentations in all views again, as before `show_side_by_side`, and unlink what it linked."""
    scene = current_scene() if scene is None else scene
    for node in _nodes("vtkMRMLSegmentationDisplayNode", scene):
        former = node.GetAttribute(_VIEWS_ATTRIBUTE)
        if former is not None:
            node.SetViewNodeIDs(json.loads(former))
            node.SetAttribute(_VIEWS_ATTRIBUTE, None)
    for node in _nodes("vtkMRMLSliceCompositeNode", scene):
        former = node.GetAttribute(_LINKED_ATTRIBUTE)
        if former is not None:
            node.SetLinkedControl(former == "1")
            node.SetAttribute(_LINKED_ATTRIBUTE, None)


def follow(source: Any, target: Any) -> None:
    """Show in one slice view the plane and the field of view of another.

    Slicer's own link passes on only what the user does with the mouse, not what a program sets.
    """
    if source.GetID() == target.GetID():
        return
    target.GetSliceToRAS().DeepCopy(source.GetSliceToRAS())
    width, _height, depth = source.GetFieldOfView()
    own_width, own_height, _ = target.GetFieldOfView()
    target.SetFieldOfView(width, width * own_height / own_width, depth)
    target.SetXYZOrigin(*source.GetXYZOrigin())
    target.UpdateMatrices()


def slice_node(name: str, scene: Any = None) -> Any:
    """The slice node of a view by its layout name; None where there is none."""
    scene = current_scene() if scene is None else scene
    return next((node for node in _nodes("vtkMRMLSliceNode", scene) if node.GetLayoutName() == name), None)


def composite_node(name: str, scene: Any = None) -> Any:
    """The slice composite node of a view by its layout name; None where there is none, as outside the application."""
    scene = current_scene() if scene is None else scene
    return next((node for node in _nodes("vtkMRMLSliceCompositeNode", scene) if node.GetLayoutName() == name), None)


def _restrict(segmentation: Any, views: list[str]) -> None:
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    if display.GetAttribute(_VIEWS_ATTRIBUTE) is None:
        display.SetAttribute(_VIEWS_ATTRIBUTE, json.dumps(list(display.GetViewNodeIDs())))
    display.SetViewNodeIDs(views)


def _nodes(class_name: str, scene: Any) -> list[Any]:
    found = scene.GetNodesByClass(class_name)
    found.UnRegister(None)
    return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]


def _views_3d(scene: Any) -> list[Any]:
    return _nodes("vtkMRMLViewNode", scene)


def _view_ids(scene: Any) -> list[str]:
    return [node.GetID() for node in [*_nodes("vtkMRMLSliceNode", scene), *_views_3d(scene)]]


def _ids() -> dict[Arrangement, int]:
    kinds = slicer.vtkMRMLLayoutNode
    return {
        Arrangement.SLICE: kinds.SlicerLayoutOneUpRedSliceView,
        Arrangement.SIDE_BY_SIDE: _SIDE_BY_SIDE_ID,
        Arrangement.SIDE_BY_SIDE_3D: _SIDE_BY_SIDE_3D_ID,
        Arrangement.FOUR_UP: kinds.SlicerLayoutFourUpView,
        Arrangement.ONLY_3D: kinds.SlicerLayoutOneUp3DView,
    }


def _layout_id(node: Any, arrangement: Arrangement) -> int:
    """The number of an arrangement's layout, described to the layout node where it is of this extension."""
    number = _ids()[arrangement]
    if arrangement in SIDE_BY_SIDE and not node.IsLayoutDescription(number):
        node.AddLayoutDescription(number, _description(with_3d=arrangement == Arrangement.SIDE_BY_SIDE_3D))
    return number


def _description(with_3d: bool) -> str:
    slices = _row(_slice_view(PREDICTION_VIEW, "R", "#F34A33"), _slice_view(REFERENCE_VIEW, "Ref", "#D97F2B"))
    if not with_3d:
        return slices
    views = _row(_view_3d(FIRST_3D_VIEW, "1"), _view_3d(REFERENCE_VIEW, "Ref"))
    return f'<layout type="vertical" split="true"><item>{slices}</item><item>{views}</item></layout>'


def _row(left: str, right: str) -> str:
    return f'<layout type="horizontal" split="true"><item>{left}</item><item>{right}</item></layout>'


def _slice_view(name: str, label: str, colour: str) -> str:
    return (
        f'<view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property></view>'
    )


def _view_3d(name: str, label: str) -> str:
    return (
        f'<view class="vtkMRMLViewNode" singletontag="{name}">'
        f'<property name="viewlabel" action="default">{label}</property></view>'
    )
