"""Writing NIfTI-1 without nibabel, which Slicer's Python lacks: labels and images that did not come from NIfTI.

The header follows nifti1.h (Cox et al., NIfTI-1 data format, 2004): 348 bytes, four bytes of no extension, voxels.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import write_atomically
from ..stack import Stack
from .checks import writable_array

_CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
"""`datatype` by numpy's kind and size."""
_OFFSET = 352
_MM, _SECONDS = 2, 8
_SCANNER = 1
_LONGEST = 32767
"""`dim` is of 16 bits."""


def write_plain_nifti(stack: Stack, path: Path) -> None:
    """Write `stack` as .nii or, gzip-compressed with reproducible bytes, .nii.gz.

    sform and qform (code 1, scanner) place it as `write_nifti` does; sheared axes, which a qform cannot say, get an
    sform alone. The matrix is stored as float32.

    Raises:
        InputError: an axis is too long for NIfTI-1, or the disk refused.
    """
    array = writable_array(stack.array)
    if max(array.shape) > _LONGEST:
        raise InputError(f"cannot write {path}: an axis of {max(array.shape)} voxels is too long for NIfTI-1")
    content = _header(stack, array) + array.astype(array.dtype.newbyteorder("<")).tobytes()
    with write_atomically(path) as temporary:
        temporary.write_bytes(gzip.compress(content, 4, mtime=0) if path.name.lower().endswith(".gz") else content)


def _header(stack: Stack, array: np.ndarray) -> bytes:
    """The 352 bytes before the voxels."""
    dtype = array.dtype
    matrix = stack.ijk_to_ras
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    qform = _quaternion(matrix[:3, :3] / lengths)
    handed, b, c, d = qform if qform is not None else (1.0, 0.0, 0.0, 0.0)
    times = stack.frame_times
    interval = times[-1] / (stack.n_frames - 1) if times is not None and stack.n_frames > 1 else 1.0
    sizes = [*array.shape[::-1], *([1] * (7 - array.ndim))]
    spacing = lengths if stack.spacing_known else np.zeros(3)
    pixdim = [handed, *spacing, interval if stack.is_cine else 1.0, 1.0, 1.0, 1.0]
    units = _MM | (_SECONDS if stack.is_cine and times is not None else 0)
    header = struct.pack("<i 10s 18s i h c B", 348, b"", b"", 0, 0, b"r", 0)
    header += struct.pack("<8h", array.ndim, *sizes)
    header += struct.pack("<3f 4h", 0, 0, 0, 0, _CODES[f"{dtype.kind}{dtype.itemsize}"], 8 * dtype.itemsize, 0)
    header += struct.pack("<8f", *pixdim)
    # scl_slope is NaN in nibabel's headers and 0 in FSL's: both say that values are as stored.
    header += struct.pack("<3f h 2B 4f 2i", _OFFSET, 0, 0, 0, 0, units, 0, 0, 0, 0, 0, 0)
    header += struct.pack("<80s 24s 2h", b"", b"", 0 if qform is None else _SCANNER, _SCANNER)
    header += struct.pack("<6f", b, c, d, *matrix[:3, 3])
    header += struct.pack("<12f", *matrix[:3].ravel())
    return header + struct.pack("<16s 4s 4x", b"", b"n+1\0")


def _quaternion(axes: np.ndarray) -> tuple[float, float, float, float] | None:
    """(qfac, b, c, d) of directions (3 x 3, unit columns); None where they are not perpendicular."""
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-5:
        return None
    handed = 1.0 if np.linalg.det(axes) > 0 else -1.0
    rotation = axes * [1.0, 1.0, handed]
    # The eigenvector to the largest eigenvalue is the nearest rotation (Bar-Itzhack 2000), also near half turns.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    _values, vectors = np.linalg.eigh(symmetric / 3, UPLO="L")
    b, c, d, a = vectors[:, -1]
    sign = -1.0 if a < 0 else 1.0
    return handed, float(b * sign), float(c * sign), float(d * sign)
