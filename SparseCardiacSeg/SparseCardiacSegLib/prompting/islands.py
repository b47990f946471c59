"""Small pieces of a mask that lie apart from what was meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .prompts import Point

SMALLEST_SHARE = 0.1
"""Of the largest piece that was meant; a ring broken in two keeps both halves.

Chosen among three rules on 12 `val` patients of ACDC (two points, no box): the mean Hausdorff distance within slices
went from 8.7 to 5.9 mm, the Dice from 0.881 to 0.882. The left atrium is
left alone: on 216 slices of 4 `val` volumes (`la-prompt`, box and two points) the rule brought HD95 from 7.4 to 8.9 mm.
"""

_DIAGONALS_TOO = np.ones((3, 3), bool)


def without_islands(mask: np.ndarray, positive: Sequence[Point]) -> np.ndarray:
    """Leave out pieces that hold no positive point and are small beside those that do.

    Args:
        mask: boolean [row, col].
        positive: (col, row) points inside the structure; without one in the mask, the largest piece is what was meant.

    Returns:
        A mask with the same pieces or fewer; pieces hang together at edges or corners of pixels.
    """
    pieces, count = ndimage.label(mask, _DIAGONALS_TOO)
    if count < 2:
        return mask
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    limits = np.array(mask.shape[::-1]) - 1
    places = np.clip(np.rint(np.array(positive, np.float64).reshape(-1, 2)), 0, limits).astype(int)
    meant = set(pieces[places[:, 1], places[:, 0]].tolist()) - {0} or {int(areas.argmax())}
    kept = areas >= SMALLEST_SHARE * max(areas[piece] for piece in meant)
    kept[list(meant)] = True
    kept[0] = False
    return kept[pieces]
