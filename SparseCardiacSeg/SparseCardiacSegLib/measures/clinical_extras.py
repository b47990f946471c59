"""Wall thickness and volume curve as rows to read and as flat values for files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .normal_ranges import range_text

Row = tuple[str, str, float | None, str, str, str, str]
"""Key, name, value, unit, what it was measured on, method, normal range."""

_CHORDS = "centre-line chords within the slice"


def wall_rows(measures: Mapping[str, Any]) -> list[Row]:
    """Rows about the wall; none where its thickness was not wanted or could not be measured."""
    walls = measures.get("wall_thickness")
    if walls is None:
        return []
    ranges = measures["normal_ranges"].get("wall", {})
    rows: list[Row] = []
    for phase in ("ed", "es"):
        found = walls[phase]
        if found is None:
            continue
        where = f"{phase.upper()}, {_slices(found)}"
        rows.append(
            (
                f"wall_mean_{phase}",
                f"Wall thickness at {phase.upper()}, mean",
                found["global_mean_mm"],
                "mm",
                where,
                _CHORDS,
                "",
            )
        )
        if phase == "ed":
            number = found["thickest_segment"]
            name = "segments unknown" if number is None else f"{walls['segments'][str(number)]} (segment {number})"
            normal = range_text(ranges.get("thickest_segment_mm"))
            rows.append(
                (
                    "wall_thickest_segment_ed",
                    "Wall thickness at ED, thickest segment",
                    found["thickest_segment_mm"],
                    "mm",
                    f"{where}, {name}",
                    "mean of the segment",
                    normal,
                )
            )
            spot = f"ED, slice {found['max_slice']}"
            how = f"largest of all {_CHORDS}, about a third of a pixel too large on an even wall"
            rows.append(("wall_max_ed", "Wall thickness at ED, largest", found["global_max_mm"], "mm", spot, how, ""))
    if walls["global_thickening_pct"] is not None:
        how = "(ES - ED) / ED of the means"
        rows.append(
            ("wall_thickening", "Systolic wall thickening, mean", walls["global_thickening_pct"], "%", "", how, "")
        )
    return rows


def curve_rows(measures: Mapping[str, Any]) -> list[Row]:
    """Rows about the volume curve; rates that are unknown are there with value None."""
    curve = measures.get("volume_curve")
    if curve is None:
        return []
    where = f"{curve['frames']} frames, ED {curve['ed_frame']}, ES {curve['es_frame']}"
    how = f"Fourier series of {curve['harmonics']} harmonics" if curve["harmonics"] else "too few frames labelled"
    if curve["harmonics"] and curve["cycle_s"] is None:
        how = "frame times unknown"
    rows: list[Row] = []
    for name, key in (("ejection", "peak_ejection_rate"), ("filling", "peak_filling_rate")):
        for unit, suffix in (("mL/s", "ml_s"), ("EDV/s", "edv_s")):
            title = f"LV peak {name} rate" + (", by EDV" if unit == "EDV/s" else "")
            rows.append((f"{key}_{suffix}", title, curve[f"{key}_{suffix}"], unit, where, how, ""))
    milliseconds = None if curve["time_to_peak_filling_s"] is None else 1000 * curve["time_to_peak_filling_s"]
    title = "LV time from ES to peak filling"
    rows.append(("time_to_peak_filling_ms", title, milliseconds, "ms", where, how, ""))
    return rows


def extra_values(measures: Mapping[str, Any]) -> list[tuple[str, str, float, str]]:
    """(part, key, value, unit) of everything known of the wall, segment by segment, and of the curve."""
    found = [
        (part, row[0], float(row[2]), row[3])
        for part, rows in (("WALL", wall_rows(measures)), ("CURVE", curve_rows(measures)))
        for row in rows
        if row[2] is not None
    ]
    walls = measures.get("wall_thickness") or {}
    blocks = [
        (f"{figure}_{phase}", "mm", (walls.get(phase) or {}).get(f"{figure}_mm"))
        for phase in ("ed", "es")
        for figure in ("mean", "max")
    ]
    blocks.append(("thickening", "%", walls.get("thickening_pct")))
    for name, unit, values in blocks:
        found += [
            ("WALL", f"segment_{int(number):02d}_{name}", float(value), unit)
            for number, value in (values or {}).items()
            if value is not None
        ]
    return found


def _slices(found: Mapping[str, Any]) -> str:
    """The slices that were measured, in words."""
    indices = sorted(one["slice"] for one in found["slices"])
    return f"slice {indices[0]}" if len(indices) == 1 else f"slices {indices[0]} to {indices[-1]}"
