"""The files of a study under the names that the command line and Slicer share: labels, surfaces, tables, pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..anatomy import ACDC, LabelScheme, Structure
from ..io import write_segmentation
from ..measures.clinical_rows import clinical_csv
from ..measures.comparison import MetricRow, columns
from ..meshes import write_surfaces
from ..regions import write_regions
from ..segmentation import Segmentation
from .results import PhaseResult, StudyPicture

Written = list[tuple[str, str]]
"""(path within the folder, what it is) of files that were written."""

REPORT = "report.html"
BUNDLE = "study.mrb"
CINE_LABELS = "_cine_seg.nii.gz"


@dataclass(frozen=True)
class PlannedPhase:
    """What must be known of a phase to say which files it will make."""

    name: str
    structures: tuple[Structure, ...]
    has_regions: bool = True
    has_reference: bool = False


def planned_files(
    case: str,
    phases: Iterable[PlannedPhase],
    *,
    labels: bool = False,
    tables: bool = False,
    meshes: str = "",
    report: bool = False,
    bundle: bool = False,
    cine: bool = False,
    videos: Iterable[str] = (),
) -> list[str]:
    """Paths within the folder of every file that an export may write, for the question before it.

    Args:
        case: name of the study, the stem of file names.
        phases: what is exported.
        labels: whether label files are wanted.
        tables: whether tables are wanted.
        meshes: suffix of the surfaces, empty for none.
        report: whether the report and its pictures are wanted.
        bundle: whether the scene bundle is wanted.
        cine: whether labels of all frames are written too.
        videos: names of the videos.
    """
    files: list[str] = list(videos)
    phases = list(phases)
    for phase in phases:
        stem = f"{case}_{phase.name}"
        if labels:
            files += [f"{stem}_seg.nii.gz", f"{stem}.seg.nrrd"]
        if meshes:
            files += [f"surfaces/{stem}_{structure}{meshes}" for structure in phase.structures]
        if tables and phase.has_regions:
            files.append(f"regions_{phase.name.lower()}.csv")
        if report:
            pictures = ["montage", "surfaces"]
            pictures += ["comparison", "difference", "dice_curve"] if phase.has_reference else []
            files += [f"pictures/{picture}_{phase.name.lower()}.png" for picture in pictures]
    if labels and cine:
        files.append(f"{case}{CINE_LABELS}")
    if tables:
        files += ["clinical.json", "clinical.csv"]
        files += ["metrics.csv"] if any(phase.has_reference for phase in phases) else []
        files += ["volumes.csv"] if cine else []
    if report:
        files += [REPORT, "pictures/volumes.png"] + (["pictures/volume_curve.png"] if cine else [])
        files += ["pictures/wall_thickness.png"] if any(phase.has_regions for phase in phases) else []
    return [*files, BUNDLE] if bundle else files


def write_labels(case: str, phase: PhaseResult, folder: Path, scheme: LabelScheme = ACDC) -> Written:
    """Labels of one phase as NIfTI with the numbers of `scheme` and as a Slicer segmentation.

    Raises:
        InputError: a structure has no number in `scheme`, or the disk refused.
    """
    stem = f"{case}_{phase.phase}"
    write_segmentation(phase.segmentation, folder / f"{stem}_seg.nii.gz", scheme)
    write_segmentation(phase.segmentation, folder / f"{stem}.seg.nrrd")
    numbers = {ACDC.name: "ACDC numbers"}.get(scheme.name, f"numbers of scheme {scheme.name}")
    return [
        (f"{stem}_seg.nii.gz", f"labels at {phase.phase}, {numbers}, in the image's grid"),
        (f"{stem}.seg.nrrd", f"the same for 3D Slicer at {phase.phase}: names, colours, terminology"),
    ]


def write_cine_labels(case: str, cine: Segmentation, folder: Path, scheme: LabelScheme = ACDC) -> Written:
    """Labels of every frame in one NIfTI; frames that nobody labelled are empty there."""
    path = f"{case}{CINE_LABELS}"
    write_segmentation(cine, folder / path, scheme)
    return [(path, "labels of every frame")]


def write_phase_surfaces(case: str, phase: PhaseResult, folder: Path, suffix: str = ".stl") -> Written:
    """Closed surfaces of one phase, a file for each structure."""
    paths = write_surfaces(phase.surfaces, folder / "surfaces", f"{case}_{phase.phase}", suffix)
    return [(f"surfaces/{path.name}", f"closed surface at {phase.phase}") for path in paths]


def write_tables(phases: Mapping[str, PhaseResult], clinical: Mapping[str, Any], folder: Path) -> Written:
    """Regions, metrics and clinical measures as CSV and JSON."""
    files: Written = []
    for name, phase in phases.items():
        if phase.regions is not None:
            path = f"regions_{name.lower()}.csv"
            write_regions(phase.regions, folder / path)
            files.append((path, f"base, middle, apex at {name}"))
    rows = [(name, row) for name, phase in phases.items() for row in phase.rows]
    if rows:
        names = columns(MetricRow)
        with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*names, "phase"])
            for phase_name, row in rows:
                writer.writerow([*(getattr(row, name) for name in names), phase_name])
        files.append(("metrics.csv", "agreement with the reference by structure and region"))
    text = json.dumps(clinical, indent=2, allow_nan=False) + "\n"
    (folder / "clinical.json").write_text(text, encoding="utf-8")
    (folder / "clinical.csv").write_text(clinical_csv(clinical), encoding="utf-8")
    files.append(("clinical.json", "volumes, ejection fraction, mass"))
    files.append(("clinical.csv", "the same as a table"))
    return files


def write_volumes(
    volumes: Mapping[Structure, Sequence[float | None]], times: Sequence[float] | None, folder: Path
) -> Written:
    """Volume of each structure in every frame of a cine as CSV; empty where a frame is not labelled."""
    with (folder / "volumes.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["frame", "time_s", *(f"{structure.lower()}_ml" for structure in volumes)])
        for frame, values in enumerate(zip(*volumes.values(), strict=True)):
            time = "" if times is None else repr(float(times[frame]))
            writer.writerow([frame, time, *("" if value is None else repr(float(value)) for value in values)])
    return [("volumes.csv", "volume of each structure in every labelled frame")]


def write_pictures(pictures: Sequence[StudyPicture], folder: Path) -> Written:
    """The report's pictures as files too."""
    (folder / "pictures").mkdir(exist_ok=True)
    for picture in pictures:
        (folder / "pictures" / picture.file).write_bytes(picture.png)
    return [(f"pictures/{picture.file}", picture.title) for picture in pictures]
