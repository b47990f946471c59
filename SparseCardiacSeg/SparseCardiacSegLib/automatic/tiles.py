"""nnU-Net's sliding window in numpy: tiles, their weights, mirroring, and several tiles at once.

Same arithmetic in the same order as nnU-Net on a CPU, whatever the number of threads: tiles are computed side by side,
but added up one after the other.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
from scipy import ndimage

Network = Callable[[np.ndarray], np.ndarray]
"""float32 tiles [n, 1, (slice,) row, col] to float32 logits [n, class, (slice,) row, col]."""

Window = tuple[slice, ...]


def gaussian_weights(patch_size: tuple[int, ...]) -> np.ndarray:
    """float16 weight of every pixel of a tile: a Gaussian of an eighth of the tile, 10 at the centre, never 0."""
    weights = np.zeros(patch_size)
    weights[tuple(size // 2 for size in patch_size)] = 1
    weights = ndimage.gaussian_filter(weights, [size * 0.125 for size in patch_size], 0, mode="constant", cval=0)
    half = (weights / (weights.max() / 10)).astype(np.float16)
    half[half == 0] = half[half != 0].min()
    return half


def tile_starts(size: int, tile: int, step: float) -> list[int]:
    """Where tiles of length `tile` start along an axis of `size` pixels, at most `step` tiles apart."""
    number = int(np.ceil((size - tile) / (tile * step))) + 1
    if number == 1:
        return [0]
    return [int(np.round((size - tile) / (number - 1) * index)) for index in range(number)]


def sliding_window(
    image: np.ndarray,
    network: Network,
    patch_size: tuple[int, ...],
    step: float,
    mirroring_axes: tuple[int, ...] | None,
    batch: int,
    report: Callable[[float, str], None],
    threads: int = 1,
) -> np.ndarray:
    """Predict a stack tile by tile and average the overlapping logits by Gaussian weight.

    Args:
        image: float32 [slice, row, col].
        network: called from `threads` threads at once.
        patch_size: tile size (row, col), or (slice, row, col) for a 3d network.
        step: distance of neighbouring tiles as a fraction of the tile.
        mirroring_axes: axes of the tile to mirror along, alone and together; None for none.
        batch: 2d tiles given to the network at once; 3d ones go one by one.
        report: called before every batch with the fraction done and a message; may raise to stop.
        threads: how many batches are computed side by side.

    Returns:
        float16 logits [class, slice, row, col].
    """
    padded, inner = _pad(image, patch_size)
    sides = zip(padded.shape[-len(patch_size) :], patch_size, strict=True)
    places = itertools.product(*(tile_starts(size, tile, step) for size, tile in sides))
    gaussian = gaussian_weights(patch_size)
    tiles = [tuple(slice(start, start + size) for start, size in zip(at, patch_size, strict=True)) for at in places]
    volumetric = len(patch_size) == 3
    work = tiles if volumetric else list(_batches(len(padded), tiles, batch))

    def predicted(window: Window) -> np.ndarray:
        given = padded[window][None, None] if volumetric else padded[window][:, None]
        return _mirrored(network, given, mirroring_axes) * gaussian

    logits, weights = None, np.zeros(padded.shape, np.float16)
    with closing(_side_by_side(predicted, work, threads)) as results:
        for number, window in enumerate(work):
            report(number / len(work), f"segmenting, part {number + 1} of {len(work)}")
            weighted = next(results)
            if logits is None:
                logits = np.zeros((weighted.shape[1], *padded.shape), np.float16)
            logits[(slice(None), *window)] += weighted[0] if volumetric else weighted.swapaxes(0, 1)
            weights[window] += gaussian
    logits /= weights
    return logits[(slice(None), *inner)]


def _side_by_side(
    compute: Callable[[Window], np.ndarray], work: Iterable[Window], threads: int
) -> Iterator[np.ndarray]:
    """`compute` of every window, in order, `threads` of them at a time; an error or an end drops what has not begun."""
    pool = ThreadPoolExecutor(threads, "SparseCardiacSeg tiles")
    waiting: deque[Future[np.ndarray]] = deque()
    try:
        for window in work:
            waiting.append(pool.submit(compute, window))
            if len(waiting) > threads:  # one more than are computed, so that no thread waits for the sum
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(slices: int, tiles: list[Window], batch: int) -> Iterator[Window]:
    """Runs of slices that share a tile's place; each slice meets its tiles in nnU-Net's order."""
    for first in range(0, slices, batch):
        for tile in tiles:
            yield slice(first, min(first + batch, slices)), *tile


def _pad(image: np.ndarray, patch_size: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """Pad with zeros to at least a tile along its axes, the image in the middle, and where it lies then."""
    least = (0, *patch_size)[-3:]
    missing = [max(0, tile - size) for tile, size in zip(least, image.shape, strict=True)]
    before = [count // 2 for count in missing]
    widths = [(low, count - low) for low, count in zip(before, missing, strict=True)]
    inner = tuple(slice(low, low + size) for low, size in zip(before, image.shape, strict=True))
    return np.pad(image, widths), inner  # type: ignore[return-value]


def _mirrored(network: Network, tiles: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    """Mean prediction over every mirroring along `axes` of tiles [n, 1, (slice,) row, col]."""
    tiles = np.ascontiguousarray(tiles)
    total = network(tiles)
    if not axes:
        return total
    flips = [
        tuple(axis + 2 for axis in chosen)
        for count in range(1, len(axes) + 1)
        for chosen in itertools.combinations(axes, count)
    ]
    for flip in flips:
        total += np.flip(network(np.ascontiguousarray(np.flip(tiles, flip))), flip)
    total /= len(flips) + 1
    return total
