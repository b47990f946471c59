"""Slice views along a stack's own axes, on straight, oblique, left-handed stacks and under transforms."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from SparseCardiacSegLib.mrml.host import add_node
from SparseCardiacSegLib.mrml.slice_views import align_to_stack, show_slice, shown_slice, slice_points
from SparseCardiacSegLib.mrml.volumes import ijk_to_ras_of, matrix_from_array, volume_from_stack


@pytest.fixture
def volume(heart):
    return volume_from_stack(heart[0], "Heart")


@pytest.fixture
def red(scene):
    node = scene.AddNode(slicer.vtkMRMLSliceNode())
    node.SetName("Red")
    return node


def axes_of(node):
    return np.array([[node.GetSliceToRAS().GetElement(row, col) for col in range(4)] for row in range(4)])


def test_an_aligned_view_has_columns_to_the_right_and_rows_down(volume, red):
    align_to_stack(red, volume)
    to_ras = axes_of(red)
    matrix = ijk_to_ras_of(volume, world=True)[:3, :3]
    unit = matrix / np.linalg.norm(matrix, axis=0)
    assert to_ras[:3, 0] == pytest.approx(unit[:, 0])
    assert to_ras[:3, 1] == pytest.approx(-unit[:, 1])
    assert np.linalg.det(to_ras[:3, :3]) == pytest.approx(1.0)


def test_every_slice_can_be_shown_and_is_recognised(volume, red):
    align_to_stack(red, volume)
    n_slices = volume.GetImageData().GetDimensions()[2]
    for index in (0, 3, n_slices - 1):
        show_slice(red, volume, index)
        assert shown_slice(red, volume) == index
        middle = slice_points(volume, 0)[index]
        towards = axes_of(red)[:3, 2]
        assert towards @ (axes_of(red)[:3, 3] - middle) == pytest.approx(0.0, abs=1e-6)


def test_a_view_of_another_plane_or_beyond_the_stack_shows_no_slice(volume, red):
    align_to_stack(red, volume, axis=1)
    assert shown_slice(red, volume) is None
    align_to_stack(red, volume)
    show_slice(red, volume, 0)
    step = slice_points(volume, 0)[0] - slice_points(volume, 0)[1]
    red.JumpSliceByOffsetting(*(slice_points(volume, 0)[0] + 3 * step))
    assert shown_slice(red, volume) is None


def test_parent_transforms_count(volume, red):
    transform = add_node("vtkMRMLLinearTransformNode", "Moved")
    moved = np.eye(4)
    moved[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    moved[:3, 3] = (30.0, -20.0, 11.0)
    transform.SetMatrixTransformToParent(matrix_from_array(moved))
    before = slice_points(volume, 0)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert slice_points(volume, 0) == pytest.approx(before @ moved[:3, :3].T + moved[:3, 3])
    align_to_stack(red, volume)
    show_slice(red, volume, 4)
    assert shown_slice(red, volume) == 4


def test_a_single_slice_is_shown_wherever_a_parallel_view_stands(red, heart):
    stack = heart[0]
    single = volume_from_stack(type(stack)(stack.array[:1], stack.ijk_to_ras, source="one"), "One")
    align_to_stack(red, single)
    assert shown_slice(red, single) == 0
