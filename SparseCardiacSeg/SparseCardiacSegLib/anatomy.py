"""Structures of the heart by name, their terminology and colours, and the numbers other people give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .errors import InputError


class Structure(StrEnum):
    """A segmented structure; always named in the code, numbered only in files (`LabelScheme`)."""

    RV = "RV"
    MYO = "MYO"
    LV = "LV"
    LA = "LA"


@dataclass(frozen=True)
class Code:
    """A coded term: scheme designator, value and meaning, as DICOM writes it."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Description:
    """How a structure is called, coded and drawn.

    Attributes:
        name: the segment's name.
        type: SNOMED CT code of the structure.
        colour: RGB, 0 to 255; fixed so that a structure looks the same in every picture.
    """

    name: str
    type: Code
    colour: tuple[int, int, int]


CATEGORY = Code("SCT", "123037004", "Anatomical Structure")
"""Terminology category of all four structures."""

TERMINOLOGY_CONTEXT = "Segmentation category and type - SparseCardiacSeg"
"""Name of the extension's own terminology: Slicer's lists have no myocardium."""

DESCRIPTIONS: Mapping[Structure, Description] = {
    Structure.RV: Description("Right ventricle", Code("SCT", "53085002", "Right ventricle"), (70, 130, 220)),
    Structure.MYO: Description("Myocardium", Code("SCT", "74281007", "Myocardium"), (90, 190, 100)),
    Structure.LV: Description("Left ventricle", Code("SCT", "87878005", "Left ventricle"), (220, 70, 60)),
    Structure.LA: Description("Left atrium", Code("SCT", "82471001", "Left atrium"), (240, 180, 60)),
}

SHORT_AXIS = (Structure.RV, Structure.MYO, Structure.LV)
"""Structures of a short-axis stack, in drawing order: a later one lies on top of an earlier one."""


@dataclass(frozen=True)
class LabelScheme:
    """Which number stands for which structure in a label volume; 0 is always background."""

    name: str
    numbers: Mapping[Structure, int]

    def __post_init__(self) -> None:
        values = list(self.numbers.values())
        if len(set(values)) != len(values) or any(not 1 <= value <= 255 for value in values):
            raise InputError(f"label scheme '{self.name}' needs distinct numbers from 1 to 255, not {values}")

    def check(self, labels: np.ndarray, source: str = "the label volume") -> None:
        """Raise InputError if `labels` holds a number that this scheme does not name."""
        unknown = sorted(set(np.unique(labels).tolist()) - {0, *self.numbers.values()})
        if unknown:
            listed = ", ".join(f"{number:g}" for number in unknown[:5])
            raise InputError(f"{source} holds label {listed}, which scheme '{self.name}' does not name")

    def convert(self, labels: np.ndarray, target: LabelScheme) -> np.ndarray:
        """Renumber `labels` (any shape) from this scheme to `target`, as uint8.

        Raises:
            InputError: a structure that occurs has no number in `target`.
        """
        table = np.zeros(256, np.uint8)
        for structure, number in self.numbers.items():
            if structure in target.numbers:
                table[number] = target.numbers[structure]
            elif np.any(labels == number):
                raise InputError(f"scheme '{target.name}' has no number for {structure}")
        return table[np.asarray(labels).astype(np.uint8, copy=False)]


ACDC = LabelScheme("acdc", {Structure.RV: 1, Structure.MYO: 2, Structure.LV: 3})
MNMS = LabelScheme("mnms", {Structure.LV: 1, Structure.MYO: 2, Structure.RV: 3})
LEFT_ATRIUM = LabelScheme("la", {Structure.LA: 1})
ALL = LabelScheme("all", {Structure.RV: 1, Structure.MYO: 2, Structure.LV: 3, Structure.LA: 4})
"""ACDC's numbers with the left atrium added: what this extension writes when all four may occur."""

SCHEMES: Mapping[str, LabelScheme] = {scheme.name: scheme for scheme in (ACDC, MNMS, LEFT_ATRIUM, ALL)}


def scheme_named(name: str) -> LabelScheme:
    """The scheme called `name`.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    try:
        return SCHEMES[name.lower()]
    except KeyError:
        raise InputError(f"unknown label scheme '{name}'; known are {', '.join(SCHEMES)}") from None


def guess_scheme(labels: np.ndarray, source: str = "the label volume") -> tuple[LabelScheme, str]:
    """Guess the scheme of `labels` [slice, row, col] from anatomy: the ring is MYO, what it encloses is LV.

    Returns:
        The scheme and a warning sentence that says what was guessed and why.

    Raises:
        InputError: the labels fit no scheme (unknown numbers, or empty).
    """
    present = set(np.unique(labels).tolist()) - {0}
    if not present:
        raise InputError(f"{source} is empty, so its label scheme cannot be guessed; name it")
    if present == {1}:
        return LEFT_ATRIUM, f"{source} holds only label 1: taken as left atrium (scheme la)"
    if not present <= {1, 2, 3, 4}:
        raise InputError(f"{source} holds label {max(present):g}; no known scheme uses it")
    if 4 in present:
        return ALL, f"{source} holds label 4: taken as scheme 'all'"
    if 2 in present:
        inside = {number: _share_enclosed(labels, number) for number in sorted(present - {2})}
        if inside:
            cavity = max(inside, key=lambda number: inside[number])
            scheme = ACDC if cavity == 3 else MNMS
            return (
                scheme,
                f"label scheme of {source} guessed as '{scheme.name}': label {cavity} lies inside the ring",
            )
    return ACDC, f"label scheme of {source} could not be told from the data; taken as 'acdc'"


def _share_enclosed(labels: np.ndarray, number: int) -> float:
    """Share of the voxels of `number` that lie inside the ring of label 2, slice by slice."""
    from scipy import ndimage  # slow to import, and the module must open at once

    stack = labels.reshape(-1, *labels.shape[-2:])
    enclosed = total = 0
    for labels_2d in stack:
        candidate = labels_2d == number
        total += int(candidate.sum())
        if candidate.any():
            enclosed += int((candidate & ndimage.binary_fill_holes(labels_2d == 2)).sum())
    return enclosed / total if total else 0.0
