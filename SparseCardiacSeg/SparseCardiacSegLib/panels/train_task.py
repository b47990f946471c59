"""A training in its folder: what was asked for, kept beside nnU-Net's files so that it can be taken up again."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..automatic.user_models import MODEL_NAME, user_folder
from ..errors import InputError
from ..files import write_atomically

TASK_NAME = "training_task.json"
DATASET = "Dataset101_Sparse"
"""nnU-Net's name of the data set; each training has a workspace of its own, so that one name is enough."""
SELF_TEACHING = "SparseTrainer"
"""The trainer that learns from images without annotation too."""


@dataclass(frozen=True)
class TrainTask:
    """What a training is asked for; written when its data set is complete.

    Attributes:
        name: of the model.
        workspace: folder of everything.
        device: `cpu`, `cuda` or `mps`.
        epochs, iterations: length of the training; iterations of an epoch.
        source: where the annotated volumes come from, without a path.
        volumes, patients, kept, slices: volumes and patients; annotated slices, and all of these volumes.
        structures: names of what is learned.
        sparsity: the fields of `training.sparsity.settings.SparsitySettings`.
        imported: whether its model is among the user's models.
        bfloat16: whether a processor computes in bfloat16; see `hasBfloat16`.
        trainer: one of `training.trainers`; empty for the usual one.
    """

    name: str
    workspace: Path
    device: str
    epochs: int
    iterations: int
    source: str = ""
    volumes: int = 0
    patients: int = 0
    kept: int = 0
    slices: int = 0
    structures: tuple[str, ...] = ()
    sparsity: Mapping[str, Any] | None = None
    imported: bool = False
    bfloat16: bool = False
    trainer: str = ""

    @property
    def dataset(self) -> Path:
        """The raw data set."""
        return self.workspace / "nnUNet_raw" / DATASET

    @property
    def model(self) -> Path:
        """The finished model, before it is taken over to the user's models."""
        return self.workspace / "model"

    @property
    def progress_file(self) -> Path:
        """What the training process tells of itself."""
        return self.workspace / "training.json"

    @property
    def log(self) -> Path:
        """What the training process has printed; what nnU-Net itself says is in `training.log` beside it."""
        return self.workspace / "output.log"

    @property
    def lock(self) -> Path:
        """A file that is locked while a process works in the workspace."""
        return self.workspace / ".lock"

    def arguments(self) -> list[str]:
        """The command line, behind `python -m SparseCardiacSegLib`; the same again goes on after an interruption."""
        return [
            *("train", str(self.dataset), "--workspace", str(self.workspace), "--out", str(self.model)),
            *("--name", self.name, "--epochs", str(self.epochs), "--iterations", str(self.iterations)),
            *("--device", self.device, "--card", str(self._card)),
            *("--seed", str((self.sparsity or {}).get("seed", 0))),
            *(() if self.bfloat16 else ("--no-bfloat16",)),
            *(("--trainer", self.trainer) if self.trainer else ()),
        ]

    def write(self) -> TrainTask:
        """Keep it in the workspace, with what the model's card is to say.

        Raises:
            InputError: the disk refused.
        """
        content = {key: value for key, value in asdict(self).items() if key != "workspace"}
        for path, written in ((self._card, self.card()), (self.workspace / TASK_NAME, content)):
            with write_atomically(path) as temporary:
                temporary.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return self

    def card(self) -> dict[str, str]:
        """What the card of the model says beside what the training adds; in English, as all cards are."""
        amount = f"{self.volumes} volumes of {self.patients} patients, {self.kept} of {self.slices} slices annotated"
        atrium = "LA" in self.structures
        return {
            "title": f"{self.name} ({', '.join(self.structures)}; trained on this computer, {self.volumes} volumes)",
            "view": "left atrium" if atrium and len(self.structures) == 1 else "short-axis",
            "data": f"{amount}; {self.source}",
            "licence": "your own model: what the annotated images permit",
        }

    @property
    def _card(self) -> Path:
        return self.workspace / "card.json"


def readTask(workspace: Path) -> TrainTask | None:  # noqa: N802
    """The task that is kept in a folder; None where there is none that can be read."""
    try:
        content = json.loads((workspace / TASK_NAME).read_text(encoding="utf-8"))
        structures = tuple(str(one) for one in content.pop("structures", ()))
        task = TrainTask(workspace=workspace, structures=structures, **content)
        numbers = (task.epochs, task.iterations, task.volumes, task.patients, task.kept, task.slices)
        usable = all(isinstance(one, int) for one in numbers) and task.dataset.is_dir()
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return task if usable and MODEL_NAME.fullmatch(task.name) else None


def unfinishedTasks(folder: Path) -> list[TrainTask]:  # noqa: N802
    """The trainings in the workspaces of a folder whose models are not among the user's yet, the newest first."""
    found = []
    try:
        paths = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # there is no such folder yet, or no permission to look into it
        return []
    for path in paths:
        task = readTask(path)
        if task is not None and not task.imported:
            found.append(task)
    return sorted(found, key=lambda task: (task.workspace / TASK_NAME).stat().st_mtime, reverse=True)


def asImported(task: TrainTask) -> TrainTask:  # noqa: N802
    """The task once its model is among the user's."""
    return replace(task, imported=True)


def hasBfloat16() -> bool:  # noqa: N802
    """Whether this processor has instructions for bfloat16: half the time with them, more than without where not.

    Only Linux tells without further packages; elsewhere the answer is no.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def defaultFolder() -> Path:  # noqa: N802
    """Where trainings are kept unless the user says otherwise: beside the folder of models."""
    return user_folder().parent / "trainings"


def nextName(name: str, folder: Path, models: Path) -> str:  # noqa: N802
    """A name like this one that a new training can have: `my-model-2` after `my-model`."""
    stem = re.sub(r"-\d+$", "", name)[:58]
    numbers = itertools.count(2)
    return next(one for number in numbers if not reasonAgainstName(one := f"{stem}-{number}", folder, models))


def reasonAgainstName(name: str, folder: Path, models: Path) -> str:  # noqa: N802
    """Why a new training cannot have a name; empty where it can.

    Args:
        name: of the model.
        folder: of the workspaces.
        models: the user's models.
    """
    from ..automatic.catalogue import check_free_name

    try:
        check_free_name(name, models)
    except InputError as error:
        return str(error)
    workspace = folder / name
    task = readTask(workspace)
    if task is not None and not task.imported:
        return _("An unfinished training has this name: resume it above, or choose another name.")
    begun = DATASET not in {path.name for path in (workspace / "nnUNet_raw").glob("*")}
    known = {"nnUNet_raw"} if begun else set()  # left by an application that was killed while it wrote the data set
    if workspace.is_dir() and any(path.name not in known and path.name[0] != "." for path in workspace.iterdir()):
        return _("{folder} holds something already: choose another name.").format(folder=workspace)
    return ""
