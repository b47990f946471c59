"""Prediction in the orientation a model was trained in, with a threshold where one is asked for."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..progress import Progress, no_progress
from .orientation import axis_order, check_orientation, turned
from .postprocess import threshold_labels
from .predictor import Prediction, Predictor


def predict_turned(
    predictor: Predictor,
    array: np.ndarray,
    spacing: tuple[float, float, float],
    orientation: str | None = None,
    threshold: float | None = None,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Label a stack whose axes run as `orientation` says.

    Args:
        predictor: where its model's card names an `orientation`, the image is turned to that for it.
        array: numbers [slice, row, col].
        spacing: mm, in the order of the array's axes.
        orientation: three letters as of `array_orientation`; None if unknown: the image is taken as it lies.
        threshold: see `PredictionSettings`.
        progress: as for `Predictor.predict`.

    Returns:
        uint8 labels in the shape and orientation of `array`.

    Raises:
        InputError: an orientation is impossible, or the threshold does not suit the model.
    """
    wanted = predictor.model.card.get("orientation")
    if threshold is not None and predictor.model.has_regions:
        raise InputError(f"model '{predictor.model.name}' has overlapping regions, for which no threshold can be set")
    if wanted is None or orientation is None:
        return _labels(predictor, array, spacing, threshold, progress)
    wanted = check_orientation(wanted, f"the card of model '{predictor.model.name}'")
    have = check_orientation(orientation, "the image")
    order = axis_order(have, wanted)
    image = np.ascontiguousarray(turned(array, have, wanted))
    z, y, x = (spacing[axis] for axis in order)
    labels = _labels(predictor, image, (z, y, x), threshold, progress)
    return np.ascontiguousarray(turned(labels, wanted, have))


def _labels(
    predictor: Predictor,
    array: np.ndarray,
    spacing: tuple[float, float, float],
    threshold: float | None,
    progress: Progress,
) -> np.ndarray:
    """Labels of the likeliest class, or of what reaches the threshold."""
    if threshold is None:
        return predictor.predict(array, spacing, progress)
    prediction: Prediction = predictor.predict_probabilities(array, spacing, progress)
    return threshold_labels(prediction, threshold)
