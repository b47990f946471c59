"""The chart of a training: what it shows, and that refilling it leaves its nodes alone."""

from __future__ import annotations

import math

import slicer
from SparseCardiacSegLib.mrml.training_plot import training_chart


def shown(chart):
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    table = series[0].GetTableNode().GetTable()
    columns = {
        one.GetName(): [
            table.GetColumnByName(one.GetYColumnName()).GetValue(row) for row in range(table.GetNumberOfRows())
        ]
        for one in series
    }
    return columns, [table.GetColumnByName("epoch").GetValue(row) for row in range(table.GetNumberOfRows())]


def test_losses_and_pseudo_dice_stand_over_the_epochs():
    chart = training_chart("mine", [0.5, 0.2], [0.6], {"LV": [0.1, 0.7]})
    columns, epochs = shown(chart)
    assert epochs == [1.0, 2.0]
    assert columns["loss"] == [0.5, 0.2]
    assert columns["pseudo-Dice LV"] == [0.1, 0.7]
    assert columns["loss on other patches"][0] == 0.6
    assert math.isnan(columns["loss on other patches"][1])
    assert "mine" in chart.GetTitle()


def test_the_chart_is_filled_anew_with_the_nodes_that_are_there(scene):
    first = training_chart("mine", [0.5], [0.6], {"LV": [0.1]})
    before = scene.GetNumberOfNodes()
    again = training_chart("mine", [0.5, 0.4], [0.6, 0.5], {"LV": [0.1, 0.2]})
    assert again is first
    assert scene.GetNumberOfNodes() == before
    assert shown(again)[1] == [1.0, 2.0]


def test_a_training_of_other_structures_replaces_the_series(scene):
    training_chart("mine", [0.5], [0.6], {"LV": [0.1], "RV": [0.2]})
    before = scene.GetNumberOfNodes()
    chart = training_chart("other", [0.5], [0.6], {"LA": [0.3]})
    assert list(shown(chart)[0]) == ["loss", "loss on other patches", "pseudo-Dice LA"]
    assert scene.GetNumberOfNodes() == before - 1
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1
