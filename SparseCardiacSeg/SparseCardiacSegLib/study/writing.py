"""Everything a study leaves behind, written into one folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..anatomy import ACDC
from ..findings.content import report_content
from ..findings.files import REPORT, Written, write_labels, write_phase_surfaces, write_pictures, write_tables
from ..findings.pictures import draw_study
from ..findings.results import PhaseResult, StudyResult
from ..io import write_segmentation
from ..progress import Progress, no_progress, part_of
from ..report import write_report
from .bundle import write_study_bundle
from .summary import build_summary


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
    files += write_tables(result.phases, result.clinical, folder)
    pictures, undrawn = draw_study(result, part_of(progress, 0.0, 0.4))
    progress(0.45, "writing the study for 3D Slicer")
    bundle, rendered, warnings = write_study_bundle(result, folder)
    files += bundle
    if rendered is not None:
        pictures.insert(0, rendered)
    result = dataclasses.replace(result, warnings=(*result.warnings, *undrawn, *warnings))
    files += write_pictures(pictures, folder)
    progress(0.9, "writing the report")
    write_report(folder / REPORT, report_content(result, pictures, command))
    files.append((REPORT, "report that stands alone"))
    summary = build_summary(result, [*files, ("summary.json", "this file")])
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
    progress(1.0, "done")
    return summary


def _write_phase(case: str, phase: PhaseResult, folder: Path) -> Written:
    """Labels, raw labels and surfaces of one phase."""
    files = write_labels(case, phase, folder)
    if phase.raw is not None:
        path = f"raw/{case}_{phase.phase}_seg.nii.gz"
        (folder / "raw").mkdir(exist_ok=True)
        write_segmentation(phase.raw, folder / path, ACDC)
        files.append((path, f"the network's labels at {phase.phase} before post-processing"))
    return files + write_phase_surfaces(case, phase, folder)
