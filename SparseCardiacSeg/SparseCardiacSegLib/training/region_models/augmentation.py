"""Batches of slices as they could also have been acquired: turned, mirrored, shifted, scaled, with other contrast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from ...automatic.region_order import CLASSES
from ...automatic.region_window import CONTEXT, SIDE
from .slices import COARSE, CUT, LabelledSlices

ALONE_SHARE = 0.1
"""Share of slices without neighbours, as at the ends of a stack."""

SHIFT = 12.0
"""Largest shift in pixels of the window (24 mm)."""


class SliceDraw:
    """Draws of slices, by class frequency to a power.

    Args:
        slices: to draw from.
        balance: see `ClassifierSettings`.
    """

    def __init__(self, slices: Sequence[LabelledSlices], balance: float) -> None:
        self._slices = slices
        self._places = [(number, index) for number, one in enumerate(slices) for index in range(len(one.classes))]
        classes = np.concatenate([one.classes for one in slices])
        counts = np.bincount(classes, minlength=len(CLASSES))
        weights = np.power(counts[classes].astype(np.float64), -balance)
        self._shares = weights / weights.sum()

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Augmented inputs [size, CONTEXT, SIDE, SIDE], their classes [size] and the shares of the structures.

        The last has [size, CONTEXT * structure, SIDE / COARSE, SIDE / COARSE].
        """
        images, masks, classes = [], [], []
        for place in rng.choice(len(self._places), size, p=self._shares):
            number, index = self._places[place]
            one = self._slices[number]
            chosen = np.clip(np.arange(index - 1, index + 2), 0, len(one.classes) - 1)
            if rng.random() < ALONE_SHARE:
                chosen = np.full(CONTEXT, index)
            elif rng.random() < 0.5:  # nobody knows at work which end is the base
                chosen = chosen[::-1]
            images.append(one.images[chosen].astype(np.float32))
            masks.append(one.masks[chosen].astype(np.float32))
            classes.append(one.classes[index])
        grids = torch.stack([draw_grid(rng) for _ in images])
        given = torch.from_numpy(np.stack(images))
        turned = functional.grid_sample(given, grids, padding_mode="zeros", align_corners=True)
        blocks = grids.unflatten(2, (-1, COARSE)).unflatten(1, (-1, COARSE)).mean((2, 4))
        # Corners of the cut are middles of its pixels; those of the masks, whose pixels are larger, are their edges.
        shares = functional.grid_sample(
            torch.from_numpy(np.stack(masks)).flatten(1, 2), blocks * ((CUT - 1) / CUT), align_corners=False
        )
        return recoloured(turned, rng), torch.from_numpy(np.array(classes)), shares


def draw_grid(rng: np.random.Generator) -> torch.Tensor:
    """Where in the cut the pixels of a window are looked up, (SIDE, SIDE, 2), in `grid_sample`'s coordinates."""
    angle = rng.uniform(-math.pi, math.pi) if rng.random() < 0.5 else rng.normal(0, 0.3)
    zoom = math.exp(float(np.clip(rng.normal(0, 0.12), -0.3, 0.3)))
    mirror = -1.0 if rng.random() < 0.3 else 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([1 / zoom, mirror / zoom])
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    points = np.stack(np.meshgrid(axis, axis), -1) + rng.uniform(-SHIFT, SHIFT, 2)
    return torch.from_numpy((points @ matrix.T / ((CUT - 1) / 2)).astype(np.float32))


def recoloured(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Other contrast, brightness and noise for each of [n, CONTEXT, row, col], within the range of windows."""
    n = len(images)

    def drawn(width: float) -> torch.Tensor:
        return torch.from_numpy(rng.normal(0, width, (n, 1, 1, 1)).astype(np.float32))

    gamma, gain, offset = torch.exp(drawn(0.25)), torch.exp(drawn(0.12)), drawn(0.05)
    coloured = images.sign() * images.abs().clamp(min=1e-6) ** gamma * gain + offset
    coloured = coloured + drawn(0.03).abs() * torch.from_numpy(rng.standard_normal(images.shape, np.float32))
    return coloured.clamp(-0.5, 1.5)
