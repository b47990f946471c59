"""The worker's commands for the left ventricle's wall: thickness by segment, and the bullseye of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .export_request import read_grid, write_grid
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..segmentation import Segmentation

Reply = tuple[Mapping[str, Any], Arrays]

PHASES = ("ed", "es")


def wall_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"measure_walls": measure_walls, "draw_bullseye": draw_bullseye}


def walls_request(
    ed: Segmentation | None, es: Segmentation | None, insertion: Sequence[float] | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Parameters and arrays of a `measure_walls` request.

    Args:
        ed: labels at end diastole, one frame.
        es: labels at end systole, one frame.
        insertion: RAS mm of the anterior RV insertion set by hand; None to find it.
    """
    from .schemes import write_scheme

    given = {name: part for name, part in zip(PHASES, (ed, es), strict=True) if part is not None}
    params = {
        "phases": {
            name: {"grid": write_grid(part.labels), "scheme": write_scheme(part.scheme)} for name, part in given.items()
        },
        "insertion": None if insertion is None else [float(value) for value in insertion],
    }
    return params, {name: part.labels.array for name, part in given.items()}


def measure_walls(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Measure the thickness of the wall at ED and ES.

    Args:
        params, arrays: as `walls_request` writes them.
        context: progress.

    Returns:
        Values "walls" (`measures.wall_thickness.thickness_record`) and "warnings".

    Raises:
        InputError: the insertion set by hand is no point on the wall.
    """
    from ..measures.clinical_blocks import measured_walls
    from ..segmentation import Segmentation
    from .schemes import read_scheme

    context.progress(0.0, "measuring the wall")
    labels = {
        name: Segmentation(read_grid(given["grid"], arrays[name]), read_scheme(given["scheme"]))
        for name, given in params["phases"].items()
    }
    warnings: list[str] = []
    walls = measured_walls(labels.get("ed"), labels.get("es"), params["insertion"], warnings)
    return {"walls": walls, "warnings": warnings}, {}


def draw_bullseye(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:  # noqa: ARG001
    """Draw wall thickness or thickening as a bullseye.

    Args:
        params: "walls" as `measure_walls` gives them, "title", and "shown": "ed", "es" or "thickening".
        arrays: none.
        context: progress.

    Returns:
        Array "png": the bytes of a PNG, uint8.

    Raises:
        InputError: matplotlib is missing, or that was not measured.
    """
    importlib.invalidate_caches()  # it may have been installed since this process was started
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("the bullseye needs the Python package matplotlib, which is not installed")
    from ..figures import bullseye_of_record

    shown, walls = params["shown"], params["walls"]
    field = "thickening_pct" if shown == "thickening" else shown
    if field not in ("ed", "es", "thickening_pct") or walls[field] is None:
        raise InputError(f"there is no bullseye of '{shown}': it was not measured")
    context.progress(0.0, "drawing the bullseye")
    only = {**walls, **{name: None for name in ("ed", "es", "thickening_pct") if name != field}}
    png = bullseye_of_record(only, title=params["title"])
    return {}, {"png": np.frombuffer(png, np.uint8)}
