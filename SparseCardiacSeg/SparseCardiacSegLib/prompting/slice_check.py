"""Which pictures can be prompted on."""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def check_slice(image: np.ndarray, longest: int | None = None) -> None:
    """Check that an encoder can use a slice.

    Args:
        image: should be uint8 [row, col].
        longest: the pixels that its longest side will be resized to, where the encoder is known.

    Raises:
        InputError: another type or shape, or the shorter side would become less than a pixel.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(f"a slice must be uint8 [row, col], not {image.dtype} of shape {image.shape}")
    # SAM rounds the shorter side half up (`ResizeLongestSide.get_preprocess_shape`).
    if longest is not None and min(image.shape) * longest / max(image.shape) < 0.5:
        raise InputError(f"a slice of {image.shape[1]} x {image.shape[0]} voxels is too long and thin to be encoded")
