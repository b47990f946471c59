"""What is checked of an image before it goes to a model."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..stack import Stack


def check_image(stack: Stack) -> list[str]:
    """Warnings about an image to be segmented.

    Raises:
        InputError: it cannot be segmented: no real numbers, NaN or infinite values, or a frame of one value only.
    """
    name = stack.source or "the image"
    array = stack.array
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds values of type {array.dtype}; real numbers are needed")
    frames = array if stack.is_cine else array[None]
    for index, frame in enumerate(frames):
        which = f"frame {index} of {name}" if stack.is_cine else name
        low, high = frame.min(), frame.max()
        # NaN passes through min and max.
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"{which} holds NaN or infinite values; replace them before segmenting")
        if low == high:
            raise InputError(f"{which} has the same value ({low:g}) everywhere: there is nothing to segment")
    warnings = []
    if stack.n_slices == 1:
        warnings.append(f"{name} has a single slice: volumes and regions cannot be measured on it")
    if not stack.spacing_known:
        warnings.append(f"{name} tells no spacing; 1 mm was assumed, so sizes, volumes and labels may be wrong")
    return warnings
