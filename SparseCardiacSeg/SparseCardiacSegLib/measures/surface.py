"""Distances between the surfaces of two masks, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from .nearest import nearest_distances
from .surfels import neighbour_codes, surfel_sizes

SurfaceDefinition = Literal["voxel", "surfel"]
DEFINITIONS: tuple[SurfaceDefinition, ...] = ("voxel", "surfel")

MISSING = "missing"
"""Flag: exactly one of the two masks is empty, so there is no distance."""
BOTH_EMPTY = "both empty"
"""Flag: neither mask holds anything; they agree."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces in mm; NaN where `flag` is `MISSING`, 0 where it is `BOTH_EMPTY`.

    Attributes:
        hd: Hausdorff distance: the larger of the two directed maxima.
        hd95: the larger of the two directed 95th percentiles (MedPy pools both directions instead: another figure).
        mad: mean of the two directed mean distances (ASSD as in MetricsReloaded's MASD).
        flag: "", `MISSING` or `BOTH_EMPTY`.
    """

    hd: float
    hd95: float
    mad: float
    flag: str = ""


def surface_distances(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: tuple[float, ...],
    definition: SurfaceDefinition = "voxel",
) -> SurfaceDistances:
    """Surface distances of two boolean masks.

    `voxel`: the surface is the set of voxels of a mask that touch the background by a face, everything outside of the
    array being background, so a structure cut by the end of the stack keeps its border. All count the same, and
    percentiles interpolate linearly. MONAI and MedPy use this definition.

    `surfel`: the surface is made of marching-cubes triangles at the corners between voxels, weighted by area; a
    percentile is the first distance within which at least that share of the area lies. DeepMind's `surface-distance`
    uses this definition; on slices 10 mm apart the caps dominate it.

    Args:
        prediction: bool [slice, row, col], or [row, col] for one slice.
        reference: bool, same shape.
        spacing: mm along the axes of the masks.
        definition: "voxel" or "surfel".

    Raises:
        ValueError: shapes or number of spacings differ.
        InputError: unknown definition.
    """
    if definition not in DEFINITIONS:
        raise InputError(f"unknown surface definition '{definition}'; known are {', '.join(DEFINITIONS)}")
    if prediction.shape != reference.shape or prediction.ndim != len(spacing):
        raise ValueError(f"masks {prediction.shape} and {reference.shape} with spacing {spacing} do not fit together")
    box = _bounding_box(prediction | reference)
    if box is None:
        return SurfaceDistances(0.0, 0.0, 0.0, BOTH_EMPTY)
    prediction, reference = prediction[box], reference[box]
    if not prediction.any() or not reference.any():
        return SurfaceDistances(np.nan, np.nan, np.nan, MISSING)
    steps = tuple(float(step) for step in spacing)
    directed = _voxel_distances if definition == "voxel" else _surfel_distances
    (forth, forth_95), (back, back_95) = (_summary(*pair) for pair in directed(prediction, reference, steps))
    return SurfaceDistances(hd=max(forth[0], back[0]), hd95=max(forth_95, back_95), mad=(forth[1] + back[1]) / 2)


def boundary(mask: np.ndarray) -> np.ndarray:
    """Voxels of `mask` (bool, any dimensions) with at least one background voxel behind one of their faces.

    Equals `mask ^ erosion(mask)` with face connectivity after padding by one voxel of background.
    """
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            inner &= padded[tuple(side if n == axis else slice(1, -1) for n in range(mask.ndim))]
    return mask & ~inner


def _voxel_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...]
) -> list[tuple[np.ndarray, None]]:
    """Distances prediction to reference and back, one for each boundary voxel (mm), without weights."""
    edges = boundary(prediction), boundary(reference)
    return [(distances, None) for distances in _nearest(*edges, spacing)]


def _surfel_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distances prediction to reference and back, one for each surfel (mm), with their areas (mm2)."""
    codes = neighbour_codes(prediction), neighbour_codes(reference)
    full = 2 ** (2**prediction.ndim) - 1
    edges = [(code != 0) & (code != full) for code in codes]
    sizes = surfel_sizes(spacing)
    return [
        (distances, sizes[code[edge]])
        for distances, code, edge in zip(_nearest(*edges, spacing), codes, edges, strict=True)
    ]


def _nearest(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every point of `a` to the nearest of `b`, and of `b` to `a`, in the order of the arrays, mm."""
    return nearest_distances(a, b, spacing), nearest_distances(b, a, spacing)


def _summary(distances: np.ndarray, weights: np.ndarray | None) -> tuple[tuple[float, float], float]:
    """((maximum, mean), 95th percentile) of distances, weighted where weights are given."""
    if weights is None:
        return (float(distances.max()), float(distances.mean())), float(np.percentile(distances, 95))
    # Ties by weight, as the reference implementation sorts: the running sum then rounds the same way, which decides
    # the percentile where the share is 95 % exactly.
    order = np.lexsort((weights, distances))
    distances, weights = distances[order], weights[order]
    total = weights.sum()
    place = min(int(np.searchsorted(np.cumsum(weights) / total, 0.95)), distances.size - 1)
    return (float(distances[-1]), float((distances * weights).sum() / total)), float(distances[place])


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Smallest box around the True voxels of `mask`; None if there are none."""
    box = []
    for axis in range(mask.ndim):
        occupied = np.flatnonzero(mask.any(axis=tuple(n for n in range(mask.ndim) if n != axis)))
        if occupied.size == 0:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)
