"""Checkpoints that are whole or not there, and the one to go on from."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_atomically

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    _Trainer = nnUNetTrainer
else:
    _Trainer = object

FINAL = "checkpoint_final.pth"
_TO_GO_ON_FROM = ("checkpoint_latest.pth", "checkpoint_best.pth")
_LEFT_OVER = re.compile(r"\.[0-9a-f]{8}-(?P<of>.+)")
"""Names of what `files.write_atomically` and `files.output_folder` write before it is complete."""


class AtomicCheckpoints(_Trainer):
    """Mixed with a trainer: nnU-Net writes checkpoints in place, where a kill leaves half of one."""

    def save_checkpoint(self, filename: str) -> None:
        """The parent's, under a temporary name until it is complete."""
        save_atomically(self, super().save_checkpoint, filename)


def save_atomically(trainer: nnUNetTrainer, save: Callable[[str], None], filename: str) -> None:
    """Call a trainer's `save` with a temporary name, which becomes `filename` when the file is complete."""
    if trainer.disable_checkpointing or trainer.local_rank != 0:  # then nothing is written
        save(filename)
        return
    with write_atomically(filename) as temporary:
        save(str(temporary))


def is_complete(checkpoint: Path) -> bool:
    """Whether a file is there and complete: torch's files are zip archives, whose contents stand at the end."""
    if not checkpoint.is_file() or not zipfile.is_zipfile(checkpoint):
        return False
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError):
        return False


def checkpoint_to_go_on_from(fold: Path) -> Path | None:
    """The latest checkpoint of an unfinished training; the best one where the latest is damaged; None without both."""
    return next((fold / name for name in _TO_GO_ON_FROM if is_complete(fold / name)), None)


def remove_leftovers(folder: Path, of: str = "") -> None:
    """Remove what a killed process left half written in a folder.

    Args:
        folder: need not exist.
        of: only what was to become the file or folder of this name.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _LEFT_OVER.fullmatch(path.name)
        if match is None or (of and match["of"] not in (of, f"partial-{of}")):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
