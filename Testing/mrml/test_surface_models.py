"""Surfaces made elsewhere: put into segments and frames, and as points; the camera that looks at them."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.meshes import surfaces
from SparseCardiacSegLib.meshes.surface import arrays_of, closed_surface, volume_ml
from SparseCardiacSegLib.mrml.cameras import look_at_heart, views_3d
from SparseCardiacSegLib.mrml.display import show_3d
from SparseCardiacSegLib.mrml.segmentations import (
    CLOSED_SURFACE,
    segmentation_from_node,
    segmentation_node,
    segmentation_sequence,
)
from SparseCardiacSegLib.mrml.surface_models import (
    drop_frame_surfaces,
    fingerprint,
    in_node_space,
    polydata,
    put_frame_surfaces,
    show_point_cloud,
)
from SparseCardiacSegLib.mrml.volumes import matrix_from_array, sequence_from_stack, volume_from_stack
from vtk.util.numpy_support import vtk_to_numpy

SHIFT = np.array([[0.8, -0.6, 0, 12.5], [0.6, 0.8, 0, -3], [0, 0, 1, 40], [0, 0, 0, 1]])


def surface_of(node, segment_id):
    return node.GetSegmentation().GetSegment(segment_id).GetRepresentation(CLOSED_SURFACE)


def points_of(surface):
    return vtk_to_numpy(surface.GetPoints().GetData())


@pytest.fixture
def cine():
    image, labels = phantom.cine(3, phantom.grid(oblique=True))
    browser = sequence_from_stack(image, "Cine")
    return browser, segmentation_sequence(labels, browser, "Labels"), labels


def test_prepared_surfaces_are_shown_as_they_are_beside_slicers_own_of_other_segments(nodes, oblique_heart):
    _, node = nodes
    mine = node.GetSegmentation().AddEmptySegment("", "Scar")
    scar = np.zeros(oblique_heart[0].shape, np.uint8)
    scar[2:5, 5:15, 5:15] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(scar, node, mine, nodes[0])
    prepared = polydata({structure: arrays_of(mesh) for structure, mesh in surfaces(oblique_heart[1]).items()})
    show_3d(node, prepared=prepared)
    for structure in SHORT_AXIS:
        assert np.array_equal(points_of(surface_of(node, structure.value)), points_of(prepared[structure]))
        assert volume_ml(prepared[structure]) == pytest.approx(oblique_heart[1].volume_ml(structure), rel=0.03)
    assert surface_of(node, mine).GetNumberOfPoints() > 0
    assert node.GetDisplayNode().GetVisibility3D()


def test_opacities_chosen_by_the_user_stay_when_surfaces_are_made_again(nodes, oblique_heart):
    _, node = nodes
    prepared = surfaces(oblique_heart[1])
    show_3d(node, prepared=prepared)
    display = node.GetDisplayNode()
    assert display.GetSegmentOpacity3D("MYO") == pytest.approx(0.3)
    display.SetSegmentOpacity3D("MYO", 0.8)
    show_3d(node, prepared=prepared)
    assert display.GetSegmentOpacity3D("MYO") == pytest.approx(0.8)


def test_a_surface_lies_on_the_volume_when_only_the_segmentation_is_under_a_transform(nodes, oblique_heart):
    volume, node = nodes
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(SHIFT))
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()
    node.SetAndObserveTransformNodeID(transform.GetID())
    transform.SetMatrixTransformToParent(matrix_from_array(np.linalg.inv(SHIFT)))
    labels = segmentation_from_node(node, volume)
    made = surfaces(in_node_space(labels, node, volume))[Structure.LV]
    show_3d(node)
    assert np.allclose(points_of(surface_of(node, "LV")), points_of(made), atol=1e-3)
    in_world = points_of(made) @ np.linalg.inv(SHIFT)[:3, :3].T + np.linalg.inv(SHIFT)[:3, 3]
    right = points_of(closed_surface(oblique_heart[1].mask(Structure.LV), oblique_heart[0])).mean(axis=0)
    assert np.abs(in_world.mean(axis=0) - right).max() < 2


def test_surfaces_follow_the_frames_and_can_be_dropped(cine):
    browser, node, labels = cine
    made = [surfaces(labels.frame(frame)) for frame in range(3)]
    for frame in range(3):
        put_frame_surfaces(node, browser, frame, made[frame])
    for frame in (2, 0, 1):
        browser.SetSelectedItemNumber(frame)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        assert np.array_equal(points_of(surface_of(node, "LV")), points_of(made[frame][Structure.LV]))
    drop_frame_surfaces(node, browser)
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    assert surface_of(node, "LV") is None


def test_frames_that_are_not_there_are_refused_by_name(cine, oblique_heart):
    browser, node, _ = cine
    with pytest.raises(InputError, match=r"Labels.* has no frame 7"):
        put_frame_surfaces(node, browser, 7, {})
    single = segmentation_node(oblique_heart[1], volume_from_stack(oblique_heart[0], "Heart"), "Single")
    with pytest.raises(InputError, match=r"Single.* is not shown frame by frame by Cine browser"):
        put_frame_surfaces(single, browser, 0, {})


def test_a_fingerprint_changes_with_voxels_grid_and_settings(oblique_heart, nodes):
    labels = oblique_heart[1]
    first = fingerprint(labels, 20)
    assert fingerprint(segmentation_from_node(nodes[1]), 20) == first
    assert fingerprint(labels, 10) != first
    changed = labels.labels.array.copy()
    changed[0, 0, 0] = 1
    assert fingerprint(type(labels)(labels.labels.with_array(changed), labels.scheme), 20) != first


def test_the_left_atrium_becomes_points_on_its_surface_under_the_same_transform():
    image, labels = phantom.left_atrium()
    volume = volume_from_stack(image, "Atrium")
    node = segmentation_node(labels, volume, "LA")
    with pytest.raises(InputError, match="LA has no surface of a left atrium"):
        show_point_cloud(node)
    show_3d(node)
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    cloud = show_point_cloud(node, distance_mm=4)
    on_surface = {tuple(point) for point in points_of(surface_of(node, "LA")).tolist()}
    assert 50 < cloud.GetPolyData().GetNumberOfPoints() < len(on_surface)
    assert {tuple(point) for point in points_of(cloud.GetPolyData()).tolist()} <= on_surface
    assert cloud.GetPolyData().GetNumberOfVerts() == cloud.GetPolyData().GetNumberOfPoints()
    assert cloud.GetParentTransformNode() is transform
    assert show_point_cloud(node) is cloud
    show_point_cloud(node, visible=False)
    assert not cloud.GetDisplayNode().GetVisibility()


def test_without_a_left_atrium_there_are_no_points(nodes):
    show_3d(nodes[1])
    with pytest.raises(InputError, match="no surface of a left atrium"):
        show_point_cloud(nodes[1])
    assert show_point_cloud(nodes[1], visible=False) is None


def test_the_camera_looks_at_the_heart_with_its_base_up(scene, nodes, oblique_heart):
    view = scene.AddNewNodeByClass("vtkMRMLViewNode")
    view.SetLayoutName("1")
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetLayoutName("1")
    assert views_3d() == [view]
    labels = segmentation_from_node(nodes[1], world=True)
    assert look_at_heart(labels, view)
    centre = points_of(surfaces(oblique_heart[1])[Structure.LV]).mean(axis=0)
    assert np.linalg.norm(np.array(camera.GetFocalPoint()) - centre) < 40
    towards_apex = oblique_heart[0].ijk_to_ras[:3, 2] / 10
    assert np.dot(camera.GetViewUp(), towards_apex) < -0.8
    distance = np.linalg.norm(np.array(camera.GetFocalPoint()) - camera.GetPosition())
    assert 100 < distance < 600
    blank = type(labels)(labels.labels.with_array(np.zeros_like(labels.labels.array)), labels.scheme)
    assert not look_at_heart(blank, view)
