"""The RV insertion as a Markups point: it follows the labels until the user drags it, under transforms too."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
import vtk
from SparseCardiacSegLib.mrml.insertion_point import (
    follow_labels,
    hide_insertion,
    insertion_by_hand,
    insertion_is_shown,
    insertion_node,
    release_insertion,
    show_insertion,
)
from SparseCardiacSegLib.mrml.volumes import volume_from_stack

FOUND = (10.0, 20.0, 30.0)


@pytest.fixture
def volume(scene):  # noqa: ARG001 (an empty scene)
    return volume_from_stack(phantom.heart(0.0, phantom.grid((8, 32, 32), (10, 4, 4), oblique=True))[0], "Heart")


def test_a_point_that_is_merely_shown_is_not_the_users_and_follows_the_labels(volume):
    assert insertion_node(volume) is None
    node = show_insertion(volume, FOUND)
    assert insertion_is_shown(volume)
    assert insertion_by_hand(volume) is None
    follow_labels(volume, (11.0, 20.0, 30.0))
    assert np.allclose(node.GetNthControlPointPosition(0), (11.0, 20.0, 30.0))
    assert insertion_by_hand(volume) is None
    assert show_insertion(volume, FOUND) is node


def test_a_dragged_point_is_the_users_and_stays_until_it_is_released(volume):
    node = show_insertion(volume, FOUND)
    node.SetNthControlPointPosition(0, 15.0, 20.0, 30.0)
    assert insertion_by_hand(volume) == pytest.approx((15.0, 20.0, 30.0))
    follow_labels(volume, FOUND)
    hide_insertion(volume)
    assert not insertion_is_shown(volume)
    assert insertion_by_hand(volume) == pytest.approx((15.0, 20.0, 30.0))
    release_insertion(volume)
    follow_labels(volume, FOUND)
    assert insertion_by_hand(volume) is None
    assert np.allclose(node.GetNthControlPointPosition(0), FOUND)


def test_the_users_point_is_told_in_the_volumes_own_ras_whatever_transforms_there_are(volume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    transform.SetMatrixTransformToParent(matrix)
    node = show_insertion(volume, FOUND)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node.SetNthControlPointPosition(0, 15.0, 20.0, 30.0)
    assert insertion_by_hand(volume) == pytest.approx((-85.0, 20.0, 30.0))


def test_a_deleted_point_counts_no_more(volume):
    node = show_insertion(volume, FOUND)
    node.SetNthControlPointPosition(0, 15.0, 20.0, 30.0)
    slicer.mrmlScene.RemoveNode(node)
    assert insertion_by_hand(volume) is None
    assert not insertion_is_shown(volume)
