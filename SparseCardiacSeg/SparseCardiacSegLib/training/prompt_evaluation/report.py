"""The files of an evaluation: every row, the tables in the thesis's form, and a summary for programs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ...anatomy import Structure
from .aggregates import ALL, DISTANCES, METRICS, Aggregate, aggregate
from .conditions import HEADLINES, Condition, conditions_for
from .scoring import PromptRow, Timing
from .slices import REGIONS_METHOD

SCHEMA = "sparsecardiacseg.prompt_evaluation"
SCHEMA_VERSION = 1

DEFINITION_TEXTS = {
    "slices": "those whose reference holds all of the structures; prompts are drawn from the reference",
    "dice": "2 |P and R| / (|P| + |R|) of one structure on one slice; an empty prediction 0",
    "hd_mm": "Hausdorff distance of the contours within the slice: the larger of the two directed maxima, mm",
    "hd95_mm": 'the larger of the two directed 95th percentiles, mm (what Stein, TUM 2023, calls "HD")',
    "mad_mm": "mean of the two directed mean distances, mm",
    "surface": "pixels with a background neighbour by an edge, outside of the slice is background",
    "mean": "over slices, structures and runs; distances without those of missing structures",
    "sd_slices": "standard deviation over slices, structures and runs",
    "sd_runs": "standard deviation of the runs' means",
    "with_diagonal": "the slice's diagonal stands for the distance of a missing structure",
    "box": "extreme pixels of the structure plus the margin",
    "negative": "points of each of the other structures on the slice ('total': of all together)",
    "shared": "all positive points of the other structures are negative ones too; elsewhere only those drawn",
    "clicks": "a first point or box, then points in the middle of each structure's largest error, negatives shared",
    "regions": f"{REGIONS_METHOD} of the slices that hold a label, by the reference",
}


def summarise(
    rows: Sequence[PromptRow],
    conditions: Sequence[Condition],
    about: Mapping[str, Any],
    warnings: Sequence[str],
    timing: Timing,
    seconds: float,
) -> dict[str, Any]:
    """The content of summary.json.

    Args:
        rows: all rows.
        conditions: what was measured.
        about: model, data, settings and counts.
        warnings: about the data.
        timing: of all processes together.
        seconds: from start to end, this time.
    """
    headlines, _ = conditions_for(HEADLINES, [Structure(name) for name in about["structures"]], about["myocardium"])
    measured = {aggregated.condition: aggregated for aggregated in aggregate(rows, by_structure_and_region=False)}
    return {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        **about,
        "regions_method": REGIONS_METHOD,
        "surface_definition": "voxel",
        "headlines": {one.name: _brief(measured[one.name]) for one in headlines if one.name in measured},
        "conditions": [
            {"name": name, **asdict(condition), "in_grid": condition.in_grid, "result": asdict(measured[name])}
            for condition in conditions
            for name in condition.measured
        ],
        "timing": {
            **asdict(timing),
            "encode_ms_a_slice": _ms(timing.encode, timing.encoded),
            "decode_ms_a_mask": _ms(timing.decode, timing.decoded),
            "measure_ms_a_mask": _ms(timing.measure, len(rows)),
            "seconds": seconds,
        },
        "warnings": list(warnings),
        "definitions": DEFINITION_TEXTS,
    }


def write_report(folder: Path, rows: Sequence[PromptRow], summary: Mapping[str, Any]) -> None:
    """Write prompts.csv, table.csv, table.md, by_structure_and_region.csv and summary.json into `folder`."""
    _write_csv(folder / "prompts.csv", [item.name for item in fields(PromptRow)], (asdict(row) for row in rows))
    parts = aggregate(rows, by_structure_and_region=True)
    for name, own in (("table.csv", _whole(parts)), ("by_structure_and_region.csv", parts)):
        lines = [_flat(one) for one in own]
        _write_csv(folder / name, list(lines[0]), lines)
    (folder / "table.md").write_text(_markdown(parts, summary), encoding="utf-8")
    text = json.dumps(_without_nan(summary), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _whole(parts: Iterable[Aggregate]) -> list[Aggregate]:
    return [one for one in parts if (one.structure, one.region) == (ALL, ALL)]


def _markdown(parts: Sequence[Aggregate], summary: Mapping[str, Any]) -> str:
    """The grid and the other conditions as in tables 5.7 and 5.8, then each headline by structure and region."""
    grid = {entry["name"] for entry in summary["conditions"] if entry["in_grid"]}
    whole = _whole(parts)
    n_runs = len(summary["seeds"])
    lines = [
        f"# {summary.get('model', 'Model')} with simulated prompts",
        "",
        f"{summary['n_slices']} slices of {summary['n_cases']} cases that hold {', '.join(summary['structures'])}, "
        f"{n_runs} run{'s' * (n_runs != 1)}. Mean ± SD over slices and structures; in brackets the SD of the runs' "
        "means. Distances within the slice, in mm, without missing structures, whose number is given; `*` counts the "
        'slice\'s diagonal for them. HD95 is what Stein (TUM, 2023) calls "HD". Positive and negative points are for '
        "each structure; negative ones are points of each of the others.",
        "",
    ]
    title = ("Box", "Positive", "Negative", "Dice", "HD", "HD95", "MAD", "Missing", "HD95*", "MAD*")
    lines += _table(
        title,
        [
            ("yes" if one.box else "no", f"{one.positive:g}", f"{one.negative:g}", *_cells(one))
            for one in whole
            if one.condition in grid
        ],
    )
    others = [one for one in whole if one.condition not in grid]
    if others:
        lines += ["## Other prompts", ""]
        lines += _table(("Condition", *title[3:]), [(f"`{one.condition}`", *_cells(one)) for one in others])
    for name in list(summary["headlines"]) or [whole[0].condition]:
        lines += [f"## `{name}` by structure and region ({summary['regions_method']})", ""]
        own = [one for one in parts if one.condition == name]
        lines += _table(("Structure", "Region", *title[3:]), [(one.structure, one.region, *_cells(one)) for one in own])
    return "\n".join(lines)


def _table(title: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    if not body:
        return []
    rows = [title, ["---"] * len(title), *body]
    return [*("| " + " | ".join(row) + " |" for row in rows), ""]


def _cells(one: Aggregate) -> tuple[str, ...]:
    cells = []
    for metric in METRICS:
        figure = one.figures[metric]
        digits = 3 if metric == "dice" else 2
        runs = "" if math.isnan(figure.sd_runs) else f" ({figure.sd_runs:.{digits}f})"
        cells.append(f"{_number(figure.mean, digits)} ± {_number(figure.sd_slices, digits)}{runs}")
    cells.append(f"{one.n_missing} of {one.n}")
    cells += [_number(one.figures[metric].mean_with_diagonal, 2) for metric in ("hd95_mm", "mad_mm")]
    return tuple(cells)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _brief(one: Aggregate) -> dict[str, Any]:
    """The mean of every metric, and how many structures are missing."""
    return {"n": one.n, "n_missing": one.n_missing, **{name: one.figures[name].mean for name in METRICS}}


def _flat(one: Aggregate) -> dict[str, Any]:
    """An aggregate as one line of a table."""
    line: dict[str, Any] = {
        name: getattr(one, name)
        for name in ("condition", "structure", "region", "box", "positive", "negative", "n", "n_missing")
    }
    for metric in METRICS:
        figure = asdict(one.figures[metric])
        kept = figure if metric in DISTANCES else {name: figure[name] for name in ("mean", "sd_slices", "sd_runs")}
        line |= {f"{metric}_{name}": value for name, value in kept.items()}
    return line


def _write_csv(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _ms(seconds: float, count: int) -> float:
    return 1000 * seconds / count if count else math.nan


def _without_nan(value: Any) -> Any:
    """The same nested value with None in place of NaN, which JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
