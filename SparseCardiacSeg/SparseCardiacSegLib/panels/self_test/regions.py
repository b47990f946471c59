"""Base, middle and apex of a stack, and the slices that the user knows better."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from ...mrml.volumes import volume_from_stack
from .bench import Bench
from .stacks import SHAPE, beating_cine
from .step import Step


def regions_are_told_set_by_hand_and_reset(bench: Bench) -> None:
    """The table lists the slices base first, a slice set by hand is remembered, and Reset forgets it."""
    cine, masks = beating_cine()
    bench.choose(volume_from_stack(cine.frame(0), "Heart"))
    bench.write(masks[0])
    panel = bench.panel("regions")
    bench.settle(0.5)
    table = panel.ui.regionsTable
    bench.test.assertEqual(table.rowCount, SHAPE[0], f"rows of the table; {panel.ui.statusLabel.text}")
    names = [table.item(row, 1).text() for row in range(table.rowCount)]
    bench.test.assertEqual((names[0], names[-1]), ("Base", "Apex"))
    bench.test.assertEqual(table.item(0, 0).text(), "0", "the largest slice is not the first")
    bench.session.alignViews()
    bench.session.showSlice(0)
    bench.settle()
    bench.test.assertEqual(table.currentRow(), 0, "the slice that is shown is not the row that is selected")
    panel.ui.middleButton.click()
    bench.settle(0.5)
    bench.test.assertEqual(table.item(0, 1).text(), "Middle")
    bench.test.assertEqual(table.item(0, 2).text(), "by hand")
    panel.ui.regionTableButton.click()
    node = bench.session.parameters.regionTable
    bench.test.assertIsNotNone(node, "no table was put into the scene")
    bench.test.assertEqual(node.GetNumberOfRows(), SHAPE[0])
    panel.ui.resetOverridesButton.click()
    bench.settle(0.5)
    bench.test.assertEqual(table.item(0, 1).text(), "Base", "Reset did not forget what was set by hand")
    panel.ui.flipOrderButton.click()
    bench.settle(0.5)
    bench.test.assertEqual(table.item(0, 0).text(), str(SHAPE[0] - 1), "the order was not flipped")


STEPS = (Step(regions_are_told_set_by_hand_and_reset),)
