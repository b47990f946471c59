"""Writing into many frames a few at a time: unseen, one step of undo, and nothing left of it when it is cancelled."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
import vtk
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.edit_history import EditHistory
from SparseCardiacSegLib.mrml.frame_writer import FrameWriter
from SparseCardiacSegLib.mrml.host import archive_cache
from SparseCardiacSegLib.mrml.segmentations import (
    CLOSED_SURFACE,
    empty_segmentation_sequence,
    segment_mask,
    segment_of,
    segmentation_from_volume,
)
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

pytestmark = pytest.mark.usefixtures("scene")
N_FRAMES = 5


@pytest.fixture
def cine():
    """The history of an empty cine segmentation, and the labels to write."""
    image, labels = phantom.cine(N_FRAMES, on=phantom.grid(oblique=True))
    browser = sequence_from_stack(image, "Cine")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    return EditHistory(empty_segmentation_sequence(browser, "Segmentation"), volume, browser), labels


def masks_of(labels):
    return lambda frame: {part: labels.frame(frame).mask(part) for part in labels.structures}


def lv(history):
    segment = segment_of(history.node, Structure.LV)
    return None if segment is None else segment_mask(history.node, segment, history.volume)


def written(history, labels):
    """The frames that hold just the LV that they should."""
    frames = []
    shown = history.frame
    for frame in range(N_FRAMES):
        history.show(frame)
        found = lv(history)
        if found is not None and np.array_equal(found, labels.frame(frame).mask(Structure.LV)):
            frames.append(frame)
    history.show(shown)
    return frames


def test_each_step_writes_a_frame_and_all_are_one_step_of_undo(cine):
    history, labels = cine
    writer = FrameWriter(history, [1, 2, 4], masks_of(labels))
    assert not writer.step(0)
    assert list(writer.results) == [1]
    assert writer.fraction == pytest.approx(1 / 3)
    assert not history.can_undo
    assert not writer.step(0)
    assert writer.step(0)
    assert writer.step(0)
    assert written(history, labels) == [1, 2, 4]
    assert history.undo()
    assert written(history, labels) == []
    assert not history.can_undo
    assert history.redo()
    assert written(history, labels) == [1, 2, 4]


def test_the_cine_does_not_run_while_frames_are_written(cine):
    history, labels = cine
    history.show(2)
    seen = []
    history.browser.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(history.frame))
    writer = FrameWriter(history, range(N_FRAMES), masks_of(labels))
    while not writer.step(0):
        assert history.frame == 2
    assert set(seen) <= {2}
    assert written(history, labels) == list(range(N_FRAMES))
    assert history.undo()
    assert set(seen) <= set(range(N_FRAMES))


def test_cancel_takes_back_what_was_written_except_where_somebody_edited(cine):
    history, labels = cine
    history.write({Structure.LV: labels.frame(3).mask(Structure.LV)})
    before = lv(history)
    writer = FrameWriter(history, range(N_FRAMES), masks_of(labels))
    for _ in range(3):
        writer.step(0)
    history.show(2)
    theirs = np.zeros(before.shape, np.uint8)
    theirs[3, 8:10, 8:10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(theirs, history.node, "LV", history.volume)
    writer.cancel()
    assert np.array_equal(lv(history), theirs != 0)
    history.show(0)
    assert np.array_equal(lv(history), before)
    history.show(1)
    assert lv(history) is None
    assert writer.step(0)
    assert list(writer.results) == [0, 1, 2]


@pytest.mark.parametrize("what", ["segmentation", "its frames", "browser"])
def test_cancel_after_the_nodes_were_removed_changes_nothing_more(cine, what):
    history, labels = cine
    writer = FrameWriter(history, range(N_FRAMES), masks_of(labels))
    writer.step(0)
    sequence = history.browser.GetSequenceNode(history.node)
    before = lv(history)
    assert before.any()
    slicer.mrmlScene.RemoveNode({"segmentation": history.node, "its frames": sequence}.get(what, history.browser))
    writer.cancel()
    assert not history.undo()
    if what != "segmentation":
        assert np.array_equal(lv(history), before)


def test_a_frame_that_cannot_be_written_leaves_the_others_as_a_step_of_undo(cine):
    history, labels = cine

    def masks(frame):
        return masks_of(labels)(frame) if frame < 2 else {Structure.LV: np.ones((2, 2, 2), bool)}

    writer = FrameWriter(history, range(N_FRAMES), masks)
    with pytest.raises(InputError, match="has shape"):
        writer.step(60)
    assert written(history, labels) == [0, 1]
    assert history.undo()
    assert written(history, labels) == []


def test_a_segmentation_under_a_transform_of_its_own_is_written_where_the_masks_lie(cine):
    history, labels = cine
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 2 * phantom.grid(oblique=True).spacing[2])
    transform.SetMatrixTransformToParent(matrix)
    history.node.SetAndObserveTransformNodeID(transform.GetID())
    history.show(1)
    writer = FrameWriter(history, [0, 3], masks_of(labels))
    while not writer.step(0):
        assert history.frame == 1
    expected = labels.frame(3).mask(Structure.LV)
    history.show(3)
    found = lv(history)
    assert 2 * (found & expected).sum() > 0.97 * (found.sum() + expected.sum())


def test_surfaces_of_frames_that_change_are_dropped_and_not_made_anew_by_slicer(cine):
    history, labels = cine
    history.write_frames({frame: masks_of(labels)(frame) for frame in range(N_FRAMES)})
    sequence = history.browser.GetSequenceNode(history.node)
    for frame in range(N_FRAMES):
        sequence.GetNthDataNode(frame).GetSegmentation().CreateRepresentation(CLOSED_SURFACE)
    history.write_frames({2: masks_of(labels)(0)})
    held = [
        sequence.GetNthDataNode(frame).GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)
        for frame in range(N_FRAMES)
    ]
    assert held == [True, True, False, True, True]


def test_new_segments_are_like_those_that_are_told(cine):
    history, labels = cine
    model = slicer.vtkSegment()
    model.SetName("cavity")
    model.SetColor(0.1, 0.6, 0.2)
    like = {Structure.LV: ("Segment_7", model)}
    writer = FrameWriter(history, [1], masks_of(labels), like=like)
    while not writer.step():
        pass
    history.show(1)
    segmentation = history.node.GetSegmentation()
    assert set(segmentation.GetSegmentIDs()) == {"RV", "MYO", "Segment_7"}
    segment = segmentation.GetSegment("Segment_7")
    assert (segment.GetName(), segment.GetColor()) == ("cavity", pytest.approx((0.1, 0.6, 0.2)))
    assert segment_of(history.node, Structure.LV) == "Segment_7"
    assert written(history, labels) == [1]


def test_the_sequence_knows_that_it_has_to_be_saved(cine, tmp_path):
    history, labels = cine
    sequence = history.browser.GetSequenceNode(history.node)
    sequence.AddDefaultStorageNode(str(tmp_path / "labels.seq.mrb"))
    with archive_cache():
        assert sequence.GetStorageNode().WriteData(sequence)
    assert not sequence.GetModifiedSinceRead()
    history.write_frames({3: masks_of(labels)(3)})
    assert sequence.GetModifiedSinceRead()


def test_a_single_stack_is_written_in_one_step():
    image, labels = phantom.heart(0.0, phantom.grid(oblique=True))
    volume = volume_from_stack(image, "Heart")
    history = EditHistory(segmentation_from_volume(volume, "Segmentation"), volume)
    writer = FrameWriter(history, [0], lambda _: {part: labels.mask(part) for part in labels.structures})
    assert writer.step()
    assert np.array_equal(lv(history), labels.mask(Structure.LV))
    assert history.undo()
    assert lv(history) is None
