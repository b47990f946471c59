"""The training loop of the embedded registration network, resumable at any moment."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...automatic.packages import processor_threads
from ...errors import InputError
from ...files import write_atomically
from ...progress import Progress, no_progress
from .losses import image_loss, label_loss, smoothness_loss
from .network import CONTEXT, RegistrationNet, enlarge, integrate, warp
from .pairs import FramePair, cine_pair
from .sampling import PairBatch, draw_batch

EMA_DECAY = 0.998
STATE_NAME, LOG_NAME = "last.pt", "log.csv"


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        steps: all steps.
        labelled: pairs of annotated frames a step.
        unlabelled: pairs of other frames a step, where there are cines.
        learning_rate: peak of the schedule, for AdamW.
        image_weight: of the pictures' likeness.
        label_weight: of the labels' Dice.
        smoothness_weight: of the velocity's slopes.
        save_every: steps between checkpoints.
        seed: of sampling and augmentation.
    """

    steps: int = 1800
    labelled: int = 12
    unlabelled: int = 4
    learning_rate: float = 1e-3
    image_weight: float = 0.2
    label_weight: float = 1.0
    smoothness_weight: float = 0.1
    save_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.labelled < 1 or self.unlabelled < 0 or self.save_every < 1:
            raise InputError("training needs at least one step and one annotated pair in each")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"a learning rate lies between 0 and 1, not at {self.learning_rate:g}")


def fit(
    pairs: Sequence[FramePair],
    cines: Sequence[tuple[str, np.ndarray]],
    out: Path,
    settings: FitSettings,
    progress: Progress = no_progress,
) -> RegistrationNet:
    """Train, or go on from `out/last.pt`; the averaged weights are returned.

    Args:
        pairs: annotated pairs (`pairs.read_labelled_pairs`).
        cines: frames without labels (`pairs.read_cines`); may be empty.
        out: folder for `last.pt` (all that resuming needs) and `log.csv`.
        settings: how.
        progress: called after every step; may raise `Cancelled`, which loses nothing older than `save_every` steps.

    Raises:
        InputError: the checkpoint in `out` is damaged or of another training.
    """
    torch.set_num_threads(processor_threads())
    torch.manual_seed(settings.seed)
    net = RegistrationNet()
    averaged = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=0.01, betas=(0.9, 0.99))
    first = _resume(out, settings, net, averaged, optimiser)
    for step in range(first, settings.steps):
        rng = np.random.default_rng((settings.seed, step))
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings)
        labelled = [pairs[i] for i in rng.integers(len(pairs), size=settings.labelled)]
        drawn = rng.integers(len(cines), size=settings.unlabelled) if cines else ()
        batch = draw_batch(labelled, [cine_pair(cines[i], rng) for i in drawn], rng)
        labels, images, smooth = _losses(net, batch)
        loss = settings.label_weight * labels + settings.image_weight * images + settings.smoothness_weight * smooth
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        _average(averaged, net, min(EMA_DECAY, (1 + step) / (10 + step)))
        _log(out, step, labels, images, smooth)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            _save(out, step + 1, settings, net, averaged, optimiser)
        progress((step + 1) / settings.steps, f"step {step + 1}: Dice loss {labels.item():.3f}")
    return averaged.eval()


def _losses(net: RegistrationNet, batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Label, image and smoothness loss; both ways, for the inverse is the negative velocity's integral."""
    with torch.autocast("cpu", torch.bfloat16):
        velocity = net(batch.images)
    velocity = velocity.float()
    coarse_there, coarse_back = integrate(velocity), integrate(-velocity)
    middle = CONTEXT // 2
    # Pictures are compared at the field's own resolution, which takes a fifth of the time.
    fixed, moving = (functional.avg_pool2d(batch.images[:, i, None], 2) for i in (middle, CONTEXT + middle))
    images = (image_loss(warp(moving, coarse_there), fixed) + image_loss(warp(fixed, coarse_back), moving)) / 2
    there, back = enlarge(coarse_there), enlarge(coarse_back)
    n = len(batch.masks)
    fixed_masks, moving_masks = batch.masks[:, 0], batch.masks[:, 1]
    labels = (
        label_loss(warp(moving_masks, there[:n]), fixed_masks) + label_loss(warp(fixed_masks, back[:n]), moving_masks)
    ) / 2
    return labels, images, smoothness_loss(velocity)


def _schedule(step: int, settings: FitSettings) -> float:
    """Rises over 50 steps, and falls to zero from 40 % on."""
    fall = max(0.0, step / settings.steps - 0.4) / 0.6
    return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * fall))


@torch.no_grad()
def _average(averaged: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, value in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
        mean.lerp_(value, 1 - decay)


def _log(out: Path, step: int, labels: torch.Tensor, images: torch.Tensor, smooth: torch.Tensor) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(f"{step},{labels.item():.4f},{images.item():.4f},{smooth.item():.5f}\n")


def _save(
    out: Path,
    step: int,
    settings: FitSettings,
    net: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.AdamW,
) -> None:
    content = {
        "step": step,
        "settings": asdict(settings),
        "net": net.state_dict(),
        "averaged": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    with write_atomically(out / STATE_NAME) as temporary:
        torch.save(content, temporary)


def _resume(out: Path, settings: FitSettings, net: nn.Module, averaged: nn.Module, optimiser: torch.optim.AdamW) -> int:
    """Load `last.pt`, if there is one; the step to go on with."""
    path = out / STATE_NAME
    if not path.is_file():
        return 0
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(content["net"])
        averaged.load_state_dict(content["averaged"])
        optimiser.load_state_dict(content["optimiser"])
        step, trained = int(content["step"]), content["settings"]
    except Exception as error:  # torch and pickle raise a dozen types on a damaged file
        raise InputError(f"{path} is damaged or of another training; delete it to begin anew") from error
    if trained != asdict(settings):
        changed = sorted(name for name, value in asdict(settings).items() if trained.get(name) != value)
        raise InputError(f"{path} was trained with other settings ({', '.join(changed)}); delete it to begin anew")
    return step
