"""What every reader checks and every writer prepares, whatever the format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..stack import through_plane_axis


def file_bytes(path: Path) -> bytes:
    """The whole content of a file.

    Raises:
        InputError: it is missing, a folder, unreadable or empty.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not content:
        raise InputError(f"{path} is empty (0 bytes)")
    return content


def default_through_plane(shape: tuple[int, ...], ijk_to_ras: np.ndarray) -> int:
    """The array axis along which slices are stacked: the single-voxel axis of a single slice, else the coarsest.

    A single slice has no distance to the next one, so its third spacing may well be smaller than the pixels.

    Args:
        shape: spatial shape (slice, row, col).
        ijk_to_ras: 4 x 4 matrix.
    """
    single = [axis for axis, size in enumerate(shape) if size == 1]
    if len(single) == 1:
        return single[0]
    lengths = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    return through_plane_axis((float(lengths[2]), float(lengths[1]), float(lengths[0])))


def spacing_unknown_matrix(matrix: np.ndarray) -> np.ndarray:
    """A copy of `matrix` whose missing axes (zero or not a number) are replaced by 1 mm unit axes."""
    fixed = np.array(matrix, np.float64)
    if not np.isfinite(fixed[:3]).all() or (np.linalg.norm(fixed[:3, :3], axis=0) == 0).any():
        origin = np.where(np.isfinite(fixed[:3, 3]), fixed[:3, 3], 0.0)
        fixed = np.eye(4)
        fixed[:3, 3] = origin
    return fixed


def check_voxels(array: np.ndarray, source: str) -> None:
    """Raise InputError unless every voxel is one real, finite number."""
    if array.dtype.fields is not None or array.dtype.kind not in "biuf":
        kind = "complex numbers" if array.dtype.kind == "c" else "several values per voxel (colour or vectors)"
        raise InputError(f"{source} holds {kind}; an image of single real values is needed")
    if array.dtype.kind == "f":
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise InputError(f"{source} holds {bad} voxels that are not numbers (NaN or infinite)")


def as_labels(array: np.ndarray, source: str) -> np.ndarray:
    """`array` as uint8 label numbers.

    Raises:
        InputError: a value is no whole number from 0 to 255.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and np.any(array != np.rint(array)):
        example = float(array[array != np.rint(array)][0])
        raise InputError(f"{source} holds {example:g}, which is no label: labels are whole numbers (is it an image?)")
    low, high = array.min(), array.max()
    if low < 0:
        raise InputError(f"{source} holds the negative label {low:g}; labels are whole numbers from 0 to 255")
    if high > 255:
        raise InputError(f"{source} holds label {high:g}; labels are whole numbers from 0 to 255 (is it an image?)")
    return array.astype(np.uint8)


def writable_array(array: np.ndarray) -> np.ndarray:
    """`array` in C order, in native byte order and in a type that every image format has."""
    if array.dtype == bool:
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(f"voxels of type {array.dtype} cannot be written to an image file")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def regular_frame_times(interval: float, unit: str, n_frames: int) -> tuple[float, ...] | None:
    """Times of evenly spaced frames in seconds, or None where the header's interval cannot be one of a cine.

    Cine frames lie 5 to 200 ms apart. Files that state seconds but hold milliseconds are common (ITK writes seconds
    whatever the number), and 1 is what is written when nobody knew: an interval is believed as milliseconds where it is
    possible only so, and not at all where it fits neither.

    Args:
        interval: distance of two frames as the header gives it.
        unit: "s", "ms", "us" or "" (unknown).
        n_frames: number of frames.
    """
    stated = {"s": 1.0, "ms": 1e-3, "us": 1e-6}.get(unit, 1.0)
    for scale in dict.fromkeys((stated, 1e-3)):
        if 0.005 <= interval * scale <= 0.2:
            return tuple(frame * (interval * scale) for frame in range(n_frames))
    return None
