"""The trainings that can be resumed: their list, resuming one, and discarding one."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .train_progress import readProgress
from .train_task import TrainTask, unfinishedTasks


class Unfinished:
    """Connects unfinishedFrame, unfinishedLabel, unfinishedSelector, resumeButton and discardButton."""

    def __init__(self, ui: Any, onResume: Callable[[TrainTask], None], onMessage: Callable[[str], None]) -> None:
        """Connect the widgets.

        Args:
            ui: the panel's widgets by name.
            onResume: called with the training that is to go on.
            onMessage: called with a sentence when one was discarded, or could not be.
        """
        self.ui = ui
        self._onResume = onResume
        self._onMessage = onMessage
        self._tasks: list[TrainTask] = []
        ui.unfinishedFrame.visible = False
        ui.unfinishedSelector.connect("currentIndexChanged(int)", lambda _index: self._describe())
        ui.resumeButton.connect("clicked()", self.onResume)
        ui.discardButton.connect("clicked()", self.onDiscard)

    def chosen(self) -> TrainTask | None:
        """The training of the list that is chosen."""
        index = self.ui.unfinishedSelector.currentIndex
        return self._tasks[index] if 0 <= index < len(self._tasks) else None

    def refresh(self, folder: Path) -> None:
        """List what is in a folder of trainings; the chosen one stays chosen if it is still there."""
        before = self.chosen()
        self._tasks = unfinishedTasks(folder) if folder.is_absolute() else []
        names = [task.name for task in self._tasks]
        selector = self.ui.unfinishedSelector
        blocked = selector.blockSignals(True)
        selector.clear()
        for name in names:
            selector.addItem(name)
        selector.setCurrentIndex(names.index(before.name) if before is not None and before.name in names else 0)
        selector.blockSignals(blocked)
        self.ui.unfinishedFrame.visible = bool(names)
        self._describe()

    def onResume(self) -> None:
        """The user wants the chosen one to go on."""
        task = self.chosen()
        if task is not None:
            self._onResume(task)

    def onDiscard(self) -> None:
        """The user wants the chosen one to be deleted, after a question."""
        task = self.chosen()
        if task is None:
            return
        question = _("The unfinished training {name} will be deleted, with its copy of the images: {folder}")
        question = question.format(name=task.name, folder=task.workspace)
        if slicer.util.confirmOkCancelDisplay(question, _("Discard a training")):
            self._onMessage(_discard(task))

    def _describe(self) -> None:
        task = self.chosen()
        if task is None:
            return
        progress = readProgress(task.progress_file)
        done = 0 if progress is None else progress.epoch
        text = _("{done} of {epochs} epochs are done; on {device}, with {volumes} volumes.")
        self.ui.unfinishedLabel.text = text.format(
            done=done, epochs=task.epochs, device=task.device.upper(), volumes=task.volumes
        )


def _discard(task: TrainTask) -> str:
    """Delete a training's folder; what to say of it."""
    from ..prompting.locking import only_one

    try:
        with only_one(task.lock, f"training '{task.name}'"):
            pass
    except InputError as error:
        return str(error)
    shutil.rmtree(task.workspace, ignore_errors=True)
    if task.workspace.exists():
        return _("{folder} could not be deleted.").format(folder=task.workspace)
    return _("The training {name} was deleted.").format(name=task.name)
