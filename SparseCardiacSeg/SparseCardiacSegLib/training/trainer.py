"""nnU-Net's own trainer with a short schedule that the plans carry, and bfloat16 on the CPU."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from .settings import TrainingSettings


class ShortScheduleTrainer(nnUNetTrainer):
    """nnUNetTrainer whose epochs, iterations, learning rate, seed and mirroring come from the plans.

    Loss, augmentation, optimiser and learning-rate decay are nnU-Net's. The network is built by the
    parent, so a finished checkpoint is predicted with by the stock `nnUNetTrainer`.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device | None = None,
    ) -> None:
        self.settings = TrainingSettings(**plans["configurations"][configuration]["training_settings"])
        super().__init__(plans, configuration, fold, dataset_json, device or torch.device("cpu"))
        self.num_epochs = self.settings.epochs
        self.num_iterations_per_epoch = self.settings.iterations_per_epoch
        # With fold "all" nnU-Net validates on training patches: enough to see divergence, not to choose by.
        self.num_val_iterations_per_epoch = 5
        self.initial_lr = self.settings.initial_learning_rate
        self.save_every = 2
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
