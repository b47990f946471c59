"""The slices that the embedded promptable model learns from, held in memory."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...anatomy import ALL, LabelScheme, Structure, scheme_named
from ...errors import InputError
from ...io import read_segmentation, read_stack
from ...prompting.intensity import to_8_bit, window

MIN_PIXELS = 12
"""A structure with fewer pixels on a slice is no target: at 1.4 mm that is a patch under 5 mm wide."""


@dataclass(frozen=True, eq=False)
class LabelledSlice:
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


def read_slices(folder: Path, split: str, scheme: str) -> list[LabelledSlice]:
    """Every slice of `folder` that holds a target, of the patients whose `split` in `cases.csv` is as asked.

    Args:
        folder: images `<case>*.nii.gz` with labels `<case>*_gt.nii.gz`, and a `cases.csv`
            with a column `split` and one that names them, `patient` or `case`.
        split: `train` or `val`.
        scheme: label scheme of the files.

    Raises:
        InputError: a file is missing or cannot be read, or no case is of that split.
    """
    table = folder / "cases.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist: it must list the cases and their split")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        name = next((column for column in ("patient", "case") if column in (reader.fieldnames or ())), None)
        if name is None or "split" not in (reader.fieldnames or ()):
            raise InputError(f"{table} needs a column 'split' and a column 'patient' or 'case'")
        cases = [row[name] for row in reader if row["split"] == split]
    if not cases:
        raise InputError(f"{table} lists no case of split '{split}'")
    slices: list[LabelledSlice] = []
    for case in cases:
        for labels_path in sorted(folder.glob(f"{case}*_gt.nii.gz")):
            image_path = labels_path.with_name(labels_path.name.replace("_gt", ""))
            slices.extend(_slices_of(image_path, labels_path, scheme_named(scheme), case))
    return slices


def _slices_of(image_path: Path, labels_path: Path, scheme: LabelScheme, case: str) -> list[LabelledSlice]:
    stack = read_stack(image_path)
    labels = read_segmentation(labels_path, scheme).in_scheme(ALL).labels.slices_first()
    image = to_8_bit(stack.slices_first(), *window(stack.array, str(image_path)))
    found = []
    for pixels, numbers in zip(image, labels, strict=True):
        if (np.bincount(numbers.ravel(), minlength=5)[1:] >= MIN_PIXELS).any():
            found.append(LabelledSlice(np.ascontiguousarray(pixels), np.ascontiguousarray(numbers), case))
    return found
