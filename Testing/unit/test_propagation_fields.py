"""Displacement fields and labels moved along them: known shifts, chains, folds."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.propagation.field import compose, folding_fraction, jacobian_determinant, sample
from SparseCardiacSegLib.propagation.warp import labels_of, signed_distances, warp_labels

NUMBERS = ACDC.numbers


def constant(row, column, shape=(2, 20, 24)):
    field = np.zeros((shape[0], 2, *shape[1:]), np.float32)
    field[:, 0], field[:, 1] = row, column
    return field


def ring(centre=(10, 11), shape=(2, 20, 24)):
    row, column = np.indices(shape[1:])
    distance = np.hypot(row - centre[0], column - centre[1])
    labels = np.zeros(shape, np.uint8)
    labels[:, distance < 6] = NUMBERS[Structure.MYO]
    labels[:, distance < 3.5] = NUMBERS[Structure.LV]
    return labels


def test_a_shift_by_whole_pixels_moves_labels_exactly():
    moved = warp_labels(ring(), constant(-2, 3), NUMBERS)
    np.testing.assert_array_equal(moved, ring((12, 8)))


def test_a_shift_by_half_a_pixel_moves_the_area_centre_by_half_a_pixel():
    moved = warp_labels(ring(), constant(0, 0.5), NUMBERS)
    centre = np.mean(np.nonzero(moved[0]), axis=1)
    np.testing.assert_allclose(centre, [10, 10.5], atol=0.05)


def test_labels_that_nobody_moves_stay_voxel_for_voxel():
    labels = ring()
    labels[1] = 0
    labels[0, 9:11, 0:3] = NUMBERS[Structure.RV]
    np.testing.assert_array_equal(warp_labels(labels, constant(0, 0), NUMBERS, (1.2, 1.7)), labels)


def test_between_two_structures_no_gap_opens_when_they_are_blended():
    first, second = ring((10, 9)), ring((10, 13))
    levels = sum(0.5 * signed_distances(one, NUMBERS, (1.0, 1.0)) for one in (first, second))
    found = labels_of(levels, NUMBERS)[0]
    assert found[10, 11] == NUMBERS[Structure.LV]
    assert (found[10, 6:17] != 0).all()


def test_signed_distances_are_in_mm_and_zero_between_pixels():
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, :, 10:] = NUMBERS[Structure.LV]
    level = signed_distances(labels, NUMBERS, (2.0, 2.0))[1 + list(NUMBERS).index(Structure.LV), 0, 5]
    np.testing.assert_allclose(level[8:12], [-3, -1, 1, 3])


def test_looking_up_in_three_dimensions_interpolates_between_slices():
    image = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((4, 5, 6), np.float32)
    field = np.zeros((4, 3, 5, 6), np.float32)
    field[:, 0] = 0.25
    np.testing.assert_allclose(sample(image, field)[:, 2, 2], [0.25, 1.25, 2.25, 3.0])


@pytest.mark.parametrize("shape", [(1, 1, 7), (2, 6, 1), (1, 1, 1)])
def test_images_of_one_row_or_column_can_be_looked_up(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    np.testing.assert_allclose(sample(image, np.zeros((shape[0], 2, *shape[1:]))), image, atol=1e-6)


def test_two_shifts_add_up_and_a_shift_and_its_opposite_vanish():
    np.testing.assert_allclose(compose(constant(1, 2), constant(3, -1)), constant(4, 1))
    np.testing.assert_allclose(compose(constant(1.5, 0), constant(-1.5, 0)), constant(0, 0))


def test_a_chain_looks_the_second_field_up_where_the_first_points():
    second = constant(0, 0)
    second[:, 1] = np.arange(24)
    np.testing.assert_allclose(compose(constant(0, 2), second)[0, 1, 0, :20], 2 + np.arange(2, 22))


def test_a_field_that_turns_points_round_folds_and_a_stretch_does_not():
    columns = np.arange(24, dtype=np.float32)
    stretch, fold = constant(0, 0), constant(0, 0)
    stretch[:, 1] = 0.5 * columns
    fold[:, 1, :10] = -1.5 * columns
    assert folding_fraction(stretch) == 0
    np.testing.assert_allclose(jacobian_determinant(stretch), 1.5)
    assert 0.35 < folding_fraction(fold) < 0.6
    below = np.zeros((2, 20, 24), bool)
    below[:, 14:] = True
    assert folding_fraction(fold, below) == 0
    assert folding_fraction(fold, np.zeros_like(below)) == 0
