"""What `sparsity.json` tells a training about its data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError

RECORD_NAME = "sparsity.json"
ALL_REGIONS = frozenset("AMB")


def read_record(folder: Path) -> Mapping[str, Any]:
    """The record in a raw or preprocessed data set; empty where there is none.

    Raises:
        InputError: it cannot be read.
    """
    return read_object(folder / RECORD_NAME)


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty where there is no file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no JSON object")
    return content


def regions_of(record: Mapping[str, Any]) -> str:
    """Letters (A, M, B) of the regions that were annotated; all where nothing is told."""
    settings = record.get("settings")
    told = settings.get("regions") if isinstance(settings, Mapping) else record.get("regions")
    return told if isinstance(told, str) and told else "AMB"


def is_restricted(record: Mapping[str, Any]) -> bool:
    """Whether some region of the heart was left out on purpose."""
    return not frozenset(regions_of(record)) >= ALL_REGIONS


def synthetic_names(record: Mapping[str, Any]) -> frozenset[str]:
    """Cases whose labels were carried, not drawn."""
    entries = record.get("propagated", {})
    return frozenset(case for case, entry in entries.items() if entry.get("synthetic"))


def told_to_train(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a model's card says about its data: patients, volumes, slices, regions and how they were drawn."""
    totals, settings = record.get("totals", {}), record.get("settings", {})
    source = record.get("source", {})
    facts: dict[str, Any] = {
        "patients": record.get("patients"),
        "volumes": totals.get("volumes", len(record["cases"]) if "cases" in record else None),
        "slices": record.get("slices", totals.get("slices_kept")),
        "slices_in_all": totals.get("slices"),
        "regions": record.get("regions") if "settings" not in record else regions_of(record),
        "seed": record.get("seed"),
        "mode": record.get("mode"),
        "spread": settings.get("spread"),
        "split": record.get("split", source.get("split")),
        "source": source.get("dataset") and Path(source["dataset"]).name,
        "synthetic_volumes": len(synthetic_names(record)) or None,
    }
    return {name: value for name, value in facts.items() if value is not None}
