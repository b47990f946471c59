"""A training that begins with the weights of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..automatic.checkpoint import load_checkpoint
from ..automatic.model_folder import open_model_folder
from ..errors import InputError

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def start_from(trainer: nnUNetTrainer, folder: Path) -> None:
    """Give a trainer's network the weights of a model, all of them.

    A trainer with a method `start_from` (`SparseTrainer`) is asked to do it, as it may have more to do.

    Args:
        trainer: that has not begun.
        folder: of the model: one that training wrote, or an exported one. Of several folds, the first.

    Raises:
        InputError: the folder holds no model that can be used, or one of another architecture.
    """
    model = open_model_folder(folder)
    weights = {
        name: value.float() if value.is_floating_point() else value
        for name, value in load_checkpoint(model.checkpoints[0]).weights.items()
    }
    begin = getattr(trainer, "start_from", None)
    try:
        if begin is not None:
            begin(weights)
        else:
            trainer.initialize()
            trainer.network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the model '{model.name}' has another architecture than the one planned; start from a model that was "
            "planned with the same spacing, patch, features and structures"
        ) from error
