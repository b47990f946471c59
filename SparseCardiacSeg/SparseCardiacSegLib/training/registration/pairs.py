"""The frames that the registration network learns from, cut around the heart and held in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from ...anatomy import ALL, SHORT_AXIS, scheme_named
from ...errors import InputError
from ...io import IMAGE_SUFFIXES, file_stem, read_stack
from ...propagation.learned_window import WINDOW, HeartWindow, centre_of_mask, centre_of_motion, scaled
from ...stack import Stack
from ..labelled_cases import REFERENCE_ENDING, LabelledCase, choose_patients, read_cases

CUT = 176
"""Pixels of what is kept: the window, and what turning, shifting and shrinking bring into it from outside."""

MIN_PIXELS = 20
"""A slice of which neither frame has this many labelled pixels is no labelled pair: 45 mm2 hold no structure."""


@dataclass(frozen=True, eq=False)
class FramePair:
    """Two frames of one patient.

    Attributes:
        first: [slice, CUT, CUT] float16, scaled to 0..1.
        second: the other frame.
        labels: the labels of both, [2, slice, CUT, CUT] uint8 in scheme `all`; None where there are none.
        slices: indices of the slices that can be drawn.
        patient: whom they show.
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray | None
    slices: tuple[int, ...]
    patient: str


def read_labelled_pairs(cases: Sequence[LabelledCase]) -> list[FramePair]:
    """Every pair of annotated frames of the same patient.

    Raises:
        InputError: a file cannot be read, two frames of a patient differ in shape, or nobody has two frames.
    """
    frames: dict[str, list[LabelledCase]] = defaultdict(list)
    for case in cases:
        frames[case.patient].append(case)
    found = []
    for patient, own in frames.items():
        loaded = [_load(case) for case in own]
        for (first, labels, spacing), (second, others, _) in combinations(loaded, 2):
            if first.shape != second.shape:
                raise InputError(f"frames of patient '{patient}' differ in shape: {first.shape} and {second.shape}")
            centre = centre_of_mask((labels > 0) | (others > 0))
            if centre is None:
                raise InputError(f"patient '{patient}' has no label in two frames")
            both = np.stack(
                [_cut_labels(HeartWindow(centre, first.shape[1:], spacing, CUT), x) for x in (labels, others)]
            )
            area = (both > 0).sum((2, 3)).min(0)
            slices = tuple(int(index) for index in np.flatnonzero(area >= MIN_PIXELS))
            if slices:
                images = (_cut(image, centre, spacing) for image in (first, second))
                found.append(FramePair(*images, both, slices, patient))
    if not found:
        raise InputError("no patient has two annotated frames, so there is nothing to register")
    return found


def read_cines(folder: Path, patients: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """The cines of these patients in a folder, whose names begin with the patient's; labels are not read.

    Returns:
        (patient, [frame, slice, CUT, CUT] float16) of each, cut around where it beats.

    Raises:
        InputError: the folder does not exist, a file cannot be read, or it holds no cine of these patients.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    found = []
    for path in sorted(folder.iterdir()):
        stem = file_stem(path)
        patient = next((name for name in patients if stem == name or stem.startswith((f"{name}_", f"{name}-"))), None)
        if patient is None or not path.name.lower().endswith(IMAGE_SUFFIXES) or stem.endswith(REFERENCE_ENDING):
            continue
        stack = read_stack(path)
        if stack.is_cine:
            found.append((patient, _cut_cine(stack)))
    if not found:
        raise InputError(f"{folder} holds no cine of the {len(patients)} patients to learn from")
    return found


def cine_pair(cine: tuple[str, np.ndarray], rng: np.random.Generator) -> FramePair:
    """Two different frames of a cine, at any distance in time."""
    patient, frames = cine
    first, second = rng.choice(len(frames), 2, replace=False)
    return FramePair(frames[first], frames[second], None, tuple(range(frames.shape[1])), patient)


def read_training_cases(dataset: Path, split: str, scheme: str) -> list[LabelledCase]:
    """The annotated frames of one split (see `labelled_cases.read_cases`)."""
    return read_cases(dataset, scheme_named(scheme), split)


def hold_out(cases: Sequence[LabelledCase], n_patients: int) -> tuple[list[LabelledCase], list[LabelledCase]]:
    """Leave some patients out, the same ones each time; groups take turns.

    Returns:
        Cases to learn from, and cases to measure on.

    Raises:
        InputError: nobody would remain.
    """
    if n_patients == 0:
        return list(cases), []
    total = len({case.patient for case in cases})
    if not 0 < n_patients < total:
        raise InputError(f"{n_patients} patients cannot be held out of {total}")
    held = choose_patients(cases, n_patients=n_patients, seed=0)
    names = {case.patient for case in held}
    return [case for case in cases if case.patient not in names], held


def _load(case: LabelledCase) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Image and labels [slice, row, col], and the pixel size."""
    stack, segmentation = case.load()
    if stack.is_cine:
        raise InputError(f"{case.image_path} is a cine; labelled frames are needed one by one")
    spacing = stack.slices_first_spacing[1:]
    return stack.slices_first(), segmentation.in_scheme(ALL).labels.slices_first(), spacing


def _cut(image: np.ndarray, centre: tuple[float, float], spacing: tuple[float, float]) -> np.ndarray:
    """A frame [slice, row, col] in the cut, scaled by what the network's window will hold of it."""
    wide = HeartWindow(centre, image.shape[1:], spacing, CUT).cut(image)
    border = (CUT - WINDOW) // 2
    middle = wide[:, border : border + WINDOW, border : border + WINDOW]
    return scaled(wide, middle).astype(np.float16)


def _cut_labels(window: HeartWindow, labels: np.ndarray) -> np.ndarray:
    """Labels in the cut: the structure with the largest share of each pixel; none beyond the slices' edges."""
    numbers = [0, *(ALL.numbers[structure] for structure in SHORT_AXIS)]
    shares = np.stack([window.cut(labels == number) for number in numbers])
    return np.array(numbers, np.uint8)[shares.argmax(0)] * window.on_slices()


def _cut_cine(stack: Stack) -> np.ndarray:
    """All frames in the cut; its centre is that of the picture where the picture was cropped, else of the motion."""
    frames = np.asarray(stack.slices_first(), np.float32)
    spacing = stack.slices_first_spacing[1:]
    extent = np.array(frames.shape[-2:]) * spacing
    still = frames.mean(0)
    if (extent < WINDOW * 1.5).all():
        centre = (frames.shape[-2] - 1) / 2, (frames.shape[-1] - 1) / 2
    else:
        centre = centre_of_motion(still, still + frames.std(0), spacing)
    return np.stack([_cut(frame, centre, spacing) for frame in frames])
