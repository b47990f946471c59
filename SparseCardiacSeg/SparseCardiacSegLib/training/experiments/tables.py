"""Results in the form of the thesis's tables 5.1 to 5.6, its figures beside ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .lines import (
    Line,
    dataset_of,
    interval,
    rank,
    regions_lines,
    slices_lines,
    total_lines,
    volumes_lines,
)
from .results import REGIONS, Result
from .thesis import ThesisRow, ThesisTable, slices_per_volume, thesis_tables

HEADINGS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "mad_mm": "MAD (mm)"}
_DIGITS = {"dice": 3, "hd95_mm": 2, "mad_mm": 2}


@dataclass(frozen=True)
class Table:
    """One table, ready to print.

    Attributes:
        number: of the thesis's table that it has the form of.
        title: of the table.
        columns: headings of the columns after the first two.
        rows: what is told, of whom, and the cells.
        notes: sentences below it.
    """

    number: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [
            f"| metric | whose | {' | '.join(self.columns)} |",
            "|" + "---|" * (len(self.columns) + 2),
            *(f"| {what} | {whose} | {' | '.join(cells)} |" for what, whose, cells in self.rows),
        ]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"


def make_tables(results: Sequence[Result]) -> list[Table]:
    """Every table that the results have something for, by number."""
    thesis = thesis_tables()
    datasets = {dataset_of(result) for result in results} - {None} or {"ACDC", "M&Ms"}
    tables: list[Table] = []
    lines = volumes_lines(results)
    if any(len(line.points) > 1 for line in lines):
        tables.append(_table(thesis["5.1"], datasets, lines, str))
    if lines := regions_lines(results):
        tables.append(_table(thesis["5.2"], datasets, lines, str))
    if lines := slices_lines(results):
        tables.append(_slices_table(thesis["5.3"], datasets, lines))
    if lines := total_lines(results):
        tables.append(_table(thesis["5.4"], datasets, lines, _volumes_slices))
        # The halved totals: by slices first, as the thesis has them.
        halved = [line for line in lines if len({slices for (_, slices), _ in line.points}) < len(line.points)]
        for number, dataset in (("5.5", "ACDC"), ("5.6", "M&Ms")):
            if halved and dataset in datasets:
                tables.append(_table(thesis[number], datasets, halved, _volumes_slices, _by_slices))
    return tables


def _table(
    thesis: ThesisTable,
    datasets: set[str | None],
    lines: Sequence[Line],
    heading: Callable[[Any], str],
    order: Callable[[Any], Any] | None = None,
) -> Table:
    """The thesis's columns and ours together."""
    theirs = [row for row in thesis.rows if row.dataset in datasets]
    told = {
        column
        for number, column in enumerate(thesis.columns)
        if any(row.values["dice"][number] is not None for row in theirs)
    }
    values = sorted(told | {value for line in lines for value, _ in line.points}, key=order or rank)
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    for metric in HEADINGS:
        rows += [(HEADINGS[metric], f"thesis, {row.dataset} {row.network}", _their_cells(row, thesis, metric, values))
                 for row in theirs]  # fmt: skip
        rows += [(HEADINGS[metric], f"ours, {line.name}", _our_cells(line, metric, values)) for line in lines]
    for line in lines:
        rows += _more_rows(line, values)
    notes = [f"thesis, {row.dataset} {row.network}: {row.note}" for row in theirs if row.note]
    return Table(thesis.number, thesis.title, tuple(heading(value) for value in values), tuple(rows), tuple(notes))


def _slices_table(thesis: ThesisTable, datasets: set[str | None], lines: Sequence[Line]) -> Table:
    """Ours by share of the slices, beside the thesis's setting of about the same share: its stacks have more slices."""
    values = sorted({value for line in lines for value, _ in line.points})
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    depths = slices_per_volume()
    shares = {value: next(r[0].share for line in lines for v, r in line.points if v == value) for value in values}
    rows.append(("slices annotated", "ours", tuple(f"{shares[value]:.0%}" for value in values)))
    for metric in HEADINGS:
        for row in (row for row in thesis.rows if row.dataset in datasets):
            depth = depths[row.dataset]
            held = [number for number, value in enumerate(row.values[metric]) if value is not None]
            cells = []
            for value in values:
                number = min(held, key=lambda one: abs(thesis.columns[one] / depth - shares[value]))
                cells.append(f"{_number(row.values[metric][number], metric)} ({thesis.columns[number]} of {depth})")
            rows.append((HEADINGS[metric], f"thesis, {row.dataset} {row.network}", tuple(cells)))
        rows += [(HEADINGS[metric], f"ours, {line.name}", _our_cells(line, metric, values)) for line in lines]
    for line in lines:
        rows += _more_rows(line, values)
    headings = tuple("all slices" if math.isinf(value) else f"{value} a volume" for value in values)
    note = "beside ours stands the thesis's setting with the nearest share of annotated slices"
    return Table(thesis.number, thesis.title, headings, tuple(rows), (note,))


def _their_cells(row: ThesisRow, table: ThesisTable, metric: str, values: Sequence[Any]) -> tuple[str, ...]:
    known = dict(zip(table.columns, row.values[metric], strict=True))
    return tuple(_number(known.get(value), metric, 2) for value in values)


def _our_cells(line: Line, metric: str, values: Sequence[Any]) -> tuple[str, ...]:
    known = dict(line.points)
    cells = []
    for value in values:
        found = [result.mean(metric) for result in known.get(value, ())]
        text = _number(float(np.mean(found)) if found else None, metric)
        cells.append(text + (f" ± {np.std(found, ddof=1):.{_DIGITS[metric]}f}" if len(found) > 1 else ""))
    return tuple(cells)


def _more_rows(line: Line, values: Sequence[Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """What the thesis does not tell: interval, structures, regions, missing structures."""
    known = dict(line.points)

    def row(what: str, cell: Callable[[tuple[Result, ...]], str]) -> tuple[str, str, tuple[str, ...]]:
        return what, f"ours, {line.name}", tuple(cell(known[value]) if value in known else "-" for value in values)

    def mean(point: tuple[Result, ...], *args: Any, **named: Any) -> float:
        return float(np.mean([result.mean(*args, **named) for result in point]))

    structures = line.points[0][1][0].structures
    return [
        row("Dice, 95 % interval", lambda point: "{:.3f} to {:.3f}".format(*interval(point))),
        *(row(f"Dice, {name}", lambda point, name=name: f"{mean(point, 'dice', name):.3f}") for name in structures),
        *(
            row(f"Dice, {region}", lambda point, region=region: f"{mean(point, 'dice', region=region):.3f}")
            for region in REGIONS[1:]
        ),
        row("HD95, missing = diagonal", lambda point: f"{mean(point, 'hd95_mm', diagonal=True):.2f}"),
        row("structures missed", lambda point: f"{sum(one.missing() for one in point)}"),
        row("annotated slices", lambda point: f"{point[0].slices}"),
    ]


def _by_slices(value: tuple[int, int]) -> tuple[int, int]:
    return value[1], value[0]


def _volumes_slices(value: tuple[int, int]) -> str:
    return f"{value[0]} V, {value[1]} S"


def _number(value: float | None, metric: str, digits: int | None = None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{_DIGITS[metric] if digits is None else digits}f}"
