"""Everything that one run of the main job finds out, before it is written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import Structure
from ..measures.comparison import MetricRow
from ..regions import SliceRegions
from ..segmentation import Segmentation
from ..stack import Stack

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData


@dataclass(frozen=True, eq=False)
class PhaseResult:
    """One phase (ED or ES) of a study.

    Attributes:
        phase: `ED` or `ES`.
        image: the short-axis stack.
        image_path: its file.
        segmentation: the labels after post-processing.
        raw: the network's own labels.
        regions: base, middle and apex of the slices.
        seconds: time that the network took.
        reference: labels to compare with, holding only the structures that were annotated.
        reference_path: their file.
        rows: metrics by structure and region; empty without a reference.
        curves: 101-point Dice curve by structure, base to apex; empty without a reference.
        surfaces: closed surfaces by structure, RAS mm.
    """

    phase: str
    image: Stack
    image_path: Path
    segmentation: Segmentation
    raw: Segmentation
    regions: SliceRegions
    seconds: float
    reference: Segmentation | None = None
    reference_path: Path | None = None
    rows: tuple[MetricRow, ...] = ()
    curves: dict[Structure, np.ndarray] = field(default_factory=dict)
    surfaces: dict[Structure, vtkPolyData] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What was found for a whole study.

    Attributes:
        name: the case.
        attribution: origin and licence of the data.
        phases: by phase, ED first.
        clinical: volumes, ejection fraction and mass (`measures.clinical`).
        model: name, card and checksum of the model.
        settings: how it was run.
        warnings: sentences for the user, without repetition.
    """

    name: str
    attribution: str
    phases: dict[str, PhaseResult]
    clinical: dict[str, Any]
    model: dict[str, Any]
    settings: dict[str, Any]
    warnings: tuple[str, ...]


def sha256(path: Path) -> str:
    """Checksum of a file, for provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
