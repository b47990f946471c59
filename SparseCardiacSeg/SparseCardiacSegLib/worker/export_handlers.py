"""The worker's command for exporting a study: labels, surfaces, tables, pictures and report into a folder."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..progress import part_of
from .export_request import ExportParts, read_grid
from .export_videos import write_export_videos
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..anatomy import LabelScheme, Structure
    from ..findings.results import PhaseResult, StudyResult
    from ..report import Video
    from ..segmentation import Segmentation

Reply = tuple[Mapping[str, Any], Arrays]


def export_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"export_study": export_study}


def export_study(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Measure, draw and write what was asked for.

    Args:
        params: as `export_request` writes them.
        arrays: "<phase>/image", "<phase>/labels", "<phase>/reference" where there is one, "cine" and "film".
        context: progress.

    Returns:
        Values "files", [path within the folder, what it is], and "warnings"; arrays
        "<phase>/<structure>/points" and ".../triangles" where the surfaces are wanted back.

    Raises:
        InputError: nothing is labelled, a figure cannot be computed, a package is missing, or the disk refused.
    """
    from ..findings import files as writer

    parts = ExportParts(**{**params["parts"], "videos": tuple(params["parts"]["videos"])})
    folder = Path(params["folder"])
    name = params["name"]
    importlib.invalidate_caches()  # it may have been installed since this process was started
    if (parts.report or parts.videos) and importlib.util.find_spec("matplotlib") is None:
        raise InputError("report and videos need the Python package matplotlib, which is not installed")
    context.progress(0.0, "measuring")
    cine = _read_cine(params, arrays)
    result = _result(params, arrays, cine, parts, context)
    written: writer.Written = []
    warnings: list[str] = []
    context.progress(0.5, "writing labels, tables and surfaces")
    for phase in result.phases.values():
        if parts.labels:
            written += writer.write_labels(name, phase, folder, _scheme(parts.scheme, phase.segmentation))
        if parts.meshes:
            written += writer.write_phase_surfaces(name, phase, folder, parts.meshes)
        context.progress(0.5, "writing labels, tables and surfaces")
    if parts.labels and cine is not None:
        written += writer.write_cine_labels(name, cine, folder, _scheme(parts.scheme, cine))
    if parts.tables:
        written += writer.write_tables(result.phases, result.clinical, folder)
        if cine is not None:
            written += writer.write_volumes(_volumes(cine), cine.labels.frame_times, folder)
    shown, files, warnings = write_export_videos(result, params, arrays, cine, folder, context)
    written += files
    if parts.report:
        files, undrawn = _write_report(result, folder, parts.surfaces_picture, shown, context)
        written += files
        warnings += undrawn
    context.progress(1.0, "written")
    surfaces = _surfaces(result) if parts.return_surfaces else {}
    return {"files": written, "warnings": [*result.warnings, *warnings]}, surfaces


def _result(
    params: Mapping[str, Any], arrays: Arrays, cine: Segmentation | None, parts: ExportParts, context: Context
) -> StudyResult:
    """Everything that is measured."""
    from ..findings.results import StudyResult
    from ..measures.clinical import clinical_measures
    from ..measures.clinical_blocks import curve_of_study

    wants_surfaces = bool(parts.meshes) or parts.return_surfaces or (parts.report and parts.surfaces_picture)
    phases: dict[str, PhaseResult] = {}
    for number, given in enumerate(params["phases"]):
        phases[given["name"]] = _phase(params["case"], given, arrays, wants_surfaces)
        context.progress(0.5 * (number + 1) / len(params["phases"]), "measuring")
    if not phases:
        raise InputError("there is nothing to export: no phase was given")
    ventricles = {name: phase for name, phase in phases.items() if name in ("ED", "ES") and phase.regions is not None}
    ed, es = (ventricles.get(name) for name in ("ED", "ES"))
    atrium = phases.get(params["atrium"])
    clinical = clinical_measures(
        ed=None if ed is None else ed.segmentation,
        es=None if es is None else es.segmentation,
        la=None if atrium is None else atrium.segmentation,
        height_cm=params["height_cm"],
        weight_kg=params["weight_kg"],
        ed_frame=None if ed is None else ed.frame,
        es_frame=None if es is None else es.frame,
        sex=params["sex"],
        cine=cine if ventricles else None,
        heart_rate=params["heart_rate"],
        wall=bool(ventricles),
        insertion=params["insertion"],
    )
    told = [
        f"{name}: {warning}"
        for name, phase in phases.items()
        if phase.regions is not None
        for warning in phase.regions.warnings
    ]
    return StudyResult(
        name=params["case"],
        attribution="",
        phases=phases,
        clinical=clinical,
        model=None,
        settings={},
        warnings=tuple(dict.fromkeys([*told, *clinical["warnings"]])),
        origin=tuple((label, value) for label, value in params["origin"]),
        curve=None if cine is None else curve_of_study(cine, clinical),
    )


def _phase(case: str, given: Mapping[str, Any], arrays: Arrays, wants_surfaces: bool) -> PhaseResult:
    """One phase with its regions and, where they are wanted, surfaces."""
    from ..findings.results import measured_phase
    from ..segmentation import Segmentation
    from .schemes import read_scheme

    name = given["name"]
    image = read_grid(given["image"], arrays[f"{name}/image"])
    read = {
        kind: Segmentation(
            read_grid({**given["image"], "source": given["sources"][kind]}, arrays[f"{name}/{kind}"]),
            read_scheme(scheme),
        )
        for kind, scheme in given["schemes"].items()
    }
    if not read["labels"].labels.array.any():
        raise InputError(f"{read['labels'].labels.source or 'the segmentation'} is empty at {name}")
    return measured_phase(
        name,
        image,
        read["labels"],
        read.get("reference"),
        case=case,
        region_method=given["region_method"],
        base_first=given["base_first"],
        overrides={int(index): region for index, region in given["overrides"].items()},
        make_surfaces=wants_surfaces,
        frame=given["frame"],
    )


def _write_report(
    result: StudyResult, folder: Path, draw_surfaces: bool, videos: tuple[Video, ...], context: Context
) -> tuple[list[tuple[str, str]], list[str]]:
    """Report and pictures; the files, and warnings about what could not be drawn."""
    import dataclasses

    from ..findings.content import report_content
    from ..findings.files import REPORT, write_pictures
    from ..findings.pictures import draw_study
    from ..report import write_report

    pictures, undrawn = draw_study(result, part_of(context.progress, 0.75 if videos else 0.55, 0.95), draw_surfaces)
    context.progress(0.95, "writing the report")
    files = write_pictures(pictures, folder)
    result = dataclasses.replace(result, warnings=(*result.warnings, *undrawn))
    content = dataclasses.replace(report_content(result, pictures, ()), videos=videos)
    write_report(folder / REPORT, content)
    return [*files, (REPORT, "report that stands alone")], undrawn


def _surfaces(result: StudyResult) -> dict[str, np.ndarray]:
    """The surfaces of every phase as arrays."""
    from ..meshes.surface import arrays_of

    found = {}
    for name, phase in result.phases.items():
        for structure, surface in phase.surfaces.items():
            points, triangles = arrays_of(surface)
            found[f"{name}/{structure}/points"] = points
            found[f"{name}/{structure}/triangles"] = triangles
    return found


def _scheme(name: str, labels: Segmentation) -> LabelScheme:
    """The scheme called `name`; where ACDC's numbers are wanted of labels with an atrium, one that has it too."""
    from ..anatomy import ACDC, ALL, LEFT_ATRIUM, SHORT_AXIS, Structure, scheme_named

    scheme = scheme_named(name)
    if scheme != ACDC or not labels.mask(Structure.LA).any():
        return scheme
    return ALL if any(labels.mask(structure).any() for structure in SHORT_AXIS) else LEFT_ATRIUM


def _volumes(cine: Segmentation) -> dict[Structure, list[float | None]]:
    """mL of each structure that occurs, frame by frame; None in frames without any label."""
    labelled = cine.labels.array.reshape(cine.labels.n_frames, -1).any(axis=1)
    found: dict[Structure, list[float | None]] = {}
    for structure in cine.structures:
        counts = np.count_nonzero(cine.mask(structure).reshape(len(labelled), -1), axis=1)
        if counts.any():
            volumes = counts * cine.labels.voxel_volume_ml
            found[structure] = [float(one) if held else None for one, held in zip(volumes, labelled, strict=True)]
    return found


def _read_cine(params: Mapping[str, Any], arrays: Arrays) -> Segmentation | None:
    from ..segmentation import Segmentation
    from .schemes import read_scheme

    given = params["cine"]
    if given is None:
        return None
    return Segmentation(read_grid(given["grid"], arrays["cine"]), read_scheme(given["scheme"]))
