"""A cine: labels frame by frame through its sequence browser, phases, and the beating heart."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np
import slicer

from ...anatomy import Structure
from ...mrml.volumes import sequence_from_stack, stack_from_volume
from ...stack import Stack
from .bench import Bench, dice
from .stacks import FINE_RADII, RADII, beating_cine
from .step import Needs, Step


def each_frame_has_its_own_labels(bench: Bench) -> None:
    """Labels are written into the frame that is shown, come back with it, and are undone frame by frame."""
    cine, masks = beating_cine()
    browser = sequence_from_stack(cine, "Cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    session, study = bench.session, bench.ui("study")
    bench.test.assertEqual(session.nFrames, len(RADII))
    for frame in range(len(RADII)):
        study.frameSlider.value = frame
        bench.settle()
        bench.test.assertEqual(browser.GetSelectedItemNumber(), frame)
        bench.write(masks[frame])
    for frame in range(len(RADII)):
        session.showFrame(frame)
        bench.settle()
        same = np.array_equal(bench.mask(Structure.LV), masks[frame][Structure.LV])
        bench.test.assertTrue(same, f"frame {frame} holds other labels than were written")
    bench.test.assertIsNotNone(browser.GetSequenceNode(session.segmentation), "the labels are no sequence")
    bench.panel("clinical").ui.findEdEsButton.click()
    bench.settle(0.8)
    bench.test.assertEqual((session.parameters.edFrame, session.parameters.esFrame), (0, 2))
    study.undoButton.click()
    bench.settle()
    bench.test.assertEqual(sorted(session.labelledFrames()), [0, 1, 2], "undo did not take back the last frame only")
    study.redoButton.click()
    bench.settle()
    bench.test.assertEqual(sorted(session.labelledFrames()), [0, 1, 2, 3])


def the_heart_beats(bench: Bench) -> None:
    """Play makes the surfaces of every frame and then plays; Pause stops at a frame."""
    cine, masks = beating_cine()
    browser = sequence_from_stack(cine, "Cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    bench.session.writeFrames(dict(enumerate(masks)))
    bench.settle()
    panel = bench.panel("display")
    panel.ui.show3DCheckBox.checked = True
    panel.ui.playButton.checked = True
    bench.waitUntil(lambda: browser.GetPlaybackActive(), "the heart to beat")
    panel.ui.playButton.checked = False
    bench.settle()
    bench.test.assertFalse(browser.GetPlaybackActive(), "it does not stop")


def a_cine_is_segmented_as_a_whole(bench: Bench) -> None:
    """End diastole and end systole of the sample as a cine of two frames: both are segmented in one run."""
    frames = []
    for sample in ("ShortAxisED", "ShortAxisES"):
        frames.append(stack_from_volume(bench.loadSample(sample)))
    array = np.stack([frame.array for frame in frames])
    grid = frames[0]
    slicer.mrmlScene.Clear()
    bench.settle()
    cine = Stack(array, grid.ijk_to_ras, grid.through_plane, (0.0, 0.3), source="sample as a cine")
    browser = sequence_from_stack(cine, "Sample cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    bench.segment()
    found = bench.session.labelledFrames()
    bench.test.assertEqual(sorted(found), [0, 1])
    volumes = [found[frame].volume_ml(Structure.LV) for frame in range(2)]
    bench.test.assertGreater(volumes[0], 1.05 * volumes[1], "end systole is not smaller than end diastole")


def labels_of_two_frames_are_carried_to_the_others(bench: Bench) -> None:
    """Drawn in ED and ES, carried by what Slicer brings along; drawn frames keep every voxel, one undo undoes it."""
    cine, masks = beating_cine()
    browser = sequence_from_stack(cine, "Cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    session = bench.session
    session.ensureSegmentation()
    session.writeFrames({frame: masks[frame] for frame in (0, 2)})
    session.parameters.cineEngine = "demons"
    panel = bench.panel("cine")
    bench.waitUntil(lambda: panel.ui.applyButton.enabled, f"Carry labels; it says: {panel.ui.applyButton.toolTip}", 20)
    panel.ui.applyButton.click()
    bench.waitUntil(lambda: panel.run is None, "the labels to be carried")
    said = str(panel.ui.statusLabel.text)
    bench.test.assertEqual(sorted(session.labelledFrames()), [0, 1, 2, 3], said)
    for frame, least in ((0, 1.0), (1, 0.8), (2, 1.0), (3, 0.8)):
        session.showFrame(frame)
        bench.settle()
        for structure in (Structure.LV, Structure.MYO):
            found = dice(bench.mask(structure), masks[frame][structure])
            bench.test.assertGreaterEqual(found, least, f"{structure} in frame {frame}")
    bench.ui("study").undoButton.click()
    bench.settle()
    bench.test.assertEqual(sorted(session.labelledFrames()), [0, 2], "undo did not take all carried frames back")


def end_diastole_and_end_systole_are_found_from_the_images(bench: Bench) -> None:
    """Nothing is labelled; the frames are those in which the cavity is largest and smallest."""
    cine, _masks = beating_cine(FINE_RADII)
    browser = sequence_from_stack(cine, "Cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    panel = bench.panel("study")
    panel.ui.findPhasesButton.click()
    bench.waitUntil(lambda: panel.finder.driver.run is None, "end diastole and end systole")
    parameters = bench.session.parameters
    bench.test.assertEqual((parameters.edFrame, parameters.esFrame), (0, 4), str(panel.ui.statusLabel.text))


STEPS = (
    Step(each_frame_has_its_own_labels),
    Step(labels_of_two_frames_are_carried_to_the_others),
    Step(end_diastole_and_end_systole_are_found_from_the_images),
    Step(the_heart_beats),
    Step(a_cine_is_segmented_as_a_whole, Needs.SEGMENT),
)
