"""Clinical figures as rows of the panel's table: value, normal range, a mark where a value lies outside."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from .table_cells import Cell

if TYPE_CHECKING:
    from ..measures.clinical_rows import ClinicalFigure

NOTHING = "-"
"""What stands for a figure that is unknown."""
MARKS = {"below": "▼", "above": "▲"}
OUTSIDE = (255, 229, 180)
"""RGB behind a value outside its range; the arrow tells the same without colours."""
_WALL_KEYS = {"wall_thickest_segment_ed": "thickest_segment_mm"}
"""Rows whose range is known by another key."""

Ranges = Sequence[Mapping[str, Any]]


def figureCells(figure: ClinicalFigure, measures: Mapping[str, Any]) -> list[Cell]:
    """A row of the table: measure, value, unit, normal range, index, what it was measured on.

    Args:
        figure: of `clinical_figures(measures)`; a figure that is unknown is a dash, not 0.
        measures: with the ranges.
    """
    from ..measures.clinical_rows import readable_unit

    unit = readable_unit(figure.unit)
    ranges = rangesOf(measures, figure.part, _WALL_KEYS.get(figure.key, figure.key))
    value = NOTHING if figure.value is None else f"{figure.value:.{figure.digits}f}"
    value, colour, told = _judged(value, ranges, unit)
    normal, index, index_colour, index_told = _short(ranges), "", None, ""
    if figure.index_unit:
        index_unit = readable_unit(figure.index_unit)
        index = NOTHING if figure.index is None else f"{figure.index:.1f} {index_unit}"
        key = next((name for name, of in _indexes().items() if of == figure.key), "")
        index_ranges = rangesOf(measures, figure.part, key)
        index, index_colour, index_told = _judged(index, index_ranges, index_unit)
        if index_ranges and not ranges:
            normal, told = f"{_short(index_ranges)} {index_unit}", index_told
    measured_on = "; ".join(part for part in (figure.grade, figure.measured_on or figure.method) if part)
    whole = ", ".join(part for part in (measured_on, figure.method) if part)
    return [
        Cell(figure.name),
        Cell(value, colour, number=True, toolTip=told),
        Cell(unit),
        Cell(normal, toolTip=told),
        Cell(index, index_colour, number=True, toolTip=index_told),
        Cell(measured_on, toolTip=whole),
    ]


def segmentCells(walls: Mapping[str, Any]) -> list[list[Cell]]:
    """Rows of the 17 segments: name, thickness at ED and at ES in mm, thickening in percent."""
    rows = []
    for number, name in walls["segments"].items():
        values = [(None if walls[phase] is None else walls[phase]["mean_mm"][number], 1) for phase in ("ed", "es")]
        values.append((None if walls["thickening_pct"] is None else walls["thickening_pct"][number], 0))
        texts = [NOTHING if value is None else f"{value:.{digits}f}" for value, digits in values]
        rows.append([Cell(f"{number} {name}"), *(Cell(text, number=True) for text in texts)])
    return rows


def rangesOf(measures: Mapping[str, Any], part: str, key: str) -> Ranges:
    """The normal ranges of a measure, with verdicts; empty where none is known."""
    return measures.get("normal_ranges", {}).get(part, {}).get(key) or []


def verdictOf(ranges: Ranges) -> str:
    """ "below" or "above" where every range says so; empty for a value within one of them, and for no value."""
    verdicts = {one["verdict"] for one in ranges}
    verdict = verdicts.pop() if len(verdicts) == 1 else None
    return verdict if verdict in MARKS else ""


def _judged(text: str, ranges: Ranges, unit: str) -> tuple[str, tuple[int, int, int] | None, str]:
    """A value's text with its mark, colour and tool tip."""
    from ..measures.normal_ranges import range_text

    if not ranges:
        return text, None, ""
    verdict = verdictOf(ranges)
    lines = [_("Normal range ({unit}): {ranges}").format(unit=unit, ranges=range_text(ranges))]
    if ranges[0]["mean"] is not None:
        lines.append(
            _("Mean ± 2 SD of healthy adults, papillary muscles {convention}.").format(
                convention=ranges[0]["papillary_muscles"]
            )
        )
    if len(ranges) > 1:
        lines.append(_("Choose the sex to compare with its range alone."))
    lines.append(ranges[0]["source"])
    return (f"{text} {MARKS[verdict]}", OUTSIDE, "\n".join(lines)) if verdict else (text, None, "\n".join(lines))


def _short(ranges: Ranges) -> str:
    """Ranges in few letters: "102-230", or "m 102-230, f 86-178" while the sex is unknown."""
    spans = []
    for one in ranges:
        span = f"≤ {one['upper']:.0f}" if one["lower"] is None else f"{one['lower']:.0f}-{one['upper']:.0f}"
        spans.append(span if len(ranges) == 1 else f"{_('m') if one['sex'] == 'male' else _('f')} {span}")
    return ", ".join(spans)


def _indexes() -> Mapping[str, str]:
    from ..measures.clinical_blocks import INDEXED

    return INDEXED
