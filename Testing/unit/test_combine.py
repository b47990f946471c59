"""Every pixel belongs to one structure: the inner one, or the one with the better score."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, MNMS, SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.combine import combine, without_overlap

RV, MYO, LV, LA = Structure.RV, Structure.MYO, Structure.LV, Structure.LA

EVERY_OVERLAP = np.array(list(itertools.product((False, True), repeat=3)))
"""Eight pixels [pixel, structure]: all ways in which three masks can meet."""


def masks_of_every_overlap() -> dict[Structure, np.ndarray]:
    return {structure: EVERY_OVERLAP[:, i].reshape(2, 4) for i, structure in enumerate(SHORT_AXIS)}


def test_the_cavity_wins_over_the_myocardium_and_that_over_the_right_ventricle():
    labels = combine(masks_of_every_overlap(), scheme=ACDC)
    expected = [3 if lv else 2 if myo else 1 if rv else 0 for rv, myo, lv in EVERY_OVERLAP]
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels.ravel(), expected)


@pytest.mark.parametrize("order", list(itertools.permutations((RV, MYO, LV))))
def test_the_better_score_wins_where_scores_decide(order):
    scores = dict(zip(order, (0.9, 0.8, 0.7), strict=True))
    labels = combine(masks_of_every_overlap(), scores, "score", ACDC).ravel()
    for pixel, claims in enumerate(EVERY_OVERLAP):
        claiming = [structure for structure in order if claims[SHORT_AXIS.index(structure)]]
        assert labels[pixel] == (ACDC.numbers[claiming[0]] if claiming else 0)


def test_equal_scores_leave_it_to_the_order():
    masks = masks_of_every_overlap()
    equal = dict.fromkeys(masks, 0.5)
    np.testing.assert_array_equal(combine(masks, equal, "score"), combine(masks))


def test_nothing_is_lost_and_nothing_is_shared():
    masks = masks_of_every_overlap()
    exclusive = without_overlap(masks, {RV: 0.9, MYO: 0.2, LV: 0.5}, "score")
    assert list(exclusive) == list(masks)
    counted = np.sum([mask.astype(int) for mask in exclusive.values()], axis=0)
    np.testing.assert_array_equal(counted, np.logical_or.reduce(list(masks.values())).astype(int))


def test_the_masks_given_stay_as_they_were():
    masks = masks_of_every_overlap()
    before = {structure: mask.copy() for structure, mask in masks.items()}
    combine(masks)
    for structure in masks:
        np.testing.assert_array_equal(masks[structure], before[structure])


def test_the_numbers_are_those_of_the_scheme():
    masks = {LV: np.array([[True, False]]), RV: np.array([[False, True]])}
    assert combine(masks, scheme=MNMS).tolist() == [[1, 3]]
    assert combine({**masks, LA: np.array([[False, True]])}, scheme=ALL).tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (({},), "no mask"),
        (({LV: np.zeros((2, 2), bool)}, None, "alphabet"), "unknown overlap rule 'alphabet'"),
        (({LV: np.zeros((2, 2), bool), RV: np.zeros((2, 3), bool)},), "different shapes"),
        (({LV: np.zeros((2, 2), bool)}, None, "score"), "mask of LV has none"),
        (({LV: np.zeros((2, 2), bool)}, {LV: float("nan")}, "score"), "mask of LV has none"),
        (({LV: np.zeros((2, 2), bool)}, None, "order", LEFT_ATRIUM), "no number for LV"),
    ],
)
def test_what_cannot_be_combined_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        combine(*arguments)
