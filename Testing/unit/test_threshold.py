"""A threshold on probability, and the repairs that a model's card recommends."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.postprocess import PostprocessSettings, recommended, threshold_labels
from SparseCardiacSegLib.automatic.predictor import Prediction, PredictionSettings
from SparseCardiacSegLib.automatic.turned import predict_turned
from SparseCardiacSegLib.errors import InputError


class Model:
    """As much of a `ModelFolder` as is looked at."""

    name, card = "fake", {}

    def __init__(self, has_regions=False):
        self.has_regions = has_regions


class Ramp:
    """A predictor of one structure whose probability rises from 0 to 1 along the columns."""

    def __init__(self, has_regions=False):
        self.model = Model(has_regions)

    def predict(self, array, spacing, _progress=None):
        return self.predict_probabilities(array, spacing).labels

    def predict_probabilities(self, array, _spacing, _progress=None):
        structure = np.broadcast_to(np.linspace(0, 1, array.shape[2]), array.shape)
        probabilities = np.stack([1 - structure, structure]).astype(np.float16)
        return Prediction((structure > 0.5).astype(np.uint8), probabilities)


@pytest.mark.parametrize(("threshold", "labelled"), [(None, 5), (0.5, 6), (0.25, 8), (0.85, 2)])
def test_a_higher_threshold_keeps_what_is_surer(threshold, labelled):
    labels = predict_turned(Ramp(), np.ones((2, 3, 11)), (1.0, 1.0, 1.0), threshold=threshold)
    expected = np.zeros((2, 3, 11), np.uint8)
    expected[..., 11 - labelled :] = 1
    np.testing.assert_array_equal(labels, expected)


def test_above_the_threshold_the_likeliest_structure_wins():
    probabilities = np.array([[0.4, 0.1, 0.9], [0.35, 0.2, 0.06], [0.25, 0.7, 0.04]])[:, None, None]
    labels = threshold_labels(Prediction(np.zeros((1, 1, 3), np.uint8), probabilities), 0.5)
    assert labels.tolist() == [[[1, 2, 0]]]


def test_a_model_of_regions_takes_no_threshold():
    with pytest.raises(InputError, match="overlapping regions"):
        predict_turned(Ramp(has_regions=True), np.ones((2, 3, 11)), (1.0, 1.0, 1.0), threshold=0.5)


@pytest.mark.parametrize("value", [0, 1, -0.2, "0.5", float("nan")])
def test_a_threshold_must_be_a_probability(value):
    with pytest.raises(InputError, match="threshold"):
        PredictionSettings(threshold=value)


def test_a_card_changes_the_repairs_it_names_and_no_other():
    assert recommended({}) == PostprocessSettings()
    steps = recommended({"postprocess": {"closing": True, "closing_mm": 2.0}})
    assert steps == PostprocessSettings(closing=True, closing_mm=2.0)


@pytest.mark.parametrize(
    "steps",
    [{"melt": True}, {"closing": 1}, {"closing_mm": True}, {"closing_mm": "3"}, ["closing"], {"closing_mm": 900}],
)
def test_a_card_with_impossible_repairs_is_refused(steps):
    with pytest.raises(InputError):
        recommended({"postprocess": steps})
