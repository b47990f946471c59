"""What an export asks of the worker: the study, the parts that are wanted, and how both go through the pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..anatomy import Structure
    from ..segmentation import Segmentation
    from ..stack import Stack


@dataclass(frozen=True, eq=False)
class ExportPhase:
    """One phase to export.

    Attributes:
        name: `ED`, `ES`, or `LA` for an atrium in an image of its own.
        image: the stack.
        labels: its labels.
        frame: the cine's frame; None for a single stack.
        reference: labels to compare with.
        region_method: see `regions.label_regions`, as for the next two.
        base_first: whether slice 0 is nearest the base; None to find out.
        overrides: regions set by hand, by slice index (None: outside of all regions).
    """

    name: str
    image: Stack
    labels: Segmentation
    frame: int | None = None
    reference: Segmentation | None = None
    region_method: str = "20/60/20"
    base_first: bool | None = None
    overrides: Mapping[int, str | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ExportStudy:
    """What is exported, and what is known of the patient and of the data's origin.

    Attributes:
        name: stem of file names.
        case: the case as the report calls it; empty for `name`.
        phases: at least one; ED first.
        atrium: name of the phase in which the left atrium is measured; empty where there is none.
        cine: labels of all frames, empty where nobody labelled; None for single stacks.
        height_cm: of the patient.
        weight_kg: of the patient.
        sex: male or female; None while it is not known.
        heart_rate: beats per minute.
        insertion: anterior RV insertion set by hand, RAS mm; None to find it.
        film: the cine's images, for its video; None where none is wanted.
        origin: (label, value) lines for the report's provenance.
    """

    name: str
    phases: Sequence[ExportPhase]
    case: str = ""
    atrium: str = ""
    cine: Segmentation | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    sex: str | None = None
    heart_rate: float | None = None
    insertion: Sequence[float] | None = None
    film: Stack | None = None
    origin: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ExportParts:
    """Which files are wanted.

    Attributes:
        labels: NIfTI with the numbers of `scheme`, and `.seg.nrrd`.
        scheme: name of the label scheme of the NIfTI.
        tables: regions, clinical measures and, with a reference, metrics.
        meshes: `.stl`, `.ply` or `.vtp`; empty for none.
        report: report and pictures; needs matplotlib.
        surfaces_picture: draw the surfaces in the report; needs OpenGL, which may take its process down.
        return_surfaces: send the surfaces back, for a scene bundle (see `read_phase_surfaces`).
        videos: suffixes of the videos, `.mp4` and `.gif`: of the cine, or of the slices of an atrium. They need
            matplotlib, an MP4 imageio-ffmpeg too.
    """

    labels: bool = True
    scheme: str = "acdc"
    tables: bool = True
    meshes: str = ""
    report: bool = True
    surfaces_picture: bool = True
    return_surfaces: bool = False
    videos: tuple[str, ...] = ()


def export_request(study: ExportStudy, folder: Path | str, parts: ExportParts) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and arrays of an `export_study` request.

    Args:
        study: what to export.
        folder: an existing folder, empty where nothing may be replaced.
        parts: which files are wanted.
    """
    from .schemes import write_scheme

    arrays: dict[str, np.ndarray] = {}
    phases = []
    for phase in study.phases:
        labels = {"labels": phase.labels, "reference": phase.reference}
        given = {name: one for name, one in labels.items() if one is not None}
        arrays[f"{phase.name}/image"] = phase.image.array
        arrays.update({f"{phase.name}/{name}": one.labels.array for name, one in given.items()})
        phases.append(
            {
                "name": phase.name,
                "frame": phase.frame,
                "image": write_grid(phase.image),
                "schemes": {name: write_scheme(one.scheme) for name, one in given.items()},
                "sources": {name: one.labels.source for name, one in given.items()},
                "region_method": phase.region_method,
                "base_first": phase.base_first,
                "overrides": {str(index): region for index, region in phase.overrides.items()},
            }
        )
    cine = study.cine
    if cine is not None:
        arrays["cine"] = cine.labels.array
    film = study.film
    if film is not None:
        arrays["film"] = film.array
    params = {
        "folder": str(folder),
        "name": study.name,
        "case": study.case or study.name,
        "phases": phases,
        "atrium": study.atrium,
        "cine": None if cine is None else {"grid": write_grid(cine.labels), "scheme": write_scheme(cine.scheme)},
        "film": None if film is None else write_grid(film),
        "height_cm": study.height_cm,
        "weight_kg": study.weight_kg,
        "sex": study.sex,
        "heart_rate": study.heart_rate,
        "insertion": None if study.insertion is None else [float(value) for value in study.insertion],
        "origin": [list(line) for line in study.origin],
        "parts": {**asdict(parts), "videos": list(parts.videos)},
    }
    return params, arrays


def write_grid(stack: Stack) -> dict[str, Any]:
    """A stack without its voxels; see `read_grid`."""
    return {
        "ijk_to_ras": stack.ijk_to_ras.tolist(),
        "through_plane": stack.through_plane,
        "frame_times": None if stack.frame_times is None else list(stack.frame_times),
        "spacing_known": stack.spacing_known,
        "source": stack.source,
    }


def video_names(study: ExportStudy, parts: ExportParts) -> list[str]:
    """Names of the videos that an export writes."""
    if study.film is not None:
        return [f"cine{suffix}" for suffix in parts.videos]
    return [f"left_atrium{suffix}" for suffix in parts.videos] if study.atrium else []


def read_phase_surfaces(arrays: Mapping[str, np.ndarray], phase: str) -> dict[Structure, Any]:
    """Closed surfaces (vtkPolyData, RAS mm) of one phase from an `export_study` reply, by structure."""
    from ..anatomy import Structure
    from ..meshes.surface import surface_from_arrays

    return {
        structure: surface_from_arrays(points, arrays[f"{phase}/{structure}/triangles"])
        for structure in Structure
        if (points := arrays.get(f"{phase}/{structure}/points")) is not None
    }


def read_grid(given: Mapping[str, Any], array: np.ndarray) -> Stack:
    """A stack of `array` with the geometry that `write_grid` wrote."""
    from ..stack import Stack

    times = given["frame_times"]
    return Stack(
        array,
        np.array(given["ijk_to_ras"]),
        int(given["through_plane"]),
        frame_times=None if times is None else tuple(times),
        spacing_known=given["spacing_known"],
        source=given["source"],
    )
