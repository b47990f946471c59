"""The pictures of a study, as PNG, with the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass

from ..figures import (
    base_direction,
    dice_curve_figure,
    difference_montage,
    montage,
    region_bands,
    surfaces_picture,
    volumes_figure,
)
from ..progress import Progress, no_progress
from ..segmentation import Segmentation
from .results import PhaseResult, StudyResult


@dataclass(frozen=True, eq=False)
class StudyPicture:
    """One picture: file name, bytes, heading and caption."""

    file: str
    png: bytes
    title: str
    caption: str


def draw_study(result: StudyResult, progress: Progress = no_progress) -> tuple[list[StudyPicture], list[str]]:
    """Every picture of the report, in its order, and warnings about those that could not be drawn."""
    pictures: list[StudyPicture] = []
    warnings: list[str] = []
    for number, (name, phase) in enumerate(result.phases.items()):
        progress(number / (len(result.phases) + 1), f"drawing {name}")
        pictures += _phase_pictures(result.name, name, phase)
        try:
            pictures.append(_surfaces_picture(name, phase))
        except RuntimeError as error:
            warnings.append(f"no picture of the surfaces at {name}: {error}")
    progress(len(result.phases) / (len(result.phases) + 1), "drawing volumes")
    phases = {name: phase.segmentation for name, phase in result.phases.items()}
    base_first = next(iter(result.phases.values())).regions.base_first
    pictures.append(
        StudyPicture(
            "volumes.png",
            volumes_figure(phases, base_first),
            "Volumes",
            "Volume of every structure and where along the stack it comes from (summation of discs).",
        )
    )
    progress(1.0, "pictures drawn")
    return pictures, warnings


def _phase_pictures(case: str, name: str, phase: PhaseResult) -> list[StudyPicture]:
    """Montages, difference and Dice curve of one phase."""
    stem = name.lower()
    regions, title = phase.regions, f"{case}, {name}"
    pictures = [
        StudyPicture(
            f"montage_{stem}.png",
            montage(phase.image, phase.segmentation, None, regions, title=title),
            f"Segmentation, {name}",
            f"Every slice, base first, with the contours of the segmentation at {name}.",
        )
    ]
    if phase.reference is not None:
        compared = _only_structures_of(phase.segmentation, phase.reference)
        drawn = ", ".join(phase.reference.structures)
        pictures += [
            StudyPicture(
                f"comparison_{stem}.png",
                montage(phase.image, compared, phase.reference, regions, title=title),
                f"Prediction and reference, {name}",
                f"Prediction green, reference red; the reference holds {drawn} only.",
            ),
            StudyPicture(
                f"difference_{stem}.png",
                difference_montage(phase.image, compared, phase.reference, regions, title=title),
                f"Where they differ, {name}",
                "Voxels that both hold, only the prediction, only the reference.",
            ),
            StudyPicture(
                f"dice_curve_{stem}.png",
                dice_curve_figure(phase.curves, region_bands(regions), title=f"Dice from base to apex, {name}"),
                f"Dice from base to apex, {name}",
                f"101-point Dice curve; regions by {regions.method}.",
            ),
        ]
    return pictures


def _surfaces_picture(name: str, phase: PhaseResult) -> StudyPicture:
    """Surfaces of one phase; RuntimeError on a computer without OpenGL."""
    return StudyPicture(
        f"surfaces_{name.lower()}.png",
        surfaces_picture(phase.surfaces, base_direction(phase.image, phase.regions.base_first)),
        f"Surfaces, {name}",
        "Closed surfaces by shape-based interpolation between the slices, from two sides.",
    )


def _only_structures_of(segmentation: Segmentation, reference: Segmentation) -> Segmentation:
    """`segmentation` without the structures that the reference does not hold, for drawing them together."""
    labels = segmentation.labels.array.copy()
    for structure in segmentation.structures:
        if structure not in reference.structures:
            labels[segmentation.mask(structure)] = 0
    return Segmentation(segmentation.labels.with_array(labels), segmentation.scheme)
