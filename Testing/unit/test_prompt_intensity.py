"""The window from scanner intensities to 8 bits."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.intensity import HIGH_PERCENTILE, LOW_PERCENTILE, to_8_bit, window


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int32, np.uint16, np.float32])
def test_the_window_is_the_robust_percentiles_of_the_volume_whatever_its_type(kind):
    volume = np.random.default_rng(0).gamma(2.0, 20.0, (5, 31, 17)).astype(kind)
    expected = np.percentile(volume, (LOW_PERCENTILE, HIGH_PERCENTILE))
    assert window(volume) == pytest.approx(tuple(expected), abs=1e-4)


def test_negative_and_widely_spread_integers_keep_their_percentiles():
    volume = np.random.default_rng(1).integers(-(2**28), 2**28, (4, 20, 20))
    assert window(volume) == pytest.approx(tuple(np.percentile(volume, (LOW_PERCENTILE, HIGH_PERCENTILE))))
    small = np.random.default_rng(2).integers(-300, 40, (4, 20, 20)).astype(np.int16)
    assert window(small) == pytest.approx(tuple(np.percentile(small, (LOW_PERCENTILE, HIGH_PERCENTILE))))


def test_one_bright_voxel_does_not_darken_the_rest():
    volume = np.random.default_rng(0).integers(0, 200, (5, 40, 40)).astype(np.int32)
    low, high = window(volume)
    volume[2, 3, 4] = 100_000
    assert window(volume) == pytest.approx((low, high), abs=2)


def test_values_outside_the_window_are_clipped_and_nan_is_black():
    image = np.array([[-5.0, 10.0, 30.0, 90.0, np.nan, np.inf]])
    assert to_8_bit(image, 10, 50).tolist() == [[0, 0, 128, 255, 0, 255]]


def test_a_volume_of_one_value_or_none_is_refused():
    with pytest.raises(InputError, match="same value"):
        window(np.full((2, 3, 4), 7))
    with pytest.raises(InputError, match="no finite values"):
        window(np.full((2, 3, 4), np.nan))
