"""Our trainers for the stock command: `nnUNet_extTrainer=<this folder> nnUNetv2_train … -tr ShortScheduleTrainer`.

nnU-Net imports every file of the folder as a module of its own, so this one imports by absolute name. Without an
installed package, the folder above the library is added to where Python looks.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

_PACKAGE = "SparseCardiacSegLib"

if importlib.util.find_spec(_PACKAGE) is None:
    sys.path.append(str(Path(__file__).resolve().parents[3]))


def __getattr__(name: str) -> Any:
    """The trainer called `name`, imported when it is asked for; nnU-Net asks every file for it."""
    from SparseCardiacSegLib.training.trainers import TRAINERS, trainer_class

    if name in TRAINERS:
        return trainer_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
