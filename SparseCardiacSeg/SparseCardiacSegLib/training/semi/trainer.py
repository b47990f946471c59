"""nnU-Net's trainer for few annotations: drawn slices, and taught ones for the rest of each batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.nn import functional

from ..checkpointing import FINAL, save_atomically
from ..trainer import ShortScheduleTrainer
from .augmentation import augmented_crop, mixed, recoloured
from .pool import IGNORED, SlicePool, read_pool
from .teaching import teach

WARM_UP = 0.25
"""Share of the epochs on drawn slices alone."""

LESSONS = 7
"""How often slices without annotation are labelled, at equal distances after the warm-up: all at first, then half."""

SURE = 0.7
"""Probability from which a taught voxel counts."""

AVERAGING = 0.99
"""Weight of the past in the running mean of the weights, which teaches and is what is kept at the end."""

AVERAGED = "averaged_weights"


class SparseTrainer(ShortScheduleTrainer):
    """Self-training on slices that nobody annotated, for 2d networks.

    The data set is an nnU-Net data set with an ignore label: slices that are annotated in part or not at all, and whole
    volumes without annotation. After a warm-up on drawn slices, half of every batch is taught: the running mean of the
    network's weights (Tarvainen and Valpola, NeurIPS 2017) labels all other slices, sure voxels become labels, and the
    network learns them from strongly changed images (FixMatch, Sohn et al., NeurIPS 2020), parts exchanged between them
    (CutMix). Loss, network and schedule are nnU-Net's; without slices to teach, everything is drawn.
    The mean of the weights is what `checkpoint_final.pth` holds.
    """

    pool: SlicePool

    def initialize(self) -> None:
        """The parent's, and the running mean of the weights."""
        super().initialize()
        if not hasattr(self, "averaged"):
            self.averaged = copy.deepcopy(self.network)
            self.steps = 0
            self.warm_up = WARM_UP

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin with a network that was trained already, on fewer annotations say: it teaches from the first epoch on.

        Raises:
            RuntimeError: the weights are those of another architecture.
        """
        self.initialize()
        for network in (self.network, self.averaged):
            network.load_state_dict(dict(weights))
        self.warm_up = 0.0

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """AdamW at a tenth of the rate that is meant for SGD, falling to 0 as nnU-Net's does.

        With four labelled patients, 50 steps gave a pseudo-Dice of 0.51 where SGD was still at 0.
        """
        rate = 0.1 * self.initial_lr
        optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=0.01)
        return optimizer, PolyLRScheduler(optimizer, rate, self.num_epochs)

    def get_dataloaders(self) -> tuple[Iterator[dict], Iterator[dict]]:
        """Batches for training and for the pseudo-Dice, without end; the pool is read here."""
        if len(self.configuration_manager.patch_size) != 2:
            raise ValueError("SparseTrainer trains 2d networks; the plans say otherwise")
        self.dataset_class = infer_dataset_class(self.preprocessed_dataset_folder)
        dataset = self.dataset_class(self.preprocessed_dataset_folder)
        self.pool = read_pool(dataset, self.label_manager.ignore_label)
        self.print_to_log_file(f"{len(self.pool.drawn)} annotated slices, {len(self.pool.undrawn)} others")
        self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        start = self.settings.seed * 1000 + self.current_epoch
        lessons = self._taught_epochs()
        # A training that goes on has lost its taught labels; where a lesson is due anyway, that one is enough.
        if lessons and self.current_epoch > lessons[0] and self.current_epoch not in lessons:
            self._lesson(0)
        return self._batches(np.random.default_rng(start), True), self._batches(np.random.default_rng(start), False)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 (nnU-Net's name)
        """The parent's, whose mirroring axes predictions use."""
        found = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = (0, 1) if self.settings.mirroring else None
        return found

    def on_epoch_start(self) -> None:
        """The parent's; now and then the slices without annotation are labelled anew."""
        super().on_epoch_start()
        epochs = self._taught_epochs()
        if self.current_epoch in epochs:
            first = all(case.taught is None for case in self.pool.cases)
            self._lesson(0 if first else 1 + epochs.index(self.current_epoch) % 2)

    def train_step(self, batch: dict) -> dict[str, Any]:
        """The parent's, and the running mean of the weights goes on."""
        result = super().train_step(batch)
        self.steps += 1
        past = min(AVERAGING, self.steps / (self.steps + 10))
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - past)
        return result

    def on_train_end(self) -> None:
        """The mean of the weights takes the network's place, then the parent's."""
        self.network.load_state_dict(self.averaged.state_dict())
        super().on_train_end()

    def save_checkpoint(self, filename: str) -> None:
        """The parent's, and the mean of the weights with it while training goes on."""
        if Path(filename).name == FINAL:
            super().save_checkpoint(filename)
        else:
            save_atomically(self, self._save_with_mean, filename)

    def _save_with_mean(self, filename: str) -> None:
        nnUNetTrainer.save_checkpoint(self, filename)
        if not Path(filename).is_file():
            return
        content = torch.load(filename, map_location="cpu", weights_only=False)
        more = {AVERAGED: self.averaged.state_dict(), "steps": self.steps, "warm_up": self.warm_up}
        torch.save({**content, **more}, filename)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """The parent's, and the mean of the weights where it was saved."""
        super().load_checkpoint(filename_or_checkpoint)
        content = filename_or_checkpoint
        if not isinstance(content, dict):
            content = torch.load(content, map_location="cpu", weights_only=False)
        self.averaged.load_state_dict(content.get(AVERAGED, content["network_weights"]))
        self.steps = content.get("steps", 0)
        self.warm_up = content.get("warm_up", WARM_UP)

    def _taught_epochs(self) -> list[int]:
        if not self.pool.undrawn:
            return []
        first = max(1, round(self.warm_up * self.num_epochs)) if self.warm_up else 0
        step = max(1, math.ceil((self.num_epochs - first) / LESSONS))
        return list(range(first, self.num_epochs, step))

    def _lesson(self, part: int) -> None:
        self.averaged.eval()
        decoder = self.averaged.decoder
        before, decoder.deep_supervision = decoder.deep_supervision, False
        share = teach(self.pool, self.averaged, SURE, part)
        decoder.deep_supervision = before
        self.print_to_log_file(f"slices without annotation labelled anew; {share:.0%} of their heart believed")

    def _batches(self, rng: np.random.Generator, training: bool) -> Iterator[dict]:
        """Batches as nnU-Net's own: `data` (b, 1, row, col), `target` one (b, 1, row, col) for every output."""
        size = tuple(int(edge) for edge in self.configuration_manager.patch_size)
        number = self.configuration_manager.batch_size
        while True:
            taught = training and any(case.taught is not None for case in self.pool.cases)
            half = number // 2 if taught else 0
            drawn = [self._crop(self.pool.drawn, size, rng, training) for _ in range(number - half)]
            images, labels = (torch.stack(part) for part in zip(*drawn, strict=True))
            if half:
                found = [self._crop(self.pool.undrawn, size, rng, training) for _ in range(half)]
                more, theirs = mixed(*(torch.stack(part) for part in zip(*found, strict=True)), rng)
                images, labels = torch.cat([images, more]), torch.cat([labels, theirs])
            yield {"data": images[:, None].to(self.device), "target": self._targets(labels[:, None])}

    def _crop(
        self, slices: list[tuple[int, int]], size: tuple[int, int], rng: np.random.Generator, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        position, index = slices[int(rng.integers(len(slices)))]
        case = self.pool.cases[position]
        drawn = bool(case.annotated[index])
        labels = case.labels if drawn or case.taught is None else case.taught
        image, moved = augmented_crop(case, index, labels[index], size, rng, training and self.settings.mirroring)
        return (recoloured(image, rng, 1.0 if drawn else 1.8) if training else image), moved

    def _targets(self, labels: torch.Tensor) -> list[torch.Tensor] | torch.Tensor:
        """Labels with the data set's ignore label, at the resolution of every output (nearest, as nnU-Net's)."""
        target = labels.float()
        ignored = self.label_manager.ignore_label
        target[target == IGNORED] = 0 if ignored is None else float(ignored)
        target = target.to(self.device)
        scales = self._get_deep_supervision_scales()
        if scales is None:
            return target
        levels = [[round(e * s) for e, s in zip(target.shape[2:], scale, strict=True)] for scale in scales]
        return [functional.interpolate(target, size=level, mode="nearest") for level in levels]


class QuickTrainer(SparseTrainer):
    """What `SparseTrainer` does, on annotated slices alone: what self-teaching is measured against.

    Annotated slices are augmented, optimised and averaged in the same way, so that a difference is the teaching's.
    """

    def _taught_epochs(self) -> list[int]:
        return []
