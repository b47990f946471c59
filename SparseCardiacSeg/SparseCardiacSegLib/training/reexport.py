"""One way to write any embedded model's ONNX networks anew, each checked against torch as it is written."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..automatic.catalogue import EMBEDDED, find_model, list_models
from ..automatic.model_folder import CARD_NAME
from ..automatic.packages import require
from ..automatic.plans import read_json
from ..errors import InputError
from ..files import output_folder
from ..prompting.catalogue import find_prompt_model, holds_prompt_model, list_prompt_models

if TYPE_CHECKING:
    from .registration.network import RegistrationNet

_WRITTEN_ANEW = ("name", "configuration", "trainer", "parameters", "weights", "sha256", "onnx_check")
"""What `export_model` puts on a card itself."""

REGISTRATION = "registration"


def export_networks(name_or_folder: str, out: Path) -> dict[str, float]:
    """Write the folder of a model with ONNX networks made anew from its weights.

    Args:
        name_or_folder: a model of the catalogues (automatic, promptable, `sax-motion`), or the folder of one; also
            a folder that nnU-Net's own training wrote.
        out: the folder to write; appears complete or not at all.

    Returns:
        By name, how far ONNX Runtime's results lie from torch's (`card.json` keeps them as `onnx_check`).

    Raises:
        InputError: there is no such model, a needed package is missing, or the model cannot be exported.
        RuntimeError: the networks differ from torch's by more than rounding; nothing was written.
    """
    require(("torch", "onnx", "onnxscript", "onnxruntime"), "train", "exporting a model")
    embedded = EMBEDDED / name_or_folder
    registration = embedded if embedded.is_dir() else Path(name_or_folder)
    if _kind(registration) == REGISTRATION:
        return _export_registration(registration, out)
    automatic = any(entry.name == name_or_folder for entry in list_models())
    promptable = any(entry.name == name_or_folder for entry in list_prompt_models())
    if promptable or (not automatic and holds_prompt_model(Path(name_or_folder))):
        return _export_promptable(name_or_folder, out)
    return _export_automatic(name_or_folder, out)


def _export_automatic(name_or_folder: str, out: Path) -> dict[str, float]:
    from ..automatic.region_routing import RoutedModel
    from .export import export_model

    model = find_model(name_or_folder)
    if isinstance(model, RoutedModel):
        raise InputError(f"model '{model.name}' is made of several; give the folder of one of them in {model.path}")
    card = {key: value for key, value in model.card.items() if key not in _WRITTEN_ANEW}
    export_model(model.path, out, model.name, card)
    return dict(read_json(out / CARD_NAME).get("onnx_check", {}))


def _export_promptable(name_or_folder: str, out: Path) -> dict[str, float]:
    from ..prompting.onnx_export import export_prompt_model
    from ..prompting.weights import load_sam

    model = find_prompt_model(name_or_folder)
    if model.base is not None:
        raise InputError(f"model '{model.name}' is a mask decoder for '{model.base.name}': export that model")
    with output_folder(out) as folder:
        shutil.copyfile(model.weights_file, folder / "weights.npz")
        agreement = asdict(export_prompt_model(folder, load_sam(model)))
        check = {key: float(f"{value:.1g}") for key, value in agreement.items()}
        _write_card(folder, model.card, check)
    return check


def _export_registration(source: Path, out: Path) -> dict[str, float]:
    """The registration network has no other file than its ONNX graph, whose weights torch's network takes back."""
    from .registration.export import NETWORK_NAME, TOLERANCE_PX, difference_from_torch, write_graph
    from .registration.network import Registration

    card = read_json(source / CARD_NAME)
    registration = Registration(_registration_net(source / NETWORK_NAME), bool(card.get("symmetric", True))).eval()
    with output_folder(out) as folder:
        write_graph(registration, folder / NETWORK_NAME)
        difference = difference_from_torch(folder, registration)
        if not difference <= TOLERANCE_PX:
            raise RuntimeError(f"ONNX Runtime's field lies {difference:g} pixels off torch's")
        check = {"pixels": float(f"{difference:.1g}")}
        _write_card(folder, card, check)
    return check


def _registration_net(path: Path) -> RegistrationNet:
    """Torch's network with the weights of an ONNX graph, which names them as torch does."""
    import onnx
    import torch

    from .export import HALF
    from .registration.export import WEIGHTS
    from .registration.network import RegistrationNet

    weights = {
        tensor.name.removeprefix(WEIGHTS).removesuffix(HALF): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).astype("float32")
        )
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith(WEIGHTS)
    }
    net = RegistrationNet()
    state = net.state_dict()  # most parameters have several names there
    wrong = [name for name, value in weights.items() if name not in state or state[name].shape != value.shape]
    found = {state[name].data_ptr() for name in weights if name in state}
    missing = [name for name, value in state.items() if value.data_ptr() not in found]
    # Outputs of coarser levels, for deep supervision alone, are in no graph: only the finest is asked for a field.
    coarser = tuple(f"unet.decoder.seg_layers.{level}." for level in range(len(net.unet.decoder.seg_layers) - 1))
    if wrong or not all(name.startswith(coarser) for name in missing):
        raise InputError(f"{path} does not hold the weights of this version's registration network")
    net.load_state_dict(weights, strict=False)
    return net.float()


def _write_card(folder: Path, card: Mapping[str, Any], check: Mapping[str, float]) -> None:
    sums = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    content = {**{key: value for key, value in card.items() if key != "sha256"}, "onnx_check": check, "sha256": sums}
    (folder / CARD_NAME).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _kind(folder: Path) -> str:
    path = folder / CARD_NAME
    return str(read_json(path).get("kind", "")) if path.is_file() else ""
