"""The trained promptable network becomes a small model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...anatomy import ALL
from ...files import output_folder
from ...prompting.architectures import SLICE_256
from ...prompting.slice_geometry import IMAGE_SIZE
from ...prompting.weights import save_weights
from .fit import FitSettings
from .slices import TrainingSlice

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

WEIGHTS_NAME = "weights.npz"


def export_promptable(
    sam: Sam, out: Path, name: str, settings: FitSettings, slices: Sequence[TrainingSlice], card: Mapping[str, Any]
) -> Path:
    """Write `weights.npz` (float16), the ONNX graphs that read it, and `card.json`; whole or not at all.

    Args:
        sam: the trained network.
        out: the model folder.
        name: what the catalogue calls it.
        settings: how it was trained.
        slices: what it learned from.
        card: what else a user should know: licence, citation, hardware, held-out results.

    Raises:
        InputError: a needed package is missing, or the disk refused.
        RuntimeError: the ONNX graphs differ from torch.
    """
    from ...prompting.onnx_export import export_prompt_model

    present = set(np.unique(np.concatenate([np.unique(item.labels) for item in slices])).tolist())
    with output_folder(out) as folder:
        save_weights(folder / WEIGHTS_NAME, sam.state_dict(), half=True)
        export_prompt_model(folder, sam)
        files = sorted(file for file in folder.iterdir() if file.is_file())
        content = {
            "kind": "promptable",
            "name": name,
            "architecture": SLICE_256,
            "image_size": IMAGE_SIZE,
            "structures": [str(structure) for structure, number in ALL.numbers.items() if number in present],
            "weights": WEIGHTS_NAME,
            "parameters": sum(parameter.numel() for parameter in sam.parameters()),
            "precision": "rounded to float16",
            "patients": sorted({item.patient for item in slices}),
            "slices": len(slices),
            "training": asdict(settings),
            "seed": settings.seed,
            **card,
            "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / "card.json").write_text(text, encoding="utf-8")
    return out
