"""Batches of slice pairs as they could also have been acquired: turned, mirrored, scaled, with other contrast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...anatomy import ALL, SHORT_AXIS
from ...propagation.learned_window import WINDOW
from .network import CONTEXT
from .pairs import CUT, FramePair

ALONE_SHARE = 0.15
"""Share of pairs without neighbours: the slice itself takes their place, as at the ends of a stack."""

SHIFT = 10.0
"""Largest shift of the heart from the window's middle, in pixels: nobody knows its centre at work."""


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Augmented pairs.

    Attributes:
        images: (batch, 6, WINDOW, WINDOW): three slices of the first frame, then three of the second.
        masks: (n, 2, 3, WINDOW, WINDOW) shares of RV, MYO and LV in each pixel of both frames, of the first n pairs.
    """

    images: torch.Tensor
    masks: torch.Tensor


def draw_batch(labelled: Sequence[FramePair], unlabelled: Sequence[FramePair], rng: np.random.Generator) -> PairBatch:
    """One slice of each pair, in either order of its frames."""
    pairs = [*labelled, *unlabelled]
    images, masks = [], []
    for pair in pairs:
        index = int(rng.choice(pair.slices))
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        neighbours = neighbouring(pair.first.shape[0], index)
        if rng.random() < ALONE_SHARE:
            neighbours = [index] * CONTEXT
        elif rng.random() < 0.5:  # nobody knows at work whether the base comes first
            neighbours = neighbours[::-1]
        frames = (pair.first, pair.second)
        images.append(np.concatenate([frames[turn][neighbours] for turn in order]).astype(np.float32))
        if pair.labels is not None:
            masks.append(one_hot(pair.labels[order, index]))
    grids = torch.stack([draw_grid(rng) for _ in pairs])
    pictures = functional.grid_sample(
        torch.from_numpy(np.stack(images)), grids, padding_mode="border", align_corners=True
    )
    shares = torch.from_numpy(np.stack(masks)).flatten(1, 2)
    shares = functional.grid_sample(shares, grids[: len(masks)], padding_mode="zeros", align_corners=True)
    return PairBatch(recoloured(pictures, rng), shares.unflatten(1, (2, len(SHORT_AXIS))))


def neighbouring(n_slices: int, index: int) -> list[int]:
    """The slice between its neighbours; itself where the stack ends."""
    reach = CONTEXT // 2
    return [min(max(index + step, 0), n_slices - 1) for step in range(-reach, reach + 1)]


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Labels [..., row, col] to [..., structure, row, col] float32, without the background."""
    return np.stack([labels == ALL.numbers[structure] for structure in SHORT_AXIS], -3).astype(np.float32)


def draw_grid(rng: np.random.Generator) -> torch.Tensor:
    """Where in the cut a window's pixels are looked up, (WINDOW, WINDOW, 2), in `grid_sample`'s coordinates."""
    angle = rng.uniform(-math.pi, math.pi) if rng.random() < 0.6 else rng.normal(0, 0.3)
    zoom = math.exp(float(np.clip(rng.normal(0, 0.13), -0.35, 0.35)))
    stretch = math.exp(rng.normal(0, 0.04))
    mirror = -1.0 if rng.random() < 0.3 else 1.0
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([stretch / zoom, mirror / (stretch * zoom)])
    axis = np.arange(WINDOW) - (WINDOW - 1) / 2
    points = np.stack(np.meshgrid(axis, axis), -1) + shift
    return torch.from_numpy((points @ matrix.T / ((CUT - 1) / 2)).astype(np.float32))


def recoloured(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Contrast, brightness, shading and noise; a little of it differs between the two frames."""
    n = len(images)

    def drawn(shared: float, own: float, *size: int) -> torch.Tensor:
        both = rng.normal(0, shared, (n, 1, *size)) + rng.normal(0, own, (n, 2, *size))
        return torch.from_numpy(both.astype(np.float32)).repeat_interleave(CONTEXT, 1)

    gamma = torch.exp(drawn(0.25, 0.08, 1, 1))
    gain, offset = torch.exp(drawn(0.1, 0.06, 1, 1)), drawn(0.05, 0.03, 1, 1)
    shading = functional.interpolate(
        drawn(0.12, 0.04, 3, 3), size=images.shape[-2:], mode="bicubic", align_corners=True
    )
    coloured = images.sign() * images.abs().clamp(min=1e-6) ** gamma
    coloured = coloured * gain * torch.exp(shading) + offset
    noise = torch.from_numpy(np.abs(rng.normal(0, 0.03, (n, 1, 1, 1))).astype(np.float32))
    coloured = coloured + noise * torch.from_numpy(rng.standard_normal(images.shape, np.float32))
    return coloured.clamp(-0.5, 1.5)
