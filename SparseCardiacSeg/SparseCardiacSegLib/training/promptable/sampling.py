"""Prompts as a person might give them, drawn at random while the network learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...anatomy import ALL, Structure
from .slices import MIN_PIXELS

BOX_MARGIN = 5.0
BOX_JITTER = 10.0
"""Margin and largest displacement of an edge, in image pixels (thesis, section 4.2.3; the issue's 0 to 10)."""

EPICARDIUM_SHARE = 0.15
"""Share of myocardium and cavity together as the target, so that the ring can also be had as a difference."""


@dataclass(frozen=True)
class PromptKind:
    """How many prompts of each kind a batch carries; equal within a batch, so that nothing needs padding."""

    box: bool
    points: int


def draw_kind(rng: np.random.Generator) -> PromptKind:
    """Points alone (45 %), a box alone (10 %), or both."""
    box = rng.random() < 0.55
    points = (
        0 if box and rng.random() < 0.18 else int(rng.choice([1, 2, 3, 4, 5, 7], p=[0.16, 0.2, 0.2, 0.2, 0.14, 0.1]))
    )
    return PromptKind(box, points)


def draw_prompt(
    labels: np.ndarray, zoom: float, kind: PromptKind, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """A target on a slice and a prompt for it.

    Args:
        labels: [row, col] in scheme `all`.
        zoom: encoder pixels per image pixel; margins are given in the latter.

    Returns:
        mask (bool, [row, col]), points (n, 2) as (col, row), signs (n,) 1 or 0, and box (4,) as (col, row, col, row);
        None where the slice holds no target.
    """
    present = [s for s, number in ALL.numbers.items() if np.count_nonzero(labels == number) >= MIN_PIXELS]
    if not present:
        return None
    structure = present[rng.integers(len(present))]
    parts = [labels == ALL.numbers[structure]]
    whole = {Structure.MYO, Structure.LV}
    if structure in whole and whole <= set(present) and kind.points >= 2 and rng.random() < EPICARDIUM_SHARE:
        parts = [labels == ALL.numbers[Structure.MYO], labels == ALL.numbers[Structure.LV]]
    mask = np.logical_or.reduce(parts)
    points, signs = _draw_points(labels, mask, parts, kind.points, rng)
    return mask, points, signs, _draw_box(mask, zoom, rng)


def draw_correction(mask: np.ndarray, predicted: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """One more click where the prediction is wrong (SAM's training); in the mask itself where nothing is."""
    wrong = np.argwhere(mask != predicted)
    where = wrong if len(wrong) else np.argwhere(mask)
    row, col = where[rng.integers(len(where))]
    return np.array([col, row], np.float32), int(mask[row, col])


def _draw_points(
    labels: np.ndarray, mask: np.ndarray, parts: list[np.ndarray], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    points, signs = np.zeros((count, 2), np.float32), np.zeros(count, np.int64)
    if count == 0:
        return points, signs
    n_positive = max(len(parts), count - int(rng.integers(0, count)))
    others = (labels > 0) & ~mask
    centre = np.rint(np.argwhere(mask).mean(0)).astype(int)
    for index in range(count):
        if index < n_positive:
            if index == 0 and len(parts) == 1 and rng.random() < 0.5 and mask[tuple(centre)]:
                row, col = centre
            else:
                row, col = _any_of(parts[index] if index < len(parts) else mask, rng)
            signs[index] = 1
        elif others.any() and rng.random() < 0.85:
            row, col = _any_of(others, rng)
        else:
            row, col = _near(mask, rng)
        points[index] = col, row
    return points, signs


def _any_of(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pixels = np.flatnonzero(mask)
    return np.array(np.unravel_index(pixels[rng.integers(len(pixels))], mask.shape))


def _near(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pixel outside the mask, within 20 pixels of its bounding box."""
    inside = np.argwhere(mask)
    low, high = np.maximum(inside.min(0) - 20, 0), np.minimum(inside.max(0) + 21, mask.shape)
    for _ in range(50):
        pixel = rng.integers(low, high)
        if not mask[tuple(pixel)]:
            return pixel
    return np.zeros(2, int)


def _draw_box(mask: np.ndarray, zoom: float, rng: np.random.Generator) -> np.ndarray:
    inside = np.argwhere(mask)
    (top, left), (bottom, right) = inside.min(0), inside.max(0)
    jitter = 0.0 if rng.random() < 0.4 else rng.uniform(0, BOX_JITTER)
    # A jittered edge stops a quarter of the way into the mask, so that small masks keep a box around something.
    inward = -0.25 * np.array([right - left, bottom - top] * 2)
    margins = np.maximum((BOX_MARGIN + rng.uniform(-jitter, jitter, 4)) * zoom, inward)
    box = np.array([left - margins[0], top - margins[1], right + margins[2], bottom + margins[3]], np.float32)
    return np.clip(box, 0, np.array([*mask.shape[::-1], *mask.shape[::-1]]) - 1).astype(np.float32)
