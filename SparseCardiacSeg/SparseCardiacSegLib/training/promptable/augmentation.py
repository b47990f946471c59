"""Slices as they could also have been acquired: turned, scaled, bent, and with other contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...prompting.slice_geometry import GRID, IMAGE_SIZE
from .slices import TrainingSlice

SHORT_AXIS_SCALE = (0.65, 1.9)
"""Zoom about the usual 1.4 mm a pixel: a stack cropped to the heart is enlarged to the encoder's 256 pixels."""

LEFT_ATRIUM_SCALE = (0.35, 1.15)
"""The public left-atrium volumes are cropped to the atrium, which a full field of view would show smaller."""

CELL = IMAGE_SIZE // GRID
"""Side of a cell of the embedding, in encoder pixels: windows begin at cells."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Augmented slices, or windows of them.

    Attributes:
        images: (batch, 3, size, size), normalised as `Sam.preprocess` does.
        labels: (batch, size, size) int64 in scheme `all`.
        zooms: (batch,) encoder pixels per image pixel.
        origins: (batch, 2) int64, row and col of each window's corner in the encoder's 256 x 256 pixels.
    """

    images: torch.Tensor
    labels: torch.Tensor
    zooms: torch.Tensor
    origins: torch.Tensor


def augmented_batch(
    slices: list[TrainingSlice], rng: np.random.Generator, strength: float = 1.0, size: int = IMAGE_SIZE
) -> Batch:
    """Augment slices and bring them to the encoder's size, or to windows of `size` pixels that hold the heart.

    Windows are for training alone, which costs as much less as they are smaller.

    Args:
        slices: what to augment.
        rng: where chance comes from.
        strength: share of the slices that are also turned by any angle or zoomed far, of those that would be.
        size: side of a window; a multiple of 32, at most 256.
    """
    images, labels, zooms = [], [], []
    for item in slices:
        image, label, zoom = _warped(item, rng, strength, size)
        images.append(_recoloured(image, rng))
        labels.append(label)
        zooms.append(zoom)
    mean = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
    deviation = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    origins = CELL * rng.integers(0, (IMAGE_SIZE - size) // CELL + 1, (len(slices), 2))
    return Batch(
        (torch.stack(images) - mean) / deviation, torch.stack(labels), torch.tensor(zooms), torch.from_numpy(origins)
    )


def _warped(
    item: TrainingSlice, rng: np.random.Generator, strength: float = 1.0, size: int = IMAGE_SIZE
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Rotate, mirror, scale and bend one slice into the encoder's frame; it stays centred near the heart."""
    rows, cols = item.image.shape
    base = IMAGE_SIZE / max(rows, cols)
    low, high = LEFT_ATRIUM_SCALE if item.is_left_atrium else SHORT_AXIS_SCALE
    wide = rng.random() < 0.5 * strength
    zoom = base * math.exp(rng.uniform(math.log(low), math.log(high)) if wide else rng.normal(0, 0.12))
    angle = rng.uniform(-math.pi, math.pi) if rng.random() < 0.5 * strength else rng.normal(0, 0.3)
    flips = rng.choice([-1.0, 1.0], 2)
    stretch = math.exp(rng.normal(0, 0.06))

    # Where the encoder's centre looks: between the middle of the image and the labels, so that zooming keeps them in.
    inside = np.argwhere(item.labels > 0)
    centre = np.array([(rows - 1) / 2, (cols - 1) / 2])
    pull = 1.0 if size < IMAGE_SIZE else rng.uniform(0, 1) if zoom > base else 0.0
    centre = (1 - pull) * centre + pull * inside.mean(0) + rng.normal(0, 6, 2)

    axis = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2) / zoom
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bend = torch.from_numpy(rng.normal(0, 1, (1, 2, 6, 6)).astype(np.float32)) * float(abs(rng.normal(0, 2.0)))
    bend = functional.interpolate(bend, size=(size, size), mode="bicubic", align_corners=True)[0]
    x, y = (x + bend[0]) * float(flips[0]) * stretch, (y + bend[1]) * float(flips[1]) / stretch
    sine, cosine = math.sin(angle), math.cos(angle)
    source_row = centre[0] + sine * x + cosine * y
    source_col = centre[1] + cosine * x - sine * y
    grid = torch.stack([source_col * 2 / (cols - 1) - 1, source_row * 2 / (rows - 1) - 1], -1)[None].float()
    image = torch.from_numpy(item.image).float()[None, None]
    warped = functional.grid_sample(image, grid, mode="bilinear", align_corners=True)[0, 0]
    labels = functional.grid_sample(
        torch.from_numpy(item.labels).float()[None, None], grid, mode="nearest", align_corners=True
    )[0, 0]
    return warped, labels.long(), zoom


def _recoloured(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Contrast, brightness, gamma, shading, blur, low resolution and noise, each now and then; (3, rows, cols)."""
    x = image / 255
    if rng.random() < 0.3:
        x = x.clamp(0, 1) ** math.exp(rng.normal(0, 0.35))
    if rng.random() < 0.4:
        x = (x - 0.4) * math.exp(rng.normal(0, 0.25)) + 0.4 + rng.normal(0, 0.08)
    if rng.random() < 0.3:
        shading = torch.from_numpy(rng.normal(0, 0.25, (1, 1, 3, 3)).astype(np.float32))
        x = x * torch.exp(functional.interpolate(shading, size=x.shape, mode="bicubic", align_corners=True)[0, 0])
    if rng.random() < 0.15:
        coarse = int(x.shape[0] * rng.uniform(0.4, 0.9))
        small = functional.interpolate(x[None, None], size=(coarse, coarse), mode="area")
        x = functional.interpolate(small, size=x.shape, mode="bilinear", align_corners=False)[0, 0]
    if rng.random() < 0.25:
        x = x + torch.from_numpy(rng.normal(0, rng.uniform(0, 0.08), x.shape).astype(np.float32))
    return (x.clamp(0, 1) * 255).expand(3, -1, -1)
