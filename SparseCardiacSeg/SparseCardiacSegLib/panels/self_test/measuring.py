"""Figures against a reference."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ...anatomy import Structure
from ...mrml.segmentations import segmentation_from_volume
from ...mrml.volumes import volume_from_stack
from .bench import REFERENCE_LV, Bench, dice
from .stacks import beating_cine
from .step import Needs, Step


def a_segmentation_is_compared_with_the_bundled_reference(bench: Bench) -> None:
    """Dice in the table is the Dice of the voxels, for the model's result against the expert's label volume."""
    bench.loadSample()
    bench.segment()
    reference = bench.loadReference()
    panel = bench.panel("measure")
    panel.ui.referenceSelector.setCurrentNode(reference)
    table = _compare(bench, panel)
    expected = dice(bench.mask(Structure.LV), slicer.util.arrayFromVolume(reference) == REFERENCE_LV)
    bench.test.assertAlmostEqual(_dice_of(bench, table, "LV"), expected, places=3)
    bench.notes.append(f"Dice in the table of metrics: {expected:.3f}")


def the_figures_of_known_shapes_are_right(bench: Bench) -> None:
    """A segmentation against itself has Dice 1; with a slice less, the Dice is that of the voxels."""
    cine, masks = beating_cine()
    volume = volume_from_stack(cine.frame(0), "Heart")
    bench.choose(volume)
    reference = segmentation_from_volume(volume, "Reference")
    bench.ui("study").outputSelector.setCurrentNode(reference)
    bench.write(masks[0])
    bench.ui("study").outputSelector.setCurrentNode(None)
    less = {part: mask.copy() for part, mask in masks[0].items()}
    for mask in less.values():
        mask[0] = False
    bench.write(less)
    bench.test.assertIsNot(bench.session.segmentation, reference)
    panel = bench.panel("measure")
    panel.ui.referenceSelector.setCurrentNode(reference)
    table = _compare(bench, panel)
    for part, mask in masks[0].items():
        bench.test.assertAlmostEqual(_dice_of(bench, table, part.value), dice(less[part], mask), places=3)
    panel.ui.curvePlotButton.click()
    panel.ui.worstSliceButton.click()
    bench.settle()
    bench.test.assertEqual(bench.session.shownSlice(), 0, "the slice that is missing is not the worst one")


def _compare(bench: Bench, panel: Any) -> Any:
    bench.test.assertTrue(panel.ui.computeButton.enabled, str(panel.ui.computeButton.toolTip))
    panel.ui.computeButton.click()
    bench.waitUntil(lambda: panel.run is None, "the comparison")
    table = panel.ui.metricsTableView.mrmlTableNode()
    bench.test.assertIsNotNone(table, f"there is no table: {panel.ui.statusLabel.text}")
    return table


def _dice_of(bench: Bench, table: Any, structure: str) -> float:
    """Dice of the whole of a structure, as the table node has it."""
    columns = {table.GetColumnName(index): index for index in range(table.GetNumberOfColumns())}
    for row in range(table.GetNumberOfRows()):
        if [table.GetCellText(row, columns[name]) for name in ("structure", "region")] == [structure, "all"]:
            return float(table.GetCellText(row, columns["dice"]))
    bench.test.fail(f"the table has no row for {structure}")
    return float(np.nan)


STEPS = (
    Step(the_figures_of_known_shapes_are_right),
    Step(a_segmentation_is_compared_with_the_bundled_reference, Needs.SEGMENT),
)
