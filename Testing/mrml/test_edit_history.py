"""Undo and redo of the module's writes: one step an action, every frame for itself, and nobody else's edit lost."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.edit_history import EditHistory
from SparseCardiacSegLib.mrml.segmentations import (
    empty_segmentation_sequence,
    segment_mask,
    segment_of,
    segmentation_from_volume,
)
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture
def single():
    image, _labels = phantom.heart(0.0, phantom.grid(oblique=True))
    volume = volume_from_stack(image, "Heart")
    return EditHistory(segmentation_from_volume(volume, "Segmentation"), volume)


@pytest.fixture
def cine():
    image, _labels = phantom.cine(4, on=phantom.grid(oblique=True))
    browser = sequence_from_stack(image, "Cine")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    return EditHistory(empty_segmentation_sequence(browser, "Segmentation"), volume, browser)


def square(history, slice_index=2, low=5, high=12):
    shape = tuple(reversed(history.volume.GetImageData().GetDimensions()))
    mask = np.zeros(shape, bool)
    mask[slice_index, low:high, low:high] = True
    return mask


def lv(history):
    segment = segment_of(history.node, Structure.LV)
    return None if segment is None else segment_mask(history.node, segment, history.volume)


def test_what_is_written_into_a_sequence_of_the_user_outlives_a_change_of_frame(cine):
    cine.browser.SetSaveChanges(cine.browser.GetSequenceNode(cine.node), False)
    cine.write({Structure.LV: square(cine)})
    cine.show(2)
    cine.show(0)
    assert np.array_equal(lv(cine), square(cine))


def test_undo_and_redo_walk_through_the_actions(single):
    one, two = square(single), square(single, low=20, high=30)
    single.write({Structure.LV: one})
    single.write({Structure.LV: two}, mode="add")
    assert np.array_equal(lv(single), one | two)
    assert single.undo()
    assert np.array_equal(lv(single), one)
    assert single.undo()
    assert lv(single) is None
    assert not single.can_undo
    assert single.redo()
    assert single.redo()
    assert np.array_equal(lv(single), one | two)
    assert not single.redo()


def test_a_write_that_changes_nothing_is_no_step(single):
    single.write({Structure.LV: square(single)})
    single.write({Structure.LV: square(single)})
    assert single.undo()
    assert not single.can_undo


def test_undo_is_not_offered_over_an_edit_by_others(single):
    single.write({Structure.LV: square(single)})
    theirs = lv(single).astype(np.uint8)
    theirs[3, 8:10, 8:10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(theirs, single.node, segment_of(single.node, Structure.LV))
    assert not single.can_undo
    assert not single.undo()
    assert np.array_equal(lv(single), theirs != 0)


def test_each_frame_keeps_what_was_written_into_it(cine):
    first, third = square(cine), square(cine, 3, 20, 30)
    cine.write({Structure.LV: first})
    cine.show(2)
    assert lv(cine) is None
    cine.write({Structure.LV: third})
    cine.show(0)
    assert np.array_equal(lv(cine), first)
    cine.show(2)
    assert np.array_equal(lv(cine), third)


def test_undo_takes_an_action_back_in_the_frame_it_was_done_in(cine):
    first, third = square(cine), square(cine, 3, 20, 30)
    cine.write({Structure.LV: first})
    cine.show(2)
    cine.write({Structure.LV: third})
    cine.show(1)
    assert cine.undo()
    assert cine.frame == 1
    cine.show(2)
    assert lv(cine) is None
    cine.show(0)
    assert np.array_equal(lv(cine), first)
    assert cine.undo()
    assert lv(cine) is None


def test_all_frames_of_a_cine_are_one_action(cine):
    masks = {frame: {Structure.LV: square(cine, 2, 5 + frame, 15)} for frame in range(4)}
    cine.show(1)
    results = cine.write_frames(masks)
    assert all(result.saved for result in results.values())
    assert cine.frame == 1
    for frame in range(4):
        cine.show(frame)
        assert np.array_equal(lv(cine), masks[frame][Structure.LV])
    assert cine.undo()
    assert not cine.can_undo
    for frame in range(4):
        cine.show(frame)
        assert lv(cine) is None
    assert cine.redo()
    cine.show(3)
    assert np.array_equal(lv(cine), masks[3][Structure.LV])


def test_a_frame_edited_by_others_keeps_that_edit_when_the_cine_is_undone(cine):
    masks = {frame: {Structure.LV: square(cine)} for frame in range(3)}
    cine.write_frames(masks)
    cine.show(1)
    theirs = np.zeros(square(cine).shape, np.uint8)
    theirs[3, 8:10, 8:10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(theirs, cine.node, segment_of(cine.node, Structure.LV))
    cine.show(0)
    assert cine.undo()
    assert lv(cine) is None
    cine.show(1)
    assert np.array_equal(lv(cine), theirs != 0)
