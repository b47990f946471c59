"""What a stopped fine-tuning needs to go on, in one file that is whole at every moment."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...errors import InputError
from ...files import write_atomically

STATE_NAME = "state.pt"
LOG_NAME = "log.csv"
_VERSION = 1
_FREE = frozenset(["epochs"])
"""Settings that may change when a run goes on: more epochs continue the very same course."""


@dataclass(frozen=True)
class Epoch:
    """One finished epoch: loss and Dice are means over its prompts, each before the step it led to."""

    number: int
    loss: float
    dice: float
    learning_rate: float


@dataclass
class RunState:
    """Everything that changes while training.

    Random numbers need no place in it: those of an epoch follow from the seed and the epoch's number.

    Attributes:
        decoder: the trained `mask_decoder`.
        optimiser: Adam.
        scheduler: reduces its learning rate.
        history: the finished epochs.
    """

    decoder: torch.nn.Module
    optimiser: torch.optim.Adam
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau
    history: list[Epoch] = field(default_factory=list)


def save_state(folder: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Write `state.pt` and `log.csv`; each is replaced whole.

    Args:
        folder: the run's own.
        state: after a finished epoch.
        identity: settings, model and data, as plain values: what must be the same for the run to go on.

    Raises:
        InputError: the disk refused.
    """
    content = {
        "version": _VERSION,
        "identity": dict(identity),
        "decoder": state.decoder.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "scheduler": state.scheduler.state_dict(),
        "history": [(epoch.number, epoch.loss, epoch.dice, epoch.learning_rate) for epoch in state.history],
    }
    with write_atomically(folder / STATE_NAME) as temporary:
        torch.save(content, temporary)
    write_log(folder / LOG_NAME, state.history)


def load_state(folder: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Put a saved state into `state`, if there is one.

    Raises:
        InputError: as `read_state`.
    """
    content = read_state(folder, identity)
    if content is None:
        return
    state.decoder.load_state_dict(content["decoder"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.scheduler.load_state_dict(content["scheduler"])
    state.history[:] = [Epoch(*values) for values in content["history"]]


def read_state(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `save_state` wrote, None if there is nothing; so that a run that cannot go on is told before long work.

    Raises:
        InputError: it is damaged, or of a run with other settings, model or data; the sentence names what differs.
    """
    path = folder / STATE_NAME
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, found = content["version"], content["identity"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}); start anew with --restart") from error
    if version != _VERSION:
        raise InputError(f"{path} was written by another version; start anew with --restart")
    differing = _differences(found, identity)
    if differing:
        raise InputError(
            f"{folder} holds a fine-tuning with {differing}; repeat that to go on with it, "
            "or start anew with --restart or in another folder"
        )
    return content


def write_log(path: Path, history: list[Epoch]) -> None:
    """Write the loss curve as CSV: epoch, loss, dice, learning_rate."""
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss", "dice", "learning_rate"])
        for epoch in history:
            writer.writerow([epoch.number, f"{epoch.loss:.6f}", f"{epoch.dice:.4f}", f"{epoch.learning_rate:.3g}"])


def _differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """`epochs 100, not 20; seed 0, not 1`: what differs, or nothing."""
    told = []
    for name in sorted({*found, *asked} - _FREE):
        before, now = found.get(name), asked.get(name)
        if before != now:
            told.append(f"{name} {_short(before)}, not {_short(now)}")
    return "; ".join(told)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
