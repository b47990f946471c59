"""`training.json`: how far a training is, for whoever watches it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..progress import Cancelled

STATE_NAME = "training.json"
STATES = ("preparing", "training", "exporting", "done", "failed", "cancelled")


@dataclass
class TrainingState:
    """What stands in `<workspace>/training.json`.

    A killed process leaves its last state behind: "preparing", "training" and "exporting" are true only while the
    process `pid` lives.

    Attributes:
        workspace: where the file is.
        state: one of `STATES`.
        message: one sentence for the user.
        epoch, epochs: done, and in all.
        train_loss, val_loss: of every epoch done.
        pseudo_dice: of every epoch, for every structure; None where a structure was not seen.
        structures: their names, as in `dataset.json`.
        seconds_per_epoch: median of the last five epochs; 0 before the first.
        pid: of the process that trains.
        model: folder of the finished model.
    """

    workspace: Path
    state: str = "preparing"
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    train_loss: list[float | None] = field(default_factory=list)
    val_loss: list[float | None] = field(default_factory=list)
    pseudo_dice: list[list[float | None]] = field(default_factory=list)
    structures: list[str] = field(default_factory=list)
    seconds_per_epoch: float = 0.0
    pid: int = field(default_factory=os.getpid)
    model: str | None = None

    @classmethod
    def taken_up(cls, workspace: Path) -> TrainingState:
        """The state of a process that goes on where another one stopped: its epochs are kept."""
        before = read_state(workspace) or {}
        kept = ("epoch", "epochs", "train_loss", "val_loss", "pseudo_dice", "structures", "seconds_per_epoch")
        return cls(Path(workspace), **{name: before[name] for name in kept if name in before})

    @property
    def path(self) -> Path:
        """The file."""
        return self.workspace / STATE_NAME

    def change(self, state: str, message: str = "", **more: Any) -> None:
        """Change to `state`, set the attributes `more`, and write the file.

        Raises:
            InputError: the file cannot be written.
        """
        self.state, self.message = state, message
        for name, value in more.items():
            setattr(self, name, value)
        content = {name: value for name, value in asdict(self).items() if name != "workspace"}
        with write_atomically(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def line(self) -> str:
        """The last epoch in one line: `epoch 3 of 80, loss -0.512, pseudo-Dice RV 0.81 MYO 0.74 LV 0.90, 20 s`."""
        parts = [f"epoch {self.epoch} of {self.epochs}"]
        if self.train_loss and self.train_loss[-1] is not None:
            parts.append(f"loss {self.train_loss[-1]:.3f}")
        if self.pseudo_dice:
            each = zip(self.structures, self.pseudo_dice[-1], strict=True)
            parts.append("pseudo-Dice " + " ".join(f"{name} {_shown(value)}" for name, value in each))
        if self.seconds_per_epoch:
            parts.append(f"{self.seconds_per_epoch:.0f} s an epoch")
        return ", ".join(parts)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Around the work: a cancelled or failed one is told in the file; the exception goes on."""
        try:
            yield
        except (Cancelled, KeyboardInterrupt):
            self.change("cancelled", "stopped; the same command goes on from the latest checkpoint")
            raise
        except BaseException as error:
            self.change("failed", " ".join(str(error).split()) or type(error).__name__)
            raise


def read_state(workspace: Path) -> dict[str, Any] | None:
    """What the file says; None where there is none, or none that can be read."""
    try:
        content = json.loads((Path(workspace) / STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def plain_number(value: Any) -> float | None:
    """A number as JSON knows it: None for what is not finite."""
    number = float(value)
    return round(number, 6) if math.isfinite(number) else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
