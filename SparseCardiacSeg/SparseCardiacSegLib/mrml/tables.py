"""Regions, metrics and clinical figures as table nodes with typed columns, units and descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import vtk

from ..measures.clinical_rows import COLUMNS, flat_rows
from ..measures.comparison import MetricRow, SliceRow, columns
from ..regions import SliceRegions
from .host import add_node

_UNITS = {"_mm": "mm", "_mm2": "mm2", "_mm3": "mm3", "_ml": "mL", "_pct": "%", "_g": "g", "_s": "s"}
_DESCRIPTIONS = {
    "case": "name of the case",
    "structure": "RV, MYO, LV or LA",
    "region": "all, base, middle or apex",
    "dice": "Dice overlap, 0 to 1",
    "iou": "intersection over union, 0 to 1",
    "precision": "share of the prediction that is right",
    "recall": "share of the reference that was found",
    "hd_mm": "largest distance between the surfaces (Hausdorff)",
    "hd95_mm": "larger of the two directed 95th percentiles of the surface distance",
    "mad_mm": "mean of the two directed mean surface distances",
    "volume_pred_ml": "volume of the prediction",
    "volume_ref_ml": "volume of the reference",
    "volume_diff_ml": "prediction minus reference",
    "volume_diff_pct": "prediction minus reference, in % of the reference",
    "flag": "missing: one of the two is empty, so distances are undefined; both empty: Dice is 1",
    "regions_method": "how base, middle and apex were told",
    "surface_definition": "what counts as surface",
    "diagonal_mm": "diagonal of the image: the distance that stands for a missing structure in means",
}


def region_table(regions: SliceRegions, name: str = "Regions", scene: Any = None, node: Any = None) -> Any:
    """A table node of the slices that have a region, base first: `slice`, `region`, `method`.

    Args:
        regions: what to list.
        name: wanted name of a new node.
        scene: where a new node goes; None for the current scene.
        node: a table node to fill anew in place of a new one.
    """
    rows = regions.table()
    node = add_node("vtkMRMLTableNode", name, scene) if node is None else node
    _fill(
        node,
        {
            "slice": [index for index, _ in rows],
            "region": [str(region) for _, region in rows],
            "method": [regions.method for _ in rows],
        },
        {"slice": "index along the through-plane axis, from 0", "method": "how the regions were told"},
    )
    return node


def metrics_table(
    rows: Sequence[MetricRow] | Sequence[SliceRow], name: str = "Metrics", scene: Any = None, node: Any = None
) -> Any:
    """A table node with a row for each comparison; columns as in metrics.csv, undefined distances are NaN.

    Args:
        rows: of `measures.compare` or `compare_slices`.
        name: wanted name of a new node.
        scene: where a new node goes; None for the current scene.
        node: a table node to fill anew, under its own name; None adds one.
    """
    if node is None:
        node = add_node("vtkMRMLTableNode", name, scene)
    names = columns(type(rows[0])) if rows else columns(MetricRow)
    records = [asdict(row) for row in rows]
    _fill(node, {column: [record[column] for record in records] for column in names}, _DESCRIPTIONS)
    return node


def clinical_table(
    measures: Mapping[str, Any], name: str = "Clinical measures", scene: Any = None, node: Any = None
) -> Any:
    """A table node of `measures.clinical_measures`: one row for each figure that is known.

    Columns `structure`, `measure`, `value` (number), `unit`, `text` (grades). Warnings are rows too, so that they are
    not lost.

    Args:
        measures: the figures.
        name: wanted name of a new node.
        scene: where a new node goes; None for the current scene.
        node: a table node to fill anew in place of a new one.
    """
    rows = flat_rows(measures)
    node = add_node("vtkMRMLTableNode", name, scene) if node is None else node
    data = {column: [row[index] for row in rows] for index, column in enumerate(COLUMNS)}
    # NaN, not None: a column without any number would become one of texts.
    data["value"] = [np.nan if value is None else value for value in data["value"]]
    _fill(node, data, {})
    return node


def column_of(values: Sequence[Any], name: str) -> Any:
    """A VTK array of integers, numbers or texts, by the type of the values; None becomes NaN or an empty text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds) and None not in values:
        array: Any = vtk.vtkIntArray()
        converted: list[Any] = [int(value) for value in values]
    elif kinds and all(issubclass(kind, int | float | np.number) for kind in kinds):
        array = vtk.vtkDoubleArray()
        converted = [float("nan") if value is None else float(value) for value in values]
    else:
        array = vtk.vtkStringArray()
        converted = ["" if value is None else str(value) for value in values]
    array.SetName(name)
    for value in converted:
        array.InsertNextValue(value)
    return array


def _fill(node: Any, data: Mapping[str, Sequence[Any]], descriptions: Mapping[str, str]) -> None:
    """Put named columns into a table node, with the unit that a name's ending tells."""
    was_modifying = node.StartModify()
    node.RemoveAllColumns()
    node.SetUseColumnTitleAsColumnHeader(False)
    for name, values in data.items():
        node.AddColumn(column_of(values, name))
        unit = _UNITS.get("_" + name.rpartition("_")[2], "") if "_" in name else ""
        if unit:
            node.SetColumnUnitLabel(name, unit)
        if name in descriptions:
            node.SetColumnDescription(name, descriptions[name])
    node.SetLocked(True)
    node.EndModify(was_modifying)
