"""Plan, preprocess and train one nnU-Net, in a process of its own; a stopped run is taken up again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..automatic.packages import processor_threads
from ..files import write_atomically
from .checkpointing import FINAL, checkpoint_to_go_on_from, is_complete, remove_leftovers
from .settings import TrainingSettings
from .sparse_record import RECORD_NAME
from .state import TrainingState

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PLANS_NAME = "SmallPlans"
PREPARED_NAME = f"{PLANS_NAME}-prepared.json"
"""Written in the preprocessed data set when preprocessing is complete, with what was preprocessed and how."""

_AUGMENTATION_PROCESSES = "nnUNet_n_proc_DA"
_PREPROCESSED = "nnUNet_preprocessed"
_PROCESSES = "nnUNet_def_n_proc"


def set_environment(workspace: Path) -> None:
    """Point nnU-Net at `workspace`; must run before nnunetv2 is imported in this process."""
    for name in ("raw", "preprocessed", "results"):
        (workspace / f"nnUNet_{name}").mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(workspace / f"nnUNet_{name}")
    # 0 (augmentation in the training process) is legal there, but the planner makes it torch's thread count and fails.
    if not os.environ.get(_AUGMENTATION_PROCESSES, "").strip("0"):
        os.environ[_AUGMENTATION_PROCESSES] = "1"
    os.environ.setdefault(_PROCESSES, "2")


def planned_settings(dataset: str, workspace: Path) -> TrainingSettings | None:
    """The settings that `dataset` was planned and preprocessed with in `workspace`.

    Returns:
        None if that was not done yet, or was stopped before it was complete.
    """
    preprocessed = workspace / "nnUNet_preprocessed" / dataset
    plans = preprocessed / f"{PLANS_NAME}.json"
    # Workspaces made before there was such a note have none; a checkpoint says that preprocessing had been complete.
    trained = (workspace / "nnUNet_results" / dataset).glob(f"*__{PLANS_NAME}__*/fold_all/checkpoint_*.pth")
    if not plans.is_file() or not ((preprocessed / PREPARED_NAME).is_file() or any(trained)):
        return None
    content = json.loads(plans.read_text(encoding="utf-8"))
    # Every configuration that was planned carries the same settings, and 2d is always planned.
    return TrainingSettings(**content["configurations"]["2d"]["training_settings"])


def plan_and_preprocess(dataset: str, settings: TrainingSettings) -> None:
    """Fingerprint, plan and preprocess `nnUNet_raw/<dataset>` for the configuration that `settings` name.

    Nothing is done where just that was done before; what a stopped run left half done is done anew.
    """
    workspace = Path(os.environ[_PREPROCESSED]).parent
    preprocessed = workspace / "nnUNet_preprocessed" / dataset
    note = {"settings": settings.as_dict(), "files": _listing(workspace / "nnUNet_raw" / dataset)}
    note = json.loads(json.dumps(note))
    prepared = preprocessed / PREPARED_NAME
    if prepared.is_file() and json.loads(prepared.read_text(encoding="utf-8")) == note:
        return
    TrainingState.taken_up(workspace).change("preparing", "planning and preprocessing", epochs=settings.epochs)
    # nnU-Net reads plans that are there already (half of a file, maybe) and keeps label files that look new.
    for name in (PREPARED_NAME, f"{PLANS_NAME}.json", "dataset_fingerprint.json", RECORD_NAME):
        (preprocessed / name).unlink(missing_ok=True)
    shutil.rmtree(preprocessed / "gt_segmentations", ignore_errors=True)

    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    from .planner import PLANNER_CLASSES

    number, processes = int(dataset[7:10]), int(os.environ.get(_PROCESSES, "2"))
    extract_fingerprint_dataset(number, num_processes=processes, check_dataset_integrity=True)
    PLANNER_CLASSES[settings.planner](number, settings, PLANS_NAME).plan_experiment()
    preprocess_dataset(number, PLANS_NAME, (settings.configuration,), (processes,))
    record = workspace / "nnUNet_raw" / dataset / RECORD_NAME
    if record.is_file():
        shutil.copyfile(record, preprocessed / RECORD_NAME)
    with write_atomically(prepared) as temporary:
        temporary.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def train(
    dataset: str,
    workspace: Path,
    device: str,
    after_epoch: Callable[[int, int], None] | None = None,
    configuration: str = "2d",
    state: TrainingState | None = None,
) -> Path:
    """Train fold `all` to the end, from the latest checkpoint if one is there; a finished training is left alone.

    The trainer is the one that the plans name (`TrainingSettings.trainer`). How far it is stands in
    `<workspace>/training.json` (see `TrainingState`), the curve of loss and pseudo-Dice in `training.png` beside it.

    Args:
        dataset: `DatasetNNN_Name`, already planned and preprocessed.
        workspace: the folder given to `set_environment`.
        device: `cpu`, `cuda` or `mps`.
        after_epoch: called with (epochs done, epochs in all); may raise `Cancelled`.
        configuration: the one that was preprocessed.
        state: kept up to date by this function and finished by the caller; without it, this function does both.

    Returns:
        The trained model folder (plans.json, dataset.json, fold_all/checkpoint_final.pth).

    Raises:
        InputError: there is no trainer of the name that the plans give.
    """
    if state is None:
        state = TrainingState.taken_up(workspace)
        with state.told():
            folder = train(dataset, workspace, device, after_epoch, configuration, state)
            state.change("done", "trained", model=str(folder))
        return folder
    preprocessed = workspace / "nnUNet_preprocessed" / dataset
    plans = json.loads((preprocessed / f"{PLANS_NAME}.json").read_text(encoding="utf-8"))
    settings = TrainingSettings(**plans["configurations"][configuration]["training_settings"])
    folder = workspace / "nnUNet_results" / dataset / f"{settings.trainer}__{PLANS_NAME}__{configuration}"
    fold = folder / "fold_all"
    if is_complete(fold / FINAL):
        return folder
    remove_leftovers(fold)
    import torch

    from .processes import die_with_this_process
    from .start import start_from
    from .trainers import trainer_class
    from .watched import watched

    die_with_this_process()
    torch.set_num_threads(processor_threads())
    dataset_json = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    latest = checkpoint_to_go_on_from(fold)
    plans["continue_training"] = latest is not None
    chosen = watched(trainer_class(settings.trainer), state, after_epoch)
    trainer = chosen(plans, configuration, "all", dataset_json, torch.device(device))
    if latest is not None:
        trainer.load_checkpoint(str(latest))
    elif settings.start_from:
        start_from(trainer, Path(settings.start_from))
    try:
        trainer.run_training()
    finally:
        _finish_augmentation(trainer)
    return folder


def _finish_augmentation(trainer: nnUNetTrainer) -> None:
    """End the augmentation processes of a training that was stopped; nothing is left to do after a finished one."""
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        finish = getattr(loader, "_finish", None)
        if finish is not None:
            finish()


def _listing(folder: Path) -> dict[str, Any]:
    """Size and time of every file, by which a changed data set is known."""
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
