"""The pictures of a study, as PNG, with the words that go with them."""

from __future__ import annotations

from ..figures import (
    base_direction,
    bullseye_of_record,
    dice_curve_figure,
    difference_montage,
    montage,
    region_bands,
    surfaces_picture,
    volume_curve_figure,
    volumes_figure,
)
from ..progress import Progress, no_progress
from ..segmentation import Segmentation
from .results import PhaseResult, StudyPicture, StudyResult


def draw_study(
    result: StudyResult, progress: Progress = no_progress, draw_surfaces: bool = True
) -> tuple[list[StudyPicture], list[str]]:
    """Every picture of the report, in its order, and warnings about those that could not be drawn.

    Args:
        result: what was found.
        progress: told before each phase.
        draw_surfaces: False leaves the surfaces out, for which OpenGL is needed.
    """
    pictures: list[StudyPicture] = []
    warnings: list[str] = []
    for number, (name, phase) in enumerate(result.phases.items()):
        progress(number / (len(result.phases) + 1), f"drawing {name}")
        pictures += _phase_pictures(result.name, name, phase)
        if not phase.surfaces or not draw_surfaces:
            continue
        try:
            pictures.append(_surfaces_picture(name, phase))
        except RuntimeError as error:
            warnings.append(f"no picture of the surfaces at {name}: {error}")
    progress(len(result.phases) / (len(result.phases) + 1), "drawing volumes")
    pictures += [_volumes_picture(result), *_curve_picture(result), *_wall_picture(result)]
    progress(1.0, "pictures drawn")
    return pictures, warnings


def _wall_picture(result: StudyResult) -> list[StudyPicture]:
    """The bullseye of wall thickness, where it was measured."""
    walls = result.clinical.get("wall_thickness")
    if walls is None or (walls["ed"] is None and walls["es"] is None):
        return []
    caption = (
        "The 17 segments of the left ventricle seen from the apex, anterior at the top, septum on the left. "
        "Hatched segments are unknown."
    )
    return [StudyPicture("wall_thickness.png", bullseye_of_record(walls, title=result.name), "Wall thickness", caption)]


def _curve_picture(result: StudyResult) -> list[StudyPicture]:
    """Volumes over the heart beat, where a cine was measured."""
    if result.curve is None:
        return []
    caption = "Volume of every structure in each labelled frame (summation of discs)."
    if result.curve.fit_ml:
        caption += " The line through the left ventricle is the series from which the rates are read."
    return [StudyPicture("volume_curve.png", volume_curve_figure(result.curve), "Volumes over the heart beat", caption)]


def _volumes_picture(result: StudyResult) -> StudyPicture:
    """Volumes of the ventricles by phase; of the atrium where there is nothing else."""
    shown = {name: phase for name, phase in result.phases.items() if phase.regions is not None} or result.phases
    regions = next(iter(shown.values())).regions
    return StudyPicture(
        "volumes.png",
        volumes_figure(
            {name: phase.segmentation for name, phase in shown.items()}, regions is None or regions.base_first
        ),
        "Volumes",
        "Volume of every structure and where along the stack it comes from (summation of discs).",
    )


def _phase_pictures(case: str, name: str, phase: PhaseResult) -> list[StudyPicture]:
    """Montages, difference and Dice curve of one phase."""
    stem = name.lower()
    regions, title = phase.regions, f"{case}, {name}"
    pictures = [
        StudyPicture(
            f"montage_{stem}.png",
            montage(phase.image, phase.segmentation, None, regions, title=title),
            f"Segmentation, {name}",
            f"Slices {'base first' if regions else 'in the order of the image'} with the contours of the segmentation, "
            f"{_where(name, phase)}.",
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
        ]
    if phase.curves and regions is not None:
        pictures.append(
            StudyPicture(
                f"dice_curve_{stem}.png",
                dice_curve_figure(phase.curves, region_bands(regions), title=f"Dice from base to apex, {name}"),
                f"Dice from base to apex, {name}",
                f"101-point Dice curve; regions by {regions.method}.",
            )
        )
    return pictures


def _surfaces_picture(name: str, phase: PhaseResult) -> StudyPicture:
    """Surfaces of one phase; RuntimeError on a computer without OpenGL."""
    base = None if phase.regions is None else base_direction(phase.image, phase.regions.base_first)
    return StudyPicture(
        f"surfaces_{name.lower()}.png",
        surfaces_picture(phase.surfaces, base),
        f"Surfaces, {name}",
        "Closed surfaces by shape-based interpolation between the slices, from two sides.",
    )


def _where(name: str, phase: PhaseResult) -> str:
    """The phase in words, with the frame of a cine."""
    return name if phase.frame is None else f"{name} (frame {phase.frame})"


def _only_structures_of(segmentation: Segmentation, reference: Segmentation) -> Segmentation:
    """`segmentation` without the structures that the reference does not hold, for drawing them together."""
    labels = segmentation.labels.array.copy()
    for structure in segmentation.structures:
        if structure not in reference.structures:
            labels[segmentation.mask(structure)] = 0
    return Segmentation(segmentation.labels.with_array(labels), segmentation.scheme)
