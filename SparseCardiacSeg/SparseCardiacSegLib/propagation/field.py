"""Displacement fields: looking images up along them, chaining two of them, and how often they fold."""

from __future__ import annotations

import numpy as np


def sample(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Look `image` up at p + u(p), linearly; beyond the edge the edge is repeated.

    Args:
        image: [slice, row, col], or [channel, slice, row, col] of which every channel is looked up.
        displacement: [slice, 2, row, col] (d_row, d_col) in pixels, or [slice, 3, row, col] (d_slice, d_row, d_col).

    Returns:
        float32, in the shape of `image`.
    """
    image = np.asarray(image, np.float32)
    shape = image.shape[-3:]
    rows, columns = np.indices(shape[1:], dtype=np.float32)
    row, row_weight = _split(displacement[:, -2] + rows, shape[1])
    column, column_weight = _split(displacement[:, -1] + columns, shape[2])
    first = np.arange(shape[0])[:, None, None]
    if displacement.shape[1] == 2:
        return _in_plane(image, first, row, row_weight, column, column_weight)
    first, weight = _split(displacement[:, 0] + first.astype(np.float32), shape[0])
    near = _in_plane(image, first, row, row_weight, column, column_weight)
    far = _in_plane(image, np.minimum(first + 1, shape[0] - 1), row, row_weight, column, column_weight)
    return near + weight * (far - near)


def _split(position: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Index below a position within an axis, and the weight of the index above."""
    position = np.clip(position, 0, size - 1)
    below = np.minimum(position.astype(np.intp), max(size - 2, 0))
    return below, (position - below).astype(np.float32)


def _in_plane(
    image: np.ndarray,
    plane: np.ndarray,
    row: np.ndarray,
    row_weight: np.ndarray,
    column: np.ndarray,
    column_weight: np.ndarray,
) -> np.ndarray:
    """Bilinear look-up within the given planes; one set of indices serves all channels."""
    *channels, slices, rows, columns = image.shape
    flat = image.reshape(*channels, slices * rows * columns)
    corner = (plane * rows + row) * columns + column
    right = min(1, columns - 1)
    down = columns if rows > 1 else 0
    upper_left, upper_right = flat[..., corner], flat[..., corner + right]
    lower_left, lower_right = flat[..., corner + down], flat[..., corner + down + right]
    upper = upper_left + column_weight * (upper_right - upper_left)
    lower = lower_left + column_weight * (lower_right - lower_left)
    return upper + row_weight * (lower - upper)


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The field that goes along `first` and then along `second`.

    With u from frame c to frame b and v from b to a, the result pulls a onto c: w(p) = u(p) + v(p + u(p)).

    Args:
        first: [slice, 2 or 3, row, col].
        second: the same shape.
    """
    return first + np.moveaxis(sample(np.moveaxis(second, 1, 0), first), 0, 1)


def jacobian_determinant(displacement: np.ndarray) -> np.ndarray:
    """Determinant of the Jacobian of p + u(p), by central differences: [slice, row, col].

    1 is no change of area (of volume, for three components); 0 or less is a fold: the order of points is turned round,
    which tissue cannot do.
    """
    axes = {2: (1, 2), 3: (0, 1, 2)}[displacement.shape[1]]
    matrix = np.zeros((*displacement[:, 0].shape, len(axes), len(axes)))
    for i in range(len(axes)):
        for j, axis in enumerate(axes):
            component = displacement[:, i]
            if component.shape[axis] > 1:
                matrix[..., i, j] = np.gradient(component, axis=axis)
    return np.linalg.det(matrix + np.eye(len(axes)))


def folding_fraction(displacement: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Share of pixels where a field folds (Jacobian determinant <= 0).

    Args:
        displacement: [slice, 2 or 3, row, col].
        mask: bool [slice, row, col]: count only here. None counts everywhere; an empty mask gives 0.
    """
    folded = jacobian_determinant(displacement) <= 0
    counted = folded if mask is None else folded[mask]
    return float(counted.mean()) if counted.size else 0.0
