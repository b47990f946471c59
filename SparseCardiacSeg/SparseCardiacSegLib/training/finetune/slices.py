"""The slices that a fine-tuning learns from, and their variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...anatomy import ALL, Structure
from ...errors import InputError
from ...progress import Progress, no_progress
from ...prompting.intensity import to_8_bit, window
from ..labelled_cases import LabelledCase
from .variants import variant_of


@dataclass(frozen=True, eq=False)
class TrainingSlice:
    """One slice that holds every wanted structure.

    Attributes:
        image: uint8 [row, col], windowed by its volume's percentiles as prediction does it.
        labels: uint8 [row, col] in scheme `all`.
        name: case, frame and slice.
    """

    image: np.ndarray
    labels: np.ndarray
    name: str

    def variants(self, copies: int, seed: int) -> list[TrainingSlice]:
        """The slice itself, then `copies` variants of it."""
        made = [self]
        for number in range(1, copies + 1):
            name = f"{self.name}/variant {number}"
            made.append(TrainingSlice(*variant_of(self.image, self.labels, seed, name), name))
        return made


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a fine-tuning learns from.

    Attributes:
        slices: in the order of cases, frames and slices.
        structures: what every one of them holds.
        patients: who they are of, volumes without a usable slice included.
        n_volumes: how many volumes were read; the two labelled frames of an ACDC patient are two.
        n_left_out: labelled slices that lack a wanted structure.
        warnings: sentences the user should see.
    """

    slices: tuple[TrainingSlice, ...]
    structures: tuple[Structure, ...]
    patients: tuple[str, ...]
    n_volumes: int
    n_left_out: int
    warnings: tuple[str, ...] = ()


def read_training_data(
    cases: Sequence[LabelledCase], structures: tuple[Structure, ...] | None = None, progress: Progress = no_progress
) -> TrainingData:
    """Read the slices that hold every wanted structure (thesis, section 4.2.3: the others are skipped).

    Args:
        cases: volumes to read; whole patients.
        structures: what is wanted; None for all that the cases hold.
        progress: called after every case.

    Raises:
        InputError: a file cannot be used, label schemes were guessed differently, or no slice holds all structures.
    """
    volumes = []
    guesses: dict[str, str] = {}
    warnings: list[str] = []
    for number, case in enumerate(cases):
        stack, segmentation = case.load()
        if case.scheme is None:
            guesses.setdefault(segmentation.scheme.name, case.name)
        else:
            warnings.extend(segmentation.warnings)
        image = to_8_bit(stack.slices_first(), *window(stack.array, str(case.image_path)))
        labels = segmentation.in_scheme(ALL).labels.slices_first()
        shape = (-1, *image.shape[-3:])
        volumes.append((case.name, image.reshape(shape), labels.reshape(shape)))
        progress((number + 1) / len(cases), f"reading {case.name}")
    if len(guesses) > 1:
        told = ", ".join(f"'{scheme}' for {name}" for scheme, name in guesses.items())
        raise InputError(f"the label scheme was guessed as {told}; name the right one with --scheme")
    warnings.extend(f"label scheme guessed as '{scheme}'; name it with --scheme if it is another" for scheme in guesses)
    wanted = structures or _held(labels for _, _, labels in volumes)
    slices, left_out = [], 0
    for name, image, labels in volumes:
        for frame, index in np.ndindex(*labels.shape[:2]):
            here = labels[frame, index]
            if all((here == ALL.numbers[structure]).any() for structure in wanted) and wanted:
                pixels, numbers = np.ascontiguousarray(image[frame, index]), np.ascontiguousarray(here)
                slices.append(TrainingSlice(pixels, numbers, f"{name}/frame {frame}/slice {index}"))
            elif here.any():
                left_out += 1
    if not slices:
        raise InputError(
            f"no slice of the {len(volumes)} volumes holds {' and '.join(wanted) or 'any structure'}: "
            "there is nothing to learn from"
        )
    patients = tuple(dict.fromkeys(case.patient for case in cases))
    return TrainingData(tuple(slices), wanted, patients, len(volumes), left_out, tuple(warnings))


def _held(labels: object) -> tuple[Structure, ...]:
    """Structures that occur anywhere."""
    numbers = {int(number) for volume in labels for number in np.unique(volume)}  # type: ignore[attr-defined]
    return tuple(structure for structure in Structure if ALL.numbers[structure] in numbers)
