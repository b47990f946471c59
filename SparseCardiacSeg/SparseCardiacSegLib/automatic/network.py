"""The torch network of a model folder, built as nnU-Net builds it and filled with checked weights.

Import this module through `open_predictor` or after `require`: it needs torch and nnunetv2.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from ..errors import InputError
from .checkpoint import Checkpoint, load_checkpoint
from .model_folder import ModelFolder

STOCK_TRAINER = "nnUNetTrainer"


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network and what nnU-Net needs beside it.

    Attributes:
        network: with the weights of the first fold, on the CPU.
        checkpoints: one a fold.
        plans, configuration: nnU-Net's views of plans.json.
        note: a sentence for the user, or empty.
    """

    network: torch.nn.Module
    checkpoints: tuple[Checkpoint, ...]
    plans: PlansManager
    configuration: ConfigurationManager
    note: str


def load_network(model: ModelFolder) -> LoadedNetwork:
    """Read every fold's checkpoint and build the network.

    Raises:
        InputError: a checkpoint is refused, the folds differ, or the weights do not fit the plans.
    """
    checkpoints = tuple(load_checkpoint(path) for path in model.checkpoints)
    first = checkpoints[0]
    if any(other.configuration != first.configuration for other in checkpoints):
        raise InputError(f"the folds of model '{model.name}' were trained in different configurations")
    content = model.configuration(first.configuration).content
    if content.get("previous_stage"):
        raise InputError(f"model '{model.name}' is a cascade's second stage, which needs the first stage's result")
    plans = PlansManager(deepcopy(dict(model.plans)))
    configuration = plans.get_configuration(first.configuration)
    network, note = _build_network(model, plans, configuration, checkpoints)
    return LoadedNetwork(network, checkpoints, plans, configuration, note)


def _build_network(
    model: ModelFolder, plans: PlansManager, configuration: ConfigurationManager, checkpoints: tuple[Checkpoint, ...]
) -> tuple[torch.nn.Module, str]:
    """The network with the first fold's weights, and a sentence to show where its trainer is unknown.

    The network is first built without memory ("meta") and compared with every checkpoint, so that plans which
    describe a monstrous or a wrong network cost nothing but a sentence.
    """
    channels = determine_num_input_channels(plans, configuration, dict(model.dataset))
    heads = plans.get_label_manager(dict(model.dataset)).num_segmentation_heads
    trainer = checkpoints[0].trainer
    build, note = _network_builder(trainer)
    try:
        with torch.device("meta"):
            blueprint = build(plans, configuration, channels, heads)
        _check_weights(blueprint, checkpoints, model)
        network = build(plans, configuration, channels, heads)
        network.load_state_dict(checkpoints[0].weights)
    except InputError as error:
        raise InputError(f"{error} ({note})" if note else str(error)) from error
    except Exception as error:  # the arguments in plans.json reach constructors, which fail in many ways
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"the network of model '{model.name}' cannot be built from plans.json: {reason}") from error
    return network, note and f"{note}, and its weights fit"


def _check_weights(blueprint: torch.nn.Module, checkpoints: tuple[Checkpoint, ...], model: ModelFolder) -> None:
    """Compare names and shapes of the network's parameters with those of each checkpoint."""
    if not isinstance(blueprint, torch.nn.Module):
        raise InputError(f"plans.json of model '{model.name}' names no network")
    wanted = {name: tuple(value.shape) for name, value in blueprint.state_dict().items()}
    for path, checkpoint in zip(model.checkpoints, checkpoints, strict=True):
        if wanted != {name: tuple(value.shape) for name, value in checkpoint.weights.items()}:
            raise InputError(f"the weights in {path} do not fit the network that plans.json describes")


Builder = Callable[[PlansManager, ConfigurationManager, int, int], torch.nn.Module]


def _network_builder(trainer: str) -> tuple[Builder, str]:
    """How `trainer` builds its network; for a trainer nnU-Net does not know, how nnUNetTrainer does.

    Stock checkpoints do not import nnU-Net's trainers, which takes as long as importing torch.
    """
    if trainer == STOCK_TRAINER:
        return _build_stock, ""
    found = _find_trainer(trainer)
    if found is None:
        return (
            _build_stock,
            f"trainer '{trainer:.60}' is not installed, so the network is built as {STOCK_TRAINER} does",
        )
    make = found.build_network_architecture
    if "plans_manager" in inspect.signature(make).parameters:
        return lambda *arguments: make(*arguments, enable_deep_supervision=False), ""
    return lambda _plans, configuration, channels, heads: make(
        *_architecture(configuration), channels, heads, enable_deep_supervision=False
    ), ""


def _find_trainer(name: str) -> Any:
    """nnU-Net's trainer class `name`, also from the folders in `nnUNet_extTrainer`; None where there is none."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,120}", name):
        return None
    try:
        found = recursive_find_trainer_class_by_name(name)
    except (RuntimeError, ImportError, TypeError, AssertionError):  # not found, or the name of something else
        return None
    return found if isinstance(found, type) and issubclass(found, nnUNetTrainer) else None


def _build_stock(_plans: PlansManager, configuration: ConfigurationManager, channels: int, heads: int) -> Any:
    """The network as nnUNetTrainer builds it."""
    return get_network_from_plans(*_architecture(configuration), channels, heads, deep_supervision=False)


def _architecture(configuration: ConfigurationManager) -> tuple[str, Mapping[str, Any], Any]:
    """Class name, arguments and names of the arguments that are classes."""
    return (
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
    )
