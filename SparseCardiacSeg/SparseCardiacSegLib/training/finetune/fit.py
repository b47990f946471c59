"""The loop: epochs over slices with cached embeddings, resumable after every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from segment_anything.modeling import Sam

from ...anatomy import Structure
from ...errors import InputError
from ...progress import Cancelled, Progress, no_progress
from ...prompting.backend import Embedding
from .settings import FinetuneSettings
from .slices import TrainingSlice
from .state import Epoch, RunState, load_state, save_state
from .step import SliceStep


@dataclass(frozen=True)
class FitResult:
    """How training ended; the network's mask decoder is that of the last finished epoch.

    Attributes:
        history: the finished epochs, at least one.
        finished: False where it was stopped before the last epoch.
        interruption: what stopped it.
    """

    history: tuple[Epoch, ...]
    finished: bool
    interruption: BaseException | None = None


def fit(
    sam: Sam,
    variants: Sequence[Sequence[TrainingSlice]],
    structures: Sequence[Structure],
    embedding_of: Callable[[np.ndarray], Embedding],
    settings: FinetuneSettings,
    folder: Path,
    identity: Mapping[str, Any],
    progress: Progress = no_progress,
) -> FitResult:
    """Train `sam.mask_decoder`, or go on with the run of `folder`; nothing else of the network changes.

    Args:
        sam: on its device.
        variants: of each slice, the slice itself first.
        structures: what every slice holds.
        embedding_of: the embedding of a slice's image.
        settings: how.
        folder: for `state.pt` and `log.csv`, written after every epoch.
        identity: what must be the same for a run to go on; see `save_state`.
        progress: called after every step. Where it raises `Cancelled`, or the user presses Ctrl+C, training ends with
            the last finished epoch.

    Raises:
        InputError: the state cannot be used, or the loss is no number any more.
        Cancelled, KeyboardInterrupt: stopped before the first epoch was finished.
    """
    for parameter in sam.parameters():
        parameter.requires_grad_(False)
    for parameter in sam.mask_decoder.parameters():
        parameter.requires_grad_(True)
    state = _new_state(sam, settings)
    load_state(folder, state, identity)
    step = SliceStep(sam, settings)
    kept = _copy(sam)
    try:
        for number in range(len(state.history) + 1, settings.epochs + 1):
            epoch = _epoch(number, step, state, variants, structures, embedding_of, progress)
            if not math.isfinite(epoch.loss):
                raise InputError(f"the loss of epoch {number} is no number any more; lower the learning rate")
            state.scheduler.step(epoch.loss)
            state.history.append(epoch)
            kept = _copy(sam)
            save_state(folder, state, identity)
    except (Cancelled, KeyboardInterrupt) as interruption:
        if not state.history:
            raise
        sam.mask_decoder.load_state_dict(kept)
        finished = len(state.history) >= settings.epochs
        return FitResult(tuple(state.history), finished, None if finished else interruption)
    return FitResult(tuple(state.history), True)


def _new_state(sam: Sam, settings: FinetuneSettings) -> RunState:
    optimiser = torch.optim.Adam(sam.mask_decoder.parameters(), lr=settings.learning_rate, betas=settings.betas)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode="min", factor=settings.factor, patience=settings.patience
    )
    return RunState(sam.mask_decoder, optimiser, scheduler)


def _epoch(
    number: int,
    step: SliceStep,
    state: RunState,
    variants: Sequence[Sequence[TrainingSlice]],
    structures: Sequence[Structure],
    embedding_of: Callable[[np.ndarray], Embedding],
    progress: Progress,
) -> Epoch:
    """Visit every slice once, in a new order, as one of its variants, with new prompts."""
    settings = step.settings
    rng = np.random.default_rng((settings.seed, number))
    rate = float(state.optimiser.param_groups[0]["lr"])
    order = rng.permutation(len(variants))
    loss = dice = 0.0
    n_prompts = visited = 0
    for first in range(0, len(order), settings.batch):
        batch = order[first : first + settings.batch]
        state.optimiser.zero_grad(set_to_none=True)
        for index in batch:
            item = variants[index][rng.integers(len(variants[index]))]
            result = step(item, embedding_of(item.image), structures, rng)
            (result.loss / len(batch)).backward()
            loss += result.loss.item() * result.n_prompts
            dice += result.dice * result.n_prompts
            n_prompts += result.n_prompts
        state.optimiser.step()
        visited += len(batch)
        done = (number - 1 + visited / len(order)) / settings.epochs
        progress(done, f"epoch {number} of {settings.epochs}, loss {loss / n_prompts:.3f}, Dice {dice / n_prompts:.3f}")
    return Epoch(number, loss / n_prompts, dice / n_prompts, rate)


def _copy(sam: Sam) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in sam.mask_decoder.state_dict().items()}
