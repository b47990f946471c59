"""Figures of a comparison as nodes: tables and charts that belong to the prediction and are filled anew each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..measures.comparison import ALL
from ..measures.frames import FrameComparison
from .host import application_logic, module_logic
from .layouts import find_layout_node
from .own_nodes import find_own, mark_own
from .plots import dice_curve_chart, region_bar_chart
from .segmentations import place_beside
from .tables import metrics_table

METRICS_ROLE = "metrics"
SLICES_ROLE = "slice metrics"
CURVE_ROLE = "Dice curve"
BARS_ROLE = "Dice bars"


@dataclass(frozen=True, eq=False)
class MeasurementNodes:
    """The nodes of a comparison.

    Attributes:
        metrics: table by structure and region.
        slices: table by structure and slice.
        curve: chart of Dice from base to apex; None where nothing has regions (a left atrium).
        bars: chart of Dice by region; None likewise.
    """

    metrics: Any
    slices: Any
    curve: Any
    bars: Any


def measurement_nodes(found: FrameComparison, node: Any) -> MeasurementNodes:
    """Put figures into the scene; nodes that an earlier comparison of this prediction made are used again.

    Args:
        found: the figures.
        node: the prediction's segmentation node, to which the nodes belong.
    """
    name = node.GetName()
    tables = []
    for role, rows, title in ((METRICS_ROLE, found.rows, "metrics"), (SLICES_ROLE, found.slice_rows, "slice metrics")):
        table = find_own("vtkMRMLTableNode", role, node)
        filled = metrics_table(rows, f"{name} {title}", node.GetScene(), table)
        if table is None:
            mark_own(filled, role, node)
            place_beside(filled, node)
        tables.append(filled)
    curves = {key: curve for key, curve in found.curves.items() if np.isfinite(curve).any()}
    regional = [row for row in found.rows if row.region != ALL and np.isfinite(row.dice)]
    charts: list[Any] = []
    for role, content, make, title in (
        (CURVE_ROLE, curves, dice_curve_chart, "Dice from base to apex"),
        (BARS_ROLE, regional, region_bar_chart, "Dice by region"),
    ):
        chart = find_own("vtkMRMLPlotChartNode", role, node)
        if content:
            filled = make(content, f"{name}: {title}", node.GetScene(), chart)
            if chart is None:
                mark_own(filled, role, node)
                place_beside(filled, node)
            chart = filled
        elif chart is not None:
            chart.GetScene().RemoveNode(chart)
            chart = None
        charts.append(chart)
    return MeasurementNodes(*tables, *charts)


def show_table(table: Any) -> None:
    """Show a table in the layout's table view; a layout without one is changed to one that has it."""
    layout = find_layout_node()
    if layout is not None:
        layout.SetViewArrangement(module_logic("Tables").GetLayoutWithTable(layout.GetViewArrangement()))
    logic = application_logic()
    logic.GetSelectionNode().SetActiveTableID(table.GetID())
    logic.PropagateTableSelection()


def show_chart(chart: Any) -> None:
    """Show a chart in the layout's plot view; a layout without one is changed to one that has it."""
    layout = find_layout_node()
    if layout is not None:
        layout.SetViewArrangement(module_logic("Plots").GetLayoutWithPlot(layout.GetViewArrangement()))
    logic = application_logic()
    logic.GetSelectionNode().SetActivePlotChartID(chart.GetID())
    logic.PropagatePlotChartSelection()
