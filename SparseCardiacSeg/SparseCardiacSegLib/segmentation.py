"""Labels on a grid, with the meaning of their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import LabelScheme, Structure
from .stack import Stack


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label volume (or cine of them) whose numbers have names.

    Attributes:
        labels: uint8 stack; 0 is background.
        scheme: what the other numbers mean.
        warnings: sentences the user should see, such as a guessed scheme.

    Raises:
        InputError: the labels hold a number that the scheme does not name.
    """

    labels: Stack
    scheme: LabelScheme
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.scheme.check(self.labels.array, self.labels.source or "the label volume")

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Structures that the scheme names, in the order of `Structure`."""
        return tuple(structure for structure in Structure if structure in self.scheme.numbers)

    def mask(self, structure: Structure) -> np.ndarray:
        """Boolean array of `structure`, in the shape of `labels.array`; all False where the scheme lacks it."""
        number = self.scheme.numbers.get(structure)
        return np.zeros(self.labels.array.shape, bool) if number is None else self.labels.array == number

    def slices_first_mask(self, structure: Structure) -> np.ndarray:
        """`mask` with the through-plane axis first."""
        return np.moveaxis(self.mask(structure), self.labels.through_plane - 3, -3)

    def volume_ml(self, structure: Structure) -> float:
        """Volume by summation of discs (area times slice distance, gaps included), mL; one frame only."""
        return float(np.count_nonzero(self.mask(structure))) * self.labels.voxel_volume_ml

    def frame(self, index: int) -> Segmentation:
        """One frame of a labelled cine."""
        return Segmentation(self.labels.frame(index), self.scheme, self.warnings)

    def in_scheme(self, scheme: LabelScheme) -> Segmentation:
        """The same labels with the numbers of `scheme`."""
        if scheme == self.scheme:
            return self
        array = self.scheme.convert(self.labels.array, scheme)
        return Segmentation(self.labels.with_array(array), scheme, self.warnings)


def from_masks(grid: Stack, masks: dict[Structure, np.ndarray], scheme: LabelScheme) -> Segmentation:
    """Combine masks on `grid`; on overlap LV wins over MYO and MYO over RV (the order of `Structure`)."""
    labels = np.zeros(next(iter(masks.values())).shape if masks else grid.shape, np.uint8)
    for structure in Structure:
        if structure in masks:
            labels[masks[structure]] = scheme.numbers[structure]
    return Segmentation(grid.with_array(labels), scheme)
