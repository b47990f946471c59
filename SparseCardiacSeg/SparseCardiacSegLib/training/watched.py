"""A trainer that tells how far it is and whose checkpoints survive a kill, whichever trainer it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

from ..files import write_atomically
from .checkpointing import save_atomically
from .state import TrainingState, plain_number

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

CURVE_NAME = "training.png"
_CURVE_EVERY = 10.0
"""Seconds between two drawings of the curve, which takes about 0.2 s."""


def watched(
    trainer: type[nnUNetTrainer], state: TrainingState, after_epoch: Callable[[int, int], None] | None
) -> type[nnUNetTrainer]:
    """A subclass of `trainer` with its name (which names the model's folder) that keeps `state` up to date.

    Args:
        trainer: any of nnU-Net's kind.
        state: written after every epoch, with a picture of the curve beside it.
        after_epoch: called with (epochs done, epochs in all); may raise `Cancelled`.
    """
    drawn = [0.0]

    class Watched(trainer):  # type: ignore[misc, valid-type]
        """The trainer, telling how far it is."""

        def on_train_start(self) -> None:
            super().on_train_start()
            _tell(self, state)

        def on_epoch_end(self) -> None:
            super().on_epoch_end()
            _tell(self, state)
            if time.monotonic() - drawn[0] > _CURVE_EVERY or self.current_epoch == self.num_epochs:
                _draw(state)
                drawn[0] = time.monotonic()
            if after_epoch is not None:
                after_epoch(self.current_epoch, self.num_epochs)

        def save_checkpoint(self, filename: str) -> None:
            save_atomically(self, super().save_checkpoint, filename)

    Watched.__name__ = Watched.__qualname__ = trainer.__name__
    return Watched


def structure_names(dataset: dict[str, Any]) -> list[str]:
    """Names of the structures of a `dataset.json`, in the order of nnU-Net's pseudo-Dice."""
    return [name for name in dataset["labels"] if name not in ("background", "ignore")]


def _tell(trainer: nnUNetTrainer, state: TrainingState) -> None:
    """Write the trainer's own record of its epochs."""
    done = trainer.current_epoch

    def logged(name: str) -> list[Any]:
        return trainer.logger.get_value(name, None)[:done]

    seconds = [end - start for start, end in zip(logged("epoch_start_timestamps"), logged("epoch_end_timestamps"),
                                                 strict=False)]  # fmt: skip
    state.change(
        "training",
        epoch=done,
        epochs=trainer.num_epochs,
        train_loss=[plain_number(value) for value in logged("train_losses")],
        val_loss=[plain_number(value) for value in logged("val_losses")],
        pseudo_dice=[[plain_number(value) for value in each] for each in logged("dice_per_class_or_region")],
        structures=structure_names(trainer.dataset_json),
        seconds_per_epoch=round(median(seconds[-5:]), 3) if seconds else 0.0,
    )
    state.change("training", state.line())


def _draw(state: TrainingState) -> None:
    try:
        from ..figures.training_curve import training_curve_figure
    except ImportError:  # nnU-Net brings matplotlib; a trainer's own environment may have left it out
        return
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # nnU-Net's own picture sets the fonts of the whole process to 2.5 times their size
        picture = training_curve_figure(state.train_loss, state.val_loss, state.pseudo_dice, state.structures)
    with write_atomically(state.workspace / CURVE_NAME) as temporary:
        temporary.write_bytes(picture)
