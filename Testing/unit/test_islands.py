"""Small pieces of a mask apart from what was meant."""

from __future__ import annotations

import numpy as np
from SparseCardiacSegLib.prompting.islands import without_islands


def pieces(*boxes):
    mask = np.zeros((40, 50), bool)
    for row, col, height, width in boxes:
        mask[row : row + height, col : col + width] = True
    return mask


def test_a_small_piece_far_from_the_points_is_left_out():
    large, small = (5, 5, 10, 10), (30, 40, 3, 3)
    kept = without_islands(pieces(large, small), [(8, 8)])
    np.testing.assert_array_equal(kept, pieces(large))


def test_a_small_piece_stays_where_somebody_clicked_it():
    both = pieces((5, 5, 10, 10), (30, 40, 3, 3))
    np.testing.assert_array_equal(without_islands(both, [(8, 8), (41, 31)]), both)


def test_a_larger_piece_stays_beside_the_one_that_was_clicked():
    both = pieces((5, 5, 10, 10), (25, 30, 5, 4))
    np.testing.assert_array_equal(without_islands(both, [(8, 8)]), both)
    np.testing.assert_array_equal(without_islands(both, [(31, 26)]), both)


def test_without_a_point_in_the_mask_the_largest_piece_was_meant():
    both = pieces((5, 5, 10, 10), (30, 40, 3, 3))
    np.testing.assert_array_equal(without_islands(both, []), pieces((5, 5, 10, 10)))
    np.testing.assert_array_equal(without_islands(both, [(25, 25)]), pieces((5, 5, 10, 10)))


def test_pieces_that_touch_at_a_corner_are_one():
    touching = pieces((5, 5, 10, 10), (15, 15, 2, 2))
    np.testing.assert_array_equal(without_islands(touching, [(8, 8)]), touching)


def test_an_empty_mask_and_a_point_on_the_rim_are_no_trouble():
    assert not without_islands(pieces(), [(3, 3)]).any()
    both = pieces((0, 0, 5, 5), (30, 44, 10, 6))
    np.testing.assert_array_equal(without_islands(both, [(49.5, 39.5)]), both)
