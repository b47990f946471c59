from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
import vtk
from SparseCardiacSegLib.anatomy import ACDC, ALL, DESCRIPTIONS, LEFT_ATRIUM, MNMS, SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io.terminology import terminology_entry
from SparseCardiacSegLib.mrml.display import (
    PREDICTION_COLOUR,
    REFERENCE_COLOUR,
    show_3d,
    show_comparison,
    show_own_colours,
)
from SparseCardiacSegLib.mrml.segmentations import (
    CLOSED_SURFACE,
    segment_mask,
    segment_of,
    segment_structures,
    segmentation_from_node,
    segmentation_node,
    segmentation_sequence,
)
from SparseCardiacSegLib.mrml.volumes import matrix_from_array, sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack, ijk_to_ras

SHIFT = np.array([[0.8, -0.6, 0, 12.5], [0.6, 0.8, 0, -3], [0, 0, 1, 40], [0, 0, 0, 1]])


def volume_ml(surface) -> float:
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(surface)
    mass = vtk.vtkMassProperties()
    mass.SetInputConnection(triangles.GetOutputPort())
    return mass.GetVolume() / 1000


def test_labels_come_back_from_a_segmentation_node(heart):
    image, labels = heart
    node = segmentation_node(labels, volume_from_stack(image, "Heart"), "Labels")
    back = segmentation_from_node(node)
    assert back.scheme == ACDC
    assert np.array_equal(back.labels.array, labels.labels.array)
    assert np.array_equal(back.labels.ijk_to_ras, image.ijk_to_ras)


def test_segments_carry_name_colour_and_terminology(nodes):
    _, node = nodes
    for structure in SHORT_AXIS:
        segment = node.GetSegmentation().GetSegment(segment_of(node, structure))
        assert segment.GetName() == DESCRIPTIONS[structure].name
        assert np.allclose(segment.GetColor(), np.array(DESCRIPTIONS[structure].colour) / 255)
        value = vtk.reference("")
        assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value)
        assert str(value) == terminology_entry(structure)


def test_a_scheme_asked_for_is_the_scheme_that_comes(nodes):
    _, node = nodes
    back = segmentation_from_node(node, scheme=MNMS)
    assert back.scheme == MNMS
    assert np.array_equal(back.mask(Structure.LV), segmentation_from_node(node).mask(Structure.LV))


def test_a_left_atrium_gets_its_own_scheme_and_a_ventricle_with_it_the_full_one():
    image, labels = phantom.left_atrium()
    volume = volume_from_stack(image, "Atrium")
    assert segmentation_from_node(segmentation_node(labels, volume, "LA")).scheme == LEFT_ATRIUM
    array = labels.in_scheme(ALL).labels.array.copy()
    array[0, 0, 0] = ALL.numbers[Structure.LV]
    both = Segmentation(labels.labels.with_array(array), ALL)
    assert segmentation_from_node(segmentation_node(both, volume, "Both")).scheme == ALL


def test_segments_are_told_by_tag_terminology_or_name_after_renaming(nodes):
    _, node = nodes
    segmentation = node.GetSegmentation()
    segmentation.GetSegment("LV").SetName("my favourite")
    assert segment_structures(node)["LV"] == Structure.LV
    for tag in ("SparseCardiacSeg.Structure",):
        segmentation.GetSegment("LV").RemoveTag(tag)
    assert segment_structures(node)["LV"] == Structure.LV
    segmentation.GetSegment("LV").RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    assert "LV" not in segment_structures(node)
    segmentation.GetSegment("LV").SetName("lv")
    assert segment_structures(node)["LV"] == Structure.LV


def test_the_node_knows_its_volume_and_lies_beside_it_in_the_tree(scene, oblique_heart):
    image, labels = oblique_heart
    volume = volume_from_stack(image, "Heart")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), "Study")
    tree.CreateItem(folder, volume)
    node = segmentation_node(labels, volume, "Labels")
    assert tree.GetItemParent(tree.GetItemByDataNode(node)) == folder
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume


def test_a_segmentation_goes_under_the_transform_of_its_volume(oblique_heart):
    image, labels = oblique_heart
    volume = volume_from_stack(image, "Heart")
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(SHIFT))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node = segmentation_node(labels, volume, "Labels")
    assert node.GetParentTransformNode() is transform
    assert np.array_equal(segmentation_from_node(node).labels.array, labels.labels.array)
    world = segmentation_from_node(node, world=True)
    assert np.allclose(world.labels.ijk_to_ras, SHIFT @ image.ijk_to_ras)
    assert np.array_equal(world.labels.array, labels.labels.array)


def test_a_transform_on_the_segmentation_alone_moves_its_voxels(oblique_heart):
    image, labels = oblique_heart
    volume = volume_from_stack(image, "Heart")
    node = segmentation_node(labels, volume, "Labels")
    step = image.ijk_to_ras[:3, 0] * 3
    moved = np.eye(4)
    moved[:3, 3] = step
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(moved))
    node.SetAndObserveTransformNodeID(transform.GetID())
    mask = labels.mask(Structure.LV)
    assert np.array_equal(segment_mask(node, "LV", volume), np.roll(mask, 3, axis=2))


def test_labels_are_read_on_another_grid_by_place(nodes, oblique_heart):
    _, node = nodes
    image, labels = oblique_heart
    cut = Stack(
        image.array[2:7, 10:, 5:],
        image.ijk_to_ras @ np.array([[1, 0, 0, 5], [0, 1, 0, 10], [0, 0, 1, 2], [0, 0, 0, 1]]),
    )
    back = segmentation_from_node(node, grid=cut)
    assert np.array_equal(back.labels.array, labels.labels.array[2:7, 10:, 5:])


def test_a_node_without_our_structures_or_without_volume_is_refused(scene, nodes):
    volume, _ = nodes
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Other")
    with pytest.raises(InputError, match="Other does not tell which volume"):
        segmentation_from_node(node)
    node.GetSegmentation().AddEmptySegment("t", "Tumour")
    with pytest.raises(InputError, match="Other has no segment that is a ventricle"):
        segmentation_from_node(node, volume)


def test_closed_surfaces_lie_on_the_structure_and_hold_its_volume(heart):
    image, labels = heart
    node = segmentation_node(labels, volume_from_stack(image, "Heart"), "Labels")
    show_3d(node)
    display = node.GetDisplayNode()
    assert display.GetVisibility3D()
    assert display.GetSegmentOpacity3D("MYO") < 0.5 < display.GetSegmentOpacity3D("LV")
    for structure in SHORT_AXIS:
        surface = node.GetSegmentation().GetSegment(structure.value).GetRepresentation(CLOSED_SURFACE)
        assert volume_ml(surface) == pytest.approx(labels.volume_ml(structure), rel=0.03)
        centre = ijk_to_ras(image.ijk_to_ras, np.argwhere(labels.mask(structure)).mean(axis=0)[::-1])
        assert np.abs(np.array(surface.GetCenter()) - centre).max() < 15
    show_3d(node, False)
    assert not node.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)


def test_slicers_own_surfaces_are_there_on_demand(nodes):
    _, node = nodes
    show_3d(node, smooth=False)
    assert node.GetSegmentation().GetSegment("LV").GetRepresentation(CLOSED_SURFACE).GetNumberOfPoints() > 500


def test_a_comparison_is_green_and_red_and_can_be_taken_back(nodes, oblique_heart):
    volume, prediction = nodes
    reference = segmentation_node(oblique_heart[1], volume, "Reference")
    show_comparison(prediction, reference)
    for node, colour in ((prediction, PREDICTION_COLOUR), (reference, REFERENCE_COLOUR)):
        seen = [0.0, 0.0, 0.0]
        node.GetDisplayNode().GetSegmentColor("LV", seen)
        assert seen == pytest.approx(colour)
        assert not node.GetDisplayNode().GetVisibility2DFill()
    show_own_colours(prediction)
    seen = [0.0, 0.0, 0.0]
    prediction.GetDisplayNode().GetSegmentColor("LV", seen)
    assert np.allclose(seen, np.array(DESCRIPTIONS[Structure.LV].colour) / 255)


def test_a_labelled_cine_plays_beside_its_image():
    cine, labels = phantom.cine(n_frames=4)
    browser = sequence_from_stack(cine, "Cine")
    node = segmentation_sequence(labels, browser, "Labels")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    for index in (3, 1, 0):
        browser.SetSelectedItemNumber(index)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        assert np.array_equal(segment_mask(node, "LV", volume), labels.mask(Structure.LV)[index])
    with pytest.raises(InputError, match="1 frames, Cine sequence has 4"):
        segmentation_sequence(labels.frame(0), browser, "One")
