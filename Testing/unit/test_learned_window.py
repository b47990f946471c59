"""The registration network's window: any matrix and pixel size in, fields in the same pixels out."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.propagation.learned_window import (
    PIXEL_MM,
    TAPER_MM,
    WINDOW,
    HeartWindow,
    centre_of_mask,
    centre_of_motion,
    scaled,
)


def ramp(shape: tuple[int, int], spacing: tuple[float, float], origin: tuple[float, float]) -> np.ndarray:
    """One slice whose value is 2 x row + 3 x column, in mm from `origin` (in mm from the first pixel)."""
    rows, cols = (np.arange(n) * s - o for n, s, o in zip(shape, spacing, origin, strict=True))
    return (2 * rows[:, None] + 3 * cols)[None]


@pytest.mark.parametrize("spacing", [(1.5, 1.5), (0.7, 0.7), (2.2, 1.1)])
def test_a_window_shows_what_lies_at_its_place_in_mm_whatever_the_pixel_size(spacing):
    shape = tuple(int(260 / s) for s in spacing)
    heart = (120.0, 133.0)
    centre = tuple(mm / s for mm, s in zip(heart, spacing, strict=True))
    cut = HeartWindow(centre, shape, spacing).cut(ramp(shape, spacing, heart))
    offsets = (np.arange(WINDOW) - (WINDOW - 1) / 2) * PIXEL_MM
    expected = 2 * offsets[:, None] + 3 * offsets
    assert cut.shape == (1, WINDOW, WINDOW)
    assert cut.dtype == np.float32
    np.testing.assert_allclose(cut[0], expected, atol=0.4)


def test_fine_detail_is_averaged_and_not_aliased():
    stripes = np.zeros((1, 400, 400), np.float32)
    stripes[..., ::2] = 1.0
    cut = HeartWindow((200, 200), (400, 400), (0.5, 0.5)).cut(stripes)
    np.testing.assert_allclose(cut[..., 4:-4, 4:-4], 0.5, atol=0.06)


def test_outside_of_a_small_picture_its_edge_goes_on():
    cut = HeartWindow((10, 10), (21, 21), (1.5, 1.5)).cut(np.full((2, 21, 21), 7.0))
    np.testing.assert_allclose(cut, 7.0, rtol=1e-5)
    assert HeartWindow((10, 10), (21, 21), (1.5, 1.5)).on_slices().sum() == pytest.approx(21 * 21, rel=0.1)


def test_a_field_comes_back_in_the_pixels_of_the_slices_and_fades_outside_of_the_window():
    spacing, shape = (0.75, 3.0), (520, 130)
    window = HeartWindow((260.0, 65.0), shape, spacing)
    field = np.zeros((1, 2, WINDOW, WINDOW), np.float32)
    field[:, 0], field[:, 1] = 2.0, -1.0
    whole = window.spread(field)
    assert whole.shape == (1, 2, *shape)
    np.testing.assert_allclose(whole[0, :, 260, 65], [2 * PIXEL_MM / 0.75, -1 * PIXEL_MM / 3.0], rtol=1e-5)
    beyond = int(((WINDOW - 1) / 2 * PIXEL_MM + TAPER_MM) / spacing[0]) + 1
    assert not whole[0, :, 260 + beyond :].any()
    assert not whole[0, :, : 260 - beyond].any()
    halfway = 260 + round(((WINDOW - 1) / 2 * PIXEL_MM + TAPER_MM / 2) / spacing[0])
    assert whole[0, 0, halfway, 65] == pytest.approx(2.0, rel=0.05)


def test_each_frame_is_scaled_by_its_own_robust_percentiles():
    rng = np.random.default_rng(0)
    frame = rng.normal(300, 80, (4, 64, 64))
    frame[0, 0, 0] = 1e6
    ours = scaled(frame)
    np.testing.assert_allclose(ours, scaled(frame * 13 - 500), atol=1e-3)
    assert np.percentile(ours, 1) == pytest.approx(0, abs=1e-3)
    assert np.percentile(ours, 99) == pytest.approx(1, abs=1e-3)
    assert ours.max() <= 1.5
    assert not scaled(np.full((1, 8, 8), 5.0)).any()


def test_the_heart_is_found_where_two_frames_differ():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:300, :280]
    still = rng.normal(100, 3, (5, 300, 280))
    moved = rng.normal(100, 3, (5, 300, 280))
    disc = np.hypot(y - 170, x - 120)
    still += 200 * (disc < 30)
    moved += 200 * (disc < 18)
    row, col = centre_of_motion(still, moved, (1.2, 1.2))
    assert row == pytest.approx(170, abs=4)
    assert col == pytest.approx(120, abs=4)


def test_without_any_difference_the_window_is_in_the_middle_and_it_never_leaves_the_slices():
    flat = np.zeros((3, 301, 101))
    assert centre_of_motion(flat, flat, (1.5, 1.5)) == (150.0, 50.0)
    corner = flat.copy()
    corner[:, :10, :10] = 1.0
    row, col = centre_of_motion(flat, corner, (1.5, 1.5))
    assert row == pytest.approx((WINDOW - 1) / 2)
    assert col == pytest.approx(50.0)


def test_the_middle_of_labels_is_that_of_their_box_over_all_slices():
    mask = np.zeros((3, 50, 60), bool)
    mask[0, 10:12, 20:31] = True
    mask[2, 20, 40] = True
    assert centre_of_mask(mask) == (15.0, 30.0)
    assert centre_of_mask(np.zeros((3, 5, 5), bool)) is None
