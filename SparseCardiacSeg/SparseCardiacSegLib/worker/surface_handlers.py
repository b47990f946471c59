"""The worker's command for closed surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..anatomy import Structure
    from ..segmentation import Segmentation

Reply = tuple[Mapping[str, Any], Arrays]
Mesh = tuple[np.ndarray, np.ndarray]
"""Points (n, 3) float32 in RAS mm and triangles (m, 3) int32."""


def surface_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"make_surfaces": make_surfaces}


def surfaces_request(
    labels: Mapping[int, Segmentation], smoothing: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Parameters and arrays of a `make_surfaces` request.

    Args:
        labels: labels by frame, all on one grid and in one scheme.
        smoothing: passes of the filter, see `meshes.closed_surface`.
    """
    from .schemes import write_scheme

    frames = sorted(labels)
    first = labels[frames[0]]
    params = {
        "frames": frames,
        "smoothing": int(smoothing),
        "ijk_to_ras": first.labels.ijk_to_ras.tolist(),
        "through_plane": first.labels.through_plane,
        "labels_scheme": write_scheme(first.scheme),
    }
    stacked = np.stack([labels[frame].in_scheme(first.scheme).labels.array for frame in frames])
    return params, {"labels": stacked}


def make_surfaces(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Make the closed surfaces of every structure of every frame.

    Args:
        params: as `surfaces_request` writes them.
        arrays: "labels", uint8 [frame, slice, row, col].
        context: progress.

    Returns:
        No values; arrays "<frame>/<structure>/points" and ".../triangles" (`Mesh`). A frame without any label has none.
    """
    from ..anatomy import Structure
    from ..meshes import surface as engine
    from ..segmentation import Segmentation
    from ..stack import Stack
    from .schemes import read_scheme

    made: dict[str, np.ndarray] = {}
    scheme = read_scheme(params["labels_scheme"])
    tasks = []
    for number, frame in enumerate(params["frames"]):
        grid = Stack(arrays["labels"][number], np.array(params["ijk_to_ras"]), int(params["through_plane"]))
        labels = Segmentation(grid, scheme)
        tasks += [(frame, labels, one) for one in labels.structures if labels.mask(one).any()]
    for done, (frame, labels, structure) in enumerate(tasks):
        context.progress(done / len(tasks), "making surfaces")
        cavity = labels.mask(Structure.LV) if structure is Structure.MYO else None
        mesh = engine.closed_surface(
            labels.mask(structure),
            labels.labels,
            cavity=cavity if cavity is not None and cavity.any() else None,
            smoothing=int(params["smoothing"]),
        )
        points, triangles = engine.arrays_of(mesh)
        made[f"{frame}/{structure}/points"] = points
        made[f"{frame}/{structure}/triangles"] = triangles
    context.progress(1.0, "making surfaces")
    return {}, made


def read_surfaces(arrays: Mapping[str, np.ndarray]) -> dict[int, dict[Structure, Mesh]]:
    """What `make_surfaces` replied: meshes by frame and structure."""
    from ..anatomy import Structure

    found: dict[int, dict[Structure, Mesh]] = {}
    for name, points in arrays.items():
        frame, structure, part = name.split("/")
        if part == "points":
            found.setdefault(int(frame), {})[Structure(structure)] = (
                points,
                arrays[f"{frame}/{structure}/triangles"],
            )
    return found
