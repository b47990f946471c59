"""Reloading the module; the last step, because it replaces the code that is running here."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from ...mrml.volumes import volume_from_stack
from .bench import Bench
from .stacks import beating_cine
from .step import Step


def a_reload_leaves_nothing_behind(bench: Bench) -> None:
    """After a reload the module shows the same study, the old panels hear nothing any more, and it still works."""
    cine, _masks = beating_cine()
    volume = volume_from_stack(cine.frame(0), "Heart")
    bench.choose(volume)
    old = bench.widget
    client = bench.session.workers.client("segment")
    client.start()
    old.onReload()
    bench.settle()
    bench.test.assertIsNot(bench.widget, old)
    bench.test.assertIsNone(old.workbench, "the old panels are still there")
    bench.test.assertFalse(client.is_running, "the old worker still runs")
    bench.test.assertEqual(next(iter(bench.widget.workbench.panels)), "study")
    bench.test.assertIs(bench.session.volume, volume)
    bench.test.assertIs(bench.ui("study").inputSelector.currentNode(), volume)


STEPS = (Step(a_reload_leaves_nothing_behind),)
