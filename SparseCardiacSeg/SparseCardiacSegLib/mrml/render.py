"""Pictures of a segmented heart as Slicer's own views show it, drawn off screen in a process of its own.

OpenGL in software can take its process down with it (no driver, a broken one), so the drawing is done by
`python -m SparseCardiacSegLib.mrml.render_process`, and the caller gets a `RenderError` with a sentence instead.
Importing this module needs no slicer; the process does (slicer-core, and a system with libEGL.so.1 and Mesa's software
driver, libOSMesa, or a display).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import Structure
from ..errors import InputError
from ..files import write_all_atomically
from ..segmentation import Segmentation
from ..stack import Stack

TIMEOUT_S = 180.0
"""Seconds after which drawing is given up; two pictures take 5 s of processor time."""

REMEDY = "on Debian and Ubuntu install libegl1 and libgl1-mesa-dri"


class RenderError(RuntimeError):
    """A picture could not be drawn on this machine; the message is one sentence. Nothing was written."""


@dataclass(frozen=True)
class View:
    """One picture to draw.

    Attributes:
        kind: "3d" (surfaces) or "slice" (the image with outlines, in the plane of its slices).
        size: width and height in pixels.
        slice: index along the through-plane axis, for "slice"; None for the slice with most of the heart.
        compare: draw the prediction green and the reference red, for "slice".
        background: RGB, 0 to 1, for "3d".
    """

    kind: str
    size: tuple[int, int] = (600, 520)
    slice: int | None = None
    compare: bool = False
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)


def render(
    image: Stack,
    segmentation: Segmentation,
    pictures: Mapping[Path | str, View],
    reference: Segmentation | None = None,
    colours: Mapping[Structure, Sequence[float]] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Draw pictures of one frame and write them as PNG, all or none.

    Args:
        image: the frame.
        segmentation: its labels.
        pictures: what to draw, by file.
        reference: labels to compare with, for views with `compare`.
        colours: RGB (0 to 1) of structures, in place of the usual ones.
        timeout_s: give up after this time.

    Raises:
        InputError: a cine was given, or a file cannot be written.
        RenderError: slicer-core or a working OpenGL is missing, or drawing failed.
    """
    for part in (image, segmentation.labels, *([reference.labels] if reference else [])):
        if part.is_cine:
            raise InputError(f"{part.source or 'the image'} is a cine; choose one frame for a picture")
    paths = [Path(path) for path in pictures]
    with tempfile.TemporaryDirectory(prefix="sparsecardiacseg-") as folder, write_all_atomically(*paths) as files:
        arrays = {"image": image.array, "labels": segmentation.labels.array}
        if reference is not None:
            arrays["reference"] = reference.labels.array
        np.savez(Path(folder) / "arrays.npz", **arrays)  # type: ignore[arg-type]
        request: dict[str, Any] = {
            "image": _geometry(image),
            "labels": _geometry(segmentation.labels) | {"scheme": _scheme(segmentation)},
            "reference": reference and _geometry(reference.labels) | {"scheme": _scheme(reference)},
            "colours": {str(key): list(value) for key, value in (colours or {}).items()},
            "views": [asdict(view) | {"path": str(file)} for view, file in zip(pictures.values(), files, strict=True)],
        }
        (Path(folder) / "request.json").write_text(json.dumps(request))
        _run(Path(folder), timeout_s)
        for file, path in zip(files, paths, strict=True):
            if not file.is_file():
                raise RenderError(f"the drawing process made no picture for {path.name}")


def render_3d(node: Any, path: Path | str, size: tuple[int, int] = (600, 520)) -> None:
    """`render` of a segmentation node's surfaces, in the colours of its segments."""
    from .segmentations import reference_volume, segmentation_from_node
    from .volumes import stack_from_volume

    volume = reference_volume(node)
    labels = segmentation_from_node(node, world=True)
    render(stack_from_volume(volume, world=True), labels, {path: View("3d", size)}, colours=_colours_of(node))


def render_slice(
    volume: Any, node: Any, path: Path | str, index: int | None = None, size: tuple[int, int] = (480, 480)
) -> None:
    """`render` of a slice of a volume node with the outlines of a segmentation node."""
    from .segmentations import segmentation_from_node
    from .volumes import stack_from_volume

    labels = segmentation_from_node(node, volume, world=True)
    view = View("slice", size, slice=index)
    render(stack_from_volume(volume, world=True), labels, {path: view}, colours=_colours_of(node))


def _colours_of(node: Any) -> dict[Structure, Sequence[float]]:
    from .segmentations import segment_structures

    return {
        structure: node.GetSegmentation().GetSegment(segment_id).GetColor()
        for segment_id, structure in reversed(segment_structures(node).items())
    }


def _geometry(stack: Stack) -> dict[str, Any]:
    return {"ijk_to_ras": stack.ijk_to_ras.tolist(), "through_plane": stack.through_plane}


def _scheme(segmentation: Segmentation) -> dict[str, Any]:
    scheme = segmentation.scheme
    return {"name": scheme.name, "numbers": {str(key): value for key, value in scheme.numbers.items()}}


def _run(folder: Path, timeout_s: float) -> None:
    """Run the drawing process on a request folder."""
    root = str(Path(__file__).resolve().parents[2])
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (root, environment.get("PYTHONPATH")) if part)
    # Set by Slicer's launcher; another build of ITK crashes on Slicer's plugins.
    environment.pop("ITK_AUTOLOAD_PATH", None)
    command = [sys.executable, "-m", "SparseCardiacSegLib.mrml.render_process", str(folder)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(f"drawing took more than {timeout_s:.0f} s and was stopped") from None
    except OSError as error:
        raise RenderError(f"the drawing process could not be started: {error}") from error
    if done.returncode == 0:
        return
    told = folder / "error.txt"
    if told.is_file():
        raise RenderError(told.read_text())
    # VTK's log lines come coloured, with time, thread and source file before the last "|".
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    lines = [line.rpartition("| ")[2].strip() for line in plain.splitlines() if line.strip()]
    ended = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
    last = f" (last output: {lines[-1][:200]})" if lines else ""
    raise RenderError(f"the drawing process {ended}: OpenGL does not work here; {REMEDY}{last}")
