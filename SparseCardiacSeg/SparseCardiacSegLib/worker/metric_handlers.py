"""The worker's command for measuring a prediction against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..measures.frames import FrameComparison
    from ..segmentation import Segmentation
    from ..stack import Stack

Reply = tuple[Mapping[str, Any], Arrays]


def metric_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"compare_frames": compare_frames}


def comparison_request(
    pairs: Mapping[int, tuple[Segmentation, Segmentation]],
    case: str,
    regions_method: str,
    definition: str,
    base_first: bool | None,
    overrides: Mapping[int, str | None] | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Parameters and arrays of a `compare_frames` request; the arguments are those of `measures.frames.compare_frames`.

    Raises:
        InputError: no pair, or the pairs are not all on one grid.
    """
    from ..measures.comparison import check_comparable
    from .schemes import write_scheme

    if not pairs:
        raise InputError("there is no frame that both the prediction and the reference label")
    frames = sorted(pairs)
    for pair in pairs.values():
        check_comparable(*pair)
    prediction, reference = pairs[frames[0]]
    schemes = prediction.scheme, reference.scheme
    stacked = [
        np.stack([pairs[frame][side].in_scheme(schemes[side]).labels.array for frame in frames]) for side in (0, 1)
    ]
    params = {
        "frames": frames,
        "case": case,
        "regions_method": regions_method,
        "definition": definition,
        "base_first": base_first,
        "overrides": {str(index): region for index, region in (overrides or {}).items()},
        "ijk_to_ras": reference.labels.ijk_to_ras.tolist(),
        "through_plane": reference.labels.through_plane,
        "schemes": [write_scheme(scheme) for scheme in schemes],
        "names": [prediction.labels.source, reference.labels.source],
    }
    return params, {"prediction": stacked[0], "reference": stacked[1]}


def compare_frames(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Measure every frame that was sent.

    Args:
        params: as `comparison_request` writes them.
        arrays: "prediction" and "reference", uint8 [frame, slice, row, col].
        context: progress.

    Returns:
        Values "rows", "slice_rows" (lists of the fields' values, in order) and "warnings"; arrays "curve_<structure>".

    Raises:
        InputError: the labels cannot be compared.
    """
    from ..measures import frames as engine
    from ..segmentation import Segmentation
    from ..stack import Stack
    from .schemes import read_scheme

    def labels(name: str, side: int, number: int) -> Segmentation:
        grid: Stack = Stack(
            arrays[name][number],
            np.array(params["ijk_to_ras"]),
            int(params["through_plane"]),
            source=params["names"][side],
        )
        return Segmentation(grid, read_scheme(params["schemes"][side]))

    pairs = {
        int(frame): (labels("prediction", 0, number), labels("reference", 1, number))
        for number, frame in enumerate(params["frames"])
    }
    found = engine.compare_frames(
        pairs,
        params["case"],
        params["regions_method"],
        params["definition"],
        params["base_first"],
        context.progress,
        {int(index): region for index, region in params["overrides"].items()},
    )
    values = {
        "rows": [list(asdict(row).values()) for row in found.rows],
        "slice_rows": [list(asdict(row).values()) for row in found.slice_rows],
        "warnings": list(found.warnings),
    }
    return values, {f"curve_{structure}": curve for structure, curve in found.curves.items()}


def read_comparison(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FrameComparison:
    """What `compare_frames` replied, as `measures.frames` would have returned it."""
    from ..anatomy import Structure
    from ..measures.comparison import MetricRow, SliceRow
    from ..measures.frames import FrameComparison

    def rows(row_type: Any, lists: Sequence[Sequence[Any]]) -> list[Any]:
        return [row_type(*fields) for fields in lists]

    prefix = "curve_"
    curves = {
        Structure(name.removeprefix(prefix)): np.asarray(curve)
        for name, curve in arrays.items()
        if name.startswith(prefix)
    }
    return FrameComparison(
        rows(MetricRow, values["rows"]), rows(SliceRow, values["slice_rows"]), curves, tuple(values["warnings"])
    )
