"""The report's content from a study's results: every number with its unit and where it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .. import __version__
from ..anatomy import DESCRIPTIONS, Structure
from ..meshes import volume_ml
from ..regions import Region
from ..report import ClinicalRow, InputFile, MetricsRow, MetricsTable, Picture, RegionRow, ReportContent, VolumeRow
from .pictures import StudyPicture
from .results import PhaseResult, StudyResult, sha256
from .summary import DEFINITIONS

CITATIONS = (
    "Isensee F, Jaeger PF, Kohl SAA, Petersen J, Maier-Hein KH. nnU-Net: a self-configuring method for deep "
    "learning-based biomedical image segmentation. Nature Methods 18:203-211, 2021.",
    "Bernard O, Lalande A, Zotti C, Cervenansky F, et al. Deep Learning Techniques for Automatic MRI Cardiac "
    "Multi-structures Segmentation and Diagnosis: Is the Problem Solved? IEEE TMI 37(11):2514-2525, 2018.",
)

_CLINICAL = (
    ("lv", "edv_ml", "LV end-diastolic volume", "mL", "LV at ED: {LV ED}", True),
    ("lv", "esv_ml", "LV end-systolic volume", "mL", "LV at ES: {LV ES}", True),
    ("lv", "sv_ml", "LV stroke volume", "mL", "EDV minus ESV", False),
    ("lv", "ef_pct", "LV ejection fraction", "%", "SV / EDV", True),
    ("lv", "mass_g", "LV mass", "g", "MYO at ED ({MYO ED}) x 1.05 g/mL", True),
    ("rv", "edv_ml", "RV end-diastolic volume", "mL", "RV at ED: {RV ED}", False),
    ("rv", "esv_ml", "RV end-systolic volume", "mL", "RV at ES: {RV ES}", False),
    ("rv", "sv_ml", "RV stroke volume", "mL", "EDV minus ESV", False),
    ("rv", "ef_pct", "RV ejection fraction", "%", "SV / EDV", False),
)

_PLACE = re.compile(r"\{(\w+ \w+)\}")
"""`{LV ED}` in a row of `_CLINICAL` stands for the slices that hold the LV at ED."""


def report_content(result: StudyResult, pictures: Sequence[StudyPicture], command: Sequence[str]) -> ReportContent:
    """Fill the report's values.

    Args:
        result: what was found.
        pictures: in the order of the page.
        command: the command line's arguments, for provenance.
    """
    phases = result.phases
    return ReportContent(
        title="Cardiac MR segmentation, short axis",
        case=result.name,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        inputs=tuple(row for name, phase in phases.items() for row in _inputs(name, phase)),
        warnings=result.warnings,
        model_card=_card_lines(result.model),
        clinical=tuple(_clinical_rows(result)),
        volumes=tuple(row for name, phase in phases.items() for row in _volumes(name, phase)),
        regions=tuple(
            RegionRow(name, str(region), tuple(phase.regions.slices(region)))
            for name, phase in phases.items()
            for region in Region
        ),
        regions_method=next(iter(phases.values())).regions.method,
        metrics=tuple(_metrics(name, phase) for name, phase in phases.items() if phase.rows),
        pictures=tuple(Picture(one.png, one.title, one.caption) for one in pictures),
        provenance=(
            ("Software", f"SparseCardiacSeg {__version__}"),
            ("Model", f"{result.model['name']}, SHA-256 {result.model['sha256']}"),
            ("Command", "sparsecardiacseg " + " ".join(command) if command else "called as a library"),
            ("Prediction", _settings_line(result.settings["prediction"])),
            ("Post-processing", _settings_line(result.settings["postprocess"])),
            ("Time of the network", ", ".join(f"{name} {phase.seconds:.1f} s" for name, phase in phases.items())),
        ),
        definitions=(
            *tuple(DEFINITIONS.items()),
            ("papillary muscles", result.clinical["conventions"]["papillary_muscles"]),
        ),
        citations=CITATIONS,
        licences=tuple(line for line in (_licence_line(result.model), result.attribution) if line),
    )


def _inputs(name: str, phase: PhaseResult) -> list[InputFile]:
    """The image and reference of one phase."""
    grid = phase.image
    files = [(f"{name} image", phase.image_path)]
    if phase.reference_path is not None:
        files.append((f"{name} reference", phase.reference_path))
    order = "slices run base to apex" if phase.regions.base_first else "slices run apex to base"
    axes = grid.ijk_to_ras[:3, :3] / np.linalg.norm(grid.ijk_to_ras[:3, :3], axis=0)
    oblique = "" if np.isclose(np.abs(axes).max(axis=0), 1.0).all() else "oblique, "
    spacing = grid.spacing if grid.spacing_known else None
    return [InputFile(role, path.name, grid.shape, spacing, oblique + order, sha256(path)) for role, path in files]


def _clinical_rows(result: StudyResult) -> list[ClinicalRow]:
    """The clinical table; a figure that does not exist is left empty, not out."""
    used = {
        f"{structure} {name}": f"summation of discs, slices {_slices(phase, structure)}"
        for name, phase in result.phases.items()
        for structure in phase.surfaces
    }
    rows = []
    for part, key, name, unit, how, headline in _CLINICAL:
        computed = _PLACE.sub(lambda match: used.get(match[1], "not labelled"), how)
        rows.append(ClinicalRow(name, result.clinical[part][key], unit, computed, headline=headline))
    if result.clinical["bsa_m2"] is not None:
        rows.append(ClinicalRow("Body surface area", result.clinical["bsa_m2"], "m²", "Mosteller 1987", digits=2))
    return rows


def _volumes(name: str, phase: PhaseResult) -> list[VolumeRow]:
    """Volumes of one phase from voxels and surfaces."""
    rows = []
    for structure, surface in phase.surfaces.items():
        slices = f"{_slices(phase, structure)} of {phase.image.n_slices}"
        voxels = phase.segmentation.volume_ml(structure)
        rows.append(VolumeRow(_name(structure), name, voxels, volume_ml(surface), slices))
    return rows


def _slices(phase: PhaseResult, structure: Structure) -> str:
    """First and last slice that hold `structure`, counted from 0."""
    held = np.flatnonzero(phase.segmentation.slices_first_mask(structure).any(axis=(1, 2)))
    return f"{held.min()} to {held.max()}"


def _metrics(name: str, phase: PhaseResult) -> MetricsTable:
    """Agreement with the reference in one phase."""
    rows = tuple(
        MetricsRow(
            row.structure,
            row.region,
            row.dice,
            row.iou,
            row.hd_mm,
            row.hd95_mm,
            row.mad_mm,
            row.volume_pred_ml,
            row.volume_ref_ml,
            row.flag,
        )
        for row in phase.rows
    )
    wanted = ("surface", "hd_mm", "hd95_mm", "mad_mm")
    return MetricsTable(name, rows, phase.regions.method, tuple((key, DEFINITIONS[key]) for key in wanted))


def _card_lines(model: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The model card as lines."""
    lines = [("Name", str(model["name"]))]
    for key, value in (model.get("card") or {}).items():
        if isinstance(value, str | int | float):
            lines.append((key.replace("_", " "), str(value)))
    return tuple(lines)


def _licence_line(model: dict[str, Any]) -> str:
    """Licence of the model, if it is known."""
    return f"Model {model['name']}: {model['licence']}" if model.get("licence") else ""


def _settings_line(settings: dict[str, Any] | None) -> str:
    """Settings as one line."""
    if settings is None:
        return "none"
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())


def _name(structure: Structure) -> str:
    """A structure's name with its abbreviation."""
    return f"{DESCRIPTIONS[structure].name} ({structure})"
