"""What the embedded promptable model is trained to make small."""

from __future__ import annotations

import torch
from torch.nn import functional

MULTIMASK_WEIGHT = 0.4
MULTIMASK_EVERY = 4
QUALITY_WEIGHT = 0.1


def mask_losses(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Dice + cross-entropy, equal weights (thesis, section 5.5), of each logit map (batch, n, h, w): (batch, n)."""
    target = masks[:, None].float().expand_as(logits)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
    probability = logits.sigmoid()
    overlap = (probability * target).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum((2, 3)) + target.sum((2, 3)) + 1)
    # The mean over 65536 pixels makes cross-entropy small beside Dice: a heart fills 1 to 5 % of the picture.
    return dice + 10 * cross_entropy


def prompt_loss(logits: torch.Tensor, quality: torch.Tensor, masks: torch.Tensor, several: bool = True) -> torch.Tensor:
    """Loss of the single mask, of the best of the three others (SAM, section 3), and of the predicted IoU.

    Args:
        logits: (batch, 4, h, w) as `decode_pairs` returns them.
        quality: (batch, 4) predicted IoU.
        masks: (batch, h, w) bool.
        several: whether to count the three others, which need three quarters of the arithmetic.
    """
    if not several:
        logits, quality = logits[:, :1], quality[:, :1]
    losses = mask_losses(logits, masks)
    with torch.no_grad():
        predicted, target = logits > 0, masks[:, None]
        union = (predicted | target).sum((2, 3)).clamp(min=1)
        iou = (predicted & target).sum((2, 3)) / union
    loss = losses[:, 0].mean() + QUALITY_WEIGHT * functional.mse_loss(quality, iou)
    return loss + MULTIMASK_WEIGHT * losses[:, 1:].min(1).values.mean() if several else loss


def label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Dice + cross-entropy of a plain segmentation head, (batch, 5, h, w) against (batch, h, w)."""
    cross_entropy = functional.cross_entropy(logits, labels)
    probability = logits.softmax(1)[:, 1:]
    target = functional.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2)[:, 1:].float()
    overlap, total = (probability * target).sum((0, 2, 3)), (probability + target).sum((0, 2, 3))
    return cross_entropy + (1 - (2 * overlap + 1) / (total + 1)).mean()
