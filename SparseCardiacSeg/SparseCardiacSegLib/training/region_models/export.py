"""The trained classifier becomes a small folder that ONNX Runtime reads: network.onnx and card.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...automatic.model_folder import CARD_NAME, ONNX_NAME
from ...automatic.region_classifier import INPUT, KIND, OUTPUT, RegionClassifier
from ...automatic.region_order import CLASS_NAMES
from ...automatic.region_window import CONTEXT, PIXEL_MM, SIDE
from ...files import output_folder

OPSET = 18

TOLERANCE = 5e-3
"""Largest accepted difference of a probability from torch's; weights rounded to float16 give about 1e-3."""


def export_classifier(network: nn.Module, out: Path, name: str, card: Mapping[str, Any]) -> float:
    """Write a classifier, weights rounded to float16; whole or not at all.

    Args:
        network: trained, in evaluation mode, on the CPU.
        out: the model folder.
        name: what the card calls it.
        card: what a user should know: data, patients, training, results, licence.

    Returns:
        The largest difference between the probabilities of ONNX Runtime and of torch, on noise.

    Raises:
        InputError: the disk refused.
        RuntimeError: the exported network is not torch's.
    """
    with output_folder(out) as folder:
        write_graph(network, folder / ONNX_NAME)
        difference = _difference_from_torch(folder, network)
        if not difference <= TOLERANCE:
            raise RuntimeError(f"the exported classifier differs from torch's by {difference:.3g}")
        content = {
            "kind": KIND,
            "name": name,
            "classes": list(CLASS_NAMES),
            "window": SIDE,
            "pixel_mm": PIXEL_MM,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            **card,
            "sha256": {ONNX_NAME: hashlib.sha256((folder / ONNX_NAME).read_bytes()).hexdigest()},
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / CARD_NAME).write_text(text, encoding="utf-8")
    return difference


def write_graph(network: nn.Module, path: Path) -> None:
    """Write the ONNX graph of a network in evaluation mode, for any number of slices."""
    import onnx

    from ..export import cleaned, halve_initializers

    program = torch.onnx.export(
        network,
        (torch.zeros(2, CONTEXT, SIDE, SIDE),),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    proto = cleaned(program.model_proto)
    halve_initializers(proto)
    onnx.helper.set_model_props(proto, {"pixel_mm": f"{PIXEL_MM:g}", "classes": ",".join(CLASS_NAMES)})
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def _difference_from_torch(folder: Path, network: nn.Module) -> float:
    rng = np.random.default_rng(0)
    coarse = rng.normal(0.4, 0.3, (3, CONTEXT, SIDE // 8, SIDE // 8)).repeat(8, 2).repeat(8, 3)
    inputs = (coarse + rng.normal(0, 0.05, coarse.shape)).astype(np.float32)
    with torch.no_grad():
        expected = torch.softmax(network(torch.from_numpy(inputs)), 1).numpy()
    return float(np.abs(RegionClassifier(folder).probabilities(inputs) - expected).max())
