"""How much of two masks is shared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """Overlap of a prediction with a reference; every figure from 0 to 1.

    Attributes:
        dice: 2 |P and R| / (|P| + |R|).
        iou: |P and R| / |P or R|, Jaccard's index.
        precision: |P and R| / |P|.
        recall: |P and R| / |R|.
    """

    dice: float
    iou: float
    precision: float
    recall: float


def overlap(prediction: np.ndarray, reference: np.ndarray) -> Overlap:
    """Overlap of two boolean masks of the same shape (any number of dimensions).

    Both empty: all four are 1. Exactly one empty: all four are 0, also precision (prediction empty) and recall
    (reference empty), which are 0/0 by their formulae: a missed structure must not vanish from a mean.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"masks of shape {prediction.shape} and {reference.shape} cannot be compared")
    n_prediction = int(np.count_nonzero(prediction))
    n_reference = int(np.count_nonzero(reference))
    if n_prediction == 0 and n_reference == 0:
        return Overlap(1.0, 1.0, 1.0, 1.0)
    shared = int(np.count_nonzero(prediction & reference))
    return Overlap(
        dice=2 * shared / (n_prediction + n_reference),
        iou=shared / (n_prediction + n_reference - shared),
        precision=shared / n_prediction if n_prediction else 0.0,
        recall=shared / n_reference if n_reference else 0.0,
    )
