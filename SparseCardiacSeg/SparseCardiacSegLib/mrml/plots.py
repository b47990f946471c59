"""Curves and bars as plot charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import slicer

from ..anatomy import DESCRIPTIONS, Structure
from ..measures.comparison import ALL, MetricRow
from ..regions import Region
from .host import add_node
from .tables import column_of

POSITION = "position_pct"
REGION = "region"
FRAME, TIME = "frame", "time_s"


def dice_curve_chart(
    curves: Mapping[Structure, np.ndarray],
    name: str = "Dice from base to apex",
    scene: Any = None,
    chart: Any = None,
) -> Any:
    """A plot chart of Dice along the heart, with its table and one series a structure in that structure's colour.

    Args:
        curves: for each structure Dice at equal steps from the base (0 %) to the apex (100 %), NaN where undefined.
        name: wanted name of the chart.
        scene: the scene to add to; None for the current one.
        chart: a chart of this function to fill anew, with its own series and table; None adds one.

    Returns:
        The vtkMRMLPlotChartNode; its series lead to the table.
    """
    chart, table = _chart(chart, name, scene)
    length = len(next(iter(curves.values())))
    table.AddColumn(column_of(np.linspace(0.0, 100.0, length).tolist(), POSITION))
    table.SetColumnUnitLabel(POSITION, "%")
    table.SetColumnDescription(POSITION, "position along the heart: base 0, apex 100")
    for structure, curve in curves.items():
        table.AddColumn(column_of(np.asarray(curve, np.float64).tolist(), structure.value))
        table.SetColumnDescription(structure.value, f"Dice of the {DESCRIPTIONS[structure].name.lower()}")
        series = _series(chart, table, structure)
        series.SetXColumnName(POSITION)
        # A scatter plot is Slicer's only one whose x values count; "line" plots against the row number.
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetLineWidth(2)
    chart.SetTitle(name)
    chart.SetXAxisTitle("base to apex (%)")
    _dice_axis(chart)
    return chart


def region_bar_chart(
    rows: Sequence[MetricRow], name: str = "Dice by region", scene: Any = None, chart: Any = None
) -> Any:
    """A plot chart with bars of mean Dice in base, middle and apex, one colour a structure.

    Args:
        rows: of `measures.compare`; rows of the whole stack and regions without slices do not count.
        name, scene, chart: as for `dice_curve_chart`.
    """
    chart, table = _chart(chart, name, scene)
    table.AddColumn(column_of([region.value for region in Region], REGION))
    for structure in Structure:
        regional = [row for row in rows if row.structure == structure and row.region != ALL]
        if not regional:
            continue
        means = []
        for region in Region:
            known = [row.dice for row in regional if row.region == region and np.isfinite(row.dice)]
            # A bar of an unknown height cannot be drawn: no slice of that region, no bar.
            means.append(float(np.mean(known)) if known else 0.0)
        table.AddColumn(column_of(means, structure.value))
        series = _series(chart, table, structure)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeBar)
        series.SetLabelColumnName(REGION)
    chart.SetTitle(name)
    chart.SetXAxisTitle("region")
    _dice_axis(chart)
    return chart


def volume_curve_chart(
    volumes: Mapping[Structure, Sequence[float]],
    times_s: Sequence[float] | None = None,
    name: str = "Volume over the heart beat",
    scene: Any = None,
    chart: Any = None,
) -> Any:
    """A plot chart of volumes over the frames of a cine, one colour a structure.

    Args:
        volumes: mL by structure, one value a frame; NaN where a frame is not labelled.
        times_s: seconds of each frame; None to plot against the frame's number.
        name, scene, chart: as for `dice_curve_chart`.
    """
    chart, table = _chart(chart, name, scene)
    length = len(next(iter(volumes.values())))
    x_name = FRAME if times_s is None else TIME
    table.AddColumn(column_of([float(x) for x in (range(length) if times_s is None else times_s)], x_name))
    for structure, curve in volumes.items():
        table.AddColumn(column_of(np.asarray(curve, np.float64).tolist(), structure.value))
        table.SetColumnUnitLabel(structure.value, "mL")
        series = _series(chart, table, structure)
        series.SetXColumnName(x_name)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetLineWidth(2)
    chart.SetTitle(name)
    chart.SetXAxisTitle("frame" if times_s is None else "time (s)")
    chart.SetYAxisTitle("volume (mL)")
    chart.SetYAxisRangeAuto(True)
    chart.SetLegendVisibility(True)
    return chart


def _chart(chart: Any, name: str, scene: Any) -> tuple[Any, Any]:
    """A chart without series, and an empty table for it: those of `chart`, or new ones."""
    if chart is None:
        return add_node("vtkMRMLPlotChartNode", name, scene), add_node("vtkMRMLTableNode", f"{name} data", scene)
    scene = chart.GetScene()
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    table = next((one.GetTableNode() for one in series if one is not None and one.GetTableNode() is not None), None)
    chart.RemoveAllPlotSeriesNodeIDs()
    for one in series:
        if one is not None:
            scene.RemoveNode(one)
    if table is None:
        table = add_node("vtkMRMLTableNode", f"{name} data", scene)
    table.RemoveAllColumns()
    return chart, table


def _series(chart: Any, table: Any, structure: Structure) -> Any:
    """A new series of a column named after a structure, in that structure's colour."""
    # Not made unique: the name is what the legend shows.
    series = chart.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", structure.value)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetYColumnName(structure.value)
    series.SetColor(*(value / 255 for value in DESCRIPTIONS[structure].colour))
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return series


def _dice_axis(chart: Any) -> None:
    chart.SetYAxisTitle("Dice")
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 1.0)
    chart.SetLegendVisibility(True)
