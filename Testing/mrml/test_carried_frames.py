"""What frames hold, whose labels they are, and how long the mark of a carried frame lasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.carried_frames import (
    ATTRIBUTE,
    FrameBook,
    frame_kinds,
    mark_carried,
    volume_curves,
)
from SparseCardiacSegLib.mrml.edit_history import EditHistory
from SparseCardiacSegLib.mrml.playback import frame_rate, set_frame_rate, take_true_rate, true_frame_rate
from SparseCardiacSegLib.mrml.segmentations import empty_segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack

pytestmark = pytest.mark.usefixtures("scene")
N_FRAMES = 4


@pytest.fixture
def cine():
    image, labels = phantom.cine(N_FRAMES, on=phantom.grid(oblique=True))
    browser = sequence_from_stack(image, "Cine")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    history = EditHistory(empty_segmentation_sequence(browser, "Segmentation"), volume, browser)
    history.write_frames({frame: masks(labels, frame) for frame in (0, 1, 2)})
    return history, labels


def masks(labels, frame):
    return {part: labels.frame(frame).mask(part) for part in labels.structures}


def kinds(history, book=None):
    contents = (book or FrameBook()).contents(history.node, history.browser)
    return [str(kind) for kind in frame_kinds(history.node, history.browser, contents)]


def mark(history, *frames):
    contents = FrameBook().contents(history.node, history.browser)
    mark_carried(history.node, history.browser, {frame: contents[frame] for frame in frames})


def test_volumes_are_those_of_the_labels_and_an_empty_frame_has_none(cine):
    history, labels = cine
    contents = FrameBook().contents(history.node, history.browser)
    for frame in range(3):
        expected = {part: labels.frame(frame).volume_ml(part) for part in labels.structures}
        assert contents[frame].volumes_ml == pytest.approx(expected)
    assert not contents[3].volumes_ml
    curves = volume_curves(contents)
    assert curves[Structure.LV][:3] == pytest.approx([labels.frame(f).volume_ml(Structure.LV) for f in range(3)])
    assert np.isnan(curves[Structure.LV][3])


def test_frames_are_drawn_until_they_are_marked_and_again_once_they_are_edited(cine):
    history, labels = cine
    assert kinds(history) == ["drawn", "drawn", "drawn", "empty"]
    mark(history, 1, 2)
    assert kinds(history) == ["drawn", "carried", "carried", "empty"]
    history.show(2)
    history.write({Structure.LV: labels.frame(0).mask(Structure.LV)})
    assert kinds(history) == ["drawn", "carried", "drawn", "empty"]
    history.undo()
    assert kinds(history) == ["drawn", "carried", "carried", "empty"]


def test_one_voxel_more_or_a_mask_moved_as_a_whole_is_an_edit(cine):
    history, labels = cine
    mark(history, 1)
    history.show(1)
    mask = labels.frame(1).mask(Structure.LV)
    one_more = mask.copy()
    one_more[tuple(np.argwhere(labels.frame(1).mask(Structure.MYO))[0])] = True
    for edited in (one_more, np.roll(mask, 1, axis=0)):
        history.write({Structure.LV: edited})
        assert kinds(history)[1] == "drawn"
        history.undo()
        assert kinds(history)[1] == "carried"


def test_a_segment_of_something_else_is_no_edit_of_the_heart(cine):
    history, _labels = cine
    mark(history, 1)
    history.show(1)
    history.node.GetSegmentation().AddEmptySegment("scar", "Scar")
    scar = np.zeros(tuple(reversed(history.volume.GetImageData().GetDimensions())), np.uint8)
    scar[3, 5:9, 5:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(scar, history.node, "scar", history.volume)
    assert kinds(history)[1] == "carried"


def test_what_was_carried_earlier_and_came_back_by_undo_is_no_edit(cine):
    history, labels = cine
    mark(history, 1)
    history.show(1)
    history.write(masks(labels, 0))
    mark(history, 1)
    assert kinds(history)[1] == "carried"
    history.undo()
    assert kinds(history)[1] == "carried"


def test_a_damaged_attribute_marks_nothing(cine):
    history, _labels = cine
    sequence = history.browser.GetSequenceNode(history.node)
    for text in ("{", "[1]", '{"0": 3}'):
        sequence.SetAttribute(ATTRIBUTE, text)
        assert kinds(history) == ["drawn", "drawn", "drawn", "empty"]


def test_only_frames_that_changed_are_looked_into_again(cine, monkeypatch):
    from SparseCardiacSegLib.mrml import carried_frames

    history, labels = cine
    book, looked = FrameBook(), []
    content_of = carried_frames._content_of
    monkeypatch.setattr(carried_frames, "_content_of", lambda parts: (looked.append(1), content_of(parts))[1])
    assert kinds(history, book) == ["drawn", "drawn", "drawn", "empty"]
    first = len(looked)
    kinds(history, book)
    assert len(looked) == first
    history.write({Structure.LV: labels.frame(2).mask(Structure.LV)})
    kinds(history, book)
    assert len(looked) == first + 1


def test_a_cine_plays_as_fast_as_the_heart_beat_until_the_user_chooses_otherwise(cine):
    history, _labels = cine
    browser = history.browser
    image, _ = phantom.cine(N_FRAMES)
    true = (N_FRAMES - 1) / (image.frame_times[-1] - image.frame_times[0])
    assert true_frame_rate(browser) == pytest.approx(true)
    browser.SetPlaybackRateFps(10)
    take_true_rate(browser)
    assert frame_rate(browser) == pytest.approx(max(1.0, true))
    set_frame_rate(browser, 7)
    take_true_rate(browser)
    assert frame_rate(browser) == 7


@pytest.mark.parametrize(
    ("step", "unit", "expected"),
    [(0.04, "s", 25.0), (40.0, "ms", 25.0), (1.0, "s", None), (0.001, "s", None), (0.04, "", None)],
)
def test_only_times_that_a_heart_can_have_give_a_rate(step, unit, expected):
    image, _labels = phantom.cine(20)
    times = tuple(step * frame for frame in range(20))
    sequence = sequence_from_stack(replace(image, frame_times=times), "Cine")
    sequence.GetMasterSequenceNode().SetIndexUnit(unit)
    rate = true_frame_rate(sequence)
    assert rate == (None if expected is None else pytest.approx(expected))


def test_without_times_a_cine_plays_one_beat_a_second():
    image, _labels = phantom.cine(20)
    assert frame_rate(sequence_from_stack(replace(image, frame_times=None), "Cine")) == 20
    seconds = tuple(float(frame) for frame in range(20))
    assert frame_rate(sequence_from_stack(replace(image, frame_times=seconds), "Cine")) == 20
