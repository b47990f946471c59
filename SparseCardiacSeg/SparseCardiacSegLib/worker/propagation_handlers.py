"""The worker's commands for a cine: carry labels to all frames, find end diastole and end systole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..stack import Stack

Reply = tuple[Mapping[str, Any], Arrays]


def propagation_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"propagate": propagate, "find-phases": find_phases}


def propagate(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Carry the labels of annotated frames to every frame of a cine.

    Args:
        params: "frames", the annotated frames; "numbers", {structure: label}; "spacing", (z, y, x) in mm; and, each
            with the default of `propagation.carry.PropagationSettings`: "engine", "strategy", "dimension",
            "through_plane".
        arrays: "image", numbers [frame, slice, row, col], through-plane axis first; "labels", uint8
            [n, slice, row, col], one for each of "frames".
        context: progress, told before each frame.

    Returns:
        Values "engine", "folding" (by frame), "sources" (by frame, the annotated frames used), "warnings" and
        "seconds"; array "labels", uint8 [frame, slice, row, col].

    Raises:
        InputError: a parameter is missing or wrong, labels do not fit the image, or the engine is not available.
    """
    from ..anatomy import LabelScheme, Structure
    from ..propagation.carry import PropagationSettings
    from ..propagation.carry import propagate as carry
    from ..segmentation import Segmentation

    cine = _cine("propagate", params, arrays)
    labels = arrays.get("labels")
    frames = params.get("frames")
    if labels is None or not isinstance(frames, list) or labels.ndim != 4 or len(frames) != len(labels):
        raise InputError("'propagate' needs an array 'labels' [n, slice, row, col] and a list 'frames' of n frames")
    if len(set(frames)) != len(frames):
        raise InputError(f"each annotated frame can be given once, not {frames}")
    numbers = params.get("numbers")
    known = {str(structure) for structure in Structure}
    if not isinstance(numbers, Mapping) or not numbers or not set(numbers) <= known:
        raise InputError(f"'propagate' needs 'numbers' {{structure: label}} with structures out of {', '.join(known)}")
    scheme = LabelScheme("given", {Structure(name): int(number) for name, number in numbers.items()})
    keys = ("engine", "strategy", "dimension", "through_plane")
    settings = PropagationSettings(**{key: params[key] for key in keys if params.get(key) is not None})
    given = {}
    for frame, one in zip(frames, labels, strict=True):
        if one.shape != cine.shape:
            raise InputError(f"labels of shape {one.shape} do not fit frames of shape {cine.shape}")
        given[int(frame)] = Segmentation(cine.with_array(np.ascontiguousarray(one, np.uint8)), scheme)
    started = time.monotonic()
    result = carry(cine, given, settings, context.progress)
    values = {
        "engine": result.engine,
        "folding": list(result.folding),
        "sources": [list(used) for used in result.sources],
        "warnings": list(result.warnings),
        "seconds": time.monotonic() - started,
    }
    return values, {"labels": np.ascontiguousarray(result.segmentation.labels.array, np.uint8)}


def find_phases(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Find the frames of end diastole and end systole in images without labels.

    Args:
        params: "spacing", (z, y, x) in mm.
        arrays: "image", numbers [frame, slice, row, col], through-plane axis first.
        context: progress, told before each frame.

    Returns:
        Values "ed", "es", "certain", "reason" and "curve" (by frame).

    Raises:
        InputError: no cine, or nothing moves in it.
    """
    from ..propagation.phases import find_phases as find

    found = find(_cine("find-phases", params, arrays), context.progress)
    values = {
        "ed": found.ed,
        "es": found.es,
        "certain": found.certain,
        "reason": found.reason,
        "curve": list(found.curve),
    }
    return values, {}


def _cine(command: str, params: Mapping[str, Any], arrays: Arrays) -> Stack:
    """The image on a grid of the spacing that was given, slices first."""
    from ..stack import Stack

    image = arrays.get("image")
    if image is None or image.ndim != 4:
        raise InputError(f"'{command}' needs an array 'image' [frame, slice, row, col]")
    spacing = params.get("spacing")
    steps = spacing if isinstance(spacing, list | tuple) else ()
    if len(steps) != 3 or not all(isinstance(n, int | float) and np.isfinite(n) and n > 0 for n in steps):
        raise InputError(f"the spacing must be three positive numbers in mm (z, y, x), not {spacing}")
    return Stack(image, np.diag([float(steps[2]), float(steps[1]), float(steps[0]), 1.0]))
