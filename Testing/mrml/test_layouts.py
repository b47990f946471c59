"""Arrangements of views: which views there are, what is shown in which, and how everything comes back."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import numpy as np
import pytest
import slicer
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml import host, layouts
from SparseCardiacSegLib.mrml.layouts import Arrangement, arrange, arrangement_of, restore
from SparseCardiacSegLib.mrml.segmentations import segmentation_node
from SparseCardiacSegLib.mrml.slice_views import shown_slice


@pytest.fixture
def layout(scene):
    """The layout node of a window that shows four views."""
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLApplicationLogic(slicer_logic())
    logic.SetMRMLScene(scene)
    node = logic.GetLayoutNode()
    node.SetViewArrangement(node.SlicerLayoutConventionalView)
    yield node
    logic.SetMRMLScene(None)


def slicer_logic():
    from SparseCardiacSegLib.mrml.host import application_logic

    return application_logic()


@pytest.fixture
def slice_logics(scene, layout):
    """Slice logics, as Slicer's slice widgets have them, for the views of the side-by-side layout."""
    arrange(Arrangement.SIDE_BY_SIDE_3D)
    made = []
    for name in (layouts.PREDICTION_VIEW, layouts.REFERENCE_VIEW):
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(slicer_logic())
        logic.SetMRMLScene(scene)
        logic.SetSliceNode(layouts.slice_node(name))
        made.append(logic)
    yield made
    for logic in made:
        logic.SetMRMLScene(None)


@pytest.fixture
def pair(nodes, oblique_heart):
    volume, prediction = nodes
    return prediction, segmentation_node(oblique_heart[1], volume, "Reference"), volume


def test_every_arrangement_shows_its_views(layout, scene):
    views = {
        Arrangement.SLICE: layout.SlicerLayoutOneUpRedSliceView,
        Arrangement.FOUR_UP: layout.SlicerLayoutFourUpView,
        Arrangement.ONLY_3D: layout.SlicerLayoutOneUp3DView,
    }
    for arrangement in Arrangement:
        arrange(arrangement)
        assert arrangement_of() is arrangement
        assert layout.GetViewArrangement() == views.get(arrangement, layout.GetViewArrangement())
    assert layouts.slice_node(layouts.REFERENCE_VIEW) is not None
    assert scene.GetNodeByID(f"vtkMRMLViewNode{layouts.REFERENCE_VIEW}") is not None


def test_a_layout_of_the_last_session_is_shown_once_it_is_described(layout, scene):
    with host.quiet():  # Slicer complains, as it does when the application starts with this layout in its settings
        layout.SetViewArrangement(layouts._SIDE_BY_SIDE_ID)
    assert not layout.GetCurrentLayoutDescription()
    assert layouts.slice_node(layouts.REFERENCE_VIEW) is None
    layouts.describe_layouts()
    assert layouts.slice_node(layouts.REFERENCE_VIEW) is not None
    layout.SetViewArrangement(layout.SlicerLayoutConventionalView)
    layouts.describe_layouts()
    assert layout.GetViewArrangement() == layout.SlicerLayoutConventionalView


def test_restore_brings_the_users_layout_back_however_often_it_was_changed(layout):
    arrange(Arrangement.SIDE_BY_SIDE)
    arrange(Arrangement.ONLY_3D)
    assert layouts.can_restore()
    assert restore()
    assert layout.GetViewArrangement() == layout.SlicerLayoutConventionalView
    assert not restore()


def test_a_layout_that_the_user_chose_since_is_not_taken_away(layout):
    arrange(Arrangement.SIDE_BY_SIDE)
    layout.SetViewArrangement(layout.SlicerLayoutOneUpGreenSliceView)
    assert not layouts.can_restore()
    assert not restore()
    arrange(Arrangement.SLICE)
    assert restore()
    assert layout.GetViewArrangement() == layout.SlicerLayoutOneUpGreenSliceView


def test_side_by_side_shows_each_on_its_side_over_the_same_slice_and_linked(slice_logics, pair):
    prediction, reference, volume = pair
    layouts.show_side_by_side(prediction, reference, volume)
    left, right = (layouts.slice_node(name) for name in (layouts.PREDICTION_VIEW, layouts.REFERENCE_VIEW))
    assert prediction.GetDisplayNode().IsDisplayableInView(left.GetID())
    assert not prediction.GetDisplayNode().IsDisplayableInView(right.GetID())
    assert reference.GetDisplayNode().IsDisplayableInView(right.GetID())
    assert not reference.GetDisplayNode().IsDisplayableInView(left.GetID())
    assert reference.GetDisplayNode().IsDisplayableInView(f"vtkMRMLViewNode{layouts.REFERENCE_VIEW}")
    assert prediction.GetDisplayNode().IsDisplayableInView("vtkMRMLViewNode1")
    assert shown_slice(left, volume) == shown_slice(right, volume) is not None
    for name in (layouts.PREDICTION_VIEW, layouts.REFERENCE_VIEW):
        composite = layouts.composite_node(name)
        assert composite.GetLinkedControl()
        assert composite.GetBackgroundVolumeID() == volume.GetID()


def test_the_end_of_side_by_side_shows_both_everywhere_as_before(slice_logics, pair):
    prediction, reference, volume = pair
    reference.GetDisplayNode().SetViewNodeIDs(["vtkMRMLSliceNodeGreen"])
    layouts.show_side_by_side(prediction, reference, volume)
    layouts.show_side_by_side(prediction, reference, volume)
    layouts.end_side_by_side()
    assert tuple(prediction.GetDisplayNode().GetViewNodeIDs()) == ()
    assert tuple(reference.GetDisplayNode().GetViewNodeIDs()) == ("vtkMRMLSliceNodeGreen",)
    assert not layouts.composite_node(layouts.PREDICTION_VIEW).GetLinkedControl()


def test_one_view_follows_another_in_place_and_zoom(slice_logics, pair):
    layouts.show_side_by_side(*pair)
    left, right = (layouts.slice_node(name) for name in (layouts.PREDICTION_VIEW, layouts.REFERENCE_VIEW))
    left.JumpSliceByOffsetting(*(np.array(left.GetSliceToRAS().MultiplyPoint((0, 0, 20, 1)))[:3]))
    left.SetFieldOfView(80, 80, 1)
    assert shown_slice(left, pair[2]) != shown_slice(right, pair[2])
    layouts.follow(left, right)
    assert shown_slice(left, pair[2]) == shown_slice(right, pair[2])
    assert right.GetFieldOfView()[0] == 80


def test_without_a_window_the_sentence_says_so(nodes):
    with pytest.raises(InputError, match="no window"):
        arrange(Arrangement.SLICE)
    assert arrangement_of() is None
    assert not restore()
