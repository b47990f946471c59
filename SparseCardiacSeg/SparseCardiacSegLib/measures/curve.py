"""Dice along the long axis of the heart."""

from __future__ import annotations

import numpy as np

from ..anatomy import Structure
from ..segmentation import Segmentation
from .comparison import check_comparable
from .overlap import overlap

POSITIONS = np.linspace(0.0, 100.0, 101)
"""Where the curve is sampled: % of the long axis, base = 0, apex = 100."""


def dice_curve(prediction: Segmentation, reference: Segmentation, structure: Structure, base_first: bool) -> np.ndarray:
    """Dice of one structure from base to apex at `POSITIONS`.

    Slice-wise Dice of the slices in which the reference holds the structure, the first of them at 0 % and the last at
    100 %, interpolated linearly to 101 points, so that hearts of different numbers of slices can be averaged
    (Mariscal-Harana et al. 2023, section 2, evaluation metrics). A slice without prediction counts as 0.

    Args:
        prediction: labels of one frame.
        reference: labels of one frame on the same grid.
        structure: which structure.
        base_first: True when slice 0 is nearest the base.

    Returns:
        (101,) Dice, 0 to 1; one slice gives a constant, none (structure absent from the reference) all NaN.

    Raises:
        InputError: the grids differ or a cine was given.
    """
    check_comparable(prediction, reference)
    predicted, expected = prediction.slices_first_mask(structure), reference.slices_first_mask(structure)
    held = np.flatnonzero(expected.any(axis=(1, 2)))
    if held.size == 0:
        return np.full(POSITIONS.size, np.nan)
    if not base_first:
        held = held[::-1]
    values = [overlap(predicted[index], expected[index]).dice for index in held]
    # By slice position, not by count: a slice that the reference skips in between keeps its place on the axis.
    along = np.abs(held - held[0])
    places = 100.0 * along / max(1, along[-1])
    return np.interp(POSITIONS, places, values)
