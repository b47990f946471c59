"""Masks of single structures become one picture in which every pixel belongs to one structure at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ..anatomy import ALL, LabelScheme, Structure
from ..errors import InputError

Overlap = Literal["order", "score"]
OVERLAP_RULES: tuple[Overlap, ...] = ("order", "score")


def without_overlap(
    masks: Mapping[Structure, np.ndarray],
    scores: Mapping[Structure, float] | None = None,
    overlap: Overlap = "order",
) -> dict[Structure, np.ndarray]:
    """Give every pixel that several masks claim to one of them.

    Source: design, section 4.

    Args:
        masks: boolean arrays of one shape.
        scores: the expected IoU of each mask; needed for `score`.
        overlap: `order`: LV wins over MYO and MYO over RV (the order of `Structure`, the last one wins). `score`: the
            mask with the higher score wins; the order decides between equal ones.

    Returns:
        New boolean arrays of the same keys that share no pixel and together cover what the masks covered.

    Raises:
        InputError: an unknown rule, masks of different shapes, or a score is missing or is not a number.
    """
    if overlap not in OVERLAP_RULES:
        raise InputError(f"unknown overlap rule '{overlap}'; known are {', '.join(OVERLAP_RULES)}")
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) > 1:
        raise InputError(f"masks of different shapes cannot be combined: {sorted(shapes)}")
    strongest_first = sorted(masks, key=list(Structure).index, reverse=True)
    if overlap == "score":
        values = {structure: _score(structure, scores) for structure in strongest_first}
        strongest_first.sort(key=lambda structure: -values[structure])
    taken = np.zeros(next(iter(shapes), ()), bool)
    exclusive = {}
    for structure in strongest_first:
        exclusive[structure] = masks[structure].astype(bool) & ~taken
        taken |= exclusive[structure]
    return {structure: exclusive[structure] for structure in masks}


def combine(
    masks: Mapping[Structure, np.ndarray],
    scores: Mapping[Structure, float] | None = None,
    overlap: Overlap = "order",
    scheme: LabelScheme = ALL,
) -> np.ndarray:
    """One label array of several masks, overlaps resolved as in `without_overlap`.

    Args:
        masks: at least one boolean array, all of one shape.
        scores: see `without_overlap`.
        overlap: see `without_overlap`.
        scheme: the numbers to write.

    Returns:
        uint8 of the masks' shape; 0 is background.

    Raises:
        InputError: as `without_overlap`; there is no mask, or the scheme has no number for one.
    """
    if not masks:
        raise InputError("there is no mask to combine")
    labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for structure, mask in without_overlap(masks, scores, overlap).items():
        if structure not in scheme.numbers:
            raise InputError(f"scheme '{scheme.name}' has no number for {structure}")
        labels[mask] = scheme.numbers[structure]
    return labels


def _score(structure: Structure, scores: Mapping[Structure, float] | None) -> float:
    """The score of a structure, which must be a number: NaN would leave the order to chance."""
    score = (scores or {}).get(structure)
    if score is None or not np.isfinite(score):
        raise InputError(f"overlaps cannot be decided by score: the mask of {structure} has none")
    return float(score)
