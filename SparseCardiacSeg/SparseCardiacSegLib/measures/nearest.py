"""Distance from the points of one set to the nearest of another, on a grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_MAX_OFFSETS = 48
"""Row offsets to try before a full distance transform: together they cost about as much as one."""


def nearest_distances(points: np.ndarray, targets: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance of every True element of `points` to the nearest True element of `targets`, in mm.

    Equals `distance_transform_edt(~targets, spacing)[points]` to the last bit, in a half to a third of the time for
    the surfaces of two similar masks: distances along rows come from one scan, then only the points look into the
    rows around them, nearest rows first, each until no nearer target is possible. Surfaces far apart go to the full
    transform.

    Args:
        points: bool, 2D or 3D.
        targets: bool, same shape, at least one True.
        spacing: mm along the axes.

    Returns:
        (number of points,) float64 in the order of `points`' elements.
    """
    if points.ndim == 2:
        return nearest_distances(points[None], targets[None], (1.0, *spacing))
    n_slices, n_rows, n_cols = points.shape
    within_rows = _squares_within_rows(targets, spacing[2])
    slices, rows, cols = np.nonzero(points)
    best = within_rows[slices, rows, cols]
    flat = within_rows.ravel()
    steps_z = np.arange(n_slices) * spacing[0]
    steps_y = np.arange(n_rows) * spacing[1]
    cost = (steps_z * steps_z)[:, None] + steps_y * steps_y
    order = np.argsort(cost, axis=None, kind="stable")[1:]
    if order.size > _MAX_OFFSETS and np.median(best) > cost.flat[order[_MAX_OFFSETS]]:
        # Most points will not be done in time (masks far apart): trying first would double the time.
        return _by_full_transform(points, targets, spacing)
    active = np.flatnonzero(best)
    for offset in order[:_MAX_OFFSETS]:
        dz, dy = divmod(int(offset), n_rows)
        here = cost[dz, dy]
        active = active[best[active] > here]
        if active.size == 0:
            return np.sqrt(best)
        nearest, z, y, x = best[active], slices[active], rows[active], cols[active]
        for step_z in {dz, -dz}:
            # Beyond the array the last row is taken instead: it is nearer than counted, so never too small.
            at_z = np.clip(z + step_z, 0, n_slices - 1) * n_rows
            for step_y in {dy, -dy}:
                at_y = at_z + np.clip(y + step_y, 0, n_rows - 1)
                np.minimum(nearest, flat[at_y * n_cols + x] + here, out=nearest)
        best[active] = nearest
    if order.size > _MAX_OFFSETS:
        return _by_full_transform(points, targets, spacing)
    return np.sqrt(best)


def _by_full_transform(points: np.ndarray, targets: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    return ndimage.distance_transform_edt(~targets, sampling=spacing)[points]


def _squares_within_rows(targets: np.ndarray, step: float) -> np.ndarray:
    """Squared distance in mm2 of every element to the nearest target of its row (last axis); inf where it has none."""
    columns = np.arange(targets.shape[-1], dtype=np.float64)
    before = np.maximum.accumulate(np.where(targets, columns, -np.inf), axis=-1)
    after = np.minimum.accumulate(np.where(targets, columns, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    distance = np.minimum(columns - before, after - columns)
    distance *= step
    return np.multiply(distance, distance, out=distance)
