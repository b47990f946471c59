"""The module in the real application: it opens quickly, and survives closed scenes and reloads."""

# ruff: noqa: PT009 (run by unittest inside Slicer)

from __future__ import annotations

import sys
import time
import unittest

import slicer


class SparseCardiacSegApplicationTest(unittest.TestCase):
    """Run by CTest through `slicer.testing.runUnitTest`."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_opening_the_module_takes_under_a_second_and_imports_no_torch(self):
        torch_was_there = "torch" in sys.modules
        started = time.perf_counter()
        slicer.util.getModuleWidget("SparseCardiacSeg")
        self.assertLess(time.perf_counter() - started, 1.0)
        self.assertEqual("torch" in sys.modules, torch_was_there)

    def test_the_button_is_enabled_by_a_volume_and_disabled_when_the_scene_is_closed(self):
        panel = slicer.util.getModuleWidget("SparseCardiacSeg").segmentPanel
        panel.enter()
        self.assertFalse(panel.ui.applyButton.enabled)
        from SparseCardiacSegLib.mrml.volumes import volume_from_stack
        from SparseCardiacSegLib.panels.self_test import synthetic_stack

        volume = volume_from_stack(synthetic_stack(), "Synthetic")
        panel.ui.inputSelector.setCurrentNode(volume)
        self.assertEqual(panel.ui.applyButton.enabled, not panel.models.missing and panel.models.selected() is not None)
        slicer.mrmlScene.Clear()
        self.assertFalse(panel.ui.applyButton.enabled)

    def test_a_reload_keeps_the_module_usable(self):
        slicer.util.getModuleWidget("SparseCardiacSeg")
        slicer.util.reloadScriptedModule("SparseCardiacSeg")
        panel = slicer.util.getModuleWidget("SparseCardiacSeg").segmentPanel
        self.assertIsNotNone(panel)
        self.assertEqual(panel.ui.applyButton.text, "Segment")


if __name__ == "__main__":
    unittest.main()
