"""Grids as real short-axis stacks have them, for the tests of geometry, reading and writing."""

from __future__ import annotations

import numpy as np
from SparseCardiacSegLib.stack import Stack

SHAPE = (5, 6, 7)


def _rotation(a: float, b: float, c: float) -> np.ndarray:
    def about(axis: int, angle: float) -> np.ndarray:
        matrix = np.eye(3)
        i, j = [index for index in range(3) if index != axis]
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        return matrix

    return about(0, a) @ about(1, b) @ about(2, c)


def matrix_of(kind: str) -> np.ndarray:
    """IJK-to-RAS matrix of a named grid: oblique, flipped, left_handed, sheared, or axis_aligned."""
    columns = _rotation(0.41, -0.73, 0.29) * [1.3671875, 1.41, 9.9]
    if kind == "flipped":
        columns[:, :2] *= -1
    elif kind == "left_handed":
        columns[:, 2] *= -1
    elif kind == "sheared":
        columns[:, 2] += 0.8 * columns[:, 0]
    elif kind == "axis_aligned":
        columns = np.diag([1.3671875, 1.41, 9.9])
    elif kind != "oblique":
        raise ValueError(kind)
    matrix = np.eye(4)
    matrix[:3, :3] = columns
    matrix[:3, 3] = [-31.1, 47.7, 1 / 3]
    return matrix


KINDS = ("axis_aligned", "oblique", "flipped", "left_handed", "sheared")


def stack_of(kind: str = "oblique", n_frames: int = 0, dtype: str = "int16", seed: int = 0) -> Stack:
    """A stack of noise on the grid `kind`; a cine with 31 ms between frames where `n_frames` is given."""
    rng = np.random.default_rng(seed)
    shape = (n_frames, *SHAPE) if n_frames else SHAPE
    values = rng.normal(0, 900, shape) if np.dtype(dtype).kind == "f" else rng.integers(0, 100, shape)
    times = tuple(0.031 * frame for frame in range(n_frames)) if n_frames else None
    return Stack(values.astype(dtype), matrix_of(kind), frame_times=times)


def ring_labels(cavity: int, ring: int, other: int, shape: tuple[int, int, int] = (4, 40, 40)) -> np.ndarray:
    """A left ventricle (cavity inside a ring) with a right ventricle beside it, in every slice."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    radius = np.hypot(y - 20, x - 22)
    labels = np.zeros(shape, np.uint8)
    labels[:, (np.hypot(y - 20, x - 8) < 7) & (radius >= 11)] = other
    labels[:, radius < 11] = ring
    labels[:, radius < 7] = cavity
    return labels
