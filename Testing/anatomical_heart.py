"""A heart that lies in the patient as hearts do, with another wall thickness in every segment.

The long axis points to the left, forwards and down; the right ventricle touches the left over exactly 120 degrees, so
the anterior insertion is known. The outer radius is the same everywhere; the inner one follows the segment.
"""

from __future__ import annotations

import numpy as np
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.segmentation import Segmentation, from_masks
from SparseCardiacSegLib.stack import Stack, ijk_to_ras

CENTRE = np.array([-31.0, 22.0, 15.0])
OUTER_MM = 32.0
RV_OFFSET_MM = 34.0
RV_RADIUS_MM = float(np.sqrt(OUTER_MM**2 + RV_OFFSET_MM**2 - OUTER_MM * RV_OFFSET_MM))  # touches over 120 degrees

APEX = np.array([-0.6, 0.6, -0.52915])
APEX = APEX / np.linalg.norm(APEX)
ANTERIOR = np.array([0.0, 0.3, 1.0]) - (np.array([0.0, 0.3, 1.0]) @ APEX) * APEX
ANTERIOR = ANTERIOR / np.linalg.norm(ANTERIOR)
SEPTAL = np.cross(APEX, ANTERIOR)  # towards the right ventricle: a true, unmirrored heart

THICKNESS_MM = {number: 6.0 + 0.35 * ((number * 5) % 17) for number in range(1, 17)}
"""Of segments 1 to 16; neighbours differ by up to 4 mm."""


def insertion(slice_mm: float = 0.0) -> np.ndarray:
    """RAS of the anterior insertion on the outer contour, `slice_mm` from the middle towards the apex."""
    angle = np.deg2rad(60)  # from the middle of the septum towards anterior
    return CENTRE + OUTER_MM * (np.cos(angle) * SEPTAL + np.sin(angle) * ANTERIOR) + slice_mm * APEX


def grid(
    spacing: tuple[float, float, float] = (9.0, 1.4, 1.4),
    *,
    turned: float = 0.0,
    base_first: bool = True,
    left_handed: bool = False,
    through_plane: int = 0,
    n_slices: int = 12,
    n_pixels: int = 110,
) -> Stack:
    """An empty stack across the long axis, turned in its plane by `turned` degrees; spacing (slice, row, col)."""
    angle = np.deg2rad(turned)
    row = np.cos(angle) * SEPTAL + np.sin(angle) * ANTERIOR
    column = np.cross(APEX, row) * (-1.0 if left_handed else 1.0)
    axes = [row * spacing[1], column * spacing[2]]
    axes.insert(through_plane, APEX * spacing[0] * (1.0 if base_first else -1.0))
    shape = [n_pixels, n_pixels]
    shape.insert(through_plane, n_slices)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(axes[::-1], axis=1)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return Stack(np.zeros(shape, np.uint8), matrix, through_plane, source="anatomical heart")


def heart(on: Stack | None = None, *, with_rv: bool = True, extra_mm: float = 0.0, cap: bool = True) -> Segmentation:
    """Labels on `on`: nine rings (three a third), then a cap of muscle, then nothing.

    Args:
        on: the grid.
        with_rv: whether the right ventricle is labelled.
        extra_mm: added to the thickness of every segment, inwards.
        cap: whether the slice beyond the rings holds muscle.
    """
    on = grid() if on is None else on
    k, j, i = np.indices(on.shape)
    offset = ijk_to_ras(on.ijk_to_ras, np.stack([i, j, k], -1)) - CENTRE
    septal, anterior, along = offset @ SEPTAL, offset @ ANTERIOR, offset @ APEX
    step = on.slices_first_spacing[0]
    level = np.rint(along / step + (on.n_slices - 1) / 2).astype(int)  # 0 is the slice nearest the base
    past = 60.0 - np.rad2deg(np.arctan2(anterior, septal))  # from the insertion, through the septum
    sixths = np.array([2, 3, 4, 5, 6, 1])[np.floor(past / 60).astype(int) % 6]
    quarters = np.array([14, 15, 16, 13])[np.floor((past - 15.0) / 90).astype(int) % 4]
    number = np.where(level < 4, sixths, np.where(level < 7, sixths + 6, quarters))
    table = np.array([0.0, *THICKNESS_MM.values()])
    radius = np.hypot(septal, anterior)
    rings = (level >= 1) & (level <= 9)
    outer = (rings | ((level == 10) & cap)) & (radius <= OUTER_MM)
    cavity = rings & (radius < OUTER_MM - table[number] - extra_mm)
    right = (level >= 1) & (level <= 8) & (np.hypot(septal - RV_OFFSET_MM, anterior) <= RV_RADIUS_MM)
    masks = {Structure.MYO: outer & ~cavity, Structure.LV: cavity}
    if with_rv:
        masks[Structure.RV] = right & ~outer
    return from_masks(on, masks, ACDC)
