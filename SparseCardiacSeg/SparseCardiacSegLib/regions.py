"""Base, middle and apex of a short-axis stack: which slice belongs where, and which end of the stack is the base."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from .anatomy import SHORT_AXIS, Structure
from .errors import InputError
from .files import write_atomically
from .segmentation import Segmentation


class Region(StrEnum):
    """A part of the heart along its long axis."""

    BASE = "base"
    MIDDLE = "middle"
    APEX = "apex"


COLOURS: Mapping[Region, tuple[int, int, int]] = {
    Region.BASE: (76, 201, 240),
    Region.MIDDLE: (184, 192, 204),
    Region.APEX: (244, 162, 97),
}
"""RGB, 0 to 255: one colour a region in tables, views and pictures, told apart with any colour vision and on black."""


@dataclass(frozen=True)
class BaseToApex:
    """Which end of a stack is the base.

    Attributes:
        base_first: True when slice 0 is nearest the base.
        certain: False when the evidence is weak or contradicts itself; the user should then confirm.
        reason: one sentence with the evidence, for tables and warnings.
    """

    base_first: bool
    certain: bool
    reason: str


@dataclass(frozen=True)
class SliceRegions:
    """The region of every slice of a stack.

    Attributes:
        method: how regions were told; goes with every regional figure, since the methods differ.
        regions: index = slice index along the through-plane axis; None = outside of all regions.
        base_first: True when slice 0 is nearest the base.
        warnings: sentences the user should see.
    """

    method: str
    regions: tuple[Region | None, ...]
    base_first: bool
    warnings: tuple[str, ...] = ()

    def slices(self, region: Region | str) -> list[int]:
        """Slice indices of `region`, nearest the base first."""
        return [index for index in self.order() if self.regions[index] == region]

    def order(self) -> range:
        """All slice indices, base first."""
        n = len(self.regions)
        return range(n) if self.base_first else range(n - 1, -1, -1)

    def table(self) -> list[tuple[int, Region]]:
        """(slice index, region) of the slices that have a region, base first."""
        return [(index, region) for index in self.order() if (region := self.regions[index]) is not None]

    def with_override(self, index: int, region: Region | str | None) -> SliceRegions:
        """The same regions with that of one slice set by hand (None takes it out); the method says so.

        Raises:
            InputError: there is no such slice or region.
        """
        if not 0 <= index < len(self.regions):
            raise InputError(f"the stack has slices 0 to {len(self.regions) - 1}; {index} was asked for")
        try:
            chosen = None if region is None else Region(region)
        except ValueError:
            raise InputError(f"unknown region '{region}'; known are {', '.join(Region)}") from None
        changed = (*self.regions[:index], chosen, *self.regions[index + 1 :])
        method = self.method if self.method.endswith(_BY_HAND) else self.method + _BY_HAND
        return replace(self, regions=changed, method=method)


_BY_HAND = " + by hand"

METHODS = ("thirds", "20/60/20", "aha")
"""Region methods that `label_regions` knows."""


def base_to_apex(segmentation: Segmentation) -> BaseToApex:
    """Find the base: the heart narrows towards the apex, the RV ends before the LV, the atrium lies above the base.

    Args:
        segmentation: labels of one frame, slices along the stack's through-plane axis in either order.

    Returns:
        The order; slice 0 as base, and not certain, where the labels tell nothing.

    Raises:
        InputError: a labelled cine was given, not one frame of it.
    """
    areas = _areas(segmentation)
    heart = sum(areas[structure] for structure in SHORT_AXIS)
    held = np.flatnonzero(heart)
    if held.size < 2:
        return BaseToApex(True, False, "the labels do not tell base from apex, so slice 0 is taken as the base end")
    # The area of the whole heart, since single structures mislead: the LV widens towards an aneurysmal apex (2 of 140
    # ACDC stacks) and ACDC leaves the RV out of basal slices. The whole narrows by 13 % or more in all 140.
    third = max(1, held.size // 3)
    first, last = float(heart[held[:third]].mean()), float(heart[held[-third:]].mean())
    votes = [float(np.clip((first - last) / max(first, last), -0.5, 0.5))]
    named = " + ".join(structure for structure in SHORT_AXIS if areas[structure].any())
    evidence = [
        f"area of {named} {first / 100:.1f} cm2 around slice {held[third // 2]}, "
        f"{last / 100:.1f} cm2 around slice {held[-1 - third // 2]}"
    ]
    left = np.flatnonzero(areas[Structure.LV] + areas[Structure.MYO])
    right = areas[Structure.RV]
    if left.size > 1 and right.any():
        middle = float((right * np.arange(right.size)).sum() / right.sum())
        lead = ((left[0] + left[-1]) / 2 - middle) / (left[-1] - left[0] + 1)
        votes.append(float(np.clip(2 * lead, -0.25, 0.25)))
        ends = np.flatnonzero(right)
        evidence.append(f"RV in slices {ends[0]} to {ends[-1]}, LV in {left[0]} to {left[-1]}")
    atrium = np.flatnonzero(areas[Structure.LA])
    if atrium.size and left.size:
        votes.append(0.5 * float(np.sign(left.mean() - atrium.mean())))
        evidence.append(f"LA around slice {atrium.mean():.0f}, LV around slice {left.mean():.0f}")
    total = sum(votes)
    base_first = total >= 0
    # LV alone must narrow more clearly: one of 40 LV-only stacks widens by 27 % towards the apex.
    agreed = len(votes) > 1 and all(vote * total > 0 or abs(vote) < 0.1 for vote in votes)
    certain = abs(total) >= (0.2 if agreed else 0.35) and (agreed or len(votes) == 1)
    base = 0 if base_first else segmentation.labels.n_slices - 1
    return BaseToApex(base_first, certain, f"{', '.join(evidence)}, so slice {base} is taken as the base end")


def label_regions(
    segmentation: Segmentation,
    method: str = "20/60/20",
    base_first: bool | None = None,
    overrides: Mapping[int, Region | str | None] | None = None,
) -> SliceRegions:
    """Assign slices to base, middle and apex.

    Methods (three different things under one name; figures by region compare only within one of them):

    - `thirds`: all slices of the stack, ceil(n / 3) basal, then ceil(n / 3) mid-ventricular, the rest apical
      (Stein, TUM 2023).
    - `20/60/20`: of the slices that hold LV, MYO or RV, those whose middle lies in the first 20 % are basal, in the
      last 20 % apical (Mariscal-Harana et al. 2023, who do not say how they round; round(0.2 n) slices at either end).
    - `aha`: thirds of the slices whose myocardium is a closed ring around the cavity (Cerqueira et al. 2002).

    Args:
        segmentation: labels of one frame.
        method: one of `METHODS`.
        base_first: whether slice 0 is nearest the base; None to find out (`base_to_apex`), with a warning if unsure.
        overrides: regions that the user set by hand, by slice index; None takes a slice out.

    Raises:
        InputError: unknown method, empty labels where the method needs them, a labelled cine, or an override of a
            slice or by a region that does not exist.
    """
    if method not in METHODS:
        raise InputError(f"unknown region method '{method}'; known are {', '.join(METHODS)}")
    warnings: list[str] = []
    if base_first is None:
        found = base_to_apex(segmentation)
        base_first = found.base_first
        if not found.certain:
            warnings.append(f"base and apex are uncertain ({found.reason}); check the order and flip it if needed")
    _refuse_cine(segmentation)
    held = _slices_that_count(segmentation, method)
    if held.size == 0:
        name = segmentation.labels.source or "the segmentation"
        wanted = "slice with a full myocardial ring" if method == "aha" else "slice with LV, MYO or RV"
        raise InputError(f"{name} has no {wanted}, which method '{method}' needs")
    labels = _split(held.size, method)
    regions: list[Region | None] = [None] * segmentation.labels.n_slices
    for index, region in zip(held if base_first else held[::-1], labels, strict=True):
        regions[int(index)] = region
    absent = [region for region in Region if region not in labels]
    if absent:
        noun = "slice" if held.size == 1 else "slices"
        warnings.append(f"{held.size} {noun} are too few for method '{method}': no slice is {' or '.join(absent)}")
    found_regions = SliceRegions(method, tuple(regions), base_first, tuple(warnings))
    for index, region in (overrides or {}).items():
        found_regions = found_regions.with_override(index, region)
    return found_regions


def write_regions(regions: SliceRegions, path: Path | str) -> None:
    """Write a CSV with columns slice, region, method, base_first: one row per slice that has a region, base first.

    Raises:
        InputError: the file cannot be written.
    """
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["slice", "region", "method", "base_first"])
        for index, region in regions.table():
            writer.writerow([index, region.value, regions.method, str(regions.base_first).lower()])


def full_ring(myocardium: np.ndarray, cavity: np.ndarray) -> bool:
    """Whether the myocardium of one slice (bool [row, col]) closes around the cavity in all 360 degrees.

    At least 95 % of the cavity must be enclosed, so that a stray cavity voxel outside does not open the ring.
    """
    from scipy import ndimage  # slow to import, and the module must open at once

    if not myocardium.any() or not cavity.any():
        return False
    enclosed = ndimage.binary_fill_holes(myocardium) & ~myocardium
    return bool(np.count_nonzero(cavity & enclosed) >= 0.95 * np.count_nonzero(cavity))


def _slices_that_count(segmentation: Segmentation, method: str) -> np.ndarray:
    """Indices of the slices that `method` divides."""
    if method == "thirds":
        return np.arange(segmentation.labels.n_slices)
    if method == "20/60/20":
        areas = _areas(segmentation)
        return np.flatnonzero(sum(areas[structure] for structure in SHORT_AXIS))
    muscle = segmentation.slices_first_mask(Structure.MYO)
    cavity = segmentation.slices_first_mask(Structure.LV)
    return np.flatnonzero([full_ring(*pair) for pair in zip(muscle, cavity, strict=True)])


def _split(n: int, method: str) -> list[Region]:
    """Regions of `n` slices in a row, base first."""
    if method == "thirds":
        size = math.ceil(n / 3)
        return [list(Region)[min(position // size, 2)] for position in range(n)]
    edge = 0.2 if method == "20/60/20" else 1 / 3
    middles = [(position + 0.5) / n for position in range(n)]
    return [Region.BASE if middle < edge else Region.APEX if middle > 1 - edge else Region.MIDDLE for middle in middles]


def _areas(segmentation: Segmentation) -> dict[Structure, np.ndarray]:
    """Area of every structure in each slice, mm2."""
    _refuse_cine(segmentation)
    pixel = float(np.prod(segmentation.labels.slices_first_spacing[1:]))
    return {structure: segmentation.slices_first_mask(structure).sum(axis=(1, 2)) * pixel for structure in Structure}


def _refuse_cine(segmentation: Segmentation) -> None:
    if segmentation.labels.is_cine:
        name = segmentation.labels.source or "the segmentation"
        raise InputError(f"{name} has {segmentation.labels.n_frames} frames; regions need one of them")
