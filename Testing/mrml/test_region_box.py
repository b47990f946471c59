"""A Markups ROI as a box of voxels: on oblique stacks, turned, and under transforms."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
import vtk
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.region_box import box_for, fit_box, is_turned, voxel_box
from SparseCardiacSegLib.mrml.volumes import array_from_matrix, matrix_from_array, volume_from_stack

SHAPE = (20, 40, 50)


@pytest.fixture
def volume(scene):  # noqa: ARG001 (an empty scene)
    return volume_from_stack(phantom.heart(0.0, phantom.grid(SHAPE, (4, 2, 2), oblique=True))[0], "Heart")


def turned(degrees):
    angle = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def under(node, matrix):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


def test_a_new_box_lies_in_the_middle_of_an_oblique_volume_along_its_axes(volume):
    node = box_for(volume)
    box = voxel_box(node, volume)
    assert not is_turned(node, volume)
    shares = [(stop - start) / size for start, stop, size in zip(box.start, box.stop, SHAPE, strict=True)]
    assert shares == pytest.approx([0.7] * 3, abs=0.05)
    assert [start + stop for start, stop in zip(box.start, box.stop, strict=True)] == list(SHAPE)
    assert box_for(volume) is node


def test_a_box_over_the_whole_volume_holds_every_voxel(volume):
    node = box_for(volume)
    fit_box(node, volume, 1.0)
    box = voxel_box(node, volume)
    assert (box.start, box.stop) == ((0, 0, 0), SHAPE)


def test_a_turned_box_counts_with_the_upright_box_around_it(volume):
    node = box_for(volume)
    before = voxel_box(node, volume)
    object_to_node = array_from_matrix(node.GetObjectToNodeMatrix()) @ turned(30)
    node.GetObjectToNodeMatrix().DeepCopy(matrix_from_array(object_to_node))
    assert is_turned(node, volume)
    after = voxel_box(node, volume)
    assert after.start[0] == before.start[0]
    assert after.start[1] < before.start[1]
    assert after.stop[1] > before.stop[1]


def test_transforms_of_box_and_volume_are_taken_into_account(volume):
    node = box_for(volume)
    before = voxel_box(node, volume)
    shift = np.eye(4)
    shift[:3, 3] = (50.0, -20.0, 10.0)
    under(volume, shift)
    under(node, shift)
    assert voxel_box(node, volume) == before
    node.SetAndObserveTransformNodeID(None)
    far = np.eye(4)
    far[:3, 3] = (5000.0, 0.0, 0.0)
    under(node, far)
    with pytest.raises(InputError, match="outside Heart"):
        voxel_box(node, volume)


def test_a_box_that_was_not_drawn_or_is_bent_is_refused_in_a_sentence(volume):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    with pytest.raises(InputError, match="R is not drawn yet"):
        voxel_box(empty, volume)
    node = box_for(volume)
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="non-linear"):
        voxel_box(node, volume)
