"""The report's content from a study's results: every number with its unit and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..anatomy import DESCRIPTIONS, Structure
from ..meshes import volume_ml
from ..regions import Region
from ..report import InputFile, MetricsRow, MetricsTable, Picture, RegionRow, ReportContent, VolumeRow
from ..report.content import RESEARCH_USE
from .clinical_content import clinical_definitions, clinical_rows, segment_rows
from .definitions import COMPARISON_DEFINITIONS, DEFINITIONS
from .results import PhaseResult, StudyPicture, StudyResult, sha256

CITATIONS = (
    "Isensee F, Jaeger PF, Kohl SAA, Petersen J, Maier-Hein KH. nnU-Net: a self-configuring method for deep "
    "learning-based biomedical image segmentation. Nature Methods 18:203-211, 2021.",
    "Bernard O, Lalande A, Zotti C, Cervenansky F, et al. Deep Learning Techniques for Automatic MRI Cardiac "
    "Multi-structures Segmentation and Diagnosis: Is the Problem Solved? IEEE TMI 37(11):2514-2525, 2018.",
)

SCENE_CITATIONS = (
    "Fedorov A, Beichel R, Kalpathy-Cramer J, et al. 3D Slicer as an image computing platform for the Quantitative "
    "Imaging Network. Magnetic Resonance Imaging 30(9):1323-1341, 2012.",
)
"""For a study whose labels came from a scene: nobody knows here which model made them, if any did."""

SCENE_NOTICE = (
    "For research use only. Not a medical device: the figures are those of the segmentation as it stood when this "
    "report was made, and must not be used for diagnosis or treatment."
)


def report_content(result: StudyResult, pictures: Sequence[StudyPicture], command: Sequence[str]) -> ReportContent:
    """Fill the report's values.

    Args:
        result: what was found.
        pictures: in the order of the page.
        command: the command line's arguments, for provenance.
    """
    phases = result.phases
    told = [phase.regions for phase in phases.values() if phase.regions is not None]
    model = result.model
    compared = any(phase.rows for phase in phases.values())
    return ReportContent(
        title="Cardiac MR segmentation, short axis" if told else "Cardiac MR segmentation, left atrium",
        case=result.name,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        inputs=tuple(row for name, phase in phases.items() for row in _inputs(name, phase)),
        warnings=result.warnings,
        model_card=() if model is None else _card_lines(model),
        clinical=tuple(clinical_rows(result.clinical)),
        segments=tuple(segment_rows(result.clinical)),
        volumes=tuple(row for name, phase in phases.items() for row in _volumes(name, phase)),
        regions=tuple(
            RegionRow(name, str(region), tuple(phase.regions.slices(region)))
            for name, phase in phases.items()
            if phase.regions is not None
            for region in Region
        ),
        regions_method=_region_methods(phases),
        metrics=tuple(_metrics(name, phase) for name, phase in phases.items() if phase.rows),
        pictures=tuple(Picture(one.png, one.title, one.caption) for one in pictures),
        provenance=_provenance(result, command),
        definitions=(
            *((name, text) for name, text in DEFINITIONS.items() if compared or name not in COMPARISON_DEFINITIONS),
            *clinical_definitions(result.clinical),
        ),
        citations=SCENE_CITATIONS if model is None else CITATIONS,
        licences=tuple(line for line in (_licence_line(model) if model else "", result.attribution) if line),
        notice=SCENE_NOTICE if model is None else RESEARCH_USE,
    )


def _region_methods(phases: Mapping[str, PhaseResult]) -> str:
    """How regions were told; by phase where the phases differ."""
    methods = {name: phase.regions.method for name, phase in phases.items() if phase.regions is not None}
    if len(set(methods.values())) < 2:
        return next(iter(methods.values()), "")
    return ", ".join(f"{method} ({name})" for name, method in methods.items())


def _provenance(result: StudyResult, command: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What made the figures: software, model or scene, settings."""
    software = ("Software", f"SparseCardiacSeg {__version__}")
    if result.model is None:
        return (software, *result.origin)
    times = [f"{name} {phase.seconds:.1f} s" for name, phase in result.phases.items() if phase.seconds is not None]
    return (
        software,
        ("Model", f"{result.model['name']}, SHA-256 {result.model['sha256']}"),
        ("Command", "sparsecardiacseg " + " ".join(command) if command else "called as a library"),
        ("Prediction", _settings_line(result.settings["prediction"])),
        ("Post-processing", _settings_line(result.settings["postprocess"])),
        ("Time of the network", ", ".join(times)),
    )


def _inputs(name: str, phase: PhaseResult) -> list[InputFile]:
    """The image and reference of one phase."""
    grid = phase.image
    where = name if phase.frame is None else f"{name}, frame {phase.frame}"
    files = [(f"{where} image", phase.image_path, grid.source)]
    if phase.reference is not None:
        files.append((f"{where} reference", phase.reference_path, phase.reference.labels.source))
    axes = grid.ijk_to_ras[:3, :3] / np.linalg.norm(grid.ijk_to_ras[:3, :3], axis=0)
    orientation = [] if np.isclose(np.abs(axes).max(axis=0), 1.0).all() else ["oblique"]
    if phase.regions is not None:
        orientation.append(f"slices run {'base to apex' if phase.regions.base_first else 'apex to base'}")
    spacing = grid.spacing if grid.spacing_known else None
    return [
        InputFile(
            role,
            Path(source).name if path is None else path.name,
            grid.shape,
            spacing,
            ", ".join(orientation),
            "" if path is None else sha256(path),
        )
        for role, path, source in files
    ]


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
    method = "" if phase.regions is None else phase.regions.method
    return MetricsTable(name, rows, method, tuple((key, DEFINITIONS[key]) for key in wanted))


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
