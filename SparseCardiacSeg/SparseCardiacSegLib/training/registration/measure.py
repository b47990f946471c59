"""How well a network carries labels of patients that it has not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...propagation.learned_window import WINDOW
from .losses import folded_share
from .network import Registration, RegistrationNet, warp
from .pairs import CUT, FramePair
from .sampling import neighbouring, one_hot


@dataclass(frozen=True)
class CarriedDice:
    """Means over patients, structures and both directions; Dice of a structure counts all its slices together.

    Attributes:
        carried: Dice of carried labels.
        unmoved: Dice of labels left where they were.
        folded: share of pixels where the deformation folds.
    """

    carried: float
    unmoved: float
    folded: float


@torch.no_grad()
def carried_dice(net: RegistrationNet, pairs: Sequence[FramePair], symmetric: bool = True) -> CarriedDice:
    """Carry the labels of each frame to the other, in the network's window; slices without labels are left out."""
    registration = Registration(net, symmetric).eval()
    carried, unmoved, folded = [], [], []
    border = (CUT - WINDOW) // 2
    inside = (..., slice(border, border + WINDOW), slice(border, border + WINDOW))
    for pair in pairs:
        if pair.labels is None:
            continue
        places = [neighbouring(pair.first.shape[0], index) for index in pair.slices]
        frames = [torch.from_numpy(frame[places].astype(np.float32)[inside]) for frame in (pair.first, pair.second)]
        masks = [torch.from_numpy(one_hot(labels[list(pair.slices)])[inside]) for labels in pair.labels]
        for fixed, moving in ((0, 1), (1, 0)):
            field = registration(torch.cat([frames[fixed], frames[moving]], 1))
            folded.append(float(folded_share(field)))
            carried.append(_dice(warp(masks[moving], field), masks[fixed]))
            unmoved.append(_dice(masks[moving], masks[fixed]))
    return CarriedDice(float(np.mean(carried)), float(np.mean(unmoved)), float(np.mean(folded)))


def _dice(shares: torch.Tensor, masks: torch.Tensor) -> float:
    """Mean Dice over structures of (slice, structure, h, w); a pixel belongs to the class with the largest share."""
    background = 1 - shares.sum(1, keepdim=True)
    found = torch.cat([background, shares], 1).argmax(1)
    scores = []
    for channel in range(masks.shape[1]):
        ours, theirs = found == channel + 1, masks[:, channel] > 0.5
        total = int(ours.sum() + theirs.sum())
        scores.append(2 * int((ours & theirs).sum()) / total if total else 1.0)
    return float(np.mean(scores))
