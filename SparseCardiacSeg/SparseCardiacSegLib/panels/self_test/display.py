"""Surfaces, side-by-side views and what the views show."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from typing import Any

import slicer

from ...anatomy import Structure
from ...mrml.segmentations import segment_of
from ...mrml.volumes import volume_from_stack
from .bench import Bench
from .stacks import beating_cine
from .step import Step


def surfaces_come_and_go(bench: Bench) -> None:
    """Show in 3D makes closed surfaces in the worker, and hides them again; the layout can be changed and restored."""
    cine, masks = beating_cine()
    bench.choose(volume_from_stack(cine.frame(0), "Heart"))
    bench.write(masks[0])
    node = bench.session.segmentation
    panel = bench.panel("display")
    panel.ui.show3DCheckBox.checked = True
    bench.waitUntil(lambda: _n_points(node) > 100, "the surfaces")
    bench.test.assertTrue(node.GetDisplayNode().GetVisibility3D())
    panel.ui.show3DCheckBox.checked = False
    bench.settle()
    bench.test.assertFalse(node.GetDisplayNode().GetVisibility3D(), "the surfaces are still shown")
    layouts = slicer.app.layoutManager()
    bench.test.assertIsNotNone(layouts, "there are no views: start Slicer with its main window")
    before = layouts.layout
    last = panel.ui.layoutSelector.count - 1
    panel.onArrange(last)
    bench.settle()
    bench.test.assertNotEqual(layouts.layout, before, str(panel.ui.statusLabel.text))
    panel.ui.restoreLayoutButton.click()
    bench.settle()
    bench.test.assertEqual(layouts.layout, before, "the former layout did not come back")


def _n_points(node: Any) -> int:
    surface = node.GetClosedSurfaceInternalRepresentation(segment_of(node, Structure.LV))
    return surface.GetNumberOfPoints() if surface is not None else 0


STEPS = (Step(surfaces_come_and_go),)
