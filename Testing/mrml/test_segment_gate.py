from __future__ import annotations

import numpy as np
import pytest
import slicer
from SparseCardiacSegLib.anatomy import SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.segment_gate import SegmentGate, set_locked, write_masks
from SparseCardiacSegLib.mrml.segmentations import reference_volume, segment_mask, segment_of
from SparseCardiacSegLib.mrml.volumes import array_of, ijk_to_ras_of, matrix_from_array

SLICE = 4
TURN = np.array([[0.0, -1, 0, 5], [1, 0, 0, -7], [0, 0, 1, 11], [0, 0, 0, 1]])


def states(node, volume):
    """Mask of every segment, by ID."""
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
    return {key: segment_mask(node, key, volume) for key in ids}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.fixture
def editor(scene, nodes):
    """The settings of a Segment Editor that works on the segmentation."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    node.SetAndObserveSegmentationNode(nodes[1])
    return node


@pytest.fixture
def moved(nodes):
    """The mask of the LV moved by four columns on one slice, so that it runs into the MYO."""
    mask = segment_mask(nodes[1], "LV", nodes[0])
    mask[SLICE] = np.roll(mask[SLICE], 4, axis=1)
    return mask


@pytest.fixture
def everywhere(moved):
    """The same on every slice."""
    return np.roll(moved, 4, axis=2)


def test_only_the_slices_meant_change(nodes, everywhere):
    volume, node = nodes
    before = states(node, volume)
    result = SegmentGate(node, volume).write({Structure.LV: everywhere}, slices=[SLICE])
    after = states(node, volume)
    assert result.saved
    for key in before:
        others = np.arange(len(before[key])) != SLICE
        assert np.array_equal(after[key][others], before[key][others])
    assert np.array_equal(after["LV"][SLICE], everywhere[SLICE])
    assert result.changed["LV"] == np.count_nonzero(after["LV"] != before["LV"]) > 0


def test_one_action_on_three_structures_is_one_undo_state(nodes):
    volume, node = nodes
    gate = SegmentGate(node, volume)
    before = states(node, volume)
    masks = {structure: np.roll(before[structure.value], 3, axis=2) for structure in SHORT_AXIS}
    gate.write(masks)
    after = states(node, volume)
    assert all(np.array_equal(after[structure.value], masks[structure]) for structure in SHORT_AXIS)
    assert gate.undo()
    assert same(states(node, volume), before)
    assert not gate.can_undo
    assert not gate.undo()
    assert gate.redo()
    assert same(states(node, volume), after)
    assert not gate.can_redo


def test_several_actions_are_undone_one_by_one(nodes, moved):
    volume, node = nodes
    gate = SegmentGate(node, volume)
    seen = [states(node, volume)]
    for step in range(8):
        gate.write({Structure.LV: np.roll(moved, step + 1, axis=1)}, slices=[SLICE])
        seen.append(states(node, volume))
    for expected in reversed(seen[:-1]):
        assert gate.undo()
        assert same(states(node, volume), expected)


def test_a_write_that_changes_nothing_saves_no_undo_state(nodes):
    volume, node = nodes
    gate = SegmentGate(node, volume)
    result = gate.write({Structure.LV: segment_mask(node, "LV", volume)})
    assert not result.saved
    assert not gate.can_undo
    assert result.changed == {}


def test_the_undo_state_can_be_kept_by_the_segment_editor(nodes, moved):
    volume, node = nodes
    saved = []
    result = write_masks(node, volume, {Structure.LV: moved}, [SLICE], save_state=lambda: saved.append(1))
    assert saved == [1]
    assert result.saved


def test_a_missing_segment_is_made_and_undo_takes_it_away(nodes):
    volume, node = nodes
    gate = SegmentGate(node, volume)
    before = states(node, volume)
    mask = np.zeros(before["LV"].shape, bool)
    mask[1, 3:9, 3:9] = True
    gate.write({Structure.LA: mask})
    made = segment_of(node, Structure.LA)
    assert node.GetSegmentation().GetSegment(made).GetName() == "Left atrium"
    assert np.array_equal(segment_mask(node, made, volume), mask)
    gate.undo()
    assert same(states(node, volume), before)
    gate.redo()
    assert np.array_equal(segment_mask(node, segment_of(node, Structure.LA), volume), mask)


def test_what_the_user_made_is_neither_deleted_nor_renamed(nodes, moved):
    volume, node = nodes
    segmentation = node.GetSegmentation()
    segmentation.GetSegment("LV").SetName("my LV")
    segmentation.AddEmptySegment("scar", "Scar")
    SegmentGate(node, volume).write({Structure.LV: moved, Structure.MYO: np.zeros(moved.shape, bool)})
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    assert names == ["Right ventricle", "Myocardium", "my LV", "Scar"]


def test_overwriting_takes_voxels_from_others_and_overlap_does_not(nodes, editor, moved):
    volume, node = nodes
    before = states(node, volume)
    gain = moved & ~before["LV"]
    assert (gain & before["MYO"]).any()
    gate = SegmentGate(node, volume, editor)
    gate.write({Structure.LV: moved})
    assert np.array_equal(segment_mask(node, "MYO", volume), before["MYO"] & ~gain)
    gate.undo()
    editor.SetOverwriteMode(editor.OverwriteNone)
    gate.write({Structure.LV: moved})
    after = states(node, volume)
    assert np.array_equal(after["LV"], moved)
    assert np.array_equal(after["MYO"], before["MYO"])
    assert np.array_equal(after["RV"], before["RV"])


def test_hidden_segments_are_kept_when_only_visible_ones_may_be_overwritten(nodes, editor, moved):
    volume, node = nodes
    before = states(node, volume)
    editor.SetOverwriteMode(editor.OverwriteVisibleSegments)
    node.GetDisplayNode().SetSegmentVisibility("MYO", False)
    SegmentGate(node, volume, editor).write({Structure.LV: moved})
    after = states(node, volume)
    assert np.array_equal(after["MYO"], before["MYO"])
    assert np.array_equal(after["LV"], moved)


def test_where_masks_overlap_the_later_structure_wins(nodes):
    volume, node = nodes
    box = np.zeros(segment_mask(node, "LV", volume).shape, bool)
    box[SLICE, 10:30, 10:30] = True
    SegmentGate(node, volume).write({Structure.LV: box, Structure.RV: box, Structure.MYO: box}, [SLICE])
    after = states(node, volume)
    assert np.array_equal(after["LV"][SLICE], box[SLICE])
    assert not after["MYO"][SLICE].any()
    assert not after["RV"][SLICE].any()


@pytest.mark.parametrize("how", ["tag", "completed"])
def test_a_locked_segment_is_neither_written_nor_overwritten(nodes, moved, how):
    volume, node = nodes
    before = states(node, volume)
    segment = node.GetSegmentation().GetSegment("MYO")
    if how == "tag":
        set_locked(segment, True)
    else:
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetSegmentStatus(segment, logic.Completed)
    result = SegmentGate(node, volume).write({Structure.LV: moved, Structure.MYO: np.zeros(moved.shape, bool)})
    after = states(node, volume)
    assert result.locked == (Structure.MYO,)
    assert np.array_equal(after["MYO"], before["MYO"])
    assert np.array_equal(after["LV"], moved & ~before["MYO"])
    set_locked(segment, False)


def test_an_action_on_locked_segments_alone_saves_nothing(nodes, moved):
    volume, node = nodes
    set_locked(node.GetSegmentation().GetSegment("LV"), True)
    gate = SegmentGate(node, volume)
    assert not gate.write({Structure.LV: moved}).saved
    assert not gate.can_undo


@pytest.mark.parametrize("name", ["InsideAllSegments", "OutsideAllSegments", "InsideSingleSegment"])
def test_the_mask_mode_of_segment_editor_is_respected(nodes, editor, name):
    volume, node = nodes
    before = states(node, volume)
    editor.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, f"EditAllowed{name}"))
    editor.SetMaskSegmentID("MYO")
    mask = np.zeros(before["LV"].shape, bool)
    mask[SLICE] = True
    SegmentGate(node, volume, editor).write({Structure.LV: mask}, [SLICE])
    union = before["LV"] | before["MYO"] | before["RV"]
    editable = {
        "InsideAllSegments": union,
        "OutsideAllSegments": ~(before["MYO"] | before["RV"]),
        "InsideSingleSegment": before["MYO"],
    }[name]
    expected = before["LV"] | (mask & editable)
    assert np.array_equal(segment_mask(node, "LV", volume), expected)


def test_removing_inside_a_mask_segment_gives_it_no_voxels(nodes, editor):
    volume, node = nodes
    before = states(node, volume)
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("LV")
    SegmentGate(node, volume, editor).write({Structure.LV: np.zeros(before["LV"].shape, bool)}, [SLICE])
    after = states(node, volume)
    assert not after["LV"][SLICE].any()
    assert np.array_equal(after["MYO"], before["MYO"])


def test_only_voxels_in_the_editable_intensity_range_change(nodes, editor):
    volume, node = nodes
    before = segment_mask(node, "LV", volume)
    intensity = array_of(volume.GetImageData())
    low, high = 700.0, 2000.0
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(low, high)
    SegmentGate(node, volume, editor).write({Structure.LV: np.ones(before.shape, bool)}, [SLICE])
    editable = (intensity >= low) & (intensity <= high)
    editable[np.arange(len(before)) != SLICE] = False
    assert editable.any()
    assert np.array_equal(segment_mask(node, "LV", volume), before | editable)


def test_the_settings_of_the_open_segment_editor_count_and_stay(scene, nodes):
    volume, node = nodes
    editor = slicer.vtkMRMLSegmentEditorNode()
    editor.SetSingletonTag("SegmentEditor")
    editor = scene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(node)
    editor.SetSelectedSegmentID("RV")
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("MYO")
    before = states(node, volume)
    SegmentGate(node, volume).write({Structure.LV: np.ones(before["LV"].shape, bool)})
    assert np.array_equal(segment_mask(node, "LV", volume), before["LV"] | before["MYO"])
    assert editor.GetSelectedSegmentID() == "RV"
    assert editor.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment


def test_add_and_erase_do_no_more_than_they_say(nodes):
    volume, node = nodes
    before = segment_mask(node, "LV", volume)
    box = np.zeros(before.shape, bool)
    box[SLICE, 5:12, 5:12] = True
    gate = SegmentGate(node, volume)
    gate.write({Structure.LV: box}, mode="add")
    assert np.array_equal(segment_mask(node, "LV", volume), before | box)
    gate.write({Structure.LV: box}, mode="erase")
    assert np.array_equal(segment_mask(node, "LV", volume), before)


def test_masks_are_written_at_their_place_under_a_transform(nodes, moved):
    volume, node = nodes
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(TURN))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node.SetAndObserveTransformNodeID(transform.GetID())
    SegmentGate(node, volume).write({Structure.LV: moved})
    assert np.array_equal(segment_mask(node, "LV", volume), moved)
    volume.SetAndObserveTransformNodeID(None)
    node.SetAndObserveTransformNodeID(None)
    assert np.array_equal(segment_mask(node, "LV", volume), moved)


def test_a_volume_moved_alone_gets_its_masks_where_it_is_seen(nodes, moved):
    volume, node = nodes
    three_columns = np.eye(4)
    three_columns[:3, 3] = 3 * ijk_to_ras_of(volume)[:3, 0]
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(three_columns))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    SegmentGate(node, volume).write({Structure.LV: moved})
    assert np.array_equal(segment_mask(node, "LV", volume), moved)
    volume.SetAndObserveTransformNodeID(None)
    assert np.array_equal(segment_mask(node, "LV", volume), np.roll(moved, 3, axis=2))


def test_a_mask_or_slice_that_does_not_fit_is_refused(nodes, moved):
    volume, node = nodes
    gate = SegmentGate(node, volume)
    with pytest.raises(InputError, match="the mask of LV has shape"):
        gate.write({Structure.LV: moved[1:]})
    with pytest.raises(InputError, match="99 was to be written"):
        gate.write({Structure.LV: moved}, slices=[99])
    assert not gate.can_undo


def test_a_segmentation_made_of_surfaces_is_refused(nodes, moved):
    volume, node = nodes
    node.GetSegmentation().CreateRepresentation("Closed surface")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InputError, match="is made of surfaces"):
        SegmentGate(node, volume).write({Structure.LV: moved})


def test_an_edit_updates_the_surface_that_is_shown(nodes, moved):
    volume, node = nodes
    node.GetSegmentation().CreateRepresentation("Closed surface")
    before = node.GetSegmentation().GetSegment("LV").GetRepresentation("Closed surface").GetBounds()
    SegmentGate(node, volume).write({Structure.LV: np.roll(moved, 12, axis=2)})
    assert node.GetSegmentation().GetSegment("LV").GetRepresentation("Closed surface").GetBounds() != before


def test_without_settings_a_structure_goes_around_those_that_win_over_it(nodes):
    volume, node = nodes
    before = states(node, volume)
    disc = before["LV"] | before["MYO"]
    result = SegmentGate(node, volume).write({Structure.MYO: disc}, slices=[SLICE])
    after = states(node, volume)
    assert np.array_equal(after["LV"], before["LV"])
    assert np.array_equal(after["MYO"], before["MYO"])
    assert not result.saved


def test_without_settings_a_structure_takes_from_those_that_it_wins_over(nodes, moved):
    volume, node = nodes
    before = states(node, volume)
    assert (moved & before["MYO"]).any()
    SegmentGate(node, volume).write({Structure.LV: moved}, slices=[SLICE])
    after = states(node, volume)
    assert np.array_equal(after["LV"], moved)
    assert np.array_equal(after["MYO"], before["MYO"] & ~moved)


def test_without_settings_a_segment_of_the_users_own_keeps_every_voxel(nodes, moved):
    volume, node = nodes
    scar = node.GetSegmentation().AddEmptySegment("", "Scar")
    mask = np.zeros_like(moved)
    mask[SLICE] = moved[SLICE]
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, scar, volume)
    SegmentGate(node, volume).write({Structure.LV: moved}, slices=[SLICE])
    assert np.array_equal(segment_mask(node, scar, volume), mask)
    assert np.array_equal(segment_mask(node, segment_of(node, Structure.LV), volume)[SLICE], moved[SLICE])


def test_an_empty_segmentation_of_a_node_selector_gets_the_volumes_geometry_and_is_shown(scene, nodes, moved):
    volume, _node = nodes
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(TURN))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Of the selector")
    assert node.GetDisplayNode() is None
    gate = SegmentGate(node, volume)
    gate.write({Structure.LV: moved})
    assert reference_volume(node) is volume
    assert node.GetParentTransformNode() is transform
    assert node.GetDisplayNode().GetVisibility()
    assert np.array_equal(segment_mask(node, "LV", volume), moved)
    gate.undo()
    assert reference_volume(node) is volume
    assert gate.redo()
    assert np.array_equal(segment_mask(node, "LV", volume), moved)
