"""The course of a training as a plot chart: losses and pseudo-Dice over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import slicer

from ..anatomy import DESCRIPTIONS, Structure
from .host import add_node
from .own_nodes import find_own, mark_own
from .tables import column_of

CHART_ROLE = "training curve"
EPOCH = "epoch"
TRAINING_LOSS, VALIDATION_LOSS = "loss", "loss on other patches"
_LOSS_COLOURS = {TRAINING_LOSS: (0.15, 0.35, 0.75), VALIDATION_LOSS: (0.55, 0.68, 0.92)}
_OTHER = (0.35, 0.35, 0.35)


def training_chart(
    name: str,
    train_loss: Sequence[float],
    val_loss: Sequence[float],
    pseudo_dice: Mapping[str, Sequence[float]],
    scene: Any = None,
) -> Any:
    """The scene's one chart of a training, filled anew; its nodes stay, so that it can be refilled after every epoch.

    Args:
        name: of the model; in the chart's title.
        train_loss: nnU-Net's loss by epoch: the negative Dice plus the cross entropy.
        val_loss: the same on patches that were not trained on in that epoch.
        pseudo_dice: nnU-Net's Dice over the voxels of the validation patches, by structure and epoch.
        scene: the scene; None for the current one.

    Returns:
        The vtkMRMLPlotChartNode; its series lead to the table.
    """
    columns = {
        TRAINING_LOSS: train_loss,
        VALIDATION_LOSS: val_loss,
        **{f"pseudo-Dice {one}": values for one, values in pseudo_dice.items()},
    }
    chart = find_own("vtkMRMLPlotChartNode", CHART_ROLE, scene=scene)
    table = _table_of(chart, list(columns)) if chart is not None else None
    if table is None:
        chart, table = _new_chart(chart, list(columns), scene)
    length = max(map(len, columns.values()))
    modified = table.StartModify()
    table.RemoveAllColumns()
    table.AddColumn(column_of([float(number) for number in range(1, length + 1)], EPOCH))
    for column, values in columns.items():
        filled = [float(value) for value in values] + [float("nan")] * (length - len(values))
        table.AddColumn(column_of(filled, column))
    table.EndModify(modified)
    chart.SetTitle(f"Training of {name}")
    return chart


def _table_of(chart: Any, columns: Sequence[str]) -> Any:
    """The table of a chart whose series show exactly these columns; None where they show others."""
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    if [one.GetYColumnName() for one in series if one is not None] != list(columns):
        return None
    return series[0].GetTableNode()


def _new_chart(chart: Any, columns: Sequence[str], scene: Any) -> tuple[Any, Any]:
    if chart is None:
        chart = add_node("vtkMRMLPlotChartNode", "Training", scene)
        mark_own(chart, CHART_ROLE)
    scene = chart.GetScene()
    former = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    chart.RemoveAllPlotSeriesNodeIDs()
    for one in former:
        if one is not None:
            scene.RemoveNode(one)
    table = find_own("vtkMRMLTableNode", CHART_ROLE, scene=scene)
    if table is None:
        table = add_node("vtkMRMLTableNode", "Training data", scene)
        mark_own(table, CHART_ROLE)
    for column in columns:
        # Not made unique: the name is what the legend shows.
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", column)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(EPOCH)
        series.SetYColumnName(column)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetLineWidth(2)
        series.SetColor(*_colour(column))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetXAxisTitle(EPOCH)
    chart.SetYAxisTitle("loss, pseudo-Dice")
    chart.SetYAxisRangeAuto(True)
    chart.SetLegendVisibility(True)
    return chart, table


def _colour(column: str) -> tuple[float, float, float]:
    structure = column.removeprefix("pseudo-Dice ")
    if structure in set(Structure):
        red, green, blue = (value / 255 for value in DESCRIPTIONS[Structure(structure)].colour)
        return red, green, blue
    return _LOSS_COLOURS.get(column, _OTHER)
