"""Sentences of the Train section about how a training ended and how long one takes."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from .model_store import size_text
from .run_estimate import duration, known_seconds, remember_rate
from .train_progress import TrainingProgress
from .train_task import TrainTask

if TYPE_CHECKING:
    from .train_run import TrainState

RATE_GROUP = "SparseCardiacSeg/secondsPerIteration"


def message(progress: TrainingProgress) -> str:
    """Where a training stands, in a sentence or two."""
    if progress.state == "exporting":
        return _("Writing the model")
    if progress.state != "training" or progress.epochs <= 0:
        return progress.message or _("Preparing")
    if progress.epoch == 0:
        return _("The first epoch is under way; it tells how long the others take.")
    parts = [_("Epoch {epoch} of {epochs} is done.").format(epoch=progress.epoch, epochs=progress.epochs)]
    parts.append(progress.figures())
    left = progress.seconds_left
    if left is not None:
        parts.append(_("About {time} left, by the epochs so far (an estimate).").format(time=duration(left)))
    return " ".join(part for part in parts if part)


def stoppedText(state: TrainState) -> str:
    """What is left of a training that was stopped."""
    if not state.resumable:
        return _("Cancelled; nothing was kept.")
    progress = state.progress
    if progress is None or progress.epoch == 0:
        return _("Stopped; the training can be resumed.")
    text = _("Stopped after epoch {epoch} of {epochs}; the training can be resumed from the last checkpoint.")
    return text.format(epoch=progress.epoch, epochs=progress.epochs)


def summary(task: TrainTask, state: TrainState) -> str:
    """What came of a training, and what to know of it."""
    lines = [_("{title} is ready: choose it in the Segment section.").format(title=state.title)]
    figures = "" if state.progress is None else state.progress.figures()
    if figures:
        told = _("At the end: {figures} Pseudo-Dice is measured on the training's own volumes, not on new ones.")
        lines.append(told.format(figures=figures))
    size = sum(file.stat().st_size for file in task.workspace.rglob("*") if file.is_file())
    text = _("The training's folder holds a copy of the images ({size}); delete it when it is no longer needed.")
    lines.append(text.format(size=size_text(size)))
    return "\n".join([*lines, *state.warnings])


def estimate(device: str, iterations: int) -> str:
    """About how long a training will take, as far as that is known on this computer."""
    seconds = known_seconds(f"{RATE_GROUP}/{device}", iterations)
    if seconds is None:
        text = _("{iterations} iterations; the first epoch tells how long they take here.")
        return text.format(iterations=iterations)
    text = _("About {time} for {iterations} iterations, as last time on this computer (an estimate).")
    return text.format(time=duration(seconds), iterations=iterations)


def rememberEpoch(asked: str, task: TrainTask, progress: TrainingProgress) -> None:
    """Keep how long an iteration took, for the next estimate.

    Args:
        asked: the device that was asked for, perhaps `auto`.
        task: the training.
        progress: where it stands.
    """
    if progress.seconds_per_epoch > 0:
        for device in {asked, task.device}:
            remember_rate(f"{RATE_GROUP}/{device}", progress.seconds_per_epoch, task.iterations)
