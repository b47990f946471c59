"""Dice from base to apex at 101 points."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.measures.curve import POSITIONS, dice_curve
from SparseCardiacSegLib.measures.overlap import overlap
from SparseCardiacSegLib.segmentation import Segmentation


def pair(grid=None) -> tuple[Segmentation, Segmentation]:
    return phantom.heart(0.5, grid)[1], phantom.heart(0.0, grid)[1]


def test_the_curve_runs_through_the_dice_of_every_slice_that_the_reference_holds() -> None:
    prediction, reference = pair()
    curve = dice_curve(prediction, reference, Structure.LV, base_first=True)
    assert curve.shape == POSITIONS.shape == (101,)
    predicted, expected = prediction.mask(Structure.LV), reference.mask(Structure.LV)
    held = np.flatnonzero(expected.any((1, 2)))
    assert held.tolist() == [1, 2, 3, 4, 5, 6, 7]
    values = [overlap(predicted[k], expected[k]).dice for k in held]
    assert curve[0] == values[0]
    assert curve[100] == values[-1]
    assert curve[50] == values[3]
    assert curve[25] == pytest.approx((values[1] + values[2]) / 2)


def test_the_curve_is_the_same_whichever_end_comes_first() -> None:
    first = dice_curve(*pair(), Structure.MYO, base_first=True)
    last = dice_curve(*pair(phantom.grid(base_first=False)), Structure.MYO, base_first=False)
    np.testing.assert_allclose(first, last)
    np.testing.assert_allclose(dice_curve(*pair(), Structure.MYO, base_first=False), first[::-1])


def test_a_missed_slice_is_0_and_a_slice_skipped_by_the_reference_is_bridged() -> None:
    prediction, reference = pair()
    labels = prediction.labels.array.copy()
    labels[7] = 0
    missed = Segmentation(prediction.labels.with_array(labels), prediction.scheme)
    assert dice_curve(missed, reference, Structure.LV, True)[100] == 0
    labels = reference.labels.array.copy()
    labels[4] = 0
    bridged = dice_curve(
        prediction, Segmentation(reference.labels.with_array(labels), reference.scheme), Structure.LV, True
    )
    whole = dice_curve(prediction, reference, Structure.LV, True)
    assert bridged[50] == pytest.approx((whole[33] * 0.02 + whole[34] * 0.98 + bridged[67]) / 2, abs=0.02)
    assert bridged[0] == whole[0]


def test_one_slice_gives_a_constant_and_none_gives_nan() -> None:
    prediction, reference = pair()
    labels = reference.labels.array.copy()
    labels[:4], labels[5:] = 0, 0
    single = Segmentation(reference.labels.with_array(labels), reference.scheme)
    curve = dice_curve(prediction, single, Structure.LV, True)
    assert np.ptp(curve) == 0
    assert 0.5 < curve[0] < 1
    assert np.isnan(dice_curve(prediction, single, Structure.LA, True)).all()
