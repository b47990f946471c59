"""What `segment_anything` does before its encoder and after its decoder, in numpy: no torch, no Pillow."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""Of red, green and blue (`segment_anything.build_sam`)."""

_BITS = 22
"""Fraction bits of Pillow's weights for 8-bit pictures (`PRECISION_BITS` in its Resample.c)."""


def encoder_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """(rows, cols) after the longest side was brought to `longest` pixels (`ResizeLongestSide`)."""
    scale = longest * 1.0 / max(shape)
    return int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5)


def encoder_image(image: np.ndarray, longest: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A grey slice as the mean of the three channels that `Sam.preprocess` makes of it.

    Args:
        image: uint8 [row, col].
        longest: side of the encoder's square picture.

    Returns:
        float32 [1, 1, longest, longest], normalised, 0 right of and below the slice; and the slice's (rows, cols) in
        it.
    """
    shape = encoder_shape(image.shape, longest)
    resized = resize_8_bit(image, shape)
    levels = (np.arange(256)[:, None] - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)
    picture = np.zeros((1, 1, longest, longest), np.float32)
    picture[0, 0, : shape[0], : shape[1]] = levels.mean(1).astype(np.float32)[resized]
    return picture, shape


def encoder_points(points: np.ndarray, original: tuple[int, int], longest: int) -> np.ndarray:
    """(n, 2) points (col, row) of a slice of `original` (rows, cols), in the encoder's pixels, float32.

    Like `ResizeLongestSide.apply_coords`, it scales (0, 0) to (0, 0): the half pixel is added by the prompt encoder.
    """
    rows, cols = encoder_shape(original, longest)
    return (np.asarray(points, np.float64) * (cols / original[1], rows / original[0])).astype(np.float32)


def slice_logits(logits: np.ndarray, longest: int, inside: tuple[int, int], original: tuple[int, int]) -> np.ndarray:
    """Bring the decoder's logits to the slice's own pixels, as `Sam.postprocess_masks`.

    Args:
        logits: float32 [row, col] of the whole square picture, at any resolution.
        longest: side of that picture.
        inside: (rows, cols) of it that the slice takes up.
        original: (rows, cols) of the slice.
    """
    square = resize_bilinear(logits, (longest, longest))
    return resize_bilinear(square[: inside[0], : inside[1]], original)


def resize_bilinear(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Interpolate float32 [row, col], as torch's `interpolate(mode="bilinear", align_corners=False)`; always a copy."""
    result = np.array(array, np.float32)
    for axis, size in enumerate(shape):
        if result.shape[axis] != size:
            lower, upper, weight = _neighbours(result.shape[axis], size)
            weight = weight[:, None] if axis == 0 else weight
            start = np.take(result, lower, axis)
            step = np.take(result, upper, axis)
            step -= start
            step *= weight
            step += start
            result = step
    return result


def resize_8_bit(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [row, col] as Pillow does with its bilinear filter, which blurs when it shrinks.

    Pillow computes in integers with 22 fraction bits and rounds to 8 bits after each axis. This is its result to the
    last bit where it begins with the columns, as it long always did; Pillow 13 begins with the rows of pictures about
    twice as tall as wide (when the scale is the same for both axes), which changes single pixels by one level.
    """
    result = image
    for axis in (1, 0):
        if result.shape[axis] != shape[axis]:
            lines = result.astype(np.int32) if axis == 0 else result.T.astype(np.int32)
            summed = _pillow_weights(result.shape[axis], shape[axis]) @ lines
            # The weights are positive and sum up to 1 within rounding, so only 256 could overflow.
            rounded = np.minimum((summed + (1 << (_BITS - 1))) >> _BITS, 255).astype(np.uint8)
            result = rounded if axis == 0 else rounded.T
    return result


@lru_cache(maxsize=16)
def _pillow_weights(size: int, new: int) -> sparse.csr_array:
    """int32 [new, size] weights of Pillow's triangle filter (`precompute_coeffs` in Resample.c)."""
    scale = size / new
    support = max(scale, 1.0)
    centre = (np.arange(new) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), size)
    place = first[:, None] + np.arange(int((last - first).max()))
    used = place < last[:, None]
    weights = np.maximum(1 - np.abs((place - centre[:, None] + 0.5) / support), 0) * used
    # One after the other, as Pillow sums: numpy's pairwise sum could differ in the last bit.
    weights /= np.cumsum(weights, 1)[:, -1:]
    values = (weights * (1 << _BITS) + 0.5).astype(np.int32)
    rows = np.broadcast_to(np.arange(new)[:, None], place.shape)
    return sparse.csr_array((values[used], (rows[used], place[used])), shape=(new, size))


@lru_cache(maxsize=32)
def _neighbours(size: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `new` pixels the two of `size` between which it lies, and how far from the first, float32."""
    scale = np.float32(size) / np.float32(new)
    place = np.maximum((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    lower = np.minimum(place.astype(np.int64), size - 1)
    return lower, np.minimum(lower + 1, size - 1), np.clip(place - lower.astype(np.float32), 0, 1)
