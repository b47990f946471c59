"""Filling a QTableWidget with texts and colours; for tables that are read, not edited."""

# ruff: noqa: N802, N815 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import qt


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what it shows.
        colour: RGB (0 to 255) behind it; None for the table's own.
        number: whether it is set to the right, as numbers are.
        toolTip: what it says on hovering; empty for the text itself, which may be cut off.
    """

    text: str
    colour: tuple[int, int, int] | None = None
    number: bool = False
    toolTip: str = ""


def fillTable(table: Any, rows: Sequence[Sequence[Cell]]) -> None:
    """Show rows in place of what the table showed; its selection is not reported meanwhile.

    Args:
        table: a QTableWidget with its columns.
        rows: cells by row and column.
    """
    blocked = table.blockSignals(True)
    try:
        table.rowCount = len(rows)
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                table.setItem(row, column, _item(cell))
        for column in range(table.columnCount - 1):
            table.resizeColumnToContents(column)
    finally:
        table.blockSignals(blocked)


def _item(cell: Cell) -> Any:
    item = qt.QTableWidgetItem(cell.text)
    item.setToolTip(cell.toolTip or cell.text)
    item.setTextAlignment(qt.Qt.AlignVCenter | (qt.Qt.AlignRight if cell.number else qt.Qt.AlignLeft))
    if cell.colour is not None:
        item.setBackground(qt.QBrush(qt.QColor(*cell.colour)))
        item.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
    return item
