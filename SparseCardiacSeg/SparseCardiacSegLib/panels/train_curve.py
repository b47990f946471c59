"""The course of a training in Slicer's plot view: drawn when asked for, then after every epoch."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

from .train_progress import TrainingProgress
from .train_task import TrainTask


class TrainCurve:
    """Connects curveButton, which is there once an epoch is done."""

    def __init__(self, ui: Any) -> None:
        """Connect the button.

        Args:
            ui: the panel's widgets by name.
        """
        self.ui = ui
        self.begin()
        ui.curveButton.connect("clicked()", self.onShow)

    def begin(self) -> None:
        """A training begins: nothing is known of it, and nothing was asked for."""
        self._drawing = False
        self._epoch = -1
        self._shown: tuple[TrainTask, TrainingProgress] | None = None
        self.ui.curveButton.visible = False

    def follow(self, task: TrainTask, progress: TrainingProgress | None) -> bool:
        """Draw the epochs done, if that was asked for; whether there are more than at the last call."""
        if progress is None or progress.epoch == self._epoch or not progress.train_loss:
            return False
        self._epoch, self._shown = progress.epoch, (task, progress)
        self.ui.curveButton.visible = True
        if self._drawing:
            self._draw()
        return True

    def onShow(self) -> None:
        """The user wants to see the curves, and see them follow the training."""
        from ..mrml.measurement import show_chart

        if self._shown is not None:
            self._drawing = True
            show_chart(self._draw())

    def _draw(self) -> Any:
        from ..mrml.training_plot import training_chart

        task, progress = self._shown
        return training_chart(task.name, progress.train_loss, progress.val_loss, progress.pseudo_dice)
