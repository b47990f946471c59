"""The tables of the thesis that this project comes from, to be printed beside our own figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[3] / "Resources" / "thesis_tables.json"
METRICS = ("dice", "hd95_mm", "mad_mm")


@dataclass(frozen=True)
class ThesisRow:
    """One network on one data set.

    Attributes:
        dataset: `ACDC` or `M&Ms`.
        network: `2D`, `3D` or `SAM`.
        values: of each of `METRICS`, in the order of the table's columns; None where the thesis has none.
        note: what a reader should know of them.
    """

    dataset: str
    network: str
    values: Mapping[str, tuple[float | None, ...]]
    note: str = ""


@dataclass(frozen=True)
class ThesisTable:
    """One table.

    Attributes:
        number: such as `5.1`.
        title: in our words.
        columns: numbers of volumes or slices, letters of regions, or (volumes, slices).
        rows: networks and data sets.
    """

    number: str
    title: str
    columns: tuple[Any, ...]
    rows: tuple[ThesisRow, ...]


def thesis_tables() -> dict[str, ThesisTable]:
    """The thesis's tables 5.1 to 5.6 and 5.9, by number."""
    content = json.loads(PATH.read_text(encoding="utf-8"))
    return {
        number: ThesisTable(
            number,
            table["title"],
            tuple(tuple(column) if isinstance(column, list) else column for column in table["columns"]),
            tuple(
                ThesisRow(
                    row["dataset"],
                    row["network"],
                    {metric: tuple(row[metric]) for metric in METRICS},
                    row.get("note", ""),
                )
                for row in table["rows"]
            ),
        )
        for number, table in content["tables"].items()
    }


def slices_per_volume() -> dict[str, int]:
    """Slices of a volume of each data set, as the thesis's preprocessing made them."""
    return json.loads(PATH.read_text(encoding="utf-8"))["slices_per_volume"]
