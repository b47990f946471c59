"""The steps of the self-test, in the real application: `Reload and Test`, or CTest.

Every step fails when its feature is broken. What cannot be run, because Python packages or models are missing, is said
in the application's log and in the test's last message; nothing is installed for a test.
"""

# ruff: noqa: PT009, PT027 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import logging
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..anatomy import DESCRIPTIONS, TERMINOLOGY_CONTEXT, Structure
from ..errors import InputError
from ..stack import Stack


def run(test: Any, make_logic: Callable[[], Any]) -> None:
    """Run every step on an empty scene.

    Args:
        test: the ScriptedLoadableModuleTest.
        make_logic: the module's Logic class.

    Raises:
        AssertionError: a step failed.
    """
    not_run = []
    for step in (module_is_prepared, volumes_keep_their_geometry, gate_keeps_and_undoes, bad_input_is_explained):
        test.setUp()
        test.delayDisplay(step.__name__.replace("_", " "))
        step(test, make_logic)
    for step in (segmenting_finds_the_heart, cancel_stops_the_worker):
        reason = _cannot_segment()
        if reason:
            not_run.append(f"{step.__name__}: {reason}")
            continue
        test.setUp()
        test.delayDisplay(step.__name__.replace("_", " "))
        logic = make_logic()
        try:
            step(test, logic)
        finally:
            logic.stopWorker()
    for line in not_run:
        logging.warning("SparseCardiacSeg self-test, NOT RUN: %s", line)
    test.delayDisplay("Passed" if not not_run else "Passed, except that this was NOT RUN: " + "; ".join(not_run))


def module_is_prepared(test: unittest.TestCase, _make_logic: Callable[[], Any]) -> None:
    """The terminology is loaded, the sample case is offered, and the panel opens."""
    from .sample_data import CATEGORY, SAMPLES

    logic = slicer.modules.terminologies.logic()
    test.assertTrue(logic.IsTerminologyContextLoaded(TERMINOLOGY_CONTEXT), "the terminology is not loaded")
    offered = {source.sampleName for source in slicer.modules.sampleDataSources[CATEGORY]}
    test.assertEqual(offered, set(SAMPLES))


def volumes_keep_their_geometry(test: unittest.TestCase, _make_logic: Callable[[], Any]) -> None:
    """An oblique stack comes back from a volume node bit by bit."""
    from ..mrml.volumes import stack_from_volume, volume_from_stack

    stack = synthetic_stack()
    again = stack_from_volume(volume_from_stack(stack, "Oblique"))
    test.assertTrue(np.array_equal(stack.array, again.array))
    test.assertTrue(np.array_equal(stack.ijk_to_ras, again.ijk_to_ras), "the IJK-to-RAS matrix changed")


def gate_keeps_and_undoes(test: unittest.TestCase, _make_logic: Callable[[], Any]) -> None:
    """Writing a segment keeps the user's segments, and one undo takes exactly that write back."""
    from ..mrml.segment_gate import SegmentGate
    from ..mrml.segmentations import segment_mask, segment_structures, segmentation_from_volume
    from ..mrml.volumes import volume_from_stack

    volume = volume_from_stack(synthetic_stack(), "Oblique")
    node = segmentation_from_volume(volume, "Mine")
    mine = node.GetSegmentation().AddEmptySegment("", "Scar")
    scar = np.zeros(synthetic_stack().shape, np.uint8)
    scar[2, 5:9, 5:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(scar, node, mine, volume)
    cavity = np.zeros(scar.shape, bool)
    cavity[3, 20:40, 20:40] = True
    gate = SegmentGate(node, volume)
    gate.write({Structure.LV: cavity})
    (lv,) = [key for key, part in segment_structures(node).items() if part is Structure.LV]
    test.assertTrue(np.array_equal(segment_mask(node, lv, volume), cavity))
    segment = node.GetSegmentation().GetSegment(lv)
    test.assertEqual(segment.GetName(), DESCRIPTIONS[Structure.LV].name)
    test.assertIn("87878005", _terminology(segment))
    test.assertTrue(gate.undo(), "there was no undo state")
    test.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 1)
    test.assertTrue(np.array_equal(segment_mask(node, mine, volume), scar.astype(bool)), "the user's segment changed")


def bad_input_is_explained(test: unittest.TestCase, make_logic: Callable[[], Any]) -> None:
    """A volume without voxels is refused with a sentence that names it."""
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing in it")
    logic = make_logic()
    with test.assertRaisesRegex(InputError, "Nothing in it"):
        logic.startSegmentation(empty)
    logic.stopWorker()


def segmenting_finds_the_heart(test: unittest.TestCase, logic: Any) -> None:
    """The first embedded model segments the bundled stack through the worker process."""
    from ..mrml.segmentations import segment_mask, segment_structures

    volume = _load_sample()
    started = time.monotonic()
    node = logic.segment(volume)
    logging.info("SparseCardiacSeg self-test: segmented the sample in %.1f s", time.monotonic() - started)
    found = {part: key for key, part in segment_structures(node).items()}
    test.assertLessEqual({Structure.RV, Structure.MYO, Structure.LV}, set(found))
    lv = segment_mask(node, found[Structure.LV], volume)
    volume_ml = float(lv.sum()) * float(np.prod(volume.GetSpacing())) / 1000
    test.assertGreater(volume_ml, 50, "the left ventricle is too small")
    test.assertLess(volume_ml, 500, "the left ventricle is too large")
    logic.showIn3D(node, True)
    surface = node.GetClosedSurfaceInternalRepresentation(found[Structure.LV])
    test.assertGreater(surface.GetNumberOfPoints(), 100, "there is no surface")


def cancel_stops_the_worker(test: unittest.TestCase, logic: Any) -> None:
    """Cancel ends a run soon and leaves the scene as it was."""
    volume = _load_sample()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    run_ = logic.startSegmentation(volume)
    run_.cancel()
    end = time.monotonic() + 20
    while not run_.poll().finished:
        test.assertLess(time.monotonic(), end, "the run did not end")
        slicer.app.processEvents()
        time.sleep(0.05)
    test.assertIsNone(run_.poll().result)
    test.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)


def synthetic_stack() -> Stack:
    """A small oblique, left-handed stack with non-zero origin: 6 x 48 x 44 voxels of 8 x 1.5 x 1.4 mm."""
    angle, tilt = np.deg2rad(35), np.deg2rad(-25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ lean @ np.diag([1.4, -1.5, 8.0])
    matrix[:3, 3] = (12.5, -31.0, 47.25)
    row, col = np.mgrid[:48, :44]
    slice_ = 100 + 800 * (((row - 24) ** 2 + (col - 22) ** 2) < 120)
    return Stack(np.repeat(slice_[None], 6, axis=0).astype(np.int16), matrix, source="synthetic")


def _cannot_segment() -> str:
    """Why the steps that need a model cannot run; empty when they can."""
    from .models import listed_models
    from .requirements import missing_packages

    models = listed_models()
    if not models:
        return "this installation has no embedded model"
    missing = missing_packages(models[0].needs_torch)
    if missing:
        return "these Python packages are not installed: " + ", ".join(package.module for package in missing)
    return ""


def _load_sample() -> Any:
    """The bundled stack, read by Slicer itself."""
    from .sample_data import SAMPLE_FOLDER, SAMPLES

    path = Path(SAMPLE_FOLDER) / SAMPLES["ShortAxisED"][0]
    return slicer.util.loadVolume(str(path))


def _terminology(segment: Any) -> str:
    import vtk

    value = vtk.reference("")
    segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value)
    return str(value)
