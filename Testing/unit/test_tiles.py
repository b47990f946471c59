"""Tiles are computed side by side and added up as if one after the other; an error or a cancel ends the work."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.tiles import sliding_window
from SparseCardiacSegLib.progress import Cancelled, no_progress

IMAGE = np.random.default_rng(0).normal(size=(7, 50, 61)).astype(np.float32)


def network(tiles):
    """Three classes that depend on the tile as a whole and on its direction."""
    mean = tiles.mean((2, 3), keepdims=True)
    ramp = np.linspace(0, 1, tiles.shape[3], dtype=np.float32)
    return np.concatenate([tiles * 3, tiles - mean + ramp, np.sin(tiles * 5)], 1)


def volumetric(tiles):
    """The same of tiles [n, 1, slice, row, col]."""
    return np.concatenate([tiles * 3, tiles - tiles.mean() + np.linspace(0, 1, tiles.shape[4], dtype=np.float32)], 1)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize(
    ("compute", "patch", "axes"),
    [(network, (24, 32), (0, 1)), (network, (24, 32), None), (volumetric, (4, 24, 32), (0, 1, 2))],
    ids=["2d mirrored", "2d", "3d mirrored"],
)
def test_the_number_of_threads_changes_no_bit(compute, patch, axes, threads):
    one, several = (
        sliding_window(IMAGE, compute, patch, 0.5, axes, 2, no_progress, threads=number) for number in (1, threads)
    )
    assert one.dtype == np.float16
    np.testing.assert_array_equal(one, several)


def test_as_many_batches_as_threads_are_computed_at_once():
    met = threading.Barrier(3, timeout=20)  # broken, so an error, unless three calls wait here together

    def waiting(tiles):
        met.wait()
        return network(tiles)

    logits = sliding_window(IMAGE[:6], waiting, (50, 61), 0.5, None, 2, no_progress, threads=3)
    np.testing.assert_array_equal(logits, sliding_window(IMAGE[:6], network, (50, 61), 0.5, None, 2, no_progress))


def test_a_cancel_starts_no_further_tile():
    calls = []

    def counting(tiles):
        calls.append(len(tiles))
        return network(tiles)

    def report(fraction, _message):
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        sliding_window(IMAGE, counting, (24, 32), 0.5, None, 1, report, threads=2)
    assert len(calls) <= 6, "of the 7 x 16 tiles only those under way when the second was reported"


def test_an_error_in_a_tile_reaches_the_caller():
    def failing(tiles):
        if tiles[0, 0, 0, 0] == IMAGE[4, 0, 0]:
            raise MemoryError("no room for this tile")
        return network(tiles)

    with pytest.raises(MemoryError, match="no room"):
        sliding_window(IMAGE, failing, (24, 32), 0.5, None, 2, no_progress, threads=2)
