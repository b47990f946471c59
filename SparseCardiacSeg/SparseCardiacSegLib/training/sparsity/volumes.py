"""One annotated volume, from a file, a frame of a file, or memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...io import read_stack
from ...segmentation import Segmentation
from ...stack import Stack
from ..labelled_cases import LabelledCase

_NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class SourceVolume:
    """An image with its labels, as a data set holds it.

    Attributes:
        name: of the case; begins with the patient.
        patient: whom it shows.
        case: its files; None where `pair` holds the voxels.
        pair: image and labels in memory.
        frame: of a cine in one file, from 0.
        group: of patients (a disease, say), or "".
        phase: `ED`, `ES`, or "" where nothing tells.
        long_axis: a view without base and apex.
        annotated: slices that somebody looked at; None for all that hold no ignored voxel.
        twin: patient whose images these are, labelled a second time.
        propagated: what `sparsity.json` tells of carried labels; None for drawn ones.
    """

    name: str
    patient: str
    case: LabelledCase | None = None
    pair: tuple[Stack, Segmentation] | None = field(default=None, compare=False, repr=False)
    frame: int | None = None
    group: str = ""
    phase: str = ""
    long_axis: bool = False
    annotated: tuple[int, ...] | None = None
    twin: str = ""
    propagated: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def synthetic(self) -> bool:
        """Whether the labels were carried over from another frame, not drawn."""
        return self.propagated is not None and bool(self.propagated.get("synthetic"))

    @property
    def image_path(self) -> Path | None:
        """The file of the image, where it is one."""
        return None if self.case is None else self.case.image_path

    def load(self) -> tuple[Stack, Segmentation, np.ndarray]:
        """Image, labels, and which slices are annotated (bool, along the through-plane axis).

        Raises:
            InputError: a file cannot be used, or holds several frames none of which was chosen.
        """
        if self.pair is not None:
            image, labels = self.pair
        elif self.case is not None:
            image, labels = self.case.load()
        else:
            raise ValueError("a volume needs files or voxels")
        if self.frame is not None:
            image, labels = image.frame(self.frame), labels.frame(self.frame)
        if image.is_cine:
            raise InputError(f"{self._where} has {image.n_frames} frames; a volume of a training set is one frame")
        annotated = np.ones(image.n_slices, bool)
        if self.case is not None and self.case.ignored is not None:
            numbers = replace(read_stack(self.case.labels_path), through_plane=image.through_plane).slices_first()
            annotated &= ~(numbers == self.case.ignored).any((-2, -1))
        if self.annotated is not None:
            if any(not 0 <= index < image.n_slices for index in self.annotated):
                raise InputError(f"{self._where} has {image.n_slices} slices; {max(self.annotated)} is not one of them")
            annotated &= np.isin(np.arange(image.n_slices), self.annotated)
        return image, labels, annotated

    @property
    def _where(self) -> str:
        return self.name if self.case is None else str(self.case.labels_path)


@dataclass(frozen=True)
class LabelledStack:
    """One image with its segmentation, as the Slicer module hands them over.

    Attributes:
        patient: whom it shows; the volumes of one patient share it.
        image: one frame.
        segmentation: on the grid of `image`.
        name: what tells this volume from the patient's others (a phase, say), or "".
        slices: those that were annotated, by index along the through-plane axis; None for all.
    """

    patient: str
    image: Stack
    segmentation: Segmentation
    name: str = ""
    slices: tuple[int, ...] | None = None


def volumes_of(stacks: Iterable[LabelledStack]) -> tuple[SourceVolume, ...]:
    """Volumes in memory as a source for `make_plan`.

    Raises:
        InputError: none was given, two have one name, a name cannot be a file's, or labels lie on another grid.
    """
    volumes: dict[str, SourceVolume] = {}
    for stack in stacks:
        name = f"{stack.patient}_{stack.name}" if stack.name else stack.patient
        if not stack.patient or not _NAME.fullmatch(name):
            raise InputError(f"'{name}' cannot be the name of a case: use letters, digits, dot, plus, minus and _")
        if name in volumes:
            raise InputError(f"two volumes are named '{name}'; tell them apart")
        if not stack.segmentation.labels.same_grid(stack.image, tolerance_mm=0.1):
            raise InputError(f"the segmentation of '{name}' lies on another grid than its image")
        labels = replace(stack.segmentation.labels, through_plane=stack.image.through_plane)
        volumes[name] = SourceVolume(
            name,
            stack.patient,
            pair=(stack.image, replace(stack.segmentation, labels=labels)),
            annotated=None if stack.slices is None else tuple(stack.slices),
        )
    if not volumes:
        raise InputError("no annotated volume was given")
    return tuple(volumes.values())
