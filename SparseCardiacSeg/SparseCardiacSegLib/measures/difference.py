"""Where a prediction and a reference differ, voxel by voxel."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from ..anatomy import Structure
from ..segmentation import Segmentation
from .comparison import check_comparable


class Difference(IntEnum):
    """What a voxel is when a prediction is laid over a reference; 0 where neither holds anything."""

    AGREEMENT = 1
    PREDICTION_ONLY = 2
    REFERENCE_ONLY = 3
    OTHER_STRUCTURE = 4


def difference_classes(
    prediction: Segmentation, reference: Segmentation, structure: Structure | None = None
) -> np.ndarray:
    """Class of every voxel (`Difference`, 0 for neither), uint8 in the shape of the grid.

    Args:
        prediction: labels of one frame.
        reference: labels of one frame on the same grid, in any scheme.
        structure: compare only this one, so that `OTHER_STRUCTURE` does not occur; None compares all.

    Raises:
        InputError: the grids differ or a cine was given.
    """
    check_comparable(prediction, reference)
    predicted, expected = (np.zeros(one.labels.shape, np.uint8) for one in (prediction, reference))
    for number, one in enumerate([structure] if structure is not None else Structure, start=1):
        predicted[prediction.mask(one)] = number
        expected[reference.mask(one)] = number
    classes = np.zeros(predicted.shape, np.uint8)
    classes[(predicted > 0) & (predicted == expected)] = Difference.AGREEMENT
    classes[(predicted > 0) & (expected == 0)] = Difference.PREDICTION_ONLY
    classes[(predicted == 0) & (expected > 0)] = Difference.REFERENCE_ONLY
    classes[(predicted > 0) & (expected > 0) & (predicted != expected)] = Difference.OTHER_STRUCTURE
    return classes
