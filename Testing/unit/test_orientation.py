"""Models that know left from right get images the way they learned them, whatever the file's axes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.orientation import (
    array_orientation,
    axis_order,
    check_orientation,
    slices_first_orientation,
    turned,
)
from SparseCardiacSegLib.automatic.turned import predict_turned
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.stack import Stack

ALL = ["".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)]
"""All 48 orientations."""


class Model:
    """As much of a `ModelFolder` as is looked at."""

    name = "fake"
    has_regions = False

    def __init__(self, **card):
        self.card = card


class Recorder:
    """A predictor that labels what is above 0.5 and keeps what it saw."""

    def __init__(self, **card):
        self.model = Model(**card)

    def predict(self, array, spacing, _progress=None):
        self.seen, self.spacing = array, spacing
        return (array > 0.5).astype(np.uint8)


def test_there_are_48_orientations_and_each_is_told_from_its_directions():
    vectors = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    assert len(set(ALL)) == 48
    for name in ALL:
        assert array_orientation(np.array([vectors[letter] for letter in name], float) * 1.3) == name


def test_an_oblique_stack_gets_three_different_axes_of_the_body():
    # Both in-plane axes are nearest to S; only one of them can have it.
    directions = np.array([[1.0, 0, 0], [0, 0.5, 0.87], [0, -0.6, 0.8]])
    assert array_orientation(directions) in {"RSP", "RAS"}
    assert array_orientation(directions) == "RSP"


@pytest.mark.parametrize("through_plane", [0, 1, 2])
def test_the_orientation_follows_the_through_plane_axis(through_plane):
    stack = Stack(np.zeros((3, 4, 5)), np.diag([-1.0, -1.0, 1.0, 1.0]), through_plane)
    assert slices_first_orientation(stack) == {0: "SPL", 1: "PSL", 2: "LSP"}[through_plane]


@pytest.mark.parametrize("have", ALL)
def test_whatever_the_axes_the_model_sees_the_same_image_and_labels_come_back_in_place(have):
    image = np.random.default_rng(0).random((3, 4, 5))
    given = np.ascontiguousarray(turned(image, "SPL", have))
    spacing = tuple((8.0, 1.5, 1.2)[axis] for axis in axis_order("SPL", have))
    recorder = Recorder(orientation="SPL")
    labels = predict_turned(recorder, given, spacing, have)
    np.testing.assert_array_equal(recorder.seen, image)
    assert recorder.spacing == (8.0, 1.5, 1.2)
    np.testing.assert_array_equal(labels, given > 0.5)


def test_a_model_without_an_orientation_sees_the_image_as_it_lies():
    image = np.random.default_rng(0).random((3, 4, 5))
    recorder = Recorder()
    predict_turned(recorder, image, (1.0, 2.0, 3.0), "IAR")
    np.testing.assert_array_equal(recorder.seen, image)


@pytest.mark.parametrize("name", ["SP", "SPX", "SSL", "SIL", 5, "spl"])
def test_impossible_orientations_are_refused(name):
    with pytest.raises(InputError, match="orientation"):
        check_orientation(name, "the card")
    with pytest.raises(InputError, match="the card of model 'fake'"):
        predict_turned(Recorder(orientation=name), np.zeros((2, 2, 2)), (1.0, 1.0, 1.0), "SPL")
