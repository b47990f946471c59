from __future__ import annotations

from dataclasses import replace

import numpy as np
import phantom
import pytest
import slicer
import vtk
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.mrml.volumes import (
    array_from_matrix,
    ijk_to_ras_of,
    matrix_from_array,
    sequence_from_stack,
    stack_from_sequence,
    stack_from_volume,
    update_volume,
    volume_from_stack,
)
from SparseCardiacSegLib.stack import Stack

SHIFT = np.array([[0.8, -0.6, 0, 12.5], [0.6, 0.8, 0, -3], [0, 0, 1, 40], [0, 0, 0, 1]])


def under_transform(node, matrix=SHIFT):
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def test_a_stack_comes_back_from_a_volume_node_to_the_bit(heart):
    image, _ = heart
    back = stack_from_volume(volume_from_stack(image, "Heart"))
    assert np.array_equal(back.ijk_to_ras, image.ijk_to_ras)
    assert np.array_equal(back.array, image.array)
    assert back.array.dtype == image.array.dtype
    assert back.through_plane == image.through_plane
    assert back.spacing_known == image.spacing_known


def test_the_node_puts_voxels_where_the_stack_puts_them(heart):
    image, _ = heart
    node = volume_from_stack(image, "Heart")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    assert np.allclose(array_from_matrix(matrix), image.ijk_to_ras, rtol=0, atol=1e-9)
    i, j, k = 3, 7, 2
    assert node.GetImageData().GetScalarComponentAsDouble(i, j, k, 0) == image.array[k, j, i]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">i2"])
def test_the_voxel_type_is_kept(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    back = stack_from_volume(volume_from_stack(Stack(array, np.eye(4)), "x"))
    assert back.array.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back.array, array)


def test_a_matrix_that_the_user_changed_wins_over_the_stored_one(oblique_heart):
    node = volume_from_stack(oblique_heart[0], "Heart")
    node.SetOrigin(1, 2, 3)
    assert np.allclose(stack_from_volume(node).ijk_to_ras[:3, 3], [1, 2, 3])


def test_parent_transforms_count_in_world_coordinates_only(oblique_heart):
    image, _ = oblique_heart
    node = volume_from_stack(image, "Heart")
    under_transform(node)
    assert np.array_equal(stack_from_volume(node).ijk_to_ras, image.ijk_to_ras)
    assert np.allclose(stack_from_volume(node, world=True).ijk_to_ras, SHIFT @ image.ijk_to_ras)


def test_a_non_linear_transform_is_refused_with_a_sentence(oblique_heart):
    node = volume_from_stack(oblique_heart[0], "Heart")
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="Heart is under a non-linear transform"):
        stack_from_volume(node, world=True)


def test_an_empty_or_colour_volume_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    with pytest.raises(InputError, match="Nothing holds no voxels"):
        stack_from_volume(empty)
    colour = vtk.vtkImageData()
    colour.SetDimensions(4, 3, 2)
    colour.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    vector = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Colour")
    vector.SetAndObserveImageData(colour)
    with pytest.raises(InputError, match="Colour has 3 values a voxel"):
        stack_from_volume(vector)


def test_updating_a_volume_keeps_its_transform_and_display(oblique_heart):
    image, _ = oblique_heart
    node = volume_from_stack(image, "Heart")
    transform = under_transform(node)
    display = node.GetDisplayNode()
    update_volume(node, replace(image, array=image.array + 1))
    assert np.array_equal(stack_from_volume(node).array, image.array + 1)
    assert node.GetParentTransformNode() is transform
    assert node.GetDisplayNode() is display


def test_a_cine_becomes_a_sequence_with_frame_times_and_comes_back(scene):
    cine, _ = phantom.cine(n_frames=5)
    browser = sequence_from_stack(cine, "Cine")
    sequence = browser.GetMasterSequenceNode()
    assert sequence.GetNumberOfDataNodes() == 5
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    back = stack_from_sequence(sequence)
    assert np.array_equal(back.array, cine.array)
    assert np.array_equal(back.ijk_to_ras, cine.ijk_to_ras)
    assert back.frame_times == cine.frame_times
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_the_proxy_volume_follows_the_browser():
    cine, _ = phantom.cine(n_frames=4)
    browser = sequence_from_stack(cine, "Cine")
    proxy = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert proxy.GetName() == "Cine"
    assert proxy.GetDisplayNode() is not None
    for index in (0, 2):
        browser.SetSelectedItemNumber(index)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        assert np.array_equal(stack_from_volume(proxy).array, cine.array[index])


def test_a_cine_without_times_is_indexed_by_frame():
    cine, _ = phantom.cine(n_frames=3)
    sequence = sequence_from_stack(replace(cine, frame_times=None), "Cine").GetMasterSequenceNode()
    assert sequence.GetIndexName() == "frame"
    assert stack_from_sequence(sequence).frame_times is None


def test_a_cine_is_no_volume_and_a_volume_no_sequence():
    cine, _ = phantom.cine(n_frames=3)
    with pytest.raises(InputError, match="is a cine"):
        volume_from_stack(cine, "Cine")
    with pytest.raises(InputError, match="one frame only"):
        sequence_from_stack(cine.frame(0), "Cine")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mnms_sax_ed.nii.gz", "mnms2_lax_4c_es.nii.gz"])
def test_real_oblique_images_go_through_a_node_to_the_bit(shared_data, name):
    image = read_stack(shared_data / "mnms_examples" / name)
    node = volume_from_stack(image, "Heart")
    back = stack_from_volume(node)
    assert np.array_equal(back.ijk_to_ras, image.ijk_to_ras)
    assert np.array_equal(back.array, image.array)
    node.SetAttribute("SparseCardiacSeg.IJKToRAS", None)
    assert np.allclose(ijk_to_ras_of(node), image.ijk_to_ras, atol=1e-9)
