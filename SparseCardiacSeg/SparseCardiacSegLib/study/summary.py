"""`summary.json` of the main job; its schema is Resources/summary.schema.json."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..meshes import volume_ml
from .results import PhaseResult, StudyResult, sha256

SCHEMA_VERSION = 1

DEFINITIONS = {
    "surface": "voxel: boundary voxels by face connectivity, the mask padded by one voxel; mm with true spacing",
    "hd_mm": "symmetric maximum of the surface distances",
    "hd95_mm": "larger of the two directed 95th percentiles",
    "mad_mm": "mean of the two directed mean surface distances",
    "volume": "sum of discs: voxel count times voxel volume, slice gaps included",
    "mass": "myocardial volume at end diastole times 1.05 g/mL",
}


def build_summary(result: StudyResult, files: list[tuple[str, str]]) -> dict[str, Any]:
    """The summary as plain JSON values.

    Args:
        result: what was found.
        files: (path within the output folder, what it is) of everything that was written.
    """
    summary = {
        "schema": "sparsecardiacseg/study",
        "schema_version": SCHEMA_VERSION,
        "case": result.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"name": "SparseCardiacSeg", "version": __version__},
        "model": result.model,
        "settings": result.settings,
        "attribution": result.attribution,
        "inputs": {name: _input(phase) for name, phase in result.phases.items()},
        "phases": {name: _phase(phase) for name, phase in result.phases.items()},
        "regions": {name: _regions(phase) for name, phase in result.phases.items()},
        "clinical": result.clinical,
        "metrics": [
            {"phase": name, **dataclasses.asdict(row)} for name, phase in result.phases.items() for row in phase.rows
        ],
        "dice_curve": {
            name: {str(structure): curve.tolist() for structure, curve in phase.curves.items()}
            for name, phase in result.phases.items()
            if phase.curves
        },
        "definitions": DEFINITIONS,
        "files": [{"path": path, "what": what} for path, what in files],
        "warnings": list(result.warnings),
    }
    return without_nan(summary)


def _input(phase: PhaseResult) -> dict[str, Any]:
    """One input file: name, checksum, grid."""
    return {
        "image": phase.image_path.name,
        "sha256": sha256(phase.image_path),
        "shape": list(phase.image.shape),
        "spacing_mm": list(phase.image.spacing),
        "reference": phase.reference_path.name if phase.reference_path is not None else None,
    }


def _phase(phase: PhaseResult) -> dict[str, Any]:
    """Volumes of one phase, from voxels and from surfaces."""
    return {
        "volumes_ml": {str(structure): phase.segmentation.volume_ml(structure) for structure in phase.surfaces},
        "surface_volumes_ml": {str(structure): volume_ml(surface) for structure, surface in phase.surfaces.items()},
        "seconds": phase.seconds,
    }


def _regions(phase: PhaseResult) -> dict[str, Any]:
    """Region table of one phase, base first."""
    return {
        "method": phase.regions.method,
        "base_first": phase.regions.base_first,
        "slices": [{"slice": index, "region": str(region)} for index, region in phase.regions.table()],
    }


def without_nan(value: Any) -> Any:
    """JSON has no NaN: the same value with null in its place."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
