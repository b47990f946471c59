"""The slices that the embedded promptable model learns from, held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...anatomy import ALL, Structure, scheme_named
from ...prompting.intensity import to_8_bit, window
from ..labelled_cases import read_cases

MIN_PIXELS = 12
"""A structure with fewer pixels on a slice is no target: at 1.4 mm that is a patch under 5 mm wide."""


@dataclass(frozen=True, eq=False)
class TrainingSlice:
    """One slice with labels in scheme `all`.

    Attributes:
        image: [row, col] uint8, windowed by its volume's percentiles.
        labels: [row, col] uint8.
        patient: who it is of.
    """

    image: np.ndarray
    labels: np.ndarray
    patient: str

    @property
    def is_left_atrium(self) -> bool:
        """Whether the slice is of a left-atrium volume."""
        return bool((self.labels == ALL.numbers[Structure.LA]).any())


def read_slices(folder: Path, split: str, scheme: str) -> list[TrainingSlice]:
    """Every slice that holds a target, of the cases of one split (see `labelled_cases.read_cases`), patient by patient.

    Args:
        folder: the data set.
        split: `train` or `val`.
        scheme: label scheme of the files.

    Raises:
        InputError: a file is missing or cannot be read, or no case is of that split.
    """
    found = []
    for case in read_cases(folder, scheme_named(scheme), split):
        stack, segmentation = case.load()
        images = to_8_bit(stack.slices_first(), *window(stack.array, str(case.image_path)))
        labels = segmentation.in_scheme(ALL).labels.slices_first()
        for image, numbers in zip(
            images.reshape(-1, *images.shape[-2:]), labels.reshape(-1, *labels.shape[-2:]), strict=True
        ):
            if (np.bincount(numbers.ravel(), minlength=5)[1:] >= MIN_PIXELS).any():
                found.append(TrainingSlice(np.ascontiguousarray(image), np.ascontiguousarray(numbers), case.patient))
    return found
