"""nnU-Net's own trainer with a schedule and a sampling that the plans carry, and bfloat16 on the CPU."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from .checkpointing import AtomicCheckpoints
from .data_loader import RegionAwareDataLoader
from .settings import TrainingSettings
from .sparse_record import is_restricted, read_record, synthetic_names


class ShortScheduleTrainer(AtomicCheckpoints, nnUNetTrainer):
    """nnUNetTrainer whose epochs, iterations, learning rate, seed, mirroring and sampling come from the plans.

    Plans of another planner carry no settings; the defaults of `TrainingSettings` count then. Loss, augmentation,
    optimiser and learning-rate decay are nnU-Net's. The network is built by the parent, so a finished checkpoint is
    predicted with by the stock `nnUNetTrainer`. Validation leaves cases with carried labels out.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device | None = None,
    ) -> None:
        told = plans["configurations"][configuration].get("training_settings", {"configuration": configuration})
        self.settings = TrainingSettings(**told)
        super().__init__(plans, configuration, fold, dataset_json, device or torch.device("cpu"))
        self.num_epochs = self.settings.epochs
        self.num_iterations_per_epoch = self.settings.iterations_per_epoch
        self.num_val_iterations_per_epoch = self.settings.validation_iterations
        self.initial_lr = self.settings.initial_learning_rate
        self.save_every = 2
        record = (
            {}
            if self.preprocessed_dataset_folder_base is None
            else read_record(Path(self.preprocessed_dataset_folder_base))
        )
        self.synthetic = synthetic_names(record)
        self.unlabelled = frozenset(record.get("unlabelled", ()))
        oversampling = self.settings.foreground_oversampling
        if oversampling is None and is_restricted(record):
            oversampling = 0.0
        if oversampling is not None:
            self.oversample_foreground_percent = oversampling
        random.seed(self.settings.seed)
        np.random.seed(self.settings.seed)
        torch.manual_seed(self.settings.seed)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 (nnU-Net's name)
        """Augmentation as the parent's; without mirroring, in training and prediction, where that was asked for."""
        rotation, dummy_2d, initial_patch_size, axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not self.settings.mirroring:
            axes = self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, initial_patch_size, axes

    def do_split(self) -> tuple[list[str], list[str]]:
        """The parent's, without cases that teach a supervised loss nothing or that nobody may validate on.

        Cases of which only the image is there are left out of both, carried labels out of validation (and out of
        training where their weight is 0). A data set without such cases is split as by the parent.
        """
        training, validation = super().do_split()
        untaught = self.unlabelled | (self.synthetic if self.settings.synthetic_weight == 0 else frozenset())
        untold = self.unlabelled | self.synthetic
        if not untold:
            return training, validation
        return (
            [name for name in training if name not in untaught],
            [name for name in validation if name not in untold],
        )

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """The parent's; which one trains is remembered for `get_dataloaders`."""
        training, validation = super().get_tr_and_val_datasets()
        self._trained_on = training
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """The parent's; where the settings ask for it, training cases or slices are drawn with other probabilities."""
        ratio, weight = self.settings.region_ratio, self.settings.synthetic_weight
        weighted = weight not in (0, 1) and bool(self.synthetic)
        if ratio == 1 and not weighted:
            return super().get_dataloaders()

        def loader(data: Any, *args: Any, **more: Any) -> nnUNetDataLoader:
            if data is not self._trained_on:
                return nnUNetDataLoader(data, *args, **more)
            if weighted:
                weights = np.array([weight if name in self.synthetic else 1.0 for name in data.identifiers])
                more["sampling_probabilities"] = weights / weights.sum()
            if ratio == 1:
                return nnUNetDataLoader(data, *args, **more)
            return RegionAwareDataLoader(data, *args, region_ratio=ratio, **more)

        # The parent makes its loaders and starts their processes in one go; this way all else remains its own.
        stock_module: Any = sys.modules[nnUNetTrainer.__module__]
        stock_module.nnUNetDataLoader = loader
        try:
            return super().get_dataloaders()
        finally:
            stock_module.nnUNetDataLoader = nnUNetDataLoader

    def train_step(self, batch: dict) -> dict[str, Any]:
        """One step as the parent's, with the forward pass in bfloat16 where that was asked for on a CPU."""
        if self.device.type != "cpu" or not self.settings.bfloat16:
            return super().train_step(batch)
        target = batch["target"]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.network(batch["data"])
        loss = self.loss([level.float() for level in output], target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().numpy()}
