"""Crops of slices about the heart, turned, scaled, bent and with other contrast."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from .pool import PoolCase


def augmented_crop(
    case: PoolCase, index: int, labels: torch.Tensor, size: tuple[int, int], rng: np.random.Generator, mirror: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """One augmented crop of a slice.

    Three crops in five are centred near the heart, the others near the middle of the image, so that the rest of the
    body is seen as well.

    Args:
        case: whose slice it is.
        index: of the slice.
        labels: (row, col) uint8, to go with it.
        size: rows and columns of the crop.
        rng: where chance comes from.
        mirror: whether crops are mirrored at random.

    Returns:
        Image (row, col) float32 and labels (row, col) uint8; outside of the image both are 0.
    """
    rows, cols = labels.shape
    if rng.random() < 0.6:
        centre = np.array(case.centre) + rng.normal(0, 10, 2)
    else:
        centre = np.array([(rows - 1) / 2, (cols - 1) / 2]) + rng.normal(0, 24, 2)
    zoom = math.exp(rng.uniform(-0.35, 0.35) if rng.random() < 0.4 else rng.normal(0, 0.08))
    angle = rng.uniform(-math.pi, math.pi) if mirror and rng.random() < 0.15 else rng.normal(0, 0.25)
    stretch = math.exp(rng.normal(0, 0.06))
    flips = rng.choice([-1.0, 1.0], 2) if mirror else (1.0, 1.0)
    row_axis = (torch.arange(size[0], dtype=torch.float32) - (size[0] - 1) / 2) / zoom
    col_axis = (torch.arange(size[1], dtype=torch.float32) - (size[1] - 1) / 2) / zoom
    y, x = torch.meshgrid(row_axis, col_axis, indexing="ij")
    if rng.random() < 0.5:
        bend = torch.from_numpy(rng.normal(0, abs(rng.normal(0, 2.5)), (1, 2, 5, 5)).astype(np.float32))
        bend = functional.interpolate(bend, size=size, mode="bicubic", align_corners=True)[0]
        x, y = x + bend[0], y + bend[1]
    x, y = x * float(flips[0]) * stretch, y * float(flips[1]) / stretch
    sine, cosine = math.sin(angle), math.cos(angle)
    source_row = float(centre[0]) + sine * x + cosine * y
    source_col = float(centre[1]) + cosine * x - sine * y
    grid = torch.stack([source_col * 2 / (cols - 1) - 1, source_row * 2 / (rows - 1) - 1], -1)[None]
    image = functional.grid_sample(case.image[index][None, None], grid, mode="bilinear", align_corners=True)[0, 0]
    moved = functional.grid_sample(labels.float()[None, None], grid, mode="nearest", align_corners=True)[0, 0]
    return image, moved.to(torch.uint8)


def recoloured(image: torch.Tensor, rng: np.random.Generator, strength: float) -> torch.Tensor:
    """Contrast, brightness, gamma, shading, blur, low resolution and noise of a normalised image (row, col).

    Args:
        image: about mean 0 and standard deviation 1.
        rng: where chance comes from.
        strength: 1 for drawn slices; more for taught ones, which must be recognised in a worse image than that
            in which they were found.
    """
    x = image
    chance = min(0.35 * strength, 0.8)
    if rng.random() < chance:
        mean = x.mean()
        x = (x - mean) * math.exp(rng.normal(0, 0.25 * strength)) + mean + rng.normal(0, 0.15 * strength)
    if rng.random() < chance:
        low, high = x.min(), x.max()
        span = (high - low).clamp_min(1e-3)
        x = ((x - low) / span).clamp(1e-4, 1) ** math.exp(rng.normal(0, 0.25 * strength)) * span + low
    if rng.random() < chance:
        shading = torch.from_numpy(rng.normal(0, 0.15 * strength, (1, 1, 3, 3)).astype(np.float32))
        field = functional.interpolate(shading, size=x.shape, mode="bicubic", align_corners=True)[0, 0]
        low = x.min()
        x = (x - low) * torch.exp(field) + low
    if rng.random() < 0.6 * chance:
        coarse = [max(8, int(edge * rng.uniform(0.45, 0.9))) for edge in x.shape]
        small = functional.interpolate(x[None, None], size=coarse, mode="area")
        x = functional.interpolate(small, size=x.shape, mode="bilinear", align_corners=False)[0, 0]
    if rng.random() < chance:
        x = x + torch.from_numpy(rng.normal(0, abs(rng.normal(0, 0.12 * strength)), x.shape).astype(np.float32))
    return x


def mixed(
    images: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, chance: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """CutMix: a rectangle of a crop is replaced by that of the next one, labels with it (Yun et al., ICCV 2019).

    Args:
        images: (batch, row, col).
        labels: (batch, row, col).
        rng: where chance comes from.
        chance: that a crop is mixed.
    """
    images_out, labels_out = images.clone(), labels.clone()
    rows, cols = images.shape[1:]
    for one in range(len(images)):
        if rng.random() >= chance:
            continue
        other = (one + 1) % len(images)
        share = rng.uniform(0.1, 0.4)
        aspect = math.exp(rng.uniform(-0.7, 0.7))
        height = min(rows, max(1, int(rows * math.sqrt(share * aspect))))
        width = min(cols, max(1, int(cols * math.sqrt(share / aspect))))
        top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, cols - width + 1))
        window = (slice(top, top + height), slice(left, left + width))
        images_out[one][window] = images[other][window]
        labels_out[one][window] = labels[other][window]
    return images_out, labels_out
