"""Accuracy of a left-atrium model on one split of a data set, as the model card's tables.

    python Testing/benchmarks/accuracy_la.py DATASET --split val --out DIR [--model la-lge-12] [options of `segment`]

DATASET holds `<case>.nii.gz`, `<case>_gt.nii.gz` (1 = left atrium) and `cases.csv` with the columns case, split. Prints
Markdown: Dice, surface distances (`voxel` surfaces) and volumes of each case, then mean (SD).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.anatomy import LEFT_ATRIUM, Structure
from SparseCardiacSegLib.cli import main as run_command
from SparseCardiacSegLib.io import read_segmentation

FIGURES = ("dice", "hd_mm", "hd95_mm", "mad_mm")
HEADINGS = ("case", "Dice", "HD mm", "HD95 mm", "MAD mm", "reference mL", "model mL", "error mL", "error %")


def cases_of(dataset: Path, split: str) -> list[str]:
    """The split's cases, in the table's order."""
    with (dataset / "cases.csv").open(newline="", encoding="utf-8") as stream:
        return [row["case"] for row in csv.DictReader(stream) if row["split"] == split]


def volume_of(path: Path) -> float:
    """Volume of the atrium in a label file, mL."""
    return read_segmentation(path, LEFT_ATRIUM).volume_ml(Structure.LA)


def main() -> int:
    """Segment, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="la-lge-12")
    options, more = parser.parse_known_args()
    cases = cases_of(options.dataset, options.split)
    if not cases:
        parser.error(f"no case of split '{options.split}' in {options.dataset / 'cases.csv'}")
    labels, references = options.out / "labels", options.out / "references"
    images = [str(options.dataset / f"{case}.nii.gz") for case in cases]
    if run_command(["segment", *images, "--model", options.model, "--out", str(labels), *more]):
        return 2
    references.mkdir(parents=True, exist_ok=True)
    for case in cases:
        shutil.copyfile(options.dataset / f"{case}_gt.nii.gz", references / f"{case}_gt.nii.gz")
    if run_command(["evaluate", str(labels), str(references), "--scheme", "la", "--out", str(options.out)]):
        return 2
    with (options.out / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        metrics = {row["case"]: row for row in csv.DictReader(stream) if row["region"] == "all"}
    table = []
    for case in cases:
        found, true = volume_of(labels / f"{case}_seg.nii.gz"), volume_of(references / f"{case}_gt.nii.gz")
        distances = [float(metrics[case][figure] or "nan") for figure in FIGURES]
        table.append([*distances, true, found, found - true, 100 * (found - true) / true])
    digits = (3, 2, 2, 2, 1, 1, 1, 1)
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for case, row in zip(cases, table, strict=True):
        cells = [f"{value:.{places}f}" for value, places in zip(row, digits, strict=True)]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    spread = [statistics.stdev(column) if len(cases) > 1 else float("nan") for column in zip(*table, strict=True)]
    means = [statistics.mean(column) for column in zip(*table, strict=True)]
    cells = [f"{mean:.{n}f} ({sd:.{n}f})" for mean, sd, n in zip(means, spread, digits, strict=True)]
    lines.append("| mean (SD) | " + " | ".join(cells) + " |")
    errors = [abs(row[6]) for row in table], [abs(row[7]) for row in table]
    lines.append("")
    lines.append(
        f"Mean Dice {means[0]:.4f} over {len(cases)} volumes; mean absolute volume error "
        f"{statistics.mean(errors[0]):.1f} mL, {statistics.mean(errors[1]):.1f} %"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
