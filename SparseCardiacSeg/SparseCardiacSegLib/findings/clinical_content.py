"""The clinical part of a report: measures with their normal ranges, the wall by segment, and what all of it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..measures.clinical_rows import clinical_figures, readable_unit
from ..report import ClinicalRow, SegmentRow


def clinical_rows(clinical: Mapping[str, Any]) -> list[ClinicalRow]:
    """The clinical table; a figure that does not exist is left empty, not out.

    Args:
        clinical: what `measures.clinical.clinical_measures` returned.
    """
    rows = []
    for one in clinical_figures(clinical):
        how = ", ".join(part for part in (one.measured_on, one.method) if part)
        unit = readable_unit(one.unit)
        rows.append(ClinicalRow(one.name, one.value, unit, how, one.digits, one.headline, one.normal))
        if one.index is not None:
            how, unit = "by body surface area (Mosteller)", readable_unit(one.index_unit)
            rows.append(ClinicalRow(f"{one.name} index", one.index, unit, how, one.digits, normal=one.index_normal))
        if one.grade and one.part == "la":
            rows.append(ClinicalRow(f"{one.name} index, grade", one.grade, "", "limits made for echocardiography"))
        elif one.grade:
            how = "class of heart failure by ejection fraction (ESC 2021); says nothing without symptoms and signs"
            rows.append(ClinicalRow(f"{one.name}, class", clinical["lv"]["ef_class"].replace("<=", "≤"), "", how))
    return rows


def segment_rows(clinical: Mapping[str, Any]) -> list[SegmentRow]:
    """Wall thickness of the 17 segments; none where it was not measured."""
    walls = clinical.get("wall_thickness")
    if walls is None or (walls["ed"] is None and walls["es"] is None):
        return []

    def at(phase: str, figure: str, number: str) -> float | None:
        return None if walls[phase] is None else walls[phase][figure][number]

    return [
        SegmentRow(
            number=int(number),
            name=name,
            ed_mean_mm=at("ed", "mean_mm", number),
            ed_max_mm=at("ed", "max_mm", number),
            es_mean_mm=at("es", "mean_mm", number),
            thickening_pct=None if walls["thickening_pct"] is None else walls["thickening_pct"][number],
        )
        for number, name in walls["segments"].items()
    ]


def clinical_definitions(clinical: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Conventions and sources behind the clinical figures that are there."""
    conventions = clinical["conventions"]
    lines = [("papillary muscles", conventions["papillary_muscles"])]
    sources = {
        record["source"]: None
        for measures in clinical["normal_ranges"].values()
        for records in measures.values()
        for record in records
        if record["verdict"] is not None
    }
    if sources:
        lines.append(("normal ranges", f"{conventions['normal_ranges']}. {'; '.join(sources)}."))
    if clinical["rv"]["edv_ml"] is not None or clinical["rv"]["esv_ml"] is not None:
        lines.append(("right ventricle", conventions["rv"]))
    if clinical["lv"]["ef_pct"] is not None:
        lines.append(("class of ejection fraction", conventions["ef_class"]))
    if clinical["wall_thickness"] is not None:
        lines.append(("wall thickness", clinical["wall_thickness"]["method"]))
    if clinical["volume_curve"] is not None:
        lines.append(("ejection and filling rates", clinical["volume_curve"]["method"]))
    return lines
