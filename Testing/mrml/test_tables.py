from __future__ import annotations

import math

import numpy as np
import pytest
import slicer
from SparseCardiacSegLib.anatomy import DESCRIPTIONS, SHORT_AXIS, Structure
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.measures.comparison import MetricRow, columns, compare, compare_slices
from SparseCardiacSegLib.measures.curve import dice_curve
from SparseCardiacSegLib.mrml.plots import dice_curve_chart
from SparseCardiacSegLib.mrml.tables import clinical_table, metrics_table, region_table
from SparseCardiacSegLib.regions import label_regions
from SparseCardiacSegLib.segmentation import Segmentation


def column(node, name):
    array = node.GetTable().GetColumnByName(name)
    return [array.GetValue(index) for index in range(array.GetNumberOfTuples())]


def names(node):
    return [node.GetTable().GetColumnName(index) for index in range(node.GetNumberOfColumns())]


@pytest.fixture
def pair(oblique_heart):
    """A reference, and a prediction in which the RV is missing."""
    _, reference = oblique_heart
    array = np.roll(reference.labels.array, 1, axis=2)
    array[array == reference.scheme.numbers[Structure.RV]] = 0
    return Segmentation(reference.labels.with_array(array), reference.scheme), reference


def test_the_region_table_lists_slices_base_first(pair):
    regions = label_regions(pair[1])
    node = region_table(regions)
    assert column(node, "slice") == [index for index, _ in regions.table()]
    assert column(node, "region") == [str(region) for _, region in regions.table()]
    assert set(column(node, "method")) == {regions.method}
    assert node.GetTable().GetColumnByName("slice").IsA("vtkIntArray")


def test_the_metrics_table_holds_the_rows_with_types_and_units(pair):
    rows = compare(*pair, label_regions(pair[1]), case="Ünal, A.")
    node = metrics_table(rows)
    assert names(node) == columns(MetricRow)
    assert column(node, "case") == ["Ünal, A."] * len(rows)
    assert column(node, "dice") == [row.dice for row in rows]
    assert node.GetColumnUnitLabel("hd95_mm") == "mm"
    assert node.GetColumnUnitLabel("volume_ref_ml") == "mL"
    assert node.GetColumnUnitLabel("volume_diff_pct") == "%"
    assert node.GetColumnUnitLabel("dice") == ""
    assert "Hausdorff" in node.GetColumnDescription("hd_mm")


def test_a_missing_structure_stays_a_row_with_nan_distances(pair):
    rows = compare(*pair, None)
    node = metrics_table(rows)
    index = column(node, "structure").index("RV")
    assert column(node, "flag")[index] == "missing"
    assert math.isnan(column(node, "hd_mm")[index])
    assert len(column(node, "hd_mm")) == len(rows)


def test_slice_rows_make_a_table_too_and_no_rows_an_empty_one(pair):
    rows = compare_slices(*pair)
    node = metrics_table(rows, "Slices")
    assert column(node, "slice") == [row.slice for row in rows]
    assert node.GetColumnUnitLabel("area_ref_mm2") == "mm2"
    assert metrics_table([]).GetNumberOfRows() == 0


def test_the_clinical_table_has_every_known_figure_with_its_unit_and_the_warnings(pair):
    measures = clinical_measures(pair[1], height_cm=175, weight_kg=75)
    node = clinical_table(measures)
    rows = list(zip(*(column(node, name) for name in ("structure", "measure", "value", "unit", "text")), strict=True))
    found = {(row[0], row[1]): row for row in rows}
    assert found["LV", "edv_ml"][2:4] == (measures["lv"]["edv_ml"], "mL")
    assert found["LV", "mass_g"][2:4] == (measures["lv"]["mass_g"], "g")
    assert found["body", "bsa_m2"][2:4] == (measures["bsa_m2"], "m2")
    assert ("LV", "esv_ml") not in found
    assert [row[4] for row in rows if row[1] == "warning"] == measures["warnings"] != []


def test_the_dice_chart_has_one_series_a_structure_in_its_colour(pair):
    curves = {structure: dice_curve(*pair, structure, True) for structure in SHORT_AXIS}
    chart = dice_curve_chart(curves)
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [one.GetName() for one in series] == list(SHORT_AXIS)
    for one, structure in zip(series, SHORT_AXIS, strict=True):
        assert np.allclose(one.GetColor(), np.array(DESCRIPTIONS[structure].colour) / 255)
        assert np.allclose(column(one.GetTableNode(), one.GetYColumnName()), curves[structure], equal_nan=True)
        position = column(one.GetTableNode(), one.GetXColumnName())
        assert (position[0], position[-1], len(position)) == (0, 100, 101)
        # "Line" would plot against the row number.
        assert one.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter
    assert chart.GetYAxisTitle() == "Dice"
