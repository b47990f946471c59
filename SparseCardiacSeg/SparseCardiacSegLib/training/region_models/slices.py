"""Slices with the region they belong to, from annotated stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...anatomy import SHORT_AXIS
from ...automatic.region_order import CLASSES
from ...automatic.region_window import SIDE, resampled, windows, with_neighbours
from ...errors import InputError
from ...progress import Progress, no_progress
from ...regions import Region, label_regions
from ...segmentation import Segmentation
from ..labelled_cases import LabelledCase

CUT = 160
"""Pixels of a side that are kept for training: a window that is turned, shifted and scaled stays within."""

COARSE = 4
"""Pixels of the cut to one of its masks (8 mm)."""


@dataclass(frozen=True, eq=False)
class LabelledSlices:
    """The slices of one stack.

    Attributes:
        case: name of the case.
        patient: whom it shows.
        images: float16 [slice, CUT, CUT], see `region_window.windows`.
        masks: float16 [slice, structure, CUT / COARSE, CUT / COARSE], share of RV, MYO and LV (`SHORT_AXIS`) in each
            pixel: what the small network learns beside the classes.
        classes: index in `region_order.CLASSES` of every slice.
        base_first: whether slice 0 is nearest the base.
    """

    case: str
    patient: str
    images: np.ndarray
    masks: np.ndarray
    classes: np.ndarray
    base_first: bool

    def inputs(self) -> np.ndarray:
        """What the classifier sees without augmentation, float32 [slice, CONTEXT, SIDE, SIDE]."""
        border = (CUT - SIDE) // 2
        return with_neighbours(self.images[:, border:-border, border:-border].astype(np.float32))


def slice_classes(segmentation: Segmentation, method: str) -> tuple[tuple[Region | None, ...], bool]:
    """The region of every slice of a reference, None where it holds no RV, MYO or LV, and whether the base comes first.

    Raises:
        InputError: the labels are empty or a cine, or the method is unknown.
    """
    found = label_regions(segmentation, method)
    held = np.any([segmentation.slices_first_mask(structure).any((1, 2)) for structure in SHORT_AXIS], 0)
    regions = tuple(region if full else None for region, full in zip(found.regions, held, strict=True))
    return regions, found.base_first


def read_slices(
    cases: Sequence[LabelledCase], method: str = "thirds", progress: Progress = no_progress
) -> list[LabelledSlices]:
    """Read annotated stacks for the classifier.

    Args:
        cases: single frames of short-axis stacks.
        method: how regions are told (`regions.label_regions`).
        progress: told of every case.

    Raises:
        InputError: a file cannot be read, a case is a cine, or it has no labels.
    """
    found = []
    for number, case in enumerate(cases):
        progress(number / len(cases), f"reading {case.name}")
        stack, segmentation = case.load()
        if stack.is_cine:
            raise InputError(f"{case.image_path} has {stack.n_frames} frames; a classifier learns from single frames")
        regions, base_first = slice_classes(segmentation, method)
        spacing = stack.slices_first_spacing
        images = windows(stack.slices_first(), spacing, CUT).astype(np.float16)
        shares = [resampled(segmentation.slices_first_mask(one), spacing, CUT) for one in SHORT_AXIS]
        coarse = np.stack(shares, 1).reshape(len(images), len(shares), CUT // COARSE, COARSE, CUT // COARSE, COARSE)
        classes = np.array([CLASSES.index(region) for region in regions])
        found.append(
            LabelledSlices(case.name, case.patient, images, coarse.mean((3, 5)).astype(np.float16), classes, base_first)
        )
    if not found:
        raise InputError("there is no annotated stack to learn regions from")
    return found


def class_counts(slices: Sequence[LabelledSlices]) -> list[int]:
    """Number of slices of each class, in the order of `region_order.CLASSES`."""
    return np.bincount(np.concatenate([one.classes for one in slices]), minlength=len(CLASSES)).tolist()
