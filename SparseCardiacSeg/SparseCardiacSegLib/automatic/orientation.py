"""Which way the axes of an array run in the body, and turning a stack the way a model learned to see it.

A model that was trained without mirroring knows left from right and head from foot: its images must come as the
training images lay in memory. Such a model says so on its card: `"orientation": "SPL"`.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..errors import InputError
from ..stack import Stack

_LETTERS = ("RL", "AP", "SI")
"""For each RAS axis, the letter for its positive direction and for its negative one."""


def array_orientation(directions: np.ndarray) -> str:
    """The anatomical directions nearest to those in which the indices of an array rise.

    Args:
        directions: (3, 3) RAS vectors, one row an array axis (slice, row, col); any length but 0.

    Returns:
        Three letters, one an axis: `SPL` for axial slices from foot to head whose rows run to the back of the patient
        and whose columns run to the left. Each axis of the body is used once; the sum of the cosines is largest.
    """
    units = np.asarray(directions, np.float64) / np.linalg.norm(directions, axis=1, keepdims=True)
    best = max(
        itertools.permutations(range(3)), key=lambda axes: sum(abs(units[i, axis]) for i, axis in enumerate(axes))
    )
    return "".join(_LETTERS[axis][int(units[i, axis] < 0)] for i, axis in enumerate(best))


def slices_first_orientation(stack: Stack) -> str:
    """Where the axes of `stack.slices_first()` point."""
    columns = stack.ijk_to_ras[:3, :3]
    directions = [columns[:, 2], columns[:, 1], columns[:, 0]]
    return array_orientation(np.array([directions.pop(stack.through_plane), *directions]))


def check_orientation(orientation: object, source: str) -> str:
    """`orientation` if it names each axis of the body once.

    Raises:
        InputError: it does not.
    """
    named = [
        next((axis for axis, letters in enumerate(_LETTERS) if letter in letters), None) for letter in str(orientation)
    ]
    if not isinstance(orientation, str) or sorted(named, key=str) != [0, 1, 2]:
        raise InputError(f"{source} names an impossible orientation {orientation!r:.20}; it must be like 'SPL'")
    return orientation


def turned(array: np.ndarray, have: str, want: str) -> np.ndarray:
    """A view of `array`, whose axes run as `have` says, with axes that run as `want` says."""
    order = axis_order(have, want)
    view = array.transpose(order)
    return np.flip(view, [place for place, axis in enumerate(order) if have[axis] != want[place]])


def axis_order(have: str, want: str) -> tuple[int, ...]:
    """For each axis of `want` the axis of `have` along the same line of the body."""
    return tuple(
        next(axis for axis, letter in enumerate(have) if any({letter, wanted} <= set(pair) for pair in _LETTERS))
        for wanted in want
    )
