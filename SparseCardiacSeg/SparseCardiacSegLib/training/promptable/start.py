"""First weights of the embedded promptable model: those of a U-Net, or of an earlier round of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from segment_anything.modeling import Sam

from ...automatic.catalogue import find_model
from ...automatic.checkpoint import load_checkpoint
from ...errors import InputError
from ...prompting.architectures import SLICE_256
from ...prompting.catalogue import find_prompt_model, holds_prompt_model, list_prompt_models
from ...prompting.model import PromptModel
from ...prompting.weights import load_sam


def start_from_unet(sam: Sam, checkpoint: Path) -> int:
    """Copy the stages that `SliceEncoder` shares with a 2d nnU-Net of features 16-32-64-128-256-256.

    Returns:
        How many tensors were copied.
    """
    weights = load_checkpoint(checkpoint).weights
    own = sam.image_encoder.state_dict()
    pairs = {}
    for i in range(len(sam.image_encoder.stages)):
        pairs[f"stages.{i}"] = f"encoder.stages.{i}.0.convs"
    for i in range(len(sam.image_encoder.merges)):
        pairs[f"merges.{i}"] = f"decoder.stages.{i + 1}.convs"
    copied = 0
    for ours, theirs in pairs.items():
        for index, (block, kind) in {0: (0, "conv"), 1: (0, "norm"), 3: (1, "conv"), 4: (1, "norm")}.items():
            for part in ("weight", "bias"):
                own[f"{ours}.{index}.{part}"].copy_(weights[f"{theirs}.{block}.{kind}.{part}"])
                copied += 1
    for i in range(len(sam.image_encoder.ups)):
        for part in ("weight", "bias"):
            own[f"ups.{i}.{part}"].copy_(weights[f"decoder.transpconvs.{i + 1}.{part}"])
            copied += 1
    return copied


def start_from_model(sam: Sam, model: PromptModel) -> None:
    """Copy all weights of a trained model, to go on with another round.

    Raises:
        InputError: the model is of another architecture, or its files cannot be used.
    """
    if model.architecture != SLICE_256:
        raise InputError(f"model '{model.name}' is of architecture {model.architecture}; {SLICE_256} is needed")
    sam.load_state_dict(load_sam(model).state_dict())


def starting_point(name: str) -> Callable[[Sam], object]:
    """What copies the weights of the model called `name`, or in the folder `name`, into a new network.

    Raises:
        InputError: there is no such model, or it cannot be used.
    """
    if any(entry.name == name for entry in list_prompt_models()) or holds_prompt_model(name):
        model = find_prompt_model(name)
        return lambda sam: start_from_model(sam, model)
    checkpoint = find_model(name).checkpoints[0]
    return lambda sam: start_from_unet(sam, checkpoint)
