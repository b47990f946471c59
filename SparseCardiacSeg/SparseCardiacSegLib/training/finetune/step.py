"""One slice through the mask decoder with gradients: prompts, masks, loss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.losses import DiceCELoss
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from ...anatomy import ALL, Structure
from ...prompting.backend import Embedding
from ...prompting.prompts import Prompt
from ...prompting.simulation import simulate_slice
from .settings import FinetuneSettings
from .slices import TrainingSlice


@dataclass(frozen=True, eq=False)
class SliceResult:
    """What one visit to a slice gave.

    Attributes:
        loss: scalar with gradients, the mean over the prompts.
        dice: mean Dice of the thresholded masks.
        n_prompts: how many structures were prompted.
    """

    loss: torch.Tensor
    dice: float
    n_prompts: int


class SliceStep:
    """Prompts a slice as a user would and measures the masks, on the slice's own pixels.

    Args:
        sam: the network, on its device; only its mask decoder gets gradients.
        settings: how prompts are drawn.
    """

    def __init__(self, sam: Sam, settings: FinetuneSettings) -> None:
        self.sam = sam
        self.settings = settings
        self.simulation = settings.simulation()
        # For one channel, MONAI's cross-entropy is the binary one; both terms weigh 1 (thesis, section 5.5).
        self.loss = DiceCELoss(sigmoid=True, lambda_dice=1.0, lambda_ce=1.0)
        with torch.no_grad():
            self.place = sam.prompt_encoder.get_dense_pe()

    def __call__(
        self, item: TrainingSlice, embedding: Embedding, structures: Sequence[Structure], rng: np.random.Generator
    ) -> SliceResult:
        """Draw prompts for `structures` (all present on `item`), decode them on `embedding` and compare."""
        masks = {structure: item.labels == ALL.numbers[structure] for structure in structures}
        prompts = list(simulate_slice(masks, self.simulation, rng).values())
        wanted = self.settings.structures_per_slice
        if wanted is not None and wanted < len(prompts):
            prompts = [prompts[index] for index in sorted(rng.choice(len(prompts), wanted, replace=False))]
        losses, dices = [], []
        for group in _alike(prompts):
            target = np.stack([masks[prompt.structure] for prompt in group])[:, None]
            loss, dice = self._compare(group, embedding, torch.from_numpy(target).to(self.place.device))
            losses.append(loss * (len(group) / len(prompts)))
            dices.append(dice * (len(group) / len(prompts)))
        return SliceResult(torch.stack(losses).sum(), sum(dices), len(prompts))

    def _compare(
        self, group: Sequence[Prompt], embedding: Embedding, target: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        logits, scores = self._decode(group, embedding)
        loss = self.loss(logits, target.float())
        with torch.no_grad():
            mask = logits > 0
            shared = (mask & target).sum((1, 2, 3)).float()
            total = (mask.sum((1, 2, 3)) + target.sum((1, 2, 3))).float()
            dice = float((2 * shared / total).mean())
        if self.settings.score_weight:
            union = (total - shared).clamp(min=1)
            loss = loss + self.settings.score_weight * ((scores - shared / union) ** 2).mean()
        return loss, dice

    def _decode(self, group: Sequence[Prompt], embedding: Embedding) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, 1, row, col) on the slice's pixels and predicted IoU (n,); the steps of `SamPredictor`."""
        device = self.place.device
        resize = ResizeLongestSide(self.sam.image_encoder.img_size)
        places = np.array([prompt.positive + prompt.negative for prompt in group], np.float32)
        points = None
        if places.size:
            signs = [[1] * len(prompt.positive) + [0] * len(prompt.negative) for prompt in group]
            moved = resize.apply_coords(places, embedding.original_size)
            points = torch.as_tensor(moved, dtype=torch.float32, device=device), torch.tensor(signs, device=device)
        boxes = None
        if group[0].box is not None:
            moved = resize.apply_boxes(np.array([prompt.box for prompt in group]), embedding.original_size)
            boxes = torch.as_tensor(moved, dtype=torch.float32, device=device)
        with torch.no_grad():
            sparse, dense = self.sam.prompt_encoder(points, boxes, None)
        features = torch.from_numpy(embedding.features.astype(np.float32))[None].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            masks, scores = self.sam.mask_decoder(features, self.place, sparse, dense, multimask_output=False)
        logits = self.sam.postprocess_masks(masks.float(), embedding.input_size, embedding.original_size)
        return logits, scores[:, 0].float()


def _alike(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Prompts that can be decoded in one batch: as many points of each sign, and a box or none.

    Structures of a slice differ where one is too small for as many points as asked for.
    """
    groups: dict[tuple[int, int, bool], list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[len(prompt.positive), len(prompt.negative), prompt.box is not None].append(prompt)
    return list(groups.values())
