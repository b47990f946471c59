"""Beating phantoms with labels, on the grids that the propagation tests need."""

from __future__ import annotations

import phantom
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

HEART = phantom.Heart(shortening=0.0)
"""A heart whose base stays in its slice: all motion lies in the plane."""


def beating(
    n_frames: int = 6, on: Stack | None = None, shape: phantom.Heart = HEART, seed: int = 0
) -> tuple[Stack, Segmentation]:
    """Cine and labels of a heart beat, frame 0 at ED; five slices of 72 x 96 pixels unless `on` tells another grid."""
    on = phantom.grid((5, 72, 96), (14.0, 1.7, 1.7)) if on is None else on
    return phantom.cine(n_frames, on, shape=shape, seed=seed)


def dice(predicted: Segmentation, expected: Segmentation, frame: int) -> dict[str, float]:
    """Dice of every structure that the expected labels hold in a frame."""
    from SparseCardiacSegLib.measures.overlap import overlap

    a, b = predicted.frame(frame), expected.frame(frame)
    return {str(s): overlap(a.mask(s), b.mask(s)).dice for s in b.structures if b.mask(s).any()}
