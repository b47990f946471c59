"""What a network finds in slices that nobody annotated, kept where it is sure."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from .pool import IGNORED, PoolCase, SlicePool

WINDOW = 160
"""Side in pixels of what is looked at about a heart; 240 mm at 1.5 mm."""

SPECK = 0.25
"""Share of the largest piece of heart below which a piece is dropped. Not only the largest stays: where every other
slice of a volume is drawn, the undrawn ones are pieces of their own."""


def teach(pool: SlicePool, network: torch.nn.Module, sure: float, part: int = 0, batch: int = 16) -> float:
    """Label every slice without annotation by `network`, and move the hearts' centres to what was found.

    In every volume small pieces of heart, beside the largest, are dropped. Voxels whose most likely label has less than
    `sure` are ignored. Each slice is seen once, as it is: mirrored views would cost a lesson's time again.

    Args:
        pool: gets `taught` labels.
        network: without deep supervision, in evaluation mode.
        sure: probability from which a voxel is believed.
        part: 0 for all volumes; 1 or 2 for those that stand in odd or even places of the pool: labels that are one
            lesson older cost half the time.
        batch: slices at a time.

    Returns:
        The share of voxels of heart that are believed.
    """
    believed = found = 0
    for place, case in enumerate(pool.cases):
        if part and place % 2 != part % 2:
            continue
        undrawn = np.flatnonzero(~case.annotated).tolist()
        if not undrawn:
            continue
        window, inside = _window(case)
        crops = _padded(case.image[undrawn][(slice(None), *window)])
        chances = torch.cat([_chances(network, some) for some in crops[:, None].split(batch)])
        top, left, rows, cols = inside
        best, labels = chances[..., top : top + rows, left : left + cols].max(1)
        labels = _without_specks(labels.to(torch.uint8).numpy(), undrawn, case)
        heart = labels > 0
        believed += int((heart & (best.numpy() >= sure)).sum())
        found += int(heart.sum())
        sure_labels = torch.from_numpy(np.where(best.numpy() >= sure, labels, IGNORED).astype(np.uint8))
        taught = case.labels.clone()
        taught[undrawn] = 0
        slices = taught[undrawn]
        slices[(slice(None), *window)] = sure_labels
        taught[undrawn] = slices
        case.taught = taught
        case.look_for_centre()
    return believed / found if found else 0.0


def _window(case: PoolCase) -> tuple[tuple[slice, slice], tuple[int, int, int, int]]:
    """Part of the image that is looked at, and where it lies in the padded crop (top, left, rows, cols)."""
    parts = []
    for middle, edge in zip(case.centre, case.image.shape[1:], strict=True):
        start = int(np.clip(round(middle - WINDOW / 2), 0, max(0, edge - WINDOW)))
        parts.append(slice(start, min(edge, start + WINDOW)))
    rows, cols = (part.stop - part.start for part in parts)
    return (parts[0], parts[1]), ((WINDOW - rows) // 2, (WINDOW - cols) // 2, rows, cols)


def _padded(crops: torch.Tensor) -> torch.Tensor:
    """Crops (slice, row, col) in the middle of windows of zeros."""
    rows, cols = crops.shape[1:]
    top, left = (WINDOW - rows) // 2, (WINDOW - cols) // 2
    return functional.pad(crops, (left, WINDOW - cols - left, top, WINDOW - rows - top))


def _chances(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Probabilities (slice, label, row, col)."""
    device = next(network.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        logits = network(images.to(device))
    return torch.softmax(logits.float().cpu(), 1)


def _without_specks(labels: np.ndarray, undrawn: list[int], case: PoolCase) -> np.ndarray:
    """Labels (slice, row, col) of the undrawn slices without pieces of heart smaller than a share of the largest."""
    volume = np.zeros((case.image.shape[0], *labels.shape[1:]), np.uint8)
    volume[undrawn] = labels
    pieces, count = ndimage.label(volume > 0, ndimage.generate_binary_structure(3, 1))
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        volume[sizes[pieces] < SPECK * sizes.max()] = 0
    return volume[undrawn]
