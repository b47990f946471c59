"""Accuracy of a model on one split of a data set, as the model card's tables.

    python Testing/benchmarks/accuracy.py DATASET --split val --out DIR [--model sax-acdc-24] [--no-mirroring]

DATASET holds `<patient>_frameNN.nii.gz`, `<patient>_frameNN_gt.nii.gz` (ACDC numbers) and `cases.csv` with the columns
patient, split, ed_frame, es_frame. Prints Markdown: mean (SD) by structure, frame and region, `voxel` surfaces.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.cli import main as run_command

STRUCTURES = ("RV", "MYO", "LV")
REGIONS = ("all", "base", "middle", "apex")
FIGURES = ("dice", "hd_mm", "hd95_mm", "mad_mm")


def images_by_phase(dataset: Path, split: str) -> dict[str, list[Path]]:
    """The split's images at ED and ES."""
    phases: dict[str, list[Path]] = {"ED": [], "ES": []}
    with (dataset / "cases.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["split"] == split:
                for phase in phases:
                    number = int(row[f"{phase.lower()}_frame"])
                    phases[phase].append(dataset / f"{row['patient']}_frame{number:02d}.nii.gz")
    return phases


def mean_sd(values: list[float], digits: int) -> str:
    """`mean (SD)` of the values that are numbers, with the count of those that are not."""
    numbers = [value for value in values if value == value]
    missing = len(values) - len(numbers)
    text = (
        f"{statistics.mean(numbers):.{digits}f} ({statistics.stdev(numbers):.{digits}f})" if len(numbers) > 1 else "-"
    )
    return text + (f" [{missing} missing]" if missing else "")


def main() -> int:
    """Segment, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--out", type=Path, required=True)
    options, model_options = parser.parse_known_args()
    rows: list[dict[str, str]] = []
    for phase, images in images_by_phase(options.dataset, options.split).items():
        folder = options.out / phase
        code = run_command(["segment", *map(str, images), "--out", str(folder / "labels"), *model_options])
        references = folder / "references"
        references.mkdir(parents=True, exist_ok=True)
        for image in images:
            name = image.name.removesuffix(".nii.gz") + "_gt.nii.gz"
            shutil.copyfile(options.dataset / name, references / name)
        command = ["evaluate", str(folder / "labels"), str(references), "--scheme", "acdc", "--out", str(folder)]
        if code or run_command(command):
            return 2
        with (folder / "metrics.csv").open(newline="", encoding="utf-8") as stream:
            rows += [{**row, "phase": phase} for row in csv.DictReader(stream)]
    values: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        for figure in FIGURES:
            number = float(row[figure]) if row[figure] else float("nan")
            values[row["phase"], row["structure"], row["region"], figure].append(number)
    lines = [
        "| frame | structure | region | n | Dice | HD mm | HD95 mm | MAD mm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for phase in ("ED", "ES"):
        for structure in STRUCTURES:
            for region in REGIONS:
                cells = [
                    mean_sd(values[phase, structure, region, figure], 3 if figure == "dice" else 2)
                    for figure in FIGURES
                ]
                count = len(values[phase, structure, region, "dice"])
                lines.append(f"| {phase} | {structure} | {region} | {count} | " + " | ".join(cells) + " |")
    overall = {
        structure: statistics.mean(values["ED", structure, "all", "dice"] + values["ES", structure, "all", "dice"])
        for structure in STRUCTURES
    }
    lines.append("")
    by_structure = ", ".join(f"{structure} {value:.4f}" for structure, value in overall.items())
    lines.append(f"Mean Dice over both frames: {statistics.mean(overall.values()):.4f} ({by_structure})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
