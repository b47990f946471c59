"""The training loop of the embedded promptable model, resumable at any moment."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import nn

from ...automatic.packages import processor_threads
from ...errors import InputError
from ...files import write_atomically
from ...progress import Progress, no_progress
from ...prompting.architectures import SLICE_256, build
from ...prompting.slice_geometry import EMBEDDING_CHANNELS, GRID, IMAGE_SIZE
from .augmentation import Batch, augmented_batch
from .losses import MULTIMASK_EVERY, label_loss, prompt_loss
from .pairs import Answers, decode_pairs
from .sampling import draw_correction, draw_kind, draw_prompt
from .slices import TrainingSlice

N_LABELS = 5
EMA_DECAY = 0.998
CALM_STRENGTH = 0.3


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        warm_up_steps: steps of the encoder alone, under a plain segmentation head.
        frozen_steps: steps after these in which only the decoder learns.
        calm_steps: the last steps, which see whole slices and fewer far zooms and turns: the network ends on hearts as
            they come.
        window: side of the windows that steps before these see, in encoder pixels; 256 for whole slices.
        whole_share: share of the steps before these that see whole slices all the same, over which instance
            normalisation is another than over windows.
        steps: all steps.
        batch: slices a step.
        correction_share: share of steps with one more click at an error of the first answer.
        learning_rate: peak of the cosine schedule, for AdamW.
        plain_weight: weight of the two plain heads once prompts are trained.
        save_every: steps between checkpoints.
        seed: of sampling and augmentation.
    """

    warm_up_steps: int = 600
    frozen_steps: int = 800
    calm_steps: int = 1500
    window: int = 160
    whole_share: float = 0.25
    steps: int = 9000
    batch: int = 8
    correction_share: float = 0.25
    learning_rate: float = 8e-4
    plain_weight: float = 0.3
    save_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.warm_up_steps, self.frozen_steps, self.calm_steps) < 0 or self.batch < 1:
            raise InputError("numbers of steps must not be negative, and a batch holds at least one slice")
        if self.warm_up_steps + self.frozen_steps > self.steps:
            begin = f"{self.warm_up_steps} warm-up and {self.frozen_steps} frozen steps"
            raise InputError(f"{begin} do not fit into {self.steps} steps")
        if not 0 <= self.whole_share <= 1:
            raise InputError(f"a share lies between 0 and 1, not at {self.whole_share:g}")
        if self.window % 32 or not 64 <= self.window <= IMAGE_SIZE:
            raise InputError(f"a window must be a multiple of 32 from 64 to {IMAGE_SIZE} pixels, not {self.window}")


class PlainHeads(nn.Module):
    """Labels from the embedding and from the decoder's upscaled one; used in training only.

    The second head makes the decoder's upscaling carry all structures at pixel resolution, whatever was prompted, so
    that a prompt has only to choose among them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedded = nn.Conv2d(EMBEDDING_CHANNELS, N_LABELS * 16, 1)
        self.upscaled = nn.Conv2d(EMBEDDING_CHANNELS // 8, N_LABELS, 1)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """(batch, 128, 64, 64) to logits (batch, 5, 256, 256)."""
        return nn.functional.pixel_shuffle(self.embedded(embedding), IMAGE_SIZE // GRID)


def fit(
    slices: list[TrainingSlice],
    out: Path,
    settings: FitSettings,
    start: Callable[[Sam], object] | None = None,
    progress: Progress = no_progress,
) -> Sam:
    """Train, or go on from `out/last.pt`; the averaged weights are returned.

    Args:
        slices: what to learn from.
        out: folder for `last.pt` (all that resuming needs) and `log.csv`.
        settings: how.
        start: gives a new network its first weights, such as `start_from_unet`; they are random without.
        progress: called after every step; may raise `Cancelled`, which loses nothing older than `save_every` steps.
    """
    torch.set_num_threads(processor_threads())
    torch.manual_seed(settings.seed)
    sam, heads = build(SLICE_256), PlainHeads()
    if start is not None:
        start(sam)
    averaged = copy.deepcopy(sam)
    parameters = [*sam.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01, betas=(0.9, 0.99))
    first = _resume(out, sam, averaged, heads, optimiser)
    for step in range(first, settings.steps):
        rng = np.random.default_rng((settings.seed, step))
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings)
        chosen = [slices[i] for i in rng.integers(len(slices), size=settings.batch)]
        calm = step >= settings.steps - settings.calm_steps
        whole = calm or rng.random() < settings.whole_share
        size = IMAGE_SIZE if whole else settings.window
        batch = augmented_batch(chosen, rng, CALM_STRENGTH if calm else 1.0, size)
        prompting = step >= settings.warm_up_steps
        frozen = prompting and step < settings.warm_up_steps + settings.frozen_steps
        with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(not frozen):
            embeddings = sam.image_encoder(batch.images)
        loss, prompted = torch.zeros(()), torch.zeros(())
        if not frozen:
            with torch.autocast("cpu", torch.bfloat16):
                plain = heads(embeddings)
            loss = label_loss(plain.float(), batch.labels)
        if prompting:
            prompted, upscaled = _prompted_loss(sam, heads, embeddings, batch, settings, rng)
            loss = prompted + settings.plain_weight * (loss + upscaled)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        _average(averaged, sam, min(EMA_DECAY, (1 + step) / (10 + step)))
        _log(out, step, loss.item(), prompted.item())
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            _save(out, step + 1, settings, sam, averaged, heads, optimiser)
        progress((step + 1) / settings.steps, f"step {step + 1}: loss {loss.item():.3f}")
    return averaged


def _prompted_loss(
    sam: Sam,
    heads: PlainHeads,
    embeddings: torch.Tensor,
    batch: Batch,
    settings: FitSettings,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of one prompt on each slice, now and then with a correcting click, and that of the upscaled head."""
    kind = draw_kind(rng)
    pairs = zip(batch.labels.numpy(), batch.zooms, strict=True)
    drawn = [draw_prompt(label, float(zoom), kind, rng) for label, zoom in pairs]
    kept = [index for index, item in enumerate(drawn) if item is not None]
    masks, points, signs, corners = (np.stack(part) for part in zip(*(drawn[i] for i in kept), strict=True))
    seen, origins = embeddings[kept], batch.origins[kept]
    shift = origins.flip(1).float()  # prompts are drawn in the window, as (x, y)
    boxes = torch.from_numpy(corners) + shift.repeat(1, 2) if kind.box else None

    def decode() -> Answers:
        return decode_pairs(
            sam, seen, torch.from_numpy(points) + shift[:, None], torch.from_numpy(signs), boxes, origins
        )

    with torch.autocast("cpu", torch.bfloat16):
        if rng.random() < settings.correction_share:
            with torch.no_grad():
                answers = (decode().masks[:, 0] > 0).numpy()
            clicks = [draw_correction(mask, answer, rng) for mask, answer in zip(masks, answers, strict=True)]
            points = np.concatenate([points, np.stack([click[0] for click in clicks])[:, None]], 1)
            signs = np.concatenate([signs, np.array([[click[1]] for click in clicks])], 1)
        answer = decode()
        plain = heads.upscaled(answer.upscaled)
    target = torch.from_numpy(masks)
    several = rng.random() < 1 / MULTIMASK_EVERY
    logits = answer.masks if several else answer.masks[:, :1]
    loss = prompt_loss(logits.float(), answer.quality.float(), target, several)
    return loss, label_loss(plain.float(), batch.labels[kept])


def _schedule(step: int, settings: FitSettings) -> float:
    """Rises over 100 steps where the encoder and where the decoder begin, and falls to zero from halfway on."""
    begin = settings.warm_up_steps if step >= settings.warm_up_steps else 0
    fall = max(0.0, step / settings.steps - 0.5) * 2
    return min(1.0, (step - begin + 1) / 100) * 0.5 * (1 + math.cos(math.pi * fall))


@torch.no_grad()
def _average(averaged: Sam, sam: Sam, decay: float) -> None:
    for mean, value in zip(averaged.state_dict().values(), sam.state_dict().values(), strict=True):
        mean.lerp_(value, 1 - decay)


def _log(out: Path, step: int, loss: float, prompted: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.csv").open("a", encoding="utf-8") as file:
        file.write(f"{step},{loss:.4f},{prompted:.4f}\n")


def _save(
    out: Path, step: int, settings: FitSettings, sam: Sam, averaged: Sam, heads: nn.Module, optimiser: torch.optim.AdamW
) -> None:
    content = {
        "step": step,
        "settings": asdict(settings),
        "sam": sam.state_dict(),
        "averaged": averaged.state_dict(),
        "heads": heads.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    with write_atomically(out / "last.pt") as temporary:
        torch.save(content, temporary)


def _resume(out: Path, sam: Sam, averaged: Sam, heads: nn.Module, optimiser: torch.optim.AdamW) -> int:
    path = out / "last.pt"
    if not path.is_file():
        return 0
    content = torch.load(path, map_location="cpu", weights_only=True)
    sam.load_state_dict(content["sam"])
    averaged.load_state_dict(content["averaged"])
    heads.load_state_dict(content["heads"])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])
