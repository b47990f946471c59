"""NRRD files, with geometry kept to the last bit and Slicer's `list` axis for cines.

Read and written here rather than through ITK: ITK splits `space directions` into spacing and unit vectors, which costs
the last bits of the matrix (4e-16 to 4e-15 mm on an oblique grid), and takes the `list` axis of Slicer's sequences
(`.seq.nrrd`) and of layered segmentations for vector components.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..stack import Stack
from .checks import default_through_plane, regular_frame_times, spacing_unknown_matrix, writable_array
from .nrrd_file import NrrdFile, read_nrrd_file, write_nrrd_file

_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}
_LPS_TO_RAS = (-1.0, -1.0, 1.0)
_FRAME_KINDS = ("list", "time", "domain", "space", "none", "???", "")


def read_nrrd(path: Path) -> Stack:
    """Read a stack or a cine; the frame axis may be the first or the last (`list`, `time`, or a 4D grid's last)."""
    file = read_nrrd_file(path)
    frame_axis = find_list_axis(path, file)
    array = file.array
    if frame_axis is not None:
        array = writable_array(np.moveaxis(array, array.ndim - 1 - frame_axis, 0))
    matrix, known = spatial_matrix(path, file, frame_axis)
    return Stack(
        array,
        matrix,
        through_plane=default_through_plane(array.shape[-3:], matrix),
        frame_times=None if frame_axis is None else _frame_times(file, frame_axis, array.shape[0]),
        spacing_known=known,
        source=str(path),
    )


def find_list_axis(path: Path, file: NrrdFile) -> int | None:
    """The header axis (fastest = 0) that is not spatial, or None for a plain 3D grid.

    Raises:
        InputError: the axis holds vector components or colours, or there are not 3 spatial axes.
    """
    n_axes = file.array.ndim
    kinds = [kind.lower() for kind in file.fields.get("kinds", "").split()] or [""] * n_axes
    vector = [kind for kind in kinds if kind not in _FRAME_KINDS]
    if vector:
        raise InputError(f"{path} holds several values per voxel ({vector[0]}); an image of single values is needed")
    try:
        directions = _vectors(file.fields.get("space directions", ""))
    except ValueError:
        raise InputError(f"{path} has a damaged header: its space directions cannot be read") from None
    candidates = [axis for axis, kind in enumerate(kinds) if kind in ("list", "time")]
    candidates = candidates or [axis for axis, vector in enumerate(directions) if vector is None]
    if not candidates and n_axes == 4:
        candidates = [3]  # ITK writes a cine as a grid of 4 spatial dimensions, time last
    if n_axes - len(candidates) != 3 or len(candidates) > 1:
        raise InputError(f"{path} has {n_axes} dimensions; 3 (a stack) or 4 (a cine) are needed")
    return candidates[0] if candidates else None


def spatial_matrix(path: Path, file: NrrdFile, list_axis: int | None) -> tuple[np.ndarray, bool]:
    """IJK-to-RAS matrix of the three spatial axes, and whether the file told the spacing.

    A space that is neither RAS nor LAS (scanner-xyz, 3D-right-handed, none) is taken as LPS, as ITK does.
    """
    axes = [axis for axis in range(file.array.ndim) if axis != list_axis]
    space = file.fields.get("space", "").lower().removesuffix("-time").removesuffix("t")
    to_ras = np.array(_TO_RAS.get(space, _LPS_TO_RAS))
    matrix = np.eye(4)
    known = True
    try:
        if "space directions" in file.fields:
            directions = _vectors(file.fields["space directions"])
            matrix[:3, :3] = np.array([directions[axis][:3] for axis in axes], np.float64).T  # type: ignore[index]
        elif "spacings" in file.fields:
            spacings = np.array(file.fields["spacings"].split(), np.float64)[axes]
            known = bool(np.isfinite(spacings).all() and (spacings > 0).all())
            matrix[:3, :3] = np.diag(spacings) if known else np.eye(3)
        else:
            known = False
        origins = _vectors(file.fields.get("space origin", ""))
        if origins and origins[0] is not None:
            matrix[:3, 3] = origins[0][:3]
    except (ValueError, TypeError, IndexError):
        raise InputError(f"{path} has a damaged header: its space directions or origin cannot be read") from None
    if np.isnan(matrix).any():
        matrix, known = spacing_unknown_matrix(matrix), False
    matrix[:3] *= to_ras[:, None]
    return matrix + 0.0, known  # + 0.0 turns the -0.0 of a flipped axis into 0.0


def write_nrrd(stack: Stack, path: Path) -> None:
    """Write `stack` as NRRD, gzip-compressed; a cine gets Slicer's layout (last axis of kind `list`).

    Matrix and voxels read back bit-identical; so do frame times.
    """
    fields = ["kinds: domain domain domain"]
    pairs: dict[str, str] = {}
    if stack.is_cine:
        fields = ["kinds: domain domain domain list", 'labels: "" "" "" "time"', 'units: "" "" "" "s"']
        times = stack.frame_times or range(stack.n_frames)
        pairs = {"axis 3 index type": "numeric", "axis 3 index values": " ".join(repr(time) for time in times)}
        if stack.frame_times is None:
            fields[1:] = ['labels: "" "" "" "frame"']
    write_nrrd_file(path, stack.array, stack.ijk_to_ras, fields, pairs, list_axis=3 if stack.is_cine else None)


def _frame_times(file: NrrdFile, frame_axis: int, n_frames: int) -> tuple[float, ...] | None:
    """Times of the frames in seconds from the first, where a sequence's index is a time in s or ms."""
    values = file.pairs.get(f"axis {frame_axis} index values", "").split()
    if not values:
        directions = _vectors(file.fields.get("space directions", ""))
        step = directions[frame_axis] if len(directions) > frame_axis else None
        return regular_frame_times(step[3], "", n_frames) if step is not None and len(step) == 4 else None
    units = re.findall(r'"([^"]*)"', file.fields.get("units", ""))
    scale = {"s": 1.0, "ms": 1e-3}.get(units[frame_axis] if len(units) == 4 else "")
    if len(values) != n_frames or scale is None:
        return None
    try:
        times = [float(value) * scale for value in values]
    except ValueError:
        return None
    rising = all(after > before for before, after in itertools.pairwise(times))
    return tuple(time - times[0] for time in times) if rising and np.isfinite(times).all() else None


def _vectors(text: str) -> list[tuple[float, ...] | None]:
    """Parse `(a,b,c) none (d,e,f)`."""
    found = re.findall(r"\(([^)]*)\)|(none)", text, flags=re.IGNORECASE)
    return [None if none else tuple(float(value) for value in inside.split(",")) for inside, none in found]
