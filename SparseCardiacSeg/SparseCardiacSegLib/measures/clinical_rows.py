"""The clinical measures as rows to read: names, units, what each was measured on; and as a flat table for files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .clinical_extras import curve_rows, extra_values, wall_rows
from .normal_ranges import range_text

COLUMNS = ("structure", "measure", "value", "unit", "text")
"""Columns of `flat_rows`."""


@dataclass(frozen=True)
class ClinicalFigure:
    """One measure with its name and origin.

    Attributes:
        part: "lv", "rv", "la", "wall", "curve" or "" (the body).
        key: its key in `clinical_measures`.
        name: such as "LV ejection fraction".
        value: the number, or None where it is unknown.
        unit: such as "mL".
        index: the value divided by the body surface area, where that is known.
        index_unit: such as "mL/m2"; empty for a measure that is not indexed.
        measured_on: frame and slices; empty for what is computed from other rows.
        method: how it was computed.
        headline: whether it is one of the figures that a reader looks for first.
        digits: decimals to show.
        grade: what the value means in words, with the guideline's year: the left atrium's size, the class of the EF.
        normal: normal range of the value with the verdict in words, such as "48 to 68 (men): within"; of both sexes
            while the sex is unknown; empty where no range is known.
        index_normal: the same of the index.
    """

    part: str
    key: str
    name: str
    value: float | None
    unit: str
    index: float | None
    index_unit: str
    measured_on: str
    method: str
    headline: bool
    digits: int
    grade: str = ""
    normal: str = ""
    index_normal: str = ""


_DISCS = "sum of discs"
_VENTRICLE = (
    ("edv_ml", "end-diastolic volume", "mL", "edv_index_ml_m2", "mL/m2"),
    ("esv_ml", "end-systolic volume", "mL", "esv_index_ml_m2", "mL/m2"),
    ("sv_ml", "stroke volume", "mL", "sv_index_ml_m2", "mL/m2"),
    ("ef_pct", "ejection fraction", "%", "", ""),
    ("co_l_min", "cardiac output", "L/min", "", ""),
)
_HEADLINES = {("lv", "edv_ml"), ("lv", "esv_ml"), ("lv", "ef_pct"), ("lv", "mass_g"), ("la", "volume_ml")}


def clinical_figures(measures: Mapping[str, Any]) -> list[ClinicalFigure]:
    """The rows of a results table, in reading order; figures that are unknown are there with value None.

    Args:
        measures: what `clinical_measures` returned. The left atrium is left out where it was not given, the
            ventricles where neither ED nor ES was.
    """
    rows: list[ClinicalFigure] = []
    given = measures["inputs"]
    if given["ed"] is not None or given["es"] is not None:
        for part in ("lv", "rv"):
            told = [row for row in _VENTRICLE if row[0] != "co_l_min" or given["heart_rate_per_min"] is not None]
            rows += [_ventricle_row(measures, part, *row) for row in told]
            if part == "lv":
                where = _slices(measures, "ed", "MYO")
                how = f"MYO, {_DISCS}, x 1.05 g/mL"
                rows.append(_row(measures, "lv", "mass_g", "LV mass", "g", "mass_index_g_m2", "g/m2", where, how))
    rows += [_extra(*row) for row in (*wall_rows(measures), *curve_rows(measures))]
    if given["la"] is not None:
        where = _slices(measures, "la", "LA")
        rows.append(_row(measures, "la", "volume_ml", "LA volume", "mL", "index_ml_m2", "mL/m2", where, _DISCS))
    if measures["bsa_m2"] is not None:
        how = f"Mosteller 1987; {measures['bsa_dubois_m2']:.2f} m² by Du Bois 1916"
        bsa = measures["bsa_m2"]
        rows.append(ClinicalFigure("", "bsa_m2", "Body surface area", bsa, "m2", None, "", "", how, False, 2))
    return rows


def flat_rows(measures: Mapping[str, Any]) -> list[tuple[str, str, float | None, str, str]]:
    """Rows (structure, measure, value, unit, text): every known figure, grades as text, and warnings at the end."""
    rows: list[tuple[str, str, float | None, str, str]] = []
    units = measures.get("units", {})
    for part in ("lv", "rv", "la"):
        for key, value in (measures.get(part) or {}).items():
            if isinstance(value, str):
                rows.append((part.upper(), key, None, "", value))
            elif value is not None:
                rows.append((part.upper(), key, float(value), units.get(key, ""), ""))
    rows += [(part, key, value, unit, "") for part, key, value, unit in extra_values(measures)]
    rows += [
        ("body", key, float(measures[key]), units.get(key, ""), "")
        for key in ("bsa_m2", "bsa_dubois_m2")
        if measures.get(key) is not None
    ]
    return rows + [("", "warning", None, "", str(text)) for text in measures.get("warnings", ())]


def readable_unit(unit: str) -> str:
    """A unit with its superscript, for people; files keep "m2"."""
    return unit.replace("m2", "m²")


def clinical_csv(measures: Mapping[str, Any]) -> str:
    """`flat_rows` as CSV, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for structure, measure, value, unit, words in flat_rows(measures):
        writer.writerow([structure, measure, "" if value is None else repr(value), unit, words])
    return text.getvalue()


def _ventricle_row(
    measures: Mapping[str, Any], part: str, key: str, name: str, unit: str, index_key: str, index_unit: str
) -> ClinicalFigure:
    structure = part.upper()
    where = {"edv_ml": _slices(measures, "ed", structure), "esv_ml": _slices(measures, "es", structure)}.get(key, "")
    how = {
        "sv_ml": "EDV minus ESV",
        "ef_pct": "stroke volume / EDV",
        "co_l_min": "stroke volume x heart rate",
    }.get(key, _DISCS)
    return _row(measures, part, key, f"{structure} {name}", unit, index_key, index_unit, where, how)


def _row(
    measures: Mapping[str, Any],
    part: str,
    key: str,
    name: str,
    unit: str,
    index_key: str,
    index_unit: str,
    where: str,
    how: str,
) -> ClinicalFigure:
    found = measures[part]
    grades = [f"{found[f'grade_{year}']} (ASE/EACVI {year})" for year in (2015, 2005) if found.get(f"grade_{year}")]
    if key == "ef_pct" and found.get("ef_class"):
        grades.append(f"{found['ef_class']}, class by ESC 2021")
    ranges = measures.get("normal_ranges", {}).get(part, {})
    return ClinicalFigure(
        part=part,
        key=key,
        name=name,
        value=found[key],
        unit=unit,
        index=found[index_key] if index_key else None,
        index_unit=index_unit,
        measured_on=where,
        method=how,
        headline=(part, key) in _HEADLINES,
        digits=1,
        grade="; ".join(grades),
        normal=range_text(ranges.get(key)),
        index_normal=range_text(ranges.get(index_key)),
    )


def _extra(key: str, name: str, value: float | None, unit: str, where: str, how: str, normal: str) -> ClinicalFigure:
    """A row of wall thickness or of the volume curve."""
    part = "wall" if key.startswith("wall") else "curve"
    digits = 0 if unit == "ms" else 2 if unit == "EDV/s" else 1
    return ClinicalFigure(part, key, name, value, unit, None, "", where, how, False, digits, "", normal)


def _slices(measures: Mapping[str, Any], phase: str, structure: str) -> str:
    """Frame and slices in which a structure was measured, in words."""
    given = measures["inputs"][phase]
    name = phase.upper()
    if given is None:
        return f"no {name} frame given"
    where = name if given["frame"] is None else f"{name} (frame {given['frame']})"
    held = given["slices"].get(structure, [])
    if not held:
        return f"not labelled at {where}"
    counted = f"slice {held[0]}" if len(held) == 1 else f"slices {held[0]} to {held[-1]}"
    return f"{where}, {counted}" if phase != "la" else counted
