"""Prompts as Markups nodes, on every kind of grid, and what they come back to."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.mrml import host, placing, prompt_boxes
from SparseCardiacSegLib.mrml.offscreen_view import SliceView
from SparseCardiacSegLib.mrml.prompt_display import colour_of
from SparseCardiacSegLib.mrml.prompt_geometry import (
    grid_of,
    ras_from_slice,
    slice_from_ras,
    slice_from_world,
    world_from_slice,
)
from SparseCardiacSegLib.mrml.prompt_nodes import PromptNodes
from SparseCardiacSegLib.mrml.prompt_preview import PromptPreview
from SparseCardiacSegLib.mrml.segment_gate import SegmentGate
from SparseCardiacSegLib.mrml.segmentations import segment_mask, segmentation_from_volume
from SparseCardiacSegLib.mrml.volumes import (
    ijk_to_ras_of,
    matrix_from_array,
    sequence_from_stack,
    volume_from_stack,
)
from SparseCardiacSegLib.prompting.prompts import Prompt, PromptSet
from SparseCardiacSegLib.stack import Stack, ijk_to_ras

POSE = np.array([[0.8, -0.6, 0, 12.0], [0.6, 0.8, 0, -7.5], [0, 0, 1, 30.25], [0, 0, 0, 1.0]])


def put_under_transform(node, matrix=POSE, name="Moved"):
    transform = host.add_node("vtkMRMLLinearTransformNode", name)
    transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def turned(stack, through_plane):
    """The same voxels with the slices along another array axis."""
    array = np.moveaxis(stack.array, 0, through_plane)
    order = [1, 2]
    order.insert(through_plane, 0)
    # Columns of the matrix belong to i, j, k: array axes 2, 1, 0.
    matrix = stack.ijk_to_ras.copy()
    matrix[:3, :3] = stack.ijk_to_ras[:3, :3][:, [2 - order[2 - column] for column in range(3)]]
    return Stack(np.ascontiguousarray(array), matrix, through_plane=through_plane, source="turned")


@pytest.fixture(params=["straight", "oblique", "flipped, left-handed", "slices along rows", "slices along columns"])
def volume(request):
    """A stack of 10 slices of 80 x 96 voxels on several kinds of grid, under a transform."""
    kinds = {"straight": {}, "flipped, left-handed": {"oblique": True, "base_first": False, "left_handed": True}}
    image, _labels = phantom.heart(0.0, phantom.grid(**kinds.get(request.param, {"oblique": True})))
    image = Stack(np.ascontiguousarray(image.array[:, :80]), image.ijk_to_ras, source="heart")
    if request.param.startswith("slices"):
        image = turned(image, 1 if "rows" in request.param else 2)
    node = volume_from_stack(image, "Heart")
    put_under_transform(node)
    return node


ONE_GRID = pytest.mark.parametrize("volume", ["flipped, left-handed"], indirect=True)
"""For what does not depend on the grid."""


@pytest.fixture
def prompts(volume):
    return PromptNodes(volume)


BOTH = (
    Prompt(3, Structure.MYO, ((40.0, 30.5),), ((10.25, 70.0),), (20.5, 15.0, 61.25, 50.75)),
    Prompt(3, Structure.LV, ((41.0, 31.0), (45.5, 35.0))),
    Prompt(9, Structure.LV, (), (), (1.0, 2.0, 30.0, 12.0)),
)


def close(one, other):
    assert one.key == other.key
    assert np.allclose(one.positive, other.positive, atol=1e-5)
    assert np.allclose(one.negative, other.negative, atol=1e-5)
    assert (one.box is None) == (other.box is None)
    if one.box is not None:
        assert np.allclose(one.box, other.box, atol=1e-5)


def test_a_place_in_the_world_becomes_its_slice_column_and_row_and_comes_back(volume):
    assert grid_of(volume) == (10, 80, 96)
    ijk = np.array([7.0, 5.0, 3.0]) if volume.GetAttribute("SparseCardiacSeg.ThroughPlane") == "0" else None
    if ijk is not None:
        world = ijk_to_ras(POSE @ ijk_to_ras_of(volume), ijk)
        assert np.allclose(slice_from_world(volume, world), [3, 7, 5])
    places = np.array([[3, 7, 5], [0, 0, 0], [9, 95, 79], [4.25, 12.5, 60.75]])
    assert np.allclose(slice_from_world(volume, world_from_slice(volume, places)), places, atol=1e-9)
    own = ras_from_slice(volume, places)
    assert np.allclose(ijk_to_ras(POSE, own), world_from_slice(volume, places))
    assert np.allclose(slice_from_ras(volume, own), places, atol=1e-9)


def test_the_voxel_under_a_place_is_the_one_that_slices_first_holds_there(volume):
    from SparseCardiacSegLib.mrml.volumes import stack_from_volume

    stack = stack_from_volume(volume, world=True)
    view = stack.slices_first()
    slice_index, col, row = 6, 21, 33
    view[slice_index, row, col] = 30000
    world = world_from_slice(volume, [slice_index, col, row])
    k, j, i = np.argwhere(stack.array == 30000)[0]
    assert np.allclose(ijk_to_ras(stack.ijk_to_ras, [i, j, k]), world)


def test_prompts_become_nodes_and_come_back_the_same(prompts):
    prompts.write(BOTH)
    back = prompts.read()
    assert [prompt.key for prompt in back] == [prompt.key for prompt in BOTH]
    for prompt, written in zip(back, BOTH, strict=True):
        close(prompt, written)
    back.check(1, *grid_of(prompts.volume))


def test_a_point_that_the_user_places_in_a_view_belongs_to_the_nearest_slice(prompts):
    node = prompts.points(Structure.RV, positive=True)
    node.AddControlPointWorld(*world_from_slice(prompts.volume, [4.4, 20.0, 33.0]))
    (prompt,) = prompts.on(0, 4)
    assert prompt.structure == Structure.RV
    assert np.allclose(prompt.positive, [(20.0, 33.0)], atol=1e-5)
    assert prompts.on(0, 5) == ()


def test_two_clicks_in_a_view_draw_a_box_along_rows_and_columns(prompts):
    volume = prompts.volume
    node = prompt_boxes.new_box(volume, Structure.LV, frame=0)
    assert prompts.read().prompts == ()
    # As in a view: one corner is placed, the other one follows the mouse.
    node.AddControlPointWorld(*world_from_slice(volume, [5, 40.0, 30.0]))
    node.SetNthControlPointPositionWorld(0, *world_from_slice(volume, [5, 41.0, 31.0]), node.PositionPreview)
    node.AddControlPointWorld(*world_from_slice(volume, [5, 22.0, 51.0]))
    node.SwapControlPoints(0, 1)
    assert [node.GetNthControlPointPositionStatus(index) for index in (0, 1)] == [
        node.PositionDefined,
        node.PositionPreview,
    ]
    assert not prompt_boxes.is_drawn(node)
    assert prompts.read().prompts == ()
    corner = world_from_slice(volume, [5, 60.5, 18.0])
    node.SetNthControlPointPositionWorld(1, *corner, node.PositionPreview)
    node.SetNthControlPointPositionWorld(1, *corner, node.PositionDefined)
    (prompt,) = prompts.read()
    assert prompt.slice == 5
    assert np.allclose(prompt.box, (22.0, 18.0, 60.5, 51.0), atol=1e-4)
    prompts.settle_boxes()
    (settled,) = prompts.read()
    assert np.allclose(settled.box, prompt.box, atol=1e-4)
    spacing = np.linalg.norm(ras_from_slice(volume, [1, 0, 0]) - ras_from_slice(volume, [0, 0, 0]))
    assert node.GetSize()[2] == pytest.approx(0.9 * spacing)
    # The point by which the whole box is dragged.
    handle = np.zeros(3)
    node.GetNthControlPointPosition(0, handle)
    assert np.allclose(slice_from_ras(volume, handle, node), [5, 41.25, 34.5], atol=1e-4)


def test_a_box_drawn_a_little_off_its_plane_is_put_back_into_it(prompts):
    volume = prompts.volume
    node = prompts.set_box(Structure.LV, 5, (20.0, 10.0, 50.0, 40.0))
    centre = np.array(node.GetCenter())
    step = ras_from_slice(volume, [1, 0, 0]) - ras_from_slice(volume, [0, 0, 0])
    node.SetCenter(*(centre + 0.4 * step))
    prompts.settle_boxes()
    assert np.allclose(node.GetCenter(), centre)
    node.SetCenter(*(centre + 1.2 * step))
    prompts.settle_boxes()
    assert [prompt.key for prompt in prompts.read()] == [(0, 6, Structure.LV)]
    assert np.allclose(node.GetCenter(), centre + step)


def test_dragging_a_side_of_a_box_changes_that_side_alone(prompts):
    node = prompts.set_box(Structure.LV, 2, (20.0, 10.0, 50.0, 40.0))
    width = node.GetSize()[0] / 30
    matrix = node.GetObjectToNodeMatrix()
    along = np.array([matrix.GetElement(row, 0) for row in range(3)])
    node.SetSize(node.GetSize()[0] + 6 * width, *node.GetSize()[1:])
    node.SetCenter(*(np.array(node.GetCenter()) + 3 * width * along))
    (prompt,) = prompts.on(0, 2)
    assert np.allclose(prompt.box, (20.0, 10.0, 56.0, 40.0), atol=1e-4)


def test_dragging_a_box_by_its_middle_moves_it_and_keeps_its_size(prompts):
    node = prompts.set_box(Structure.LV, 2, (20.0, 10.0, 50.0, 40.0))
    node.SetNthControlPointPositionWorld(0, *world_from_slice(prompts.volume, [2, 40.0, 33.0]))
    prompts.settle_boxes()
    (prompt,) = prompts.on(0, 2)
    assert np.allclose(prompt.box, (25.0, 18.0, 55.0, 48.0), atol=1e-4)


@ONE_GRID
def test_a_second_box_on_a_slice_takes_the_place_of_the_first(prompts):
    prompts.set_box(Structure.LV, 2, (20.0, 10.0, 50.0, 40.0))
    node = prompt_boxes.new_box(prompts.volume, Structure.LV, frame=0)
    prompt_boxes.set_box(node, prompts.volume, 2, (30.0, 30.0, 60.0, 60.0))
    assert np.allclose(prompts.on(0, 2)[0].box, (30.0, 30.0, 60.0, 60.0), atol=1e-5)
    prompts.settle_boxes()
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == [node]


@ONE_GRID
def test_a_box_whose_drawing_was_given_up_is_removed_and_drawn_ones_stay(prompts):
    kept = prompts.set_box(Structure.LV, 2, (20.0, 10.0, 50.0, 40.0))
    begun = prompt_boxes.new_box(prompts.volume, Structure.LV, frame=0)
    begun.AddControlPointWorld(*world_from_slice(prompts.volume, [5, 22.0, 51.0]))
    prompt_boxes.new_box(prompts.volume, Structure.RV, frame=0)
    prompts.remove_undrawn_boxes()
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == [kept]


def test_moving_the_volume_with_its_transform_moves_the_prompts_along(prompts):
    prompts.write(BOTH)
    transform = prompts.volume.GetParentTransformNode()
    transform.SetMatrixTransformToParent(matrix_from_array(np.linalg.inv(POSE) @ np.diag([1, -1, -1, 1])))
    for prompt, written in zip(prompts.read(), BOTH, strict=True):
        close(prompt, written)


def test_points_taken_out_of_the_transform_count_where_the_views_show_them(prompts):
    prompts.add_point(Structure.LV, 4, (30.0, 40.0))
    node = prompts.points(Structure.LV, positive=True)
    node.SetAndObserveTransformNodeID(None)
    node.SetNthControlPointPositionWorld(0, *world_from_slice(prompts.volume, [4, 31.0, 42.0]))
    assert np.allclose(prompts.on(0, 4)[0].positive, [(31.0, 42.0)], atol=1e-5)
    prompts.add_point(Structure.LV, 7, (12.0, 13.0))
    assert np.allclose(prompts.on(0, 7)[0].positive, [(12.0, 13.0)], atol=1e-5)


@ONE_GRID
def test_points_and_boxes_outside_the_image_are_left_out_and_counted(prompts):
    node = prompts.points(Structure.LV, positive=True)
    node.AddControlPointWorld(*world_from_slice(prompts.volume, [4, 300.0, 40.0]))
    node.AddControlPointWorld(*world_from_slice(prompts.volume, [14, 30.0, 40.0]))
    prompts.set_box(Structure.RV, 3, (-50.0, 10.0, -20.0, 20.0))
    prompts.add_point(Structure.LV, 4, (30.0, 40.0))
    back = prompts.read()
    assert len(back) == 1
    assert len(back.prompts[0].positive) == 1
    assert back.warnings == ("3 of the points and boxes lie outside Heart and are not used",)
    back.check(1, *grid_of(prompts.volume))


@ONE_GRID
def test_the_point_that_follows_the_mouse_is_no_prompt_yet(prompts):
    node = prompts.points(Structure.LV, positive=True)
    place = world_from_slice(prompts.volume, [4, 30.0, 40.0])
    node.AddNControlPoints(1, "", [0.0, 0.0, 0.0])
    node.SetNthControlPointPositionWorld(0, *place, node.PositionPreview)
    assert prompts.read().prompts == ()
    node.SetNthControlPointPositionWorld(0, *place)
    assert len(prompts.read()) == 1


@ONE_GRID
def test_clearing_a_slice_leaves_other_slices_structures_and_frames(prompts):
    prompts.write(BOTH)
    prompts.add_point(Structure.LV, 3, (5.0, 5.0), frame=2)
    prompts.clear(0, 3, (Structure.MYO,))
    assert [prompt.key for prompt in prompts.read()] == [
        (0, 3, Structure.LV),
        (0, 9, Structure.LV),
        (2, 3, Structure.LV),
    ]
    prompts.clear(0, 3)
    assert [prompt.key for prompt in prompts.read()] == [(0, 9, Structure.LV), (2, 3, Structure.LV)]


@ONE_GRID
def test_writing_a_prompt_takes_the_place_of_the_one_before(prompts):
    prompts.write(BOTH)
    changed = Prompt(3, Structure.MYO, ((50.0, 60.0),))
    prompts.write([changed])
    back = {prompt.key: prompt for prompt in prompts.read()}
    close(back[changed.key], changed)
    close(back[BOTH[1].key], BOTH[1])
    prompts.replace_all(PromptSet(BOTH[1:]))
    assert [prompt.key for prompt in prompts.read()] == [prompt.key for prompt in BOTH[1:]]


@ONE_GRID
def test_a_structure_with_only_negative_points_is_not_sent_but_kept(prompts):
    prompts.add_point(Structure.LV, 4, (30.0, 40.0), positive=False)
    assert prompts.on(0, 4) == ()
    assert len(prompts.read()) == 1


@ONE_GRID
def test_each_structure_and_sign_has_one_list_in_its_colour_under_the_volumes_folder(prompts):
    prompts.write(BOTH)
    names = {node.GetName(): node for node in prompts.nodes()}
    assert set(names) == {"MYO + points", "MYO - points", "LV + points", "MYO box", "LV box"}
    positive, negative = names["MYO + points"].GetDisplayNode(), names["MYO - points"].GetDisplayNode()
    assert positive.GetSelectedColor() == pytest.approx(colour_of(Structure.MYO))
    assert negative.GetSelectedColor() == pytest.approx(colour_of(Structure.MYO, positive=False))
    assert positive.GetGlyphTypeAsString(positive.GetGlyphType()) == "Sphere3D"
    assert negative.GetGlyphTypeAsString(negative.GetGlyphType()) == "ThickCross2D"
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.current_scene())
    folders = {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in prompts.nodes()}
    (folder,) = folders
    assert tree.GetItemName(folder) == "Heart prompts"
    assert tree.GetItemParent(folder) == tree.GetItemParent(tree.GetItemByDataNode(prompts.volume))
    assert {node.GetParentTransformNode().GetName() for node in prompts.nodes()} == {"Moved"}


@ONE_GRID
def test_two_volumes_keep_their_prompts_apart(prompts):
    image, _labels = phantom.heart(0.0)
    other = PromptNodes(volume_from_stack(image, "Other"))
    prompts.add_point(Structure.LV, 4, (30.0, 40.0))
    other.add_point(Structure.LV, 2, (3.0, 4.0))
    assert [prompt.slice for prompt in prompts.read()] == [4]
    assert [prompt.slice for prompt in other.read()] == [2]


@ONE_GRID
def test_placing_a_point_can_be_undone_by_the_scene(prompts):
    scene = host.current_scene()
    prompts.add_point(Structure.LV, 4, (30.0, 40.0))
    scene.SetUndoOn()
    scene.SaveStateForUndo()
    prompts.add_point(Structure.LV, 4, (50.0, 40.0))
    assert len(prompts.on(0, 4)[0].positive) == 2
    scene.Undo()
    assert len(prompts.on(0, 4)[0].positive) == 1


def test_a_saved_scene_brings_the_prompts_back(prompts, tmp_path):
    from SparseCardiacSegLib.mrml.bundle import read_bundle, save_scene

    prompts.write(BOTH)
    prompts.add_point(Structure.LV, 4, (50.0, 40.0), frame=3)
    preview = PromptPreview(prompts.volume)
    preview.show({3: np.full((80, 96), 3, np.uint8)})
    before = [prompt.describe() for prompt in prompts.read()]
    world = [
        np.array(world_from_slice(prompts.volume, [p.slice, *p.positive[0]])) for p in prompts.read() if p.positive
    ]
    save_scene(tmp_path / "study.mrb")
    host.use(host.Host())
    read_bundle(tmp_path / "study.mrb")
    volume = host.current_scene().GetFirstNodeByName("Heart")
    back = PromptNodes(volume)
    assert len(back.nodes()) == 5
    assert len(back.read()) == len(before)
    again = [np.array(world_from_slice(volume, [p.slice, *p.positive[0]])) for p in back.read() if p.positive]
    for place in world:
        # Slicer's reader may turn the grid round, so slices have other numbers; places in the world are the same.
        assert min(np.linalg.norm(place - other) for other in again) < 1e-3
    assert {prompt.frame for prompt in back.read()} == {0, 3}
    assert host.current_scene().GetFirstNodeByName("Prompt preview") is None
    back.add_point(Structure.LV, 4, (51.0, 41.0))
    assert len(back.nodes()) == 5


@pytest.fixture
def browser():
    """A cine of six frames whose proxy is under a transform that moves."""
    cine, _labels = phantom.cine(n_frames=6)
    browser = sequence_from_stack(cine, "Cine")
    put_under_transform(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    return browser


def test_points_and_boxes_of_a_cine_remember_their_frame_and_hide_on_others(browser):
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    prompts = PromptNodes(volume)
    node = prompts.points(Structure.LV, positive=True)
    node.AddControlPointWorld(*world_from_slice(volume, [4, 30.0, 40.0]))
    prompts.show_frame(2)
    browser.SetSelectedItemNumber(5)
    transform = volume.GetParentTransformNode()
    transform.SetMatrixTransformToParent(matrix_from_array(np.eye(4)))
    prompts.show_frame(5)
    node.AddControlPointWorld(*world_from_slice(volume, [4, 33.0, 44.0]))
    box = prompts.set_box(Structure.LV, 4, (10.0, 10.0, 40.0, 50.0), frame=5)
    prompts.show_frame(5)
    assert [prompt.key for prompt in prompts.read()] == [(2, 4, Structure.LV), (5, 4, Structure.LV)]
    assert np.allclose(prompts.on(2, 4)[0].positive, [(30.0, 40.0)], atol=1e-5)
    assert np.allclose(prompts.on(5, 4)[0].positive, [(33.0, 44.0)], atol=1e-5)
    assert [bool(node.GetNthControlPointVisibility(index)) for index in (0, 1)] == [False, True]
    assert box.GetDisplayVisibility()
    prompts.show_frame(2)
    assert [bool(node.GetNthControlPointVisibility(index)) for index in (0, 1)] == [True, False]
    assert not box.GetDisplayVisibility()


@ONE_GRID
def test_prompts_of_a_volume_that_was_removed_do_not_break_the_reading(prompts):
    prompts.write(BOTH)
    host.current_scene().RemoveNode(prompts.volume)
    assert prompts.nodes() == []
    assert list(prompts.read()) == []


def test_the_preview_shows_masks_where_they_belong_and_touches_no_other_segmentation(volume):
    mine = segmentation_from_volume(volume, "Mine")
    preview = PromptPreview(volume)
    labels = np.zeros((80, 96), np.uint8)
    labels[20:40, 30:60] = ALL.numbers[Structure.LV]
    labels[50:60, 30:60] = ALL.numbers[Structure.RV]
    preview.show({4: labels})
    seen = segment_mask(preview.node, "LV", volume)
    through = int(volume.GetAttribute("SparseCardiacSeg.ThroughPlane"))
    assert np.array_equal(np.moveaxis(seen, through, 0)[4], labels == ALL.numbers[Structure.LV])
    assert seen.sum() == 600
    assert segment_mask(preview.node, "RV", volume).sum() == 300
    preview.show({4: np.zeros_like(labels), 6: labels})
    seen = segment_mask(preview.node, "LV", volume)
    assert np.array_equal(np.moveaxis(seen, through, 0)[6], labels == ALL.numbers[Structure.LV])
    assert seen.sum() == 600
    assert mine.GetSegmentation().GetNumberOfSegments() == 0
    assert preview.node.GetHideFromEditors()
    assert not preview.node.GetSaveWithScene()
    preview.set_visible(False)
    assert not preview.node.GetDisplayNode().GetVisibility()
    preview.remove()
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [mine]


@ONE_GRID
def test_accepting_a_mask_is_one_step_that_undo_takes_back(volume):
    node = segmentation_from_volume(volume, "Mine")
    gate = SegmentGate(node, volume)
    through = int(volume.GetAttribute("SparseCardiacSeg.ThroughPlane"))
    mask = np.zeros(tuple(reversed(volume.GetImageData().GetDimensions())), bool)
    np.moveaxis(mask, through, 0)[4, 20:40, 30:60] = True
    result = gate.write({Structure.LV: mask, Structure.MYO: np.zeros_like(mask)}, slices=[4])
    assert result.saved
    assert segment_mask(node, "LV", volume).sum() == 600
    assert gate.undo()
    assert node.GetSegmentation().GetSegment("LV") is None or segment_mask(node, "LV", volume).sum() == 0


@ONE_GRID
def test_clicks_go_to_the_list_that_is_being_placed_until_placing_stops(volume):
    prompts = PromptNodes(volume)
    assert placing.placed_node() is None
    node = prompts.points(Structure.LV, positive=True)
    placing.start_placing(node, persistent=True)
    assert placing.placed_node() is node
    assert placing.interaction_node().GetPlaceModePersistence()
    box = prompt_boxes.new_box(volume, Structure.LV, 0)
    placing.start_placing(box, persistent=False)
    assert placing.placed_node() is box
    assert not placing.interaction_node().GetPlaceModePersistence()
    placing.stop_placing()
    assert placing.placed_node() is None


@ONE_GRID
def test_slice_views_draw_every_new_preview_without_being_moved(volume):
    host.current_scene()
    view = SliceView(host._current, (96, 96))
    view.show_volume(volume, 1.0, world_from_slice(volume, [4, 48.0, 40.0]))
    preview = PromptPreview(volume)
    labels = np.zeros((80, 96), np.uint8)
    before = view.picture()
    labels[20:30, 20:30] = ALL.numbers[Structure.LV]
    preview.show({4: labels})
    first = view.picture()
    assert (first != before).any()
    labels[40:60, 40:60] = ALL.numbers[Structure.LV]
    preview.show({4: labels})
    assert (view.picture() != first).any()
