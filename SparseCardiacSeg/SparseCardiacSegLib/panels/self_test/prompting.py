"""Points and boxes as Markups nodes, the masks that come of them, and what accepting does."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import time
from typing import Any

import numpy as np
import slicer

from ...anatomy import Structure
from ...mrml.prompt_nodes import PromptNodes
from ...mrml.segmentations import segment_of
from .bench import REFERENCE_LV, Bench, dice
from .clicks import place
from .step import Needs, Step

SLICE = 4
"""A mid-ventricular slice of the sample."""
INSIDE, OUTSIDE = (130, 138), (106, 130)
"""Pixels (col, row) of the cavity and of the muscle there, from the bundled prompts file."""
BOX = ((106, 112), (154, 161))
LOWEST_DICE = 0.85


def points_and_a_box_become_a_mask_that_is_accepted_and_undone(bench: Bench) -> None:
    """A positive point, a negative one and a box on a slice: preview near the expert, accept, undo, redo."""
    panel = _open(bench)
    place(bench, "positiveButton", SLICE, INSIDE)
    first = _answer(bench, panel)
    place(bench, "negativeButton", SLICE, OUTSIDE)
    place(bench, "boxButton", SLICE, *BOX)
    bench.settle()
    (prompt,) = PromptNodes(bench.session.volume).read().prompts
    bench.test.assertEqual((prompt.slice, prompt.structure), (SLICE, Structure.LV))
    bench.test.assertTrue(np.allclose(prompt.positive, [INSIDE], atol=1e-3), f"positive points: {prompt.positive}")
    bench.test.assertTrue(np.allclose(prompt.negative, [OUTSIDE], atol=1e-3), f"negative points: {prompt.negative}")
    bench.test.assertTrue(np.allclose(prompt.box, [*BOX[0], *BOX[1]], atol=0.01), f"box: {prompt.box}")
    answer = _answer(bench, panel)
    bench.test.assertIsNot(answer, first, "the negative point and the box changed nothing")
    bench.notes.append(f"a click was answered in {1000 * answer.masks.seconds:.0f} ms")
    bench.test.assertIsNone(bench.session.segmentation, "the preview was written without being accepted")
    panel.ui.acceptButton.click()
    mask = bench.mask(Structure.LV)
    expert = slicer.util.arrayFromVolume(bench.loadReference()) == REFERENCE_LV
    bench.test.assertGreater(dice(mask[SLICE], expert[SLICE]), LOWEST_DICE)
    bench.test.assertFalse(np.delete(mask, SLICE, axis=0).any(), "other slices were written")
    panel.ui.undoButton.click()
    bench.test.assertFalse(bench.mask(Structure.LV).any(), "undo left something")
    panel.ui.redoButton.click()
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), mask), "redo did not bring the mask back")


def a_point_that_is_dragged_is_asked_anew_and_can_be_taken_back(bench: Bench) -> None:
    """Moving a control point changes the mask; the panel's undo puts the point back where it was."""
    panel = _open(bench)
    place(bench, "positiveButton", SLICE, INSIDE)
    before = _answer(bench, panel)
    bench.settle()
    node = PromptNodes(bench.session.volume).points(Structure.LV, positive=True)
    place(bench, "positiveButton", SLICE, (140, 145))
    bench.waitUntil(lambda: panel.run.answer() not in (None, before), "the answer to the second point")
    bench.test.assertEqual(node.GetNumberOfControlPoints(), 2)
    bench.waitUntil(lambda: panel.ui.undoPromptButton.enabled, "undo of the point", 10)
    bench.settle()
    panel.ui.undoPromptButton.click()
    bench.test.assertEqual(node.GetNumberOfControlPoints(), 1, "undo did not take the point back")
    panel.ui.redoPromptButton.click()
    bench.test.assertEqual(node.GetNumberOfControlPoints(), 2, "redo did not place the point again")


def accepting_one_structure_leaves_a_locked_one_alone(bench: Bench) -> None:
    """A cavity that the user holds for finished (Slicer's status Completed) loses no voxel to the muscle."""
    panel = _open(bench)
    place(bench, "positiveButton", SLICE, INSIDE)
    _answer(bench, panel)
    panel.ui.acceptButton.click()
    cavity = bench.mask(Structure.LV)
    node = bench.session.segmentation
    states = slicer.vtkSlicerSegmentationsModuleLogic
    states.SetSegmentStatus(node.GetSegmentation().GetSegment(segment_of(node, Structure.LV)), states.Completed)
    panel.ui.clearButton.click()
    panel.ui.myoButton.click()
    place(bench, "boxButton", SLICE, (97, 104), (160, 167))
    place(bench, "positiveButton", SLICE, OUTSIDE, (150, 128))
    _answer(bench, panel)
    panel.ui.acceptButton.click()
    bench.test.assertTrue(bench.mask(Structure.MYO)[SLICE].any(), "there is no muscle")
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), cavity), "accepting the muscle changed the cavity")


def _open(bench: Bench) -> Any:
    """The Prompt panel on the sample, the slice shown, the cavity chosen."""
    bench.loadSample()
    panel = bench.panel("prompt")
    bench.session.alignViews()
    bench.session.showSlice(SLICE)
    panel.ui.lvButton.click()
    bench.test.assertTrue(panel.ui.positiveButton.enabled, str(panel.ui.positiveButton.toolTip))
    return panel


def _answer(bench: Bench, panel: Any) -> Any:
    """Wait for the masks of the slice that is shown."""
    started = time.monotonic()
    bench.settle(0.05)
    bench.waitUntil(lambda: not panel.run.is_waiting and panel.run.answer() is not None, "the mask of a click")
    bench.test.assertLess(time.monotonic() - started, 60)
    return panel.run.answer()


STEPS = (
    Step(points_and_a_box_become_a_mask_that_is_accepted_and_undone, Needs.PROMPT),
    Step(a_point_that_is_dragged_is_asked_anew_and_can_be_taken_back, Needs.PROMPT),
    Step(accepting_one_structure_leaves_a_locked_one_alone, Needs.PROMPT),
)
