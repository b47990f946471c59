"""Repairs of a predicted segmentation, each a switch; the raw result is the caller's to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation

if TYPE_CHECKING:
    from .predictor import Prediction

Masks = dict[Structure, np.ndarray]
"""Boolean arrays [slice, row, col], slices first along the through-plane axis; they never overlap."""


@dataclass(frozen=True)
class PostprocessSettings:
    """Which repairs to make, in this order.

    The defaults are the switches that do not lower the mean Dice of the embedded short-axis model on the 40 stacks of
    the 20 ACDC validation patients (0.8902 raw): largest component +0.0055, fill holes +0.0003 (together +0.0058),
    blank slices 0. Left off: MYO surrounds LV -0.00003, and closing, +0.0001 with more stacks worse than better.
    On the 4 held-out atria of the embedded left-atrium model (0.89940 raw) the same three together are best too: fill
    holes +0.0001, blank slices +0.0001, largest component 0; closing by 3 mm loses 0.0002.

    Attributes:
        largest_component: keep the largest connected part of each structure in 3D, voxels joined by corner or closer.
        fill_holes: give background enclosed in a slice by a structure, or by LV and MYO together, to what encloses it.
        closing: close gaps and notches of each structure in a slice with a disc of `closing_mm`; only
            background is taken.
        blank_slices: empty slices whose segmentation is smaller than `blank_below_mm2` or covers more than
            `blank_above` of the slice: what a network paints where there is nothing to find.
        myo_surrounds_lv: remove in each slice those parts of LV of whose outline less than `least_ring` is MYO.
        closing_mm: radius of the disc.
        blank_below_mm2: area; 20 mm2 are about 8 voxels of 1.5 mm.
        blank_above: fraction of the slice.
        least_ring: fraction of the outline. A good basal slice, open towards the aorta and the atrium, keeps over a
            third of its ring, so only stray parts fall below.

    Raises:
        InputError: a value is outside its range.
    """

    largest_component: bool = True
    fill_holes: bool = True
    closing: bool = False
    blank_slices: bool = True
    myo_surrounds_lv: bool = False
    closing_mm: float = 3.0
    blank_below_mm2: float = 20.0
    blank_above: float = 0.5
    least_ring: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.closing_mm <= 50:
            raise InputError(f"the closing radius must lie above 0 and up to 50 mm, not {self.closing_mm}")
        if not self.blank_below_mm2 >= 0:
            raise InputError(f"the smallest area must not be negative, not {self.blank_below_mm2}")
        if not (0 < self.blank_above <= 1 and 0 <= self.least_ring <= 1):
            raise InputError("blank_above and least_ring are fractions from 0 to 1")


NONE = PostprocessSettings(
    largest_component=False, fill_holes=False, closing=False, blank_slices=False, myo_surrounds_lv=False
)
"""Every switch off."""


def threshold_labels(prediction: Prediction, threshold: float) -> np.ndarray:
    """Labels of the voxels whose probability of being no background is at least `threshold`.

    Args:
        prediction: of a model with classes, background first (not with overlapping regions).
        threshold: 0 to 1; with one structure, 0.5 is the likeliest class. A higher one keeps what the network is
            surer of.

    Returns:
        uint8 [slice, row, col]; a voxel above the threshold gets the likeliest structure.
    """
    structures = prediction.probabilities[1:].astype(np.float32)
    labels = (structures.argmax(0) + 1).astype(np.uint8)
    labels[structures.sum(0) < threshold] = 0
    return labels


def recommended(card: Mapping[str, Any]) -> PostprocessSettings:
    """The repairs that a model's card asks for in `postprocess`; those not named there are the defaults.

    Raises:
        InputError: the card names an unknown repair or a value outside its range.
    """
    changes = card.get("postprocess", {})
    known = {field.name: type(field.default) for field in fields(PostprocessSettings)}
    if not isinstance(changes, Mapping) or any(
        name not in known or isinstance(value, bool) != (known[name] is bool) or not isinstance(value, int | float)
        for name, value in changes.items()
    ):
        raise InputError("the model's card holds post-processing steps that do not exist")
    return PostprocessSettings(**changes)


def postprocess(segmentation: Segmentation, steps: PostprocessSettings | None = None) -> Segmentation:
    """Repair a segmentation of one stack or, frame by frame, of a cine.

    Args:
        segmentation: any through-plane axis; not changed.
        steps: which repairs; the defaults if None.

    Returns:
        A new segmentation in the same scheme on the same grid.
    """
    steps = steps or PostprocessSettings()
    labels = segmentation.labels
    spacing = labels.slices_first_spacing
    result = labels.array.copy()
    for frame in range(labels.n_frames):
        part = segmentation.frame(frame)
        masks = {structure: part.slices_first_mask(structure).copy() for structure in part.structures}
        for enabled, repair in _REPAIRS:
            if getattr(steps, enabled):
                repair(masks, spacing, steps)
        repaired = np.zeros(part.labels.slices_first().shape, labels.array.dtype)
        for structure, mask in masks.items():
            repaired[mask] = segmentation.scheme.numbers[structure]
        target = result[frame] if labels.is_cine else result
        target[...] = part.labels.from_slices_first(repaired)
    return Segmentation(labels.with_array(result), segmentation.scheme, segmentation.warnings)


def _keep_largest(masks: Masks, spacing: tuple[float, float, float], steps: PostprocessSettings) -> None:  # noqa: ARG001
    """Keep the largest 26-connected part: neighbouring slices of a breath-hold stack are often shifted."""
    for mask in masks.values():
        parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
        if count > 1:
            sizes = np.bincount(parts.ravel())
            mask &= parts == 1 + int(sizes[1:].argmax())


def _fill_holes(masks: Masks, spacing: tuple[float, float, float], steps: PostprocessSettings) -> None:  # noqa: ARG001
    """Fill background enclosed in a slice by one structure, or by LV and MYO together (by the nearer of them).

    A hole in MYO alone stays where the slice has no LV: it is the cavity, which the network missed. Background
    between the ventricles, enclosed by RV and MYO, stays too.
    """
    for index in range(_n_slices(masks)):
        parts, _ = ndimage.label(~_union(masks, index))
        open_parts = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        for number in np.setdiff1d(np.unique(parts), [0, *open_parts]):
            hole = parts == number
            outline = ndimage.binary_dilation(hole) & ~hole
            around = {structure for structure, mask in masks.items() if mask[index][outline].any()}
            if around == {Structure.MYO} and (Structure.LV not in masks or not masks[Structure.LV][index].any()):
                continue
            if len(around) == 1:
                masks[around.pop()][index] |= hole
            elif around == {Structure.MYO, Structure.LV}:
                lv, myo = masks[Structure.LV][index], masks[Structure.MYO][index]
                nearer_lv = ndimage.distance_transform_edt(~lv) <= ndimage.distance_transform_edt(~myo)
                lv |= hole & nearer_lv
                myo |= hole & ~nearer_lv


def _close(masks: Masks, spacing: tuple[float, float, float], steps: PostprocessSettings) -> None:
    """Close each structure in its slice with a disc in millimetres, taking background only."""
    reach = [int(steps.closing_mm / distance) for distance in spacing[1:]]
    rows, cols = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    disc = (rows * spacing[1]) ** 2 + (cols * spacing[2]) ** 2 <= steps.closing_mm**2
    margin = [(size, size) for size in reach]
    for index in range(_n_slices(masks)):
        for structure, mask in masks.items():
            free = ~_union(masks, index)
            if structure is Structure.MYO:
                # Closing a thin ring would fill its middle, which belongs to LV or stays empty.
                free &= ~ndimage.binary_fill_holes(mask[index])
            closed = ndimage.binary_closing(np.pad(mask[index], margin), disc)
            inner = tuple(slice(size, size + length) for size, length in zip(reach, mask[index].shape, strict=True))
            mask[index] |= closed[inner] & free


def _blank(masks: Masks, spacing: tuple[float, float, float], steps: PostprocessSettings) -> None:
    """Empty slices with implausibly little or much foreground."""
    pixel = spacing[1] * spacing[2]
    for index in range(_n_slices(masks)):
        union = _union(masks, index)
        if union.sum() * pixel < steps.blank_below_mm2 or union.mean() > steps.blank_above:
            for mask in masks.values():
                mask[index] = False


def _ring(masks: Masks, spacing: tuple[float, float, float], steps: PostprocessSettings) -> None:  # noqa: ARG001
    """Remove parts of LV that have next to no myocardium around them in their slice."""
    if Structure.LV not in masks or Structure.MYO not in masks:
        return
    for index in range(_n_slices(masks)):
        lv, myo = masks[Structure.LV][index], masks[Structure.MYO][index]
        parts, count = ndimage.label(lv)
        for number in range(1, count + 1):
            part = parts == number
            outline = ndimage.binary_dilation(part) & ~part
            if myo[outline].sum() < steps.least_ring * outline.sum():
                lv[part] = False


_REPAIRS: tuple[tuple[str, Callable[[Masks, tuple[float, float, float], PostprocessSettings], None]], ...] = (
    ("largest_component", _keep_largest),
    ("fill_holes", _fill_holes),
    ("closing", _close),
    ("blank_slices", _blank),
    ("myo_surrounds_lv", _ring),
)


def _n_slices(masks: Masks) -> int:
    """Number of slices."""
    return len(next(iter(masks.values()))) if masks else 0


def _union(masks: Masks, index: int) -> np.ndarray:
    """Where any structure is in one slice."""
    return np.logical_or.reduce([mask[index] for mask in masks.values()])
