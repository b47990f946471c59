"""A study as one MRML bundle (.mrb) that opens in Slicer with everything in place."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import slicer

from ..anatomy import Structure
from ..errors import InputError
from ..files import write_atomically
from ..measures.comparison import MetricRow
from ..regions import SliceRegions
from ..segmentation import Segmentation
from ..stack import Stack
from . import host
from .display import FILL_OPACITY, REFERENCE_COLOUR, SMOOTHING_FACTOR, show_3d, show_outlines
from .plots import dice_curve_chart
from .segmentations import (
    CLOSED_SURFACE,
    place_beside,
    segment_structures,
    segmentation_node,
    segmentation_sequence,
)
from .surface_models import frame_node
from .tables import clinical_table, metrics_table, region_table
from .volumes import sequence_from_stack, volume_from_stack

_VIEWS = {"Red": (0.95, 0.29, 0.2), "Green": (0.43, 0.69, 0.29), "Yellow": (0.93, 0.84, 0.3)}

_SCENE_VERSION = "Slicer 5.10.0 0"
"""The oldest Slicer that reads it. By its own name, slicer-core, the application would warn of a foreign scene."""


@dataclass(frozen=True)
class BundleImage:
    """One image of a bundle with what belongs to it.

    Attributes:
        name: what the nodes are called.
        image: a frame, or a cine (becomes a sequence).
        segmentation: its labels, one frame, or all frames of a cine.
        reference: labels to compare with, hidden in 3D.
        surfaces: closed surfaces (vtkPolyData, RAS mm) of `segmentation` where they were made elsewhere, by structure;
            of one frame only: those of a cine are made by Slicer, for every frame.
    """

    name: str
    image: Stack
    segmentation: Segmentation | None = None
    reference: Segmentation | None = None
    surfaces: Mapping[Structure, Any] | None = None


@dataclass(frozen=True)
class BundleTables:
    """Tables and charts of a bundle, each by the name of its case or phase; what is empty is left out."""

    regions: Mapping[str, SliceRegions] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[MetricRow]] = field(default_factory=dict)
    clinical: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[Structure, np.ndarray]] = field(default_factory=dict)


def write_bundle(path: Path | str, images: Sequence[BundleImage], tables: BundleTables | None = None) -> None:
    """Write a study as .mrb: volumes, segmentations with surfaces in 3D, tables, charts, and views that show the first.

    The scene that is open in Slicer is not touched: the bundle gets a scene of its own.

    Args:
        path: the file, ending in .mrb; written whole or not at all.
        images: what to store; the views show the first with its segmentation.
        tables: tables and charts.

    Raises:
        InputError: `path` does not end in .mrb, the disk refused, or there is no image.
    """
    if not images:
        raise InputError(f"{path}: a bundle needs at least one image")
    path = _checked(path)
    with host.private() as made:
        made.scene.SetVersion(_SCENE_VERSION)
        _fill(images, tables or BundleTables())
        _save(made.scene, path)


def save_scene(path: Path | str) -> None:
    """Write the current scene as .mrb, whole or not at all.

    Raises:
        InputError: `path` does not end in .mrb, or the disk refused.
    """
    _save(host.current_scene(), _checked(path))


def read_bundle(path: Path | str) -> None:
    """Load a bundle into the current scene, in place of what is there.

    Raises:
        InputError: it is no bundle, is damaged, or Slicer could not read it.
    """
    path = Path(path)
    try:
        with ZipFile(path) as archive:
            scenes = [name for name in archive.namelist() if name.endswith(".mrml")]
            damaged = archive.testzip()
    except (OSError, BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a bundle: {error}") from error
    if len(scenes) != 1 or damaged:
        raise InputError(f"{path} is not a whole MRML bundle")
    scene = host.current_scene()
    with host.quiet() as output, host.archive_cache():
        loaded = scene.ReadFromMRB(str(path.resolve()), True)
    if not loaded:
        raise InputError(f"{path} could not be loaded: {output.GetOutput().strip() or scene.GetErrorMessage()}")


def _checked(path: Path | str) -> Path:
    path = Path(path)
    if path.suffix.lower() != ".mrb":
        raise InputError(f"{path}: a bundle's name ends in .mrb")
    return path


def _save(scene: Any, path: Path) -> None:
    with write_atomically(path) as temporary:
        # Slicer names the folder inside after the file, so it gets the final name in a folder of its own.
        folder = temporary.with_name(f"{temporary.name}-folder")
        folder.mkdir()
        try:
            made = folder / path.name
            failed = _archive(scene, made)
            if failed or not made.is_file():
                raise InputError(f"{path} could not be written: {failed or 'Slicer wrote no file'}")
            made.replace(temporary)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _archive(scene: Any, path: Path) -> str:
    """Let Slicer write a scene; what went wrong, or an empty text."""
    messages = slicer.vtkMRMLMessageCollection()
    with host.quiet():
        written = scene.WriteToMRB(str(path.resolve()), None, messages)
    return "" if written else messages.GetAllMessagesAsString().strip() or "unknown error"


def _fill(images: Sequence[BundleImage], tables: BundleTables) -> None:
    """Make the nodes of a bundle in the current scene."""
    shown: list[Any] = []
    for index, item in enumerate(images):
        browser = sequence_from_stack(item.image, item.name) if item.image.is_cine else None
        volume = (
            browser.GetProxyNode(browser.GetMasterSequenceNode())
            if browser
            else volume_from_stack(item.image, item.name)
        )
        for labels, title in ((item.segmentation, "segmentation"), (item.reference, "reference")):
            if labels is None:
                continue
            name = f"{item.name} {title}"
            if labels.labels.is_cine:
                if browser is None:
                    raise InputError(f"{name} is a cine, {item.name} is not")
                node = segmentation_sequence(labels, browser, name)
            else:
                node = segmentation_node(labels, volume, name)
            show_outlines(node, fill=0.0 if title == "reference" else FILL_OPACITY)
            if title == "reference":
                for segment_id in segment_structures(node):
                    node.GetDisplayNode().SetSegmentOverrideColor(segment_id, *REFERENCE_COLOUR)
                node.GetDisplayNode().SetVisibility3D(False)
            elif labels.labels.is_cine:
                _make_beating(node, browser)
            else:
                show_3d(node, prepared=item.surfaces)
            node.GetDisplayNode().SetVisibility(index == 0)
        shown.append(volume)
    for name, regions in tables.regions.items():
        place_beside(region_table(regions, f"{name} regions"), shown[0])
    for name, rows in tables.metrics.items():
        place_beside(metrics_table(rows, f"{name} metrics"), shown[0])
    for name, measures in tables.clinical.items():
        place_beside(clinical_table(measures, f"{name} clinical measures"), shown[0])
    for name, curves in tables.curves.items():
        place_beside(dice_curve_chart(curves, f"{name} Dice from base to apex"), shown[0])
    _show_first(shown[0])


def _make_beating(node: Any, browser: Any) -> None:
    """Give every labelled frame closed surfaces by Slicer, shown in 3D, so that they follow when the browser plays.

    Only the labels are written to the file: Slicer makes the same surfaces again when it reads them, for it is told
    that each frame has some. Others would be lost.
    """
    for frame in range(browser.GetNumberOfItems()):
        segmentation = frame_node(node, browser, frame).GetSegmentation()
        segmentation.SetConversionParameter(
            slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule.GetSmoothingFactorParameterName(),
            str(SMOOTHING_FACTOR),
        )
        if segmentation.GetNumberOfSegments():
            segmentation.CreateRepresentation(CLOSED_SURFACE)
    if node.GetSegmentation().GetNumberOfSegments():
        show_3d(node, smooth=False)


def _show_first(volume: Any) -> None:
    """Views as Slicer has them, with the volume as background, in the stack's own planes."""
    scene = volume.GetScene()
    application_logic = host.application_logic()
    logics = []
    for name, colour in _VIEWS.items():
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(scene)
        node = logic.AddSliceNode(name)
        node.SetLayoutColor(*colour)
        node.SetLayoutLabel(name[0])
        node.SetOrientation({"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}[name])
        node.SetDimensions(400, 400, 1)
        composite = logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        # A short-axis stack is oblique: in patient planes it would be cut into a few thick stripes.
        node.RotateToVolumePlane(volume)
        logic.FitSliceToBackground()
        logics.append(logic)
    view_logic = slicer.vtkMRMLViewLogic()
    view_logic.SetMRMLApplicationLogic(application_logic)
    view_logic.SetMRMLScene(scene)
    view = view_logic.AddViewNode("1")
    view.SetBoxVisible(False)
    view.SetAxisLabelsVisible(False)
    selection = application_logic.GetSelectionNode()
    selection.SetActiveVolumeID(volume.GetID())
