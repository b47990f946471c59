"""Curves as plot charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from ..anatomy import DESCRIPTIONS, Structure
from .host import add_node
from .tables import column_of

POSITION = "position_pct"


def dice_curve_chart(
    curves: Mapping[Structure, np.ndarray], name: str = "Dice from base to apex", scene: Any = None
) -> Any:
    """A plot chart of Dice along the heart, with its table and one series a structure in that structure's colour.

    Args:
        curves: for each structure Dice at equal steps from the base (0 %) to the apex (100 %), NaN where undefined.
        name: wanted name of the chart.
        scene: the scene to add to; None for the current one.

    Returns:
        The vtkMRMLPlotChartNode; its series lead to the table.
    """
    table = add_node("vtkMRMLTableNode", f"{name} data", scene)
    length = len(next(iter(curves.values())))
    table.AddColumn(column_of(np.linspace(0.0, 100.0, length).tolist(), POSITION))
    table.SetColumnUnitLabel(POSITION, "%")
    table.SetColumnDescription(POSITION, "position along the heart: base 0, apex 100")
    chart = add_node("vtkMRMLPlotChartNode", name, scene)
    for structure, curve in curves.items():
        table.AddColumn(column_of(np.asarray(curve, np.float64).tolist(), structure.value))
        table.SetColumnDescription(structure.value, f"Dice of the {DESCRIPTIONS[structure].name.lower()}")
        series = add_node("vtkMRMLPlotSeriesNode", structure.value, scene)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(POSITION)
        series.SetYColumnName(structure.value)
        # A scatter plot is Slicer's only one whose x values count; "line" plots against the row number.
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetLineWidth(2)
        series.SetColor(*(value / 255 for value in DESCRIPTIONS[structure].colour))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle("base to apex (%)")
    chart.SetYAxisTitle("Dice")
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 1.0)
    chart.SetLegendVisibility(True)
    return chart
