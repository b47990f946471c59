"""Prompts for the next slice or frame, from the masks that the user accepted on this one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from .prompts import Point, Prompt
from .simulation import box_around, centre_of_mass

VANISHING_PIXELS = 50
"""Of ventricles smaller than this (about 1 cm2) in 140 ACDC stacks, 18 of 57 (32 %) are there on the next slice towards
the apex, of larger ones 96 %; towards the base, all 93 are."""

STRAY_SHARE = 0.1
"""Pieces smaller than this share of the largest one are slips of the model: a box around them fits nothing."""


def prompts_from_masks(
    masks: Mapping[Structure, np.ndarray],
    slice_index: int,
    frame: int = 0,
    *,
    margin: int = 5,
    towards_apex: bool = False,
) -> tuple[Prompt, ...]:
    """Carry the masks of one slice to another one, as a box and points that the user can edit.

    The box spans the mask plus `margin`. The point is the centre of mass, or where that lies outside or near the edge
    (a crescent) the pixel deepest inside; the ring of the myocardium gets two deep ones on opposite sides. On the
    neighbouring slice of 140 ACDC stacks such a point is still inside in 98 % (LV), 87 % (RV) and 72 % (MYO): a slice
    further on, the wall has often moved by its own thickness. Hence the user looks before the model does.

    Args:
        masks: bool [row, col] of each structure on the accepted slice; an empty one gives no prompt.
        slice_index, frame: where the prompts are for; the slice has the same rows and columns.
        margin: pixels around the mask.
        towards_apex: whether the target lies nearer the apex; a ventricle of less than `VANISHING_PIXELS` is then taken
            to end before it, and gets no prompt.

    Returns:
        At most one prompt for each structure, in the order of `Structure`.

    Raises:
        InputError: the margin is negative.
    """
    if margin < 0:
        raise InputError(f"the margin must not be negative, but is {margin}")
    prompts = []
    for structure in Structure:
        mask = masks.get(structure)
        if mask is None or not mask.any():
            continue
        if towards_apex and structure in (Structure.RV, Structure.LV) and np.count_nonzero(mask) < VANISHING_PIXELS:
            continue
        mask = _without_strays(mask.astype(bool))
        points = _inner_points(mask, ring=structure == Structure.MYO)
        prompts.append(Prompt(slice_index, structure, points, box=box_around(mask, [margin] * 4), frame=frame))
    return tuple(prompts)


def carry_prompts(
    segmentation: Segmentation,
    source: tuple[int, int],
    target: tuple[int, int],
    *,
    margin: int = 5,
    towards_apex: bool = False,
) -> tuple[Prompt, ...]:
    """`prompts_from_masks` from one (frame, slice) of a segmentation to another one.

    Args:
        segmentation: a stack, which has only frame 0, or a cine; on any grid.
        source: (frame, slice) whose labels were accepted; slices count along the through-plane axis.
        target: (frame, slice) that the prompts are for.
        margin, towards_apex: as for `prompts_from_masks`.

    Raises:
        InputError: there is no such frame or slice, or the margin is negative.
    """
    for frame, index in (source, target):
        segmentation.labels.frame(frame)
        if not 0 <= index < segmentation.labels.n_slices:
            raise InputError(f"the stack has slices 0 to {segmentation.labels.n_slices - 1}; {index} was asked for")
    labels = segmentation.labels.frame(source[0]).slices_first()[source[1]]
    masks = {structure: labels == number for structure, number in segmentation.scheme.numbers.items()}
    return prompts_from_masks(masks, target[1], target[0], margin=margin, towards_apex=towards_apex)


def _inner_points(mask: np.ndarray, ring: bool) -> tuple[Point, ...]:
    """A point at the centre of a solid mask, else the one deepest inside; in a ring, a second one opposite of it."""
    rows, cols = np.nonzero(mask)
    top, left = int(rows.min()), int(cols.min())
    crop = mask[top : rows.max() + 1, left : cols.max() + 1]
    # The edge of the slice bounds the structure as well.
    depth = ndimage.distance_transform_edt(np.pad(crop, 1))[1:-1, 1:-1]
    col, row = centre_of_mass(crop)
    if depth[row, col] >= depth.max() / 2:
        return ((left + col, top + row),)
    deepest = _place_of_maximum(depth)
    places = [deepest]
    if ring:
        down, right = np.indices(crop.shape) - np.array([row, col])[:, None, None]
        towards = down * (deepest[0] - row) + right * (deepest[1] - col)
        length = np.hypot(down, right) * np.hypot(deepest[0] - row, deepest[1] - col)
        # Deep inside counts as much as being opposite: from 0 at right angles to 1 on the line through the centre.
        opposite = depth * np.maximum(-towards / np.maximum(length, 1.0), 0.0)
        if opposite.any():
            places.append(_place_of_maximum(opposite))
    return tuple((left + col, top + row) for row, col in places)


def _place_of_maximum(values: np.ndarray) -> tuple[int, int]:
    """(row, col) of the largest value, the first one on a tie."""
    row, col = np.unravel_index(int(values.argmax()), values.shape)
    return int(row), int(col)


def _without_strays(mask: np.ndarray) -> np.ndarray:
    """The mask without pieces smaller than `STRAY_SHARE` of the largest one."""
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 1:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return (sizes >= STRAY_SHARE * sizes.max())[pieces] & mask
