"""The slices of a labelled case on which a promptable model is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...anatomy import SHORT_AXIS, LabelScheme, Structure
from ...errors import InputError
from ...prompting.intensity import to_8_bit, window
from ...regions import label_regions
from ...segmentation import Segmentation
from ..labelled_cases import LabelledCase

REGIONS_METHOD = "20/60/20"


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice that holds all structures asked for.

    Attributes:
        case: name of the case.
        frame, slice: where it lies in the image.
        region: base, middle or apex of the heart; "" for an atrium.
        image: uint8 [row, col].
        masks: bool [row, col] of each structure, none of them empty.
        spacing: mm between rows and between columns.
    """

    case: str
    frame: int
    slice: int
    region: str
    image: np.ndarray
    masks: Mapping[Structure, np.ndarray]
    spacing: tuple[float, float]

    @property
    def diagonal_mm(self) -> float:
        """Of the whole slice: stands for the distance of a missing structure."""
        return float(np.hypot(*np.multiply(self.image.shape, self.spacing)))


@dataclass(frozen=True)
class CaseSlices:
    """What a case offers.

    Attributes:
        slices: those that hold all structures.
        n_incomplete: those that hold some of them.
        warnings: about the case's labels, spacing and regions.
    """

    slices: tuple[LabelledSlice, ...]
    n_incomplete: int
    warnings: tuple[str, ...]


def structures_for(scheme: LabelScheme | None) -> tuple[Structure, ...]:
    """What is measured unless told: the three of a short-axis stack, or the atrium where a scheme has nothing else."""
    if scheme is not None and set(scheme.numbers) == {Structure.LA}:
        return (Structure.LA,)
    return SHORT_AXIS


def read_slices(case: LabelledCase, structures: Sequence[Structure]) -> CaseSlices:
    """Read a case and take the slices, of all frames, that hold every one of `structures`.

    One grey window for the whole image, all frames of a cine together, as when it is prompted.

    Raises:
        InputError: the files cannot be read or do not fit together (`LabelledCase.load`).
    """
    stack, segmentation = case.load()
    low, high = window(stack.array, str(case.image_path))
    warnings = list(segmentation.warnings)
    if not stack.spacing_known:
        warnings.append("the spacing is unknown, so distances count pixels as millimetres")
    absent = [name for name in structures if name not in segmentation.scheme.numbers]
    if absent:
        raise InputError(
            f"{case.labels_path}: scheme '{segmentation.scheme.name}' has no {', '.join(absent)}; choose the structures"
        )
    found: list[LabelledSlice] = []
    n_incomplete = 0
    for frame in range(stack.n_frames):
        labels = segmentation.frame(frame)
        masks = {structure: labels.slices_first_mask(structure) for structure in structures}
        held = np.stack([mask.any((1, 2)) for mask in masks.values()])
        complete = held.all(0)
        n_incomplete += int(np.count_nonzero(held.any(0) & ~complete))
        if not complete.any():
            continue
        regions, notes = _regions(labels, structures)
        warnings += notes
        images = stack.frame(frame).slices_first()
        found += [
            LabelledSlice(
                case=case.name,
                frame=frame,
                slice=index,
                region=regions[index],
                image=to_8_bit(images[index], low, high),
                masks={structure: np.ascontiguousarray(mask[index]) for structure, mask in masks.items()},
                spacing=stack.slices_first_spacing[1:],
            )
            for index in np.flatnonzero(complete).tolist()
        ]
    return CaseSlices(tuple(found), n_incomplete, tuple(dict.fromkeys(warnings)))


def _regions(labels: Segmentation, structures: Sequence[Structure]) -> tuple[list[str], tuple[str, ...]]:
    """Region of every slice of one frame, and what is uncertain about it; an atrium has none."""
    if not set(structures) & set(SHORT_AXIS):
        return [""] * labels.labels.n_slices, ()
    regions = label_regions(labels, REGIONS_METHOD)
    return ["" if region is None else region.value for region in regions.regions], regions.warnings
