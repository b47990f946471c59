"""`summary.json` of the main job; its schema is Resources/summary.schema.json."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..findings.definitions import DEFINITIONS
from ..findings.results import PhaseResult, StudyResult, sha256
from ..meshes import volume_ml

SCHEMA_VERSION = 1


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
        "image": phase.image_path.name if phase.image_path is not None else phase.image.source,
        "sha256": sha256(phase.image_path) if phase.image_path is not None else None,
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
