"""Everything that is known of a study before it is written: by phase, and as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import SHORT_AXIS, LabelScheme, Structure
from ..errors import InputError
from ..measures.comparison import MetricRow, compare
from ..measures.curve import dice_curve
from ..meshes import surfaces
from ..regions import Region, SliceRegions, label_regions
from ..segmentation import Segmentation
from ..stack import Stack

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from ..measures.volume_curve import VolumeCurve

REGION_METHOD = "20/60/20"
"""How base, middle and apex are told unless the user chose otherwise."""


@dataclass(frozen=True, eq=False)
class PhaseResult:
    """One phase of a study.

    Attributes:
        phase: `ED`, `ES`, or `LA` for a left atrium in an image of its own.
        image: the stack.
        segmentation: the labels, after post-processing and by hand as they are.
        regions: base, middle and apex of the slices; None where no ventricle is labelled.
        image_path: the image's file; None where it came from a scene.
        frame: the cine's frame; None for a single stack.
        raw: the network's own labels, where one was run.
        seconds: time that the network took, where one was run.
        reference: labels to compare with, holding only the structures that were annotated.
        reference_path: their file.
        rows: metrics by structure and region; empty without a reference.
        curves: 101-point Dice curve by structure, base to apex; empty without a reference.
        surfaces: closed surfaces by structure, RAS mm.
    """

    phase: str
    image: Stack
    segmentation: Segmentation
    regions: SliceRegions | None
    image_path: Path | None = None
    frame: int | None = None
    raw: Segmentation | None = None
    seconds: float | None = None
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
        model: name, card and checksum of the model; None where the labels came from a scene.
        settings: how the model was run; empty without one.
        warnings: sentences for the user, without repetition.
        origin: (label, value) lines about where images and labels came from, for a study without a model.
        curve: volumes over the heart beat, where a labelled cine was measured.
    """

    name: str
    attribution: str
    phases: dict[str, PhaseResult]
    clinical: dict[str, Any]
    model: dict[str, Any] | None
    settings: dict[str, Any]
    warnings: tuple[str, ...]
    origin: tuple[tuple[str, str], ...] = ()
    curve: VolumeCurve | None = None


@dataclass(frozen=True, eq=False)
class StudyPicture:
    """One picture: file name, bytes of the PNG, heading and caption."""

    file: str
    png: bytes
    title: str
    caption: str


def measured_phase(
    phase: str,
    image: Stack,
    segmentation: Segmentation,
    reference: Segmentation | None = None,
    *,
    case: str = "",
    region_method: str = REGION_METHOD,
    base_first: bool | None = None,
    overrides: Mapping[int, Region | str | None] | None = None,
    make_surfaces: bool = True,
    **known: Any,
) -> PhaseResult:
    """Regions, surfaces and, where there is a reference, metrics of one labelled phase.

    Args:
        phase: `ED`, `ES` or `LA`.
        image: the stack.
        segmentation: its labels.
        reference: labels to compare with; structures that nobody drew there are not judged.
        case: name of the case in the rows.
        region_method: see `regions.label_regions`, as for the next two.
        base_first: whether slice 0 is nearest the base.
        overrides: regions set by hand.
        make_surfaces: whether surfaces are wanted; they take most of the time.
        **known: further fields of `PhaseResult`.

    Raises:
        InputError: the reference is empty or on another grid, or the regions cannot be told.
    """
    reference = None if reference is None else annotated(reference)
    # The reference decides what is basal where there is one: it is what the regional figures are compared with.
    told_by = segmentation if reference is None else reference
    regions = None
    if any(told_by.mask(structure).any() for structure in SHORT_AXIS):
        regions = label_regions(told_by, region_method, base_first, overrides)
    rows: tuple[MetricRow, ...] = ()
    curves = {}
    if reference is not None:
        rows = tuple(compare(segmentation, reference, regions, case=case))
        if regions is not None:
            curves = {
                structure: dice_curve(segmentation, reference, structure, regions.base_first)
                for structure in reference.structures
            }
    drawn = make_surfaces and bool(segmentation.labels.array.any())
    return PhaseResult(
        phase=phase,
        image=image,
        segmentation=segmentation,
        regions=regions,
        reference=reference,
        rows=rows,
        curves=curves,
        surfaces=surfaces(segmentation) if drawn else {},
        **known,
    )


def annotated(reference: Segmentation) -> Segmentation:
    """`reference` with a scheme that names only what was annotated: what nobody drew is not missing.

    Raises:
        InputError: nothing was annotated.
    """
    present: dict[Structure, int] = {
        structure: number for structure, number in reference.scheme.numbers.items() if reference.mask(structure).any()
    }
    if not present:
        raise InputError(f"{reference.labels.source or 'the reference'} holds no labelled voxel")
    return Segmentation(reference.labels, LabelScheme(reference.scheme.name, present), reference.warnings)


def sha256(path: Path) -> str:
    """Checksum of a file, for provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
