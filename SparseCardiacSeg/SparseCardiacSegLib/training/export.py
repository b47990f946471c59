"""A trained nnU-Net becomes a small model folder that anyone can run: stock nnU-Net, torch or ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..automatic.model_folder import CARD_NAME, ONNX_NAME, ModelFolder, open_model_folder
from ..automatic.packages import quiet_nnunet, require
from ..errors import InputError
from ..files import output_folder
from .onnx_weights_once import leave_weights_in

if TYPE_CHECKING:
    import onnx
    import torch

    from ..automatic.checkpoint import Checkpoint

OPSET = 18
MAX_GRAPH_BYTES = 1024**2
"""Far above the graphs of nnU-Net (30 kB), far below one that holds weights."""

TOLERANCE = 1e-2
"""Largest accepted difference of a logit between ONNX Runtime and torch on noise; rounding gives about 1e-5."""


def export_model(trained_folder: Path, destination: Path, name: str, card: Mapping[str, Any]) -> Path:
    """Write a trained model as a folder that can be shipped.

    The folder is what nnU-Net v2 itself writes (`dataset.json`, `plans.json` with the one configuration that was
    trained, `fold_*/checkpoint_final.pth`), so `nnUNetv2_predict_from_modelfolder` runs it. Weights are rounded to
    float16, half the size; nothing else but names and plain values is stored. A model of one fold also
    gets `network.onnx`, a graph of some 30 kB that finds the same weights in the checkpoint. The same input gives the
    same bytes.

    Args:
        trained_folder: what training wrote.
        destination: the folder to write; appears complete or not at all.
        name: the model's name, such as `sax-acdc-24`.
        card: what a user should know: data, volumes, epochs, seed, Dice on validation, licence.

    Returns:
        `destination`.

    Raises:
        InputError: the trained folder cannot be used, or a needed package is missing.
    """
    require(("torch", "nnunetv2", "onnx", "onnxscript", "onnxruntime"), "all", "exporting a model")
    model = open_model_folder(trained_folder)
    with quiet_nnunet():
        from ..automatic.network import STOCK_TRAINER, load_network

        loaded = load_network(model)
        configuration = loaded.checkpoints[0].configuration
        check: dict[str, Any] = {}
        with output_folder(destination) as folder:
            _write_json(folder / "dataset.json", model.dataset)
            _write_json(folder / "plans.json", _trimmed_plans(model, configuration))
            for path, checkpoint in zip(model.checkpoints, loaded.checkpoints, strict=True):
                _write_checkpoint(folder / path.parent.name / "checkpoint_final.pth", checkpoint, STOCK_TRAINER)
            if len(model.checkpoints) == 1 and not model.has_regions:
                patch_size = tuple(loaded.configuration.patch_size)
                checkpoint = folder / model.checkpoints[0].parent.name / "checkpoint_final.pth"
                difference = _write_onnx(folder / ONNX_NAME, checkpoint, loaded.network, patch_size, loaded)
                # One digit: further ones are the processor's.
                check = {"onnx_check": {"logit": float(f"{difference:.1g}")}}
            files = {
                str(file.relative_to(folder).as_posix()): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            }
            facts = {
                "name": name,
                "configuration": configuration,
                "trainer": loaded.checkpoints[0].trainer,
                "parameters": sum(parameter.numel() for parameter in loaded.network.parameters()),
                "weights": "rounded to float16",
                **check,
                "sha256": files,
            }
            _write_json(folder / CARD_NAME, {**card, **facts})
    return destination


def _trimmed_plans(model: ModelFolder, configuration: str) -> dict[str, Any]:
    """plans.json with one configuration, inheritance resolved, and without training's own notes."""
    content = dict(model.configuration(configuration).content)
    content.pop("inherits_from", None)
    settings = dict(content.get("training_settings", {}))
    if settings.get("start_from"):
        # A folder of the machine that trained; its name says enough.
        content["training_settings"] = {**settings, "start_from": Path(settings["start_from"]).name}
    plans = {key: value for key, value in model.plans.items() if key != "continue_training"}
    return {**plans, "configurations": {configuration: content}}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON for people to read."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_checkpoint(path: Path, checkpoint: Checkpoint, trainer: str) -> None:
    """Write one fold: rounded weights and what nnU-Net needs to predict, nothing that needs an allow-list."""
    import torch

    content = {
        "network_weights": _rounded(checkpoint.weights),
        "init_args": {"configuration": checkpoint.configuration},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": checkpoint.mirroring_axes,
    }
    path.parent.mkdir(exist_ok=True)
    torch.save(content, path)


def _rounded(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as float16; names that share a tensor (nnU-Net's networks list most twice) still share it."""
    import torch

    done: dict[tuple[int, tuple[int, ...]], torch.Tensor] = {}
    rounded = {}
    for name, value in weights.items():
        key = (value.data_ptr(), tuple(value.shape))
        if key not in done:
            done[key] = (value.detach().half() if value.is_floating_point() else value.detach()).contiguous().clone()
            if value.is_floating_point() and not torch.isfinite(done[key]).all():
                raise InputError(f"weight '{name}' is too large for float16; the model cannot be exported")
        rounded[name] = done[key]
    return rounded


def _write_onnx(path: Path, weights: Path, network: torch.nn.Module, patch_size: tuple[int, ...], loaded: Any) -> float:
    """Export the network with the rounded weights of the checkpoint `weights`, and check it against torch on noise.

    Returns:
        The largest difference of a logit.
    """
    import numpy as np
    import onnx
    import torch

    from ..automatic.onnx_session import open_session
    from ..automatic.onnx_weights import external_weights

    checkpoint = loaded.checkpoints[0]
    network.load_state_dict(_rounded(checkpoint.weights))
    network.eval()
    example = torch.randn((2, 1, *patch_size), generator=torch.Generator().manual_seed(0))
    program = torch.onnx.export(
        network,
        (example,),
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    proto = cleaned(program.model_proto)
    halve_initializers(proto)
    axes = checkpoint.mirroring_axes or ()
    metadata = {"configuration": checkpoint.configuration, "mirroring_axes": ",".join(map(str, axes))}
    onnx.helper.set_model_props(proto, metadata)
    leave_weights_in(proto, weights, path.parent)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    onnx.checker.check_model(path)  # by its path, so that the references are checked too
    session = open_session(path, MAX_GRAPH_BYTES, weights=external_weights(path, [weights]))
    with torch.no_grad():
        expected = network(example).numpy()
    difference = float(np.abs(session.run(None, {"image": example.numpy()})[0] - expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the exported network differs from torch's by {difference:.3g}")
    return difference


def cleaned(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's stack traces (with paths of the machine) and notes."""
    proto.ir_version = min(proto.ir_version, 10)
    proto.doc_string = proto.graph.doc_string = ""
    del proto.metadata_props[:], proto.graph.metadata_props[:], proto.graph.value_info[:]
    for part in (*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    return proto


HALF = ".half"
"""Behind a weight's name where it is stored as float16."""


def halve_initializers(proto: onnx.ModelProto, prefix: str = "") -> None:
    """Store weights as float16 with a Cast each: half the file; ONNX Runtime folds the casts when it loads it.

    Args:
        proto: changed in place.
        prefix: only initializers whose names begin so: coordinates of a grid, say, need all their digits.
    """
    import numpy as np
    import onnx

    casts, stored = [], []
    for tensor in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not tensor.name.startswith(prefix):
            stored.append(tensor)
            continue
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}{HALF}")
        stored.append(half)
        cast = onnx.helper.make_node("Cast", [half.name], [tensor.name], f"{tensor.name}.cast", to=1)
        casts.append(cast)
    nodes = [*casts, *proto.graph.node]
    kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in stored]
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.initializer[:], proto.graph.node[:]
    proto.graph.initializer.extend(kept)
    proto.graph.node.extend(copied)
