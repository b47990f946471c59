"""`python -m SparseCardiacSegLib.mrml.render_process FOLDER`: draws what `render` asks for, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import LabelScheme, Structure
from ..regions import base_to_apex
from ..segmentation import Segmentation
from ..stack import Stack, ijk_to_ras

_HEART_SHARE = 0.55
"""Share of a slice picture's width that the heart takes."""


def main(folder: Path) -> int:
    """Draw the views of a request folder; 0 on success, 1 with the reason in `error.txt` there."""
    try:
        import slicer  # noqa: F401
    except ImportError as error:
        (folder / "error.txt").write_text(f"slicer-core is not installed, so Slicer's views cannot draw ({error})")
        return 1
    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "arrays.npz") as arrays:
        image = _stack(arrays["image"], request["image"])
        segmentation = _segmentation(arrays["labels"], request["labels"])
        reference = _segmentation(arrays["reference"], request["reference"]) if request["reference"] else None
    colours = {Structure(key): tuple(value) for key, value in request["colours"].items()}
    scene = _Scene(image, segmentation, reference, colours)
    for view in request["views"]:
        picture = scene.surfaces(view) if view["kind"] == "3d" else scene.slice(view)
        if (picture == picture[:1, :1]).all():
            (folder / "error.txt").write_text("the picture came out empty: OpenGL does not work here")
            return 1
        scene.write(picture, Path(view["path"]))
    return 0


class _Scene:
    """The nodes of one segmented frame and Slicer's views of them."""

    def __init__(
        self,
        image: Stack,
        segmentation: Segmentation,
        reference: Segmentation | None,
        colours: dict[Structure, tuple[float, ...]],
    ) -> None:
        from .host import Host, use
        from .segmentations import segment_structures, segmentation_node
        from .volumes import volume_from_stack

        self._host = Host()
        use(self._host)
        self._image = image
        self._segmentation = segmentation
        self._volume = volume_from_stack(image, "Image")
        self._node = segmentation_node(segmentation, self._volume, "Segmentation")
        self._reference = None if reference is None else segmentation_node(reference, self._volume, "Reference")
        for segment_id, structure in segment_structures(self._node).items():
            if structure in colours:
                self._node.GetSegmentation().GetSegment(segment_id).SetColor(*colours[structure])

    def surfaces(self, view: dict[str, Any]) -> np.ndarray:
        """Slicer's 3D view of the closed surfaces."""
        from .display import show_3d
        from .offscreen_view import ThreeDView

        if self._reference is not None:
            self._reference.GetDisplayNode().SetVisibility(False)
        show_3d(self._node)
        window = ThreeDView(self._host, tuple(view["size"]), tuple(view["background"]))
        window.look(*heart_view(self._segmentation))
        return window.picture()

    def slice(self, view: dict[str, Any]) -> np.ndarray:
        """Slicer's slice view with outlines."""
        from .display import OUTLINE_THICKNESS, show_comparison, show_outlines, show_own_colours
        from .offscreen_view import SUPERSAMPLING, SliceView

        thickness = OUTLINE_THICKNESS * SUPERSAMPLING

        compare = view["compare"] and self._reference is not None
        if compare:
            show_comparison(self._node, self._reference, thickness)
        else:
            show_own_colours(self._node)
            show_outlines(self._node, thickness)
        if self._reference is not None:
            self._reference.GetDisplayNode().SetVisibility(compare)
        heart = self._segmentation.labels.slices_first() > 0
        areas = heart.sum(axis=(1, 2))
        index = int(areas.argmax()) if view["slice"] is None else int(view["slice"])
        centre, zoom = self._heart_in_plane(heart, index)
        window = SliceView(self._host, tuple(view["size"]))
        window.show_volume(self._volume, zoom, centre)
        return window.picture()

    def _heart_in_plane(self, heart: np.ndarray, index: int) -> tuple[np.ndarray, float]:
        """RAS point (mm) on the slice in the middle of the heart, and the zoom at which it fills the picture well."""
        labels = self._segmentation.labels
        shadow = np.argwhere(heart.any(axis=0))
        shape = heart.shape[1:]
        low, high = (shadow.min(axis=0), shadow.max(axis=0)) if len(shadow) else (np.zeros(2), np.array(shape) - 1)
        place = list((low + high) / 2)
        place.insert(labels.through_plane, float(index))
        spacing = np.array(labels.slices_first_spacing[1:])
        extent = ((high - low + 1) * spacing).max()
        zoom = _HEART_SHARE * float((np.array(shape) * spacing).max()) / float(extent)
        return ijk_to_ras(labels.ijk_to_ras, np.array(place[::-1])), max(1.0, zoom)

    @staticmethod
    def write(picture: np.ndarray, path: Path) -> None:
        """Write one picture."""
        from .offscreen_view import write_png

        write_png(picture, path)


def heart_view(segmentation: Segmentation) -> tuple[np.ndarray, np.ndarray]:
    """The direction in which to look at a heart, and what is up, both RAS unit vectors.

    A short-axis heart is shown with its base up and its right ventricle to the left of the left one, seen a little from
    above, whatever way the stack lies; where that cannot be told, the heart is seen from the front of the patient.
    """
    labels = segmentation.labels
    front = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    places = {
        structure: ijk_to_ras(labels.ijk_to_ras, np.argwhere(mask).mean(axis=0)[::-1])
        for structure in (Structure.RV, Structure.LV)
        if (mask := segmentation.mask(structure)).any()
    }
    if len(places) < 2:
        return front
    towards_last = labels.ijk_to_ras[:3, 2 - labels.through_plane]
    up = (-1.0 if base_to_apex(segmentation).base_first else 1.0) * towards_last / np.linalg.norm(towards_last)
    right = places[Structure.LV] - places[Structure.RV]
    right = right - (right @ up) * up
    if np.linalg.norm(right) < 1e-6:
        return front
    level = np.cross(up, right / np.linalg.norm(right))
    tilt = np.deg2rad(25)
    return np.cos(tilt) * level - np.sin(tilt) * up, up


def _stack(array: np.ndarray, geometry: dict[str, Any]) -> Stack:
    return Stack(array, np.array(geometry["ijk_to_ras"]), geometry["through_plane"], source="the image")


def _segmentation(array: np.ndarray, geometry: dict[str, Any]) -> Segmentation:
    scheme = geometry["scheme"]
    numbers = {Structure(key): value for key, value in scheme["numbers"].items()}
    return Segmentation(_stack(array, geometry), LabelScheme(scheme["name"], numbers))


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Some OpenGL stacks hang or crash in their exit handlers, after the pictures are complete.
    os._exit(code)
