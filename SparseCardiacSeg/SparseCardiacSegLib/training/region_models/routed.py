"""Classifier, baseline and region models become one folder that segments (`automatic.region_routing`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...automatic.model_folder import CARD_NAME, ONNX_NAME, ModelFolder
from ...automatic.region_order import CLASS_NAMES
from ...automatic.region_routing import ROUTING_NAME, open_routed_model, routing_text
from ...files import output_folder
from ..export import export_model
from .segmentation import RegionModel

BASELINE, CLASSIFIER = "baseline", "classifier"


def write_routed_model(
    classifier: Path,
    baseline: ModelFolder,
    regions: Sequence[RegionModel],
    out: Path,
    name: str,
    card: Mapping[str, Any],
) -> Path:
    """Write the folder of a routed model; whole or not at all.

    Args:
        classifier: folder of a classifier (`region_classifier`).
        baseline: labels the slices that are called non-cardiac, and those of regions that have no model.
        regions: trained models.
        out: the folder.
        name: of the model.
        card: what a user should know.

    Raises:
        InputError: a model cannot be used or exported, the labels differ, or the disk refused.
    """
    models = dict.fromkeys(CLASS_NAMES, BASELINE)
    with output_folder(out) as folder:
        (folder / CLASSIFIER).mkdir()
        for file in (ONNX_NAME, CARD_NAME):
            shutil.copyfile(classifier / file, folder / CLASSIFIER / file)
        for file in baseline.files:
            target = folder / BASELINE / file.relative_to(baseline.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        for one in regions:
            part = one.region.value
            models[part] = part
            facts = {"regions": part, "volumes": one.volumes, "slices": one.slices}
            export_model(one.folder, folder / part, f"{name}-{part}", {**card, **facts})
        (folder / ROUTING_NAME).write_text(routing_text(models, CLASSIFIER), encoding="utf-8")
        text = json.dumps({"name": name, **card}, indent=2, ensure_ascii=False) + "\n"
        (folder / CARD_NAME).write_text(text, encoding="utf-8")
        open_routed_model(folder)
    return out
