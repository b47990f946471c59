"""Dice, IoU, precision and recall."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.measures.overlap import Overlap, overlap


def test_the_four_figures_of_a_worked_example() -> None:
    prediction, reference = np.zeros((2, 4, 5), bool), np.zeros((2, 4, 5), bool)
    prediction[0, :3, :2] = True  # 6 voxels
    reference[0, 1:, :3] = True  # 9 voxels, 4 of them shared
    found = overlap(prediction, reference)
    assert found == Overlap(dice=8 / 15, iou=4 / 11, precision=4 / 6, recall=4 / 9)
    assert overlap(reference, prediction) == Overlap(dice=8 / 15, iou=4 / 11, precision=4 / 9, recall=4 / 6)


def test_equal_masks_agree_fully_and_disjoint_ones_not_at_all() -> None:
    mask = np.random.default_rng(0).random((3, 6, 6)) > 0.5
    assert overlap(mask, mask) == Overlap(1, 1, 1, 1)
    assert overlap(mask, ~mask) == Overlap(0, 0, 0, 0)


def test_empty_masks_follow_the_documented_rule() -> None:
    empty, full = np.zeros((2, 3), bool), np.ones((2, 3), bool)
    assert overlap(empty, empty) == Overlap(1, 1, 1, 1)
    assert overlap(empty, full) == Overlap(0, 0, 0, 0)
    assert overlap(full, empty) == Overlap(0, 0, 0, 0)


def test_dice_follows_from_iou_on_random_masks() -> None:
    rng = np.random.default_rng(1)
    for share in (0.05, 0.3, 0.9):
        found = overlap(rng.random((4, 9, 8)) < share, rng.random((4, 9, 8)) < 0.4)
        assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))
        assert found.dice == pytest.approx(2 * found.precision * found.recall / (found.precision + found.recall))


def test_masks_of_different_shape_are_a_programming_fault() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        overlap(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
