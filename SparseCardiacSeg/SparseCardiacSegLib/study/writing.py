"""Everything a study leaves behind, written into one folder."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..anatomy import ACDC
from ..io import write_segmentation
from ..measures.comparison import MetricRow, columns
from ..meshes import write_surfaces
from ..progress import Progress, no_progress, part_of
from ..regions import write_regions
from ..report import write_report
from .bundle import write_study_bundle
from .content import report_content
from .pictures import StudyPicture, draw_study
from .results import PhaseResult, StudyResult
from .summary import build_summary

Written = list[tuple[str, str]]


def write_outputs(
    result: StudyResult, folder: Path, command: Sequence[str], progress: Progress = no_progress
) -> dict[str, Any]:
    """Write labels, tables, surfaces, pictures, the Slicer bundle, the report and `summary.json` into `folder`.

    Returns:
        The content of `summary.json`.
    """
    files: Written = []
    for phase in result.phases.values():
        files += _write_phase(result.name, phase, folder)
    files += _write_tables(result, folder)
    pictures, undrawn = draw_study(result, part_of(progress, 0.0, 0.4))
    progress(0.45, "writing the study for 3D Slicer")
    bundle, rendered, warnings = write_study_bundle(result, folder)
    files += bundle
    if rendered is not None:
        pictures.insert(0, rendered)
    result = dataclasses.replace(result, warnings=(*result.warnings, *undrawn, *warnings))
    files += _write_pictures(pictures, folder)
    progress(0.9, "writing the report")
    write_report(folder / "report.html", report_content(result, pictures, command))
    files.append(("report.html", "report that stands alone"))
    summary = build_summary(result, [*files, ("summary.json", "this file")])
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
    progress(1.0, "done")
    return summary


def _write_phase(case: str, phase: PhaseResult, folder: Path) -> Written:
    """Labels, raw labels and surfaces of one phase."""
    stem = f"{case}_{phase.phase}"
    segmentation = phase.segmentation
    write_segmentation(segmentation, folder / f"{stem}_seg.nii.gz", ACDC)
    write_segmentation(segmentation, folder / f"{stem}.seg.nrrd")
    (folder / "raw").mkdir(exist_ok=True)
    write_segmentation(phase.raw, folder / "raw" / f"{stem}_seg.nii.gz", ACDC)
    surfaces = write_surfaces(phase.surfaces, folder / "surfaces", stem, ".stl")
    return [
        (f"{stem}_seg.nii.gz", f"labels at {phase.phase}, ACDC numbers, in the image's grid"),
        (f"{stem}.seg.nrrd", f"the same for 3D Slicer at {phase.phase}: names, colours, terminology"),
        (f"raw/{stem}_seg.nii.gz", f"the network's labels at {phase.phase} before post-processing"),
        *((f"surfaces/{path.name}", f"closed surface at {phase.phase}") for path in surfaces),
    ]


def _write_tables(result: StudyResult, folder: Path) -> Written:
    """Regions, metrics and clinical measures as CSV and JSON."""
    files: Written = []
    for name, phase in result.phases.items():
        path = f"regions_{name.lower()}.csv"
        write_regions(phase.regions, folder / path)
        files.append((path, f"base, middle, apex at {name}"))
    rows = [(name, row) for name, phase in result.phases.items() for row in phase.rows]
    if rows:
        names = columns(MetricRow)
        with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*names, "phase"])
            for phase_name, row in rows:
                writer.writerow([*(getattr(row, name) for name in names), phase_name])
        files.append(("metrics.csv", "agreement with the reference by structure and region"))
    text = json.dumps(result.clinical, indent=2, allow_nan=False) + "\n"
    (folder / "clinical.json").write_text(text, encoding="utf-8")
    files.append(("clinical.json", "volumes, ejection fraction, mass"))
    return files


def _write_pictures(pictures: list[StudyPicture], folder: Path) -> Written:
    """The report's pictures as files too."""
    (folder / "pictures").mkdir(exist_ok=True)
    for picture in pictures:
        (folder / "pictures" / picture.file).write_bytes(picture.png)
    return [(f"pictures/{picture.file}", picture.title) for picture in pictures]
