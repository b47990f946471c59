"""What a training process tells of itself, read from the file that it writes after every epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands.

    Attributes:
        state: `preparing`, `training`, `exporting`, `done`, `failed` or `cancelled`.
        message: what is being done, or why it failed.
        epoch, epochs: finished and wanted.
        train_loss, val_loss: nnU-Net's losses by epoch; NaN where one is not known.
        pseudo_dice: by structure and epoch; NaN where a structure did not occur.
        seconds_per_epoch: 0 while it is not known.
    """

    state: str
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    train_loss: tuple[float, ...] = ()
    val_loss: tuple[float, ...] = ()
    pseudo_dice: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds_per_epoch: float = 0.0

    @property
    def fraction(self) -> float:
        """Share of the epochs done."""
        return min(1.0, self.epoch / self.epochs) if self.epochs > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """About how long the other epochs take; None while that is not known."""
        left = self.epochs - self.epoch
        return self.seconds_per_epoch * left if self.seconds_per_epoch > 0 and left > 0 else None

    def figures(self) -> str:
        """Loss and pseudo-Dice of the last epoch in a sentence; empty where they are not known."""
        if not self.train_loss or not math.isfinite(self.train_loss[-1]):
            return ""
        text = _("Loss {loss}.").format(loss=f"{self.train_loss[-1]:.2f}")
        last = {name: values[-1] for name, values in self.pseudo_dice.items() if values and math.isfinite(values[-1])}
        if last:
            listed = ", ".join(f"{name} {value:.2f}" for name, value in last.items())
            text += " " + _("Pseudo-Dice: {values}.").format(values=listed)
        return text


def readProgress(path: Path) -> TrainingProgress | None:  # noqa: N802
    """What the file tells; None where there is none, or none that can be read at this moment."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [str(name) for name in content.get("structures") or ()]
        (seconds,) = _numbers([content.get("seconds_per_epoch")])
        rows = [_numbers(row) for row in content.get("pseudo_dice") or ()]
        return TrainingProgress(
            str(content["state"]),
            str(content.get("message") or ""),
            int(content.get("epoch") or 0),
            int(content.get("epochs") or 0),
            _numbers(content.get("train_loss")),
            _numbers(content.get("val_loss")),
            {name: tuple(row[i] if i < len(row) else math.nan for row in rows) for i, name in enumerate(names)},
            seconds if math.isfinite(seconds) and seconds > 0 else 0.0,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _numbers(values: Any) -> tuple[float, ...]:
    """Numbers of a list; NaN for what is none, as JSON writers put null for it."""
    return tuple(
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        for value in (values or ())
    )
