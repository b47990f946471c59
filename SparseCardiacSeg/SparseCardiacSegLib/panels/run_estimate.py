"""How long a segmentation will take and how much memory it needs, learned from earlier runs on this computer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from .models import ModelChoice

GROUP = "SparseCardiacSeg/secondsPerSlice"
MIRRORED_PASSES = 4
"""A 2d network sees each slice in four mirrored forms."""


@dataclass(frozen=True)
class RunSize:
    """What the time of a run depends on.

    Attributes:
        model: the model.
        device: as asked for; `auto` is a device of its own.
        slices: of all frames together.
        mirroring: whether mirrored forms are averaged.
    """

    model: ModelChoice
    device: str
    slices: int
    mirroring: bool

    @property
    def passes(self) -> int:
        """How many slices the network sees."""
        return self.slices * (MIRRORED_PASSES if self.mirroring else 1)

    @property
    def key(self) -> str:
        """Where the measured time lies in the application's settings; slashes would make groups."""
        name = "".join(letter if letter.isalnum() else "-" for letter in self.model.name)
        return f"{GROUP}/{name}-{self.device}"


def remember_run(size: RunSize, seconds: float) -> None:
    """Keep how long a slice took, for the next estimate."""
    remember_rate(size.key, seconds, size.passes)


def remember_rate(key: str, seconds: float, amount: float) -> None:
    """Keep how long one of something took, under a key of the application's settings."""
    slicer.app.userSettings().setValue(key, str(seconds / (amount or 1.0)))


def known_seconds(key: str, amount: float) -> float | None:
    """How long that much will take, as last time on this computer; None where that is not known."""
    try:
        return float(slicer.app.userSettings().value(key)) * amount
    except (TypeError, ValueError):
        return None


def estimate_sentence(size: RunSize) -> str:
    """About how long, and about how much memory; empty where nothing is known."""
    text = size_text(size.model.megabytes)
    seconds = known_seconds(size.key, size.passes)
    if seconds is None:
        return _("The first run with this model tells how long it takes here. {memory}").format(memory=text).strip()
    return (
        _("About {time} for {slices} slices, as last time on this computer. {memory}")
        .format(time=duration(seconds), slices=size.slices, memory=text)
        .strip()
    )


def duration(seconds: float) -> str:
    """Seconds or minutes, rounded as an estimate deserves."""
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    return _("{minutes} min").format(minutes=round(seconds / 60))


def size_text(megabytes: int) -> str:
    """A sentence on memory, where it is known."""
    return _("Needs about {size} GB of memory.").format(size=f"{megabytes / 1000:.1f}") if megabytes else ""
