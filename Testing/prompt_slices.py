"""A slice with the three structures of a short-axis stack, for the tests of prompts."""

from __future__ import annotations

import numpy as np
from SparseCardiacSegLib.anatomy import ACDC, LabelScheme, Structure
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

RV, MYO, LV, LA = Structure


def ring_and_neighbours() -> dict[Structure, np.ndarray]:
    """A slice of 40 x 60 with a cavity in a ring and a thin crescent beside it, whose centres lie outside."""
    y, x = np.mgrid[:40, :60]
    radius = np.hypot(y - 20, x - 35)
    return {
        RV: (np.hypot(y - 20, x - 22) < 18) & (np.hypot(y - 20, x - 24) >= 18.5),
        MYO: (radius < 11) & (radius >= 7),
        LV: radius < 7,
    }


def stack_of(masks: dict[Structure, np.ndarray], scheme: LabelScheme = ACDC) -> Segmentation:
    labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for structure, mask in masks.items():
        labels[mask] = scheme.numbers[structure]
    return Segmentation(Stack(labels, np.diag([1.5, 1.5, 10.0, 1.0])), scheme)
