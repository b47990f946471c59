"""How likely each slice of a stack is drawn for training: region-aware sampling.

Mariscal-Harana et al., "Improved AI-based Segmentation of Apical and Basal Slices from Clinical Cine CMR", approach
(1): slices at apex and base are drawn more often than those in the middle, by a quadratic distribution between a
smallest and a largest probability whose ratio is 4 ("low") or 20 ("high"); slices without the heart are drawn as often
as before.
"""

from __future__ import annotations

import numpy as np


def region_weights(n_slices: int, ratio: float) -> np.ndarray:
    """Weights of the slices of a heart in order, either end first: `1 + (ratio - 1) x (2t - 1)^2`, t from 0 to 1.

    Args:
        n_slices: slices that show the heart.
        ratio: of the weight at both ends to that in the middle; 1 makes all alike.

    Returns:
        Shape (n_slices,). A heart in one slice has no ends; its weight is 1.
    """
    place = np.linspace(-1.0, 1.0, n_slices) if n_slices > 1 else np.zeros(n_slices)
    return 1.0 + (ratio - 1.0) * place**2


def slice_probabilities(annotated: np.ndarray, cardiac: np.ndarray, ratio: float) -> np.ndarray:
    """Probability of every slice of a stack.

    Position is measured between the first and the last slice that shows the heart, along the stack: slices that are
    not annotated in between count as distance.

    Args:
        annotated: indices of slices that may be drawn, ascending.
        cardiac: those of them that show the heart, ascending; may be empty.
        ratio: see `region_weights`.

    Returns:
        Shape (len(annotated),); the sum is 1. Cardiac slices together are as likely as in a uniform draw.
    """
    probabilities = np.full(len(annotated), 1.0 / len(annotated))
    if len(cardiac):
        extent = np.arange(cardiac[0], cardiac[-1] + 1)
        weights = region_weights(len(extent), ratio)[np.searchsorted(extent, cardiac)]
        among = np.isin(annotated, cardiac)
        probabilities[among] = probabilities[among].sum() * weights / weights.sum()
    return probabilities
