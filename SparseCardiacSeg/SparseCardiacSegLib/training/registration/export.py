"""The trained registration network becomes a small model folder: one ONNX graph and its card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...files import output_folder
from ...propagation.learned import INPUT, NETWORK_NAME, OUTPUT, LearnedEngine
from ...propagation.learned_window import PIXEL_MM, WINDOW
from .fit import FitSettings
from .network import CHANNELS, Registration, RegistrationNet
from .pairs import FramePair

CARD_NAME = "card.json"
OPSET = 18
"""GridSample, which the integration needs, is there from 16 on."""

WEIGHTS = "net."
"""What names of weights begin with in the graph; other numbers there are coordinates and steps."""

TOLERANCE_PX = 0.02
"""Largest accepted difference from torch, in pixels of 1.5 mm; weights rounded to float16 give 0.007."""


def export_registration(
    net: RegistrationNet,
    out: Path,
    name: str,
    settings: FitSettings,
    pairs: Sequence[FramePair],
    cine_patients: Sequence[str],
    card: Mapping[str, Any],
    symmetric: bool = True,
) -> float:
    """Write `network.onnx` (integration included) and `card.json`; whole or not at all.

    Args:
        net: the trained network.
        out: the model folder.
        name: what the card calls it.
        settings: how it was trained.
        pairs: annotated pairs that it learned from.
        cine_patients: patients whose cines it learned from.
        card: what else a user should know: data, licence, citation, hardware.
        symmetric: whether the graph averages both orders of a pair, which takes twice the time.

    Returns:
        The largest difference between ONNX Runtime's field and torch's, in pixels of the window.

    Raises:
        InputError: the disk refused.
        RuntimeError: ONNX Runtime's field is not torch's.
    """
    registration = Registration(net, symmetric).eval()
    with output_folder(out) as folder:
        write_graph(registration, folder / NETWORK_NAME)
        difference = difference_from_torch(folder, registration)
        if not difference <= TOLERANCE_PX:
            raise RuntimeError(f"ONNX Runtime's field lies {difference:g} pixels off torch's")
        content = {
            "kind": "registration",
            "name": name,
            "architecture": "registration-unet-2.5d",
            "window": WINDOW,
            "pixel_mm": PIXEL_MM,
            "symmetric": symmetric,
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            "patients": sorted({pair.patient for pair in pairs}),
            "cine_patients": sorted(cine_patients),
            "slices": sum(len(pair.slices) for pair in pairs),
            "training": asdict(settings),
            "seed": settings.seed,
            **card,
            "sha256": {NETWORK_NAME: hashlib.sha256((folder / NETWORK_NAME).read_bytes()).hexdigest()},
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / CARD_NAME).write_text(text, encoding="utf-8")
    return difference


def write_graph(registration: Registration, path: Path) -> None:
    """Write the ONNX graph of a network, weights rounded to float16, for any number of pairs."""
    import onnx

    from ..export import halve_initializers

    example = torch.zeros(2, CHANNELS, WINDOW, WINDOW)
    program = torch.onnx.export(
        registration,
        (example,),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "pixel_mm", f"{PIXEL_MM:g}"
    for node in proto.graph.node:  # where torch was installed, and which lines it ran
        del node.metadata_props[:]
        node.doc_string = ""
    halve_initializers(proto, WEIGHTS)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def difference_from_torch(folder: Path, registration: Registration) -> float:
    """Largest difference between the fields of the written graph and the network's, in pixels of the window."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(0.5, 0.3, (3, CHANNELS, WINDOW // 8, WINDOW // 8)).repeat(8, 2).repeat(8, 3).astype(np.float32)
    pairs += rng.normal(0, 0.05, pairs.shape).astype(np.float32)
    with torch.no_grad():
        expected = registration(torch.from_numpy(pairs)).numpy()
    found = LearnedEngine(folder).fields(pairs)
    return float(np.abs(found - expected).max())
