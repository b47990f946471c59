"""What a trained model's card says: data, training, machine; as JSON values and as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .settings import TrainingSettings
from .sparse_record import is_restricted, read_record, told_to_train
from .state import TrainingState

MARKDOWN_NAME = "card.md"

_DATA = {
    "source": "Source",
    "split": "Split",
    "volumes": "Annotated volumes",
    "slices": "Annotated slices",
    "slices_in_all": "Slices in all",
    "regions": "Regions (A apical, M mid-ventricular, B basal)",
    "mode": "Other slices",
    "spread": "Spread of the slices",
    "synthetic_volumes": "Volumes with carried labels",
    "patients": "Patients",
    "orientation": "Orientation of the images",
    "seed": "Seed",
}
_TRAINING = {
    "trainer": "Trainer",
    "planner": "Planner",
    "start_from": "Began with",
    "configuration": "Configuration",
    "epochs": "Epochs",
    "iterations_per_epoch": "Iterations an epoch",
    "batch_size": "Largest batch",
    "initial_learning_rate": "Initial learning rate",
    "mirroring": "Mirroring",
    "foreground_oversampling": "Foreground oversampling",
    "region_ratio": "Sampling of base and apex to middle",
    "synthetic_weight": "Weight of carried labels",
}
_TECHNICAL = ("sha256", "training", "name", "trainer", "configuration", "parameters", "weights", "hardware")


def hardware_name(device: str) -> str:
    """The device and what it is, such as `cuda, NVIDIA H200` or `cpu, x86_64, threads: 2`."""
    import torch

    if device == "cuda" and torch.cuda.is_available():
        return f"cuda, {torch.cuda.get_device_name()}"
    return f"{device}, {platform.machine()}, threads: {torch.get_num_threads()}"


def effective_oversampling(settings: TrainingSettings, raw_dataset: Path) -> float:
    """The share of a batch whose patches are sure to show a structure, as the default trainer takes it."""
    if settings.foreground_oversampling is not None:
        return settings.foreground_oversampling
    return 0.0 if is_restricted(read_record(raw_dataset)) else 0.33


def training_facts(
    raw_dataset: Path, settings: TrainingSettings, device: str, state: TrainingState | None = None
) -> dict[str, Any]:
    """The facts that this training adds to `card.json`, beside those of `export_model`.

    Args:
        raw_dataset: its `sparsity.json` tells what was annotated.
        settings: of the training.
        device: that it ran on.
        state: the last pseudo-Dice and the time of an epoch are taken from it.
    """
    facts = told_to_train(read_record(raw_dataset))
    facts.setdefault("volumes", len(list((raw_dataset / "labelsTr").iterdir())))
    facts["training"] = {
        **settings.as_dict(),
        "foreground_oversampling": effective_oversampling(settings, raw_dataset),
        "start_from": Path(settings.start_from).name or None,
    }
    facts["hardware"] = hardware_name(device)
    if state is not None and state.pseudo_dice:
        facts["pseudo_dice"] = dict(zip(state.structures, state.pseudo_dice[-1], strict=True))
        facts["seconds_per_epoch"] = state.seconds_per_epoch
    return facts


def card_text(card: Mapping[str, Any]) -> str:
    """The content of `card.json` for people to read, as Markdown."""
    training = {"trainer": card.get("trainer"), **card.get("training", {})}
    lines = [f"# {card.get('name', 'model')}", ""]
    lines += [f"Segments cardiac MR; {card.get('parameters', 0):,} parameters, {card.get('weights', '')}.".replace(
        ", .", "."), "Research use only.", ""]  # fmt: skip
    lines += ["## Data", "", *_table(card, _DATA), "", "## Training", "", *_table(training, _TRAINING)]
    if "hardware" in card:
        lines.append(f"| Hardware | {_shown(card['hardware'])} |")
    if "seconds_per_epoch" in card:
        lines.append(f"| Seconds an epoch | {_shown(card['seconds_per_epoch'])} |")
    if "pseudo_dice" in card:
        each = ", ".join(
            f"{name} " + ("-" if value is None else f"{value:.2f}") for name, value in card["pseudo_dice"].items()
        )
        lines.append(f"| Pseudo-Dice on training patches, last epoch | {each} |")
    shown = {*_DATA, *_TECHNICAL, "seconds_per_epoch", "pseudo_dice"}
    others = {name: name.replace("_", " ").capitalize() for name in card if name not in shown}
    if others:
        lines += ["", "## More", "", *_table(card, others)]
    return "\n".join(lines) + "\n"


def _table(facts: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    rows = [f"| {title} | {_shown(facts[name])} |" for name, title in names.items() if facts.get(name) is not None]
    return ["| | |", "|---|---|", *rows]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        each = ", ".join(map(_shown, value))
        return f"{len(value)}: {each}" if len(value) > 4 else each
    return str(value).replace("|", "\\|").replace("\n", " ")
