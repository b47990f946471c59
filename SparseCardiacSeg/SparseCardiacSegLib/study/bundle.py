"""The study as a scene for 3D Slicer, and the heart drawn by Slicer's own 3D view."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..findings.files import BUNDLE
from ..findings.results import StudyPicture, StudyResult
from ..io import file_stem
from ..segmentation import Segmentation
from ..stack import Stack


def write_study_bundle(
    result: StudyResult, folder: Path
) -> tuple[list[tuple[str, str]], StudyPicture | None, list[str]]:
    """Write `study.mrb` and draw the first phase in Slicer's 3D view.

    Returns:
        The files written, the picture if it could be drawn, and warnings about what could not be done: without
        Slicer's core (`pip install sparsecardiacseg[mrml]`) there is neither, without OpenGL no picture.
    """
    if importlib.util.find_spec("slicer") is None:
        return [], None, ["Slicer's core is not installed: no study.mrb and no picture of Slicer's 3D view"]
    from ..mrml.bundle import BundleImage, BundleTables, write_bundle

    images = [
        BundleImage(f"{result.name} {name}", phase.image, phase.segmentation, phase.reference)
        for name, phase in result.phases.items()
    ]
    tables = BundleTables(
        regions={f"{result.name} {name}": one.regions for name, one in result.phases.items() if one.regions},
        metrics={f"{result.name} {name}": phase.rows for name, phase in result.phases.items() if phase.rows},
        clinical={result.name: result.clinical},
        curves={f"{result.name} {name}": phase.curves for name, phase in result.phases.items() if phase.curves},
    )
    write_bundle(folder / BUNDLE, images, tables)
    files = [(BUNDLE, "scene for 3D Slicer: volumes, segmentations with surfaces, tables, charts")]
    picture, warnings = _draw(result, folder)
    return files, picture, warnings


def write_cine_bundle(
    result: StudyResult, cine: Stack, segmentation: Segmentation, long_axis: Sequence[Stack], folder: Path
) -> tuple[list[tuple[str, str]], StudyPicture | None, list[str]]:
    """Write `study.mrb` with the cine, its labels as a sequence with beating surfaces, and the long-axis views.

    Returns:
        As for `write_study_bundle`.
    """
    if importlib.util.find_spec("slicer") is None:
        return [], None, ["Slicer's core is not installed: no study.mrb and no picture of Slicer's 3D view"]
    from ..mrml.bundle import BundleImage, BundleTables, write_bundle

    images = [BundleImage(result.name, cine, segmentation)]
    images += [BundleImage(file_stem(image.source), image) for image in long_axis]
    tables = BundleTables(
        regions={f"{result.name} {name}": one.regions for name, one in result.phases.items() if one.regions},
        clinical={result.name: result.clinical},
    )
    write_bundle(folder / BUNDLE, images, tables)
    files = [(BUNDLE, "scene for 3D Slicer: the cine, labels and surfaces that beat with it, tables")]
    picture, warnings = _draw(result, folder)
    return files, picture, warnings


def _draw(result: StudyResult, folder: Path) -> tuple[StudyPicture | None, list[str]]:
    """The first phase in Slicer's 3D view; a computer without OpenGL gets a warning instead."""
    from ..mrml.render import RenderError, View, render

    name, phase = next(iter(result.phases.items()))
    target = folder / "pictures" / "slicer_3d.png"
    target.parent.mkdir(exist_ok=True)
    try:
        render(phase.image, phase.segmentation, {target: View("3d", (1200, 900))})
    except (RenderError, InputError) as error:
        return None, [f"Slicer's 3D view could not be drawn: {error}"]
    caption = f"The segmentation at {name} in 3D Slicer's own 3D view; the myocardium is translucent."
    return StudyPicture(target.name, target.read_bytes(), "The heart in 3D Slicer", caption), []
