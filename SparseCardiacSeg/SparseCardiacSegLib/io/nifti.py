"""NIfTI files through nibabel, keeping the original header so that labels lie exactly on their image.

The matrix of a NIfTI-1 file is stored as float32: a grid that comes from another format is rounded (relative 6e-8,
below 1e-4 mm at the corners of a cardiac stack); one that came from NIfTI is written back bit by bit.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, ImageDataError
from nibabel.wrapstruct import WrapStructError

from ..errors import InputError
from ..files import write_atomically
from ..stack import Stack
from .checks import default_through_plane, file_bytes, regular_frame_times, writable_array

HEADER = "nifti_header"
"""Key of `Stack.meta` under which the header of the file is kept."""

_TIME_UNITS = {8: "s", 16: "ms", 24: "us"}
_TO_MM = {1: 1000.0, 3: 1e-3}
_GZIP_MAGIC = b"\x1f\x8b"
_NIFTI2_SIZES = (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")  # sizeof_hdr 540 in either byte order
# Fields that place voxels in space and time; everything else of an image's header (display range, intent, slopes)
# describes its values and would be wrong for labels.
_GEOMETRY_FIELDS = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim_info", "toffset",
)  # fmt: skip


def read_nifti(path: Path) -> Stack:
    """Read a stack or a cine from .nii or .nii.gz (told apart by content, not by name).

    Integer voxels without scaling keep their type; scaled ones become float32 (float64 where stored as float64).

    Raises:
        InputError: it is no NIfTI image, it is truncated or damaged, or it holds vectors.
    """
    content = file_bytes(path)
    if content.startswith(_GZIP_MAGIC):
        try:
            content = gzip.decompress(content)  # the whole file, so that the checksum at its end is checked
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: it cannot be decompressed") from error
    image_class = nibabel.Nifti2Image if content[:4] in _NIFTI2_SIZES else nibabel.Nifti1Image
    try:
        image = image_class.from_bytes(content)
        header_class = image_class.header_class
        # unchecked: nibabel mends a header that it checks, and a spacing of 0 would become 1 unseen
        header = header_class(content[: header_class.template_dtype.itemsize], check=False).as_byteswapped("<")
        dtype = header.get_data_dtype()
        needed = int(np.prod(image.shape, dtype=object)) * dtype.itemsize
        held = len(content) - int(image.dataobj.offset)
        if held < needed:
            raise InputError(f"{path} is truncated: it holds {max(held, 0)} of {needed} bytes of voxels")
        if dtype.fields is not None or (len(image.shape) > 4 and set(image.shape[4:]) != {1}):
            raise InputError(f"{path} holds several values per voxel (colour or vectors); a grey image is needed")
        if dtype.kind == "c":
            raise InputError(f"{path} holds complex numbers; an image of real values is needed")
        array = np.asanyarray(image.dataobj)
    except InputError:
        raise
    except (HeaderDataError, ImageDataError, ImageFileError, WrapStructError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a NIfTI file, or its header is damaged") from error
    if array.ndim > 4:
        array = array.reshape(array.shape[:4])
    if array.ndim not in (3, 4):
        raise InputError(f"{path} has {array.ndim} dimensions; 3 (a stack) or 4 (a cine) are needed")
    if array.dtype.kind == "f" and (dtype.kind in "iu" or array.dtype.itemsize > 8):
        array = array.astype(np.float32 if dtype.kind in "iu" else np.float64)
    array = writable_array(array.T)
    matrix, known = _matrix(header, str(path))
    return Stack(
        array,
        matrix,
        through_plane=default_through_plane(array.shape[-3:], matrix),
        frame_times=_frame_times(header, array.shape[0]) if array.ndim == 4 else None,
        spacing_known=known,
        source=str(path),
        meta={HEADER: header},
    )


def write_nifti(stack: Stack, path: Path) -> None:
    """Write `stack` as .nii or, gzip-compressed with reproducible bytes, .nii.gz.

    A stack that came from NIfTI and still has that grid gets the geometry fields of its file bit by bit. Any other
    gets sform and qform (code 1, scanner), or sform alone where the axes are sheared, which a qform cannot say.
    """
    array = writable_array(stack.array).T
    kept = stack.meta.get(HEADER)
    image_class = nibabel.Nifti2Image if isinstance(kept, nibabel.Nifti2Header) else nibabel.Nifti1Image
    image = image_class(array, None, dtype=array.dtype)
    header = image.header
    same_times = False
    if kept is not None and np.array_equal(_matrix(kept, stack.source)[0], stack.ijk_to_ras):
        for name in _GEOMETRY_FIELDS:
            header[name] = kept[name]
        same_times = kept["dim"][0] >= 4 and _frame_times(kept, stack.n_frames) == stack.frame_times
    else:
        header["pixdim"][1:4] = np.linalg.norm(stack.ijk_to_ras[:3, :3], axis=0) if stack.spacing_known else 0.0
        header["xyzt_units"] = 2
        header.set_sform(stack.ijk_to_ras, code=1)
        if _is_orthogonal(stack.ijk_to_ras):
            header.set_qform(stack.ijk_to_ras, code=1)
    if stack.is_cine and not same_times:
        spatial_unit = int(header["xyzt_units"]) & 7
        header["pixdim"][4] = 1.0  # not 0: ITK refuses a spacing of zero, also along time
        header["xyzt_units"] = spatial_unit
        if stack.frame_times is not None and stack.n_frames > 1:
            header["pixdim"][4] = stack.frame_times[-1] / (stack.n_frames - 1)
            header["xyzt_units"] = spatial_unit | 8
    content = image.to_bytes()
    with write_atomically(path) as temporary:
        temporary.write_bytes(gzip.compress(content, 4, mtime=0) if path.name.lower().endswith(".gz") else content)


def _matrix(header: nibabel.Nifti1Header, source: str) -> tuple[np.ndarray, bool]:
    """IJK-to-RAS matrix of a header in mm, and whether it told the spacing.

    sform before qform, as nibabel and the standard's advice; with neither, axis-aligned in LPS with origin 0 as ITK
    and so Slicer read it (nibabel would centre the volume and mirror x).
    """
    zooms = np.asarray(header["pixdim"][1:4], np.float64)
    known = bool(np.isfinite(zooms).all() and (zooms != 0).all())
    if header["sform_code"] > 0:
        matrix, known = np.array(header.get_sform(), np.float64), True
    else:
        header = header.copy()
        header["pixdim"][1:4] = np.abs(zooms) if known else 1.0
        header["pixdim"][0] = -1.0 if header["pixdim"][0] < 0 else 1.0  # 0 stands for 1, says the standard
        if header["qform_code"] > 0:
            try:
                matrix = np.array(header.get_qform(), np.float64)
            except (HeaderDataError, ValueError) as error:
                raise InputError(f"{source} has a damaged header: its quaternion is no rotation") from error
        else:
            matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) * np.append(np.asarray(header["pixdim"][1:4], np.float64), 1.0)
    matrix[:3] *= _TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return matrix + 0.0, known


def _frame_times(header: nibabel.Nifti1Header, n_frames: int) -> tuple[float, ...] | None:
    """Frame times in seconds as the header tells them, if it does."""
    unit = _TIME_UNITS.get(int(header["xyzt_units"]) & 56, "")
    return regular_frame_times(float(header["pixdim"][4]), unit, n_frames)


def _is_orthogonal(matrix: np.ndarray) -> bool:
    """Whether the axes are perpendicular within the rounding of float32."""
    unit = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() < 1e-5)
