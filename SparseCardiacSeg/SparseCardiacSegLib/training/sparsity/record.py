"""`sparsity.json`: exactly what of a source a sparse data set holds, and why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ... import __version__
from .plan import PlannedVolume, SparsePlan
from .seen import METHOD

_PLAIN_LIST = re.compile(r"\[\n\s+([^][{}]*?)\n\s+\]")


def plan_record(plan: SparsePlan) -> dict[str, Any]:
    """The plan as plain JSON values.

    `cases` lists the names of all cases, `unlabelled` those of which only the image is there. `volumes` tells of each
    annotated one: `case`, `patient`, `group`, `phase`, its files in the source, `n_slices`, `regions` (of every slice
    by index), `base_first` with the reason, `available` (annotated in the source) and `kept` (annotated here, by index
    along array axis `through_plane`), and `why`.
    `propagated` tells of carried labels, as in the source, with their `kept`.
    """
    propagated = {
        one.name: {**one.seen.volume.propagated, "kept": list(one.kept)}
        for one in (*plan.volumes, *plan.carried)
        if one.seen.volume.propagated is not None
    }
    return {
        "format": 1,
        "written_by": f"SparseCardiacSeg {__version__}",
        "settings": plan.settings.as_dict(),
        "seed": plan.settings.seed,
        "mode": plan.settings.mode,
        "region_method": METHOD,
        "source": {
            "dataset": plan.source.name,
            "layout": plan.source.layout,
            "split": plan.source.split,
            "volumes": sum(not volume.synthetic for volume in plan.source.volumes),
        },
        "totals": {
            "patients": len(plan.patients),
            "volumes": len(plan.volumes),
            "slices_kept": plan.n_kept,
            "slices": plan.n_slices,
            "synthetic_volumes": len(plan.carried),
        },
        "patients": plan.patients,
        "cases": [one.name for one in (*plan.volumes, *plan.carried, *plan.unlabelled)],
        "unlabelled": [one.name for one in plan.unlabelled],
        "volumes": [_volume_record(one, plan) for one in plan.volumes],
        "unused_volumes_of_these_patients": [volume.name for volume in plan.unused],
        "propagated": propagated,
        "warnings": list(plan.warnings),
    }


def record_text(plan: SparsePlan) -> str:
    """The record as JSON text, lists of plain values on one line each."""
    text = json.dumps(plan_record(plan), indent=2)
    # A line break is never inside of a JSON string, so only the layout changes.
    return _PLAIN_LIST.sub(lambda match: "[" + re.sub(r"\n\s+", " ", match[1]) + "]", text) + "\n"


def _volume_record(one: PlannedVolume, plan: SparsePlan) -> dict[str, Any]:
    seen, volume = one.seen, one.seen.volume
    case = volume.case
    return {
        "case": one.name,
        "patient": volume.patient,
        "group": volume.group,
        "phase": volume.phase,
        "view": "long axis" if volume.long_axis else "short axis",
        "image": None if case is None else _relative(case.image_path, plan.source.name),
        "labels": None if case is None else _relative(case.labels_path, plan.source.name),
        "frame": volume.frame,
        "source_scheme": {str(structure): number for structure, number in seen.scheme.numbers.items()},
        "scheme_guessed": seen.guessed,
        "n_slices": seen.n_slices,
        "through_plane": seen.through_plane,
        "base_first": seen.base_first,
        "base_certain": seen.base_certain,
        "base_reason": seen.base_reason,
        "regions": [None if region is None else region.value for region in seen.regions],
        "available": list(seen.available),
        "kept": list(one.kept),
        "why": _why(one, plan),
    }


def _why(one: PlannedVolume, plan: SparsePlan) -> str:
    settings = plan.settings
    which = "" if settings.all_regions else f" of regions {settings.regions}"
    if len(one.kept) == len(one.seen.candidates):
        return f"all {len(one.kept)} annotated slices{which}"
    how = f"drawn with seed {settings.seed}" if settings.spread == "random" else "evenly spread from base to apex"
    return f"{len(one.kept)} of {len(one.seen.candidates)} annotated slices{which}, {how}"


def _relative(path: Path, dataset: str) -> str:
    return path.relative_to(dataset).as_posix() if path.is_relative_to(dataset) else str(path)
