"""Renders a report as one HTML file: pictures inside, no script, nothing fetched from anywhere."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import write_atomically
from .content import (
    ClinicalRow,
    InputFile,
    MetricsTable,
    RegionRow,
    ReportContent,
    SegmentRow,
    VolumeRow,
)
from .media import picture_html, video_html
from .style import CSS

_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
"""Even if something slipped past the escaping, a browser would neither run nor fetch it."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that HTML does not allow (file names may hold them); they are shown as a replacement character."""

_NONE = '<span class="muted">not available</span>'


def write_report(path: Path | str, content: ReportContent) -> None:
    """Write the report, whole or not at all.

    Raises:
        InputError: the disk refuses.
    """
    page = render_report(content)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def render_report(content: ReportContent) -> str:
    """The report as an HTML5 document. All text is escaped; parts without content are left out."""
    parts = [
        _header(content),
        f'<p class="notice" role="note">{_text(content.notice)}</p>' if content.notice else "",
        _warnings(content.warnings),
        _headline(content.clinical),
        _section("Clinical measures", _clinical(content.clinical)),
        _section("Wall thickness", _segments(content.segments)),
        _section("Volumes", _volumes(content.volumes)),
        _section("Heart beat", "".join(video_html(video, _text) for video in content.videos)),
        _section("Pictures", "".join(picture_html(picture, _text) for picture in content.pictures)),
        _section("Agreement with the reference", "".join(_metrics(table) for table in content.metrics)),
        _section("Regions", _regions(content.regions, content.regions_method)),
        _section("Input files", _inputs(content.inputs)),
        _section("Model", _lines(content.model_card)),
        _section("How the figures were made", _lines(content.provenance, code=True)),
        _section("Definitions", _lines(content.definitions)),
        _section("Please cite", _list(content.citations)),
        _section("Licences", _list(content.licences)),
    ]
    title = f"{_text(content.title)}: {_text(content.case)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>{title}, {_text(content.date)}. {_text(content.notice)}</footer>\n</body>\n</html>\n"
    )


def _header(content: ReportContent) -> str:
    return (
        f"<header>\n<h1>{_text(content.title)}</h1>\n"
        f'<dl class="meta"><div><dt>Case</dt><dd>{_text(content.case)}</dd></div>'
        f"<div><dt>Report of</dt><dd>{_text(content.date)}</dd></div></dl>\n</header>"
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    word = "Warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return f'<section class="warnings" aria-label="Warnings"><h2>&#9888; {word}</h2>{_list(warnings)}</section>'


def _headline(rows: Sequence[ClinicalRow]) -> str:
    """The measures that a reader looks for first, as large numbers."""
    cards = "".join(
        f'<div><dt>{_text(row.name)}</dt><dd>{_value(row)}<span class="unit">{_text(row.unit)}</span></dd></div>'
        for row in rows
        if row.headline and row.value is not None
    )
    return f'<dl class="headline" aria-label="Main results">{cards}</dl>' if cards else ""


def _clinical(rows: Sequence[ClinicalRow]) -> str:
    body = [
        [
            _row_header(row.name),
            _cell(_value(row) if row.value is not None else _NONE, number=True),
            _cell(_text(row.unit)),
            f'<td class="range">{_normal(row.normal)}</td>',
            _cell(_text(row.computed)),
        ]
        for row in rows
    ]
    return _table("", ["Measure", "#Value", "Unit", "Normal range", "How it was computed"], body)


def _normal(words: str) -> str:
    """Ranges with their verdicts, one a line; what lies outside stands out."""
    lines = []
    for part in words.split("; ") if words else []:
        span, _, verdict = part.partition(": ")
        shown = f'<span class="flag">{_text(verdict)}</span>' if verdict in ("below", "above") else _text(verdict)
        lines.append(f"{_text(span)}: {shown}" if verdict else _text(span))
    return "<br>".join(lines)


def _segments(rows: Sequence[SegmentRow]) -> str:
    """Wall thickness by segment."""
    body = [
        [
            _row_header(f"{row.number} {row.name}"),
            *(_cell(_number(value, 1), number=True) for value in (row.ed_mean_mm, row.ed_max_mm, row.es_mean_mm)),
            _cell(_number(row.thickening_pct, 0), number=True),
        ]
        for row in rows
    ]
    header = ["Segment", "#ED mean (mm)", "#ED largest (mm)", "#ES mean (mm)", "#Thickening (%)"]
    return _table("The 17 segments of the AHA; a dash where a segment is unknown.", header, body)


def _volumes(rows: Sequence[VolumeRow]) -> str:
    body = [
        [
            _row_header(row.structure),
            _cell(_text(row.frame)),
            _cell(_number(row.volume_ml, 1), number=True),
            _cell(_number(row.surface_ml, 1), number=True),
            _cell(_text(row.slices)),
        ]
        for row in rows
    ]
    header = ["Structure", "Frame", "#Volume (mL)", "#Inside the surface (mL)", "Slices"]
    return _table("Volume: voxels times voxel volume, slice gaps included (summation of discs).", header, body)


def _regions(rows: Sequence[RegionRow], method: str) -> str:
    body = [
        [
            _row_header(row.frame),
            _cell(_text(row.region)),
            _cell(_number(len(row.slices), 0), number=True),
            _cell(_text(", ".join(str(index) for index in row.slices)) or "none"),
        ]
        for row in rows
    ]
    told = f"Method: {method}. " if method else ""
    return _table(f"{told}Slice numbers count from 0, base first.", ["Frame", "Region", "#Number", "Slices"], body)


def _metrics(table: MetricsTable) -> str:
    """Agreement by structure and region; the rows of the whole structure stand out."""
    header = ["Structure", "Region", "#Dice", "#IoU", "#HD (mm)", "#HD95 (mm)", "#MAD (mm)"]
    header += ["#Volume (mL)", "#Reference (mL)", "Flag"]
    body, classes, before = [], [], None
    for row in table.rows:
        figures = ((row.dice, 3), (row.iou, 3), (row.hd_mm, 1), (row.hd95_mm, 1), (row.mad_mm, 2))
        figures += ((row.volume_pred_ml, 1), (row.volume_ref_ml, 1))
        body.append(
            [_row_header(row.structure), _cell(_text(row.region))]
            + [_cell(_number(value, digits), number=True) for value, digits in figures]
            + [_cell(f'<span class="flag">{_text(row.flag)}</span>' if row.flag else "")]
        )
        classes.append(" ".join(["first"] * (row.structure != before) + ["whole"] * (row.region == "all")))
        before = row.structure
    if not body:
        return ""
    flagged = sum(row.flag == "missing" for row in table.rows)
    caption = f"{len(table.rows)} comparisons, {flagged} with a structure missing in one of the two"
    caption += "; their distances are undefined and shown as a dash." if flagged else "."
    if table.regions_method:
        caption += f" Regions by {table.regions_method}."
    return f"<h3>{_text(table.title)}</h3>" + _table(caption, header, body, classes) + _lines(table.definitions)


def _inputs(files: Sequence[InputFile]) -> str:
    body = []
    for file in files:
        shape = " &times; ".join(str(size) for size in file.shape)
        known = file.spacing_mm is not None
        spacing = " &times; ".join(f"{size:.4g}" for size in file.spacing_mm or ())
        body.append(
            [
                _row_header(file.role),
                _cell(f"<code>{_text(file.name)}</code>"),
                _cell(shape),
                _cell(f"{spacing} mm" if known else '<span class="flag">unknown</span>'),
                _cell(_text(file.orientation)),
                _cell(f"<code>{_text(file.sha256)}</code>"),
            ]
        )
    header = ["Role", "File", "Voxels", "Spacing", "Orientation", "SHA-256"]
    return _table("Voxels and spacing in the order slice, row, column (frame first in a cine).", header, body)


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{body}\n</section>" if body else ""


def _table(caption: str, header: Sequence[str], body: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table of finished cells; a header that begins with # stands over numbers. Columns without content go."""
    if not body:
        return ""
    empty = [all(re.fullmatch(r"<td[^>]*>(<code></code>)?</td>", row[n]) for row in body) for n in range(len(header))]
    kept = [n for n in range(len(header)) if not empty[n]]
    columns = "".join(_column_header(header[n]) for n in kept)
    rows = []
    for number, row in enumerate(body):
        kind = f' class="{classes[number]}"' if classes and classes[number] else ""
        rows.append(f"<tr{kind}>{''.join(row[n] for n in kept)}</tr>")
    above = f"<caption>{_text(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{above}\n<thead><tr>{columns}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _lines(lines: Iterable[tuple[str, str]], *, code: bool = False) -> str:
    """Pairs of label and value; with `code`, values are set in a fixed pitch."""
    shown = []
    for label, value in lines:
        text = _text(value)
        shown.append(f"<dt>{_text(label)}</dt><dd>{f'<code>{text}</code>' if code else text}</dd>")
    return f'<dl class="lines">{"".join(shown)}</dl>' if shown else ""


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>" if items else ""


def _column_header(text: str) -> str:
    kind = ' class="number"' if text.startswith("#") else ""
    return f'<th scope="col"{kind}>{_text(text.removeprefix("#"))}</th>'


def _row_header(text: str) -> str:
    return f'<th scope="row">{_text(text)}</th>'


def _cell(content: str, *, number: bool = False) -> str:
    """A cell; `content` is HTML."""
    return f'<td class="number">{content}</td>' if number else f"<td>{content}</td>"


def _value(row: ClinicalRow) -> str:
    return _text(row.value) if isinstance(row.value, str) else _number(row.value, row.digits)


def _number(value: float | None, digits: int) -> str:
    """A number with fixed decimals; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return '<abbr title="not defined">&ndash;</abbr>'
    return f"{value:.{digits}f}".replace("-", "&minus;")


def _text(value: str) -> str:
    """Text as HTML shows it literally."""
    return html.escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True)
