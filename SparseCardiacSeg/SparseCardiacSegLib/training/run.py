"""Plan, preprocess and train one nnU-Net, in a process of its own; a stopped run is taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from ..automatic.packages import processor_threads
from .settings import TrainingSettings

PLANS_NAME = "SmallPlans"
_AUGMENTATION_PROCESSES = "nnUNet_n_proc_DA"


def set_environment(workspace: Path) -> None:
    """Point nnU-Net at `workspace`; must run before nnunetv2 is imported in this process."""
    for name in ("raw", "preprocessed", "results"):
        (workspace / f"nnUNet_{name}").mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(workspace / f"nnUNet_{name}")
    # 0 (augmentation in the training process) is legal there, but the planner makes it torch's thread count and fails.
    if not os.environ.get(_AUGMENTATION_PROCESSES, "").strip("0"):
        os.environ[_AUGMENTATION_PROCESSES] = "1"
    os.environ.setdefault("nnUNet_def_n_proc", "2")


def planned_settings(dataset: str, workspace: Path) -> TrainingSettings | None:
    """The settings that `dataset` was planned with in `workspace`; None if it was not planned yet."""
    plans = workspace / "nnUNet_preprocessed" / dataset / f"{PLANS_NAME}.json"
    if not plans.is_file():
        return None
    content = json.loads(plans.read_text(encoding="utf-8"))
    # Every configuration that was planned carries the same settings, and 2d is always planned.
    return TrainingSettings(**content["configurations"]["2d"]["training_settings"])


def plan_and_preprocess(dataset: str, settings: TrainingSettings) -> None:
    """Fingerprint, plan and preprocess `nnUNet_raw/<dataset>` for the configuration that `settings` name."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    from .planner import SmallExperimentPlanner

    number = int(dataset[7:10])
    extract_fingerprint_dataset(number, num_processes=2, check_dataset_integrity=True)
    SmallExperimentPlanner(number, settings, PLANS_NAME).plan_experiment()
    preprocess_dataset(number, PLANS_NAME, (settings.configuration,), (2,))


def train(
    dataset: str,
    workspace: Path,
    device: str,
    after_epoch: Callable[[int, int], None] | None = None,
    configuration: str = "2d",
) -> Path:
    """Train fold `all` to the end, from the latest checkpoint if one is there; a finished training is left alone.

    Args:
        dataset: `DatasetNNN_Name`, already planned and preprocessed.
        workspace: the folder given to `set_environment`.
        device: `cpu`, `cuda` or `mps`.
        after_epoch: called with (epochs done, epochs in all).
        configuration: the one that was preprocessed.

    Returns:
        The trained model folder (plans.json, dataset.json, fold_all/checkpoint_final.pth).
    """
    folder = workspace / "nnUNet_results" / dataset / f"ShortScheduleTrainer__{PLANS_NAME}__{configuration}"
    if (folder / "fold_all" / "checkpoint_final.pth").is_file():
        return folder
    import torch

    from .trainer import ShortScheduleTrainer

    torch.set_num_threads(processor_threads())
    preprocessed = workspace / "nnUNet_preprocessed" / dataset
    plans = json.loads((preprocessed / f"{PLANS_NAME}.json").read_text(encoding="utf-8"))
    dataset_json = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    latest = folder / "fold_all" / "checkpoint_latest.pth"
    plans["continue_training"] = latest.is_file()

    class Reporting(ShortScheduleTrainer):
        """The trainer, telling its caller after every epoch."""

        def on_epoch_end(self) -> None:
            super().on_epoch_end()
            if after_epoch is not None:
                after_epoch(self.current_epoch, self.num_epochs)

    Reporting.__name__ = ShortScheduleTrainer.__name__
    trainer = Reporting(plans, configuration, "all", dataset_json, torch.device(device))
    if latest.is_file():
        trainer.load_checkpoint(str(latest))
    trainer.run_training()
    return folder
