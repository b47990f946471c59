"""The module freshly opened in the real application; its jobs are in the module's own self-test."""

# ruff: noqa: PT009, T201 (run by unittest inside Slicer, whose output CTest shows)

from __future__ import annotations

import sys
import time
import unittest

import slicer

MODULE = "SparseCardiacSeg"
HEAVY = {"torch", "nnunetv2", "onnxruntime", "segment_anything"}


class SparseCardiacSegApplicationTest(unittest.TestCase):
    """Run by CTest through `slicer.testing.runUnitTest`; the names give the order: the first opening comes first."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_1_the_first_opening_takes_under_a_second_and_imports_no_model_library(self):
        there = HEAVY & set(sys.modules)
        started = time.perf_counter()
        slicer.util.selectModule(MODULE)
        slicer.app.processEvents()
        seconds = time.perf_counter() - started
        print(f"opened in {seconds:.2f} s")
        self.assertLess(seconds, 1.0)
        self.assertEqual(HEAVY & set(sys.modules), there)

    def test_2_the_button_follows_the_volume_and_the_scene(self):
        from SparseCardiacSegLib.mrml.volumes import volume_from_stack
        from SparseCardiacSegLib.panels.self_test import synthetic_stack

        slicer.util.selectModule(MODULE)
        workbench = slicer.util.getModuleWidget(MODULE).workbench
        segment, study = workbench.panels["segment"], workbench.panels["study"]
        self.assertFalse(segment.ui.applyButton.enabled)
        volume = volume_from_stack(synthetic_stack(), "Synthetic")
        study.ui.inputSelector.setCurrentNode(volume)
        can_run = not segment.models.missing and segment.models.selected() is not None
        self.assertEqual(segment.ui.applyButton.enabled, can_run)
        self.assertTrue(segment.ui.applyButton.toolTip)
        slicer.mrmlScene.Clear()
        self.assertFalse(segment.ui.applyButton.enabled)

    def test_3_going_to_other_modules_and_back_keeps_the_choices(self):
        from SparseCardiacSegLib.mrml.volumes import volume_from_stack
        from SparseCardiacSegLib.panels.self_test import synthetic_stack

        slicer.util.selectModule(MODULE)
        volume = volume_from_stack(synthetic_stack(), "Synthetic")
        session = slicer.util.getModuleWidget(MODULE).workbench.session
        slicer.util.getModuleWidget(MODULE).workbench.panels["study"].ui.inputSelector.setCurrentNode(volume)
        for other in ("Data", "Segmentations", "SegmentEditor"):
            slicer.util.selectModule(other)
            slicer.app.processEvents()
        slicer.util.selectModule(MODULE)
        self.assertIs(session.volume, volume)

    def test_4_a_reload_keeps_the_module_usable(self):
        old = slicer.util.getModuleWidget(MODULE)
        old.onReload()
        fresh = slicer.util.getModuleWidget(MODULE)
        self.assertIsNot(fresh, old)
        self.assertEqual(str(fresh.workbench.panels["segment"].ui.applyButton.text), "Segment")


if __name__ == "__main__":
    unittest.main()
