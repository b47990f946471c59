"""Trainer classes by name: ours, nnU-Net's own, and a user's through `nnUNet_extTrainer`."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

DEFAULT_TRAINER = "ShortScheduleTrainer"

TRAINERS: Mapping[str, str] = {
    DEFAULT_TRAINER: "trainer",
    "SparseTrainer": "semi.trainer",
    "QuickTrainer": "semi.trainer",
}
"""Modules of this package that hold our trainers, by the name of the class."""

EXTERNAL_FOLDER = Path(__file__).parent / "nnunet_trainers"
"""What `nnUNet_extTrainer` must name for the stock `nnUNetv2_train -tr NAME` to find our trainers."""


def trainer_class(name: str) -> type[nnUNetTrainer]:
    """The trainer called `name`.

    Ours come first, then those that come with nnU-Net (`nnUNetTrainer`, `nnUNetTrainer_5epochs`, …), then those in the
    folders that the environment variable `nnUNet_extTrainer` lists.

    Raises:
        InputError: there is none, or the file that should hold it cannot be imported.
    """
    if name in TRAINERS:
        module = importlib.import_module(f".{TRAINERS[name]}", __package__)
        found: type[nnUNetTrainer] = getattr(module, name)
        return found
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    try:
        # The search tells every file it opens.
        with redirect_stdout(io.StringIO()):
            return recursive_find_trainer_class_by_name(name)
    except RuntimeError as error:
        raise InputError(
            f"there is no trainer '{name}': ours are {', '.join(TRAINERS)}; one of your own must lie in a folder that "
            "the environment variable nnUNet_extTrainer names"
        ) from error
    except AssertionError as error:
        raise InputError(f"the class '{name}' is no trainer: it does not derive from nnUNetTrainer") from error
    except (ImportError, SyntaxError) as error:
        raise InputError(f"a trainer of nnUNet_extTrainer cannot be imported: {error}") from error
