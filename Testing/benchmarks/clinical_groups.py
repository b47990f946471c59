"""Clinical figures of manual labels by diagnosis: do the groups differ as they are defined?

    python Testing/benchmarks/clinical_groups.py DATASET [--csv FILE]

DATASET holds `<patient>_frameNN_gt.nii.gz` (ACDC numbers) and `cases.csv` with the columns patient, group, ed_frame,
es_frame, height_cm, weight_kg and, to compare with, lv_ed_ml, lv_es_ml, rv_ed_ml, rv_es_ml, lv_mass_ed_g. Prints
Markdown: mean (SD) by group, and the largest difference from the table's own volumes.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.measures.clinical import clinical_measures

FIGURES = {
    "ef_pct": ("LVEF %", 0),
    "edv_index_ml_m2": ("LVEDVi mL/m2", 0),
    "mass_index_g_m2": ("mass index g/m2", 0),
    "rv_ef_pct": ("RVEF %", 0),
    "rv_edv_index_ml_m2": ("RVEDVi mL/m2", 0),
    "mean_mm": ("mean wall mm", 1),
    "segment_mm": ("thickest segment mm", 1),
    "max_mm": ("largest thickness mm", 1),
    "thickening_pct": ("thickening %", 0),
}
TOLD = {
    "lv_ed_ml": "edv_ml",
    "lv_es_ml": "esv_ml",
    "rv_ed_ml": "edv_ml",
    "rv_es_ml": "esv_ml",
    "lv_mass_ed_g": "mass_g",
}


def measured(dataset: Path) -> list[dict[str, Any]]:
    """One row a patient: group, figures, and the largest difference from the volumes in cases.csv."""
    rows = []
    with (dataset / "cases.csv").open(newline="", encoding="utf-8") as stream:
        for case in csv.DictReader(stream):
            ed, es = (
                read_segmentation(dataset / f"{case['patient']}_frame{int(case[key]):02d}_gt.nii.gz", ACDC)
                for key in ("ed_frame", "es_frame")
            )
            found = clinical_measures(ed, es, None, float(case["height_cm"]), float(case["weight_kg"]), wall=True)
            walls = found["wall_thickness"]
            rows.append(
                {
                    "patient": case["patient"],
                    "group": case["group"],
                    **{key: found["lv"][key] for key in ("ef_pct", "edv_index_ml_m2", "mass_index_g_m2")},
                    **{f"rv_{key}": found["rv"][key] for key in ("ef_pct", "edv_index_ml_m2")},
                    "mean_mm": walls["ed"]["global_mean_mm"],
                    "segment_mm": walls["ed"]["thickest_segment_mm"],
                    "max_mm": walls["ed"]["global_max_mm"],
                    "thickening_pct": walls["global_thickening_pct"],
                    "difference": max(
                        abs(found[column[:2]][key] - float(case[column])) for column, key in TOLD.items()
                    ),
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Mean (SD) of every figure by group, as Markdown."""
    lines = [
        f"| group | n | {' | '.join(title for title, _ in FIGURES.values())} |",
        "|---" * (len(FIGURES) + 2) + "|",
    ]
    for group in sorted({row["group"] for row in rows}):
        held = [row for row in rows if row["group"] == group]
        cells = []
        for key, (_, digits) in FIGURES.items():
            values = [row[key] for row in held if row[key] is not None]
            cells.append(f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values):.{digits}f})")
        lines.append(f"| {group} | {len(held)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--csv", type=Path, help="the figures of every patient")
    options = parser.parse_args()
    rows = measured(options.dataset)
    sys.stdout.write(table(rows) + "\n\n")
    worst = max(rows, key=lambda row: row["difference"])
    sys.stdout.write(f"largest difference from cases.csv: {worst['difference']:.3f} mL or g ({worst['patient']})\n")
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
