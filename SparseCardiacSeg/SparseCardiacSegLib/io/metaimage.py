"""MetaImage files (.mha, .mhd) through SimpleITK."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from ..errors import InputError
from ..files import write_atomically
from ..stack import Stack
from .checks import default_through_plane, file_bytes, regular_frame_times, writable_array

_HEADER_BYTES = 65536
_ULPS = 512


def read_metaimage(path: Path) -> Stack:
    """Read a stack or a cine (NDims = 4, time last).

    Raises:
        InputError: it is no MetaImage, it is truncated or damaged, or it holds vectors.
    """
    header = _header_fields(path)
    if "NDims" not in header or "DimSize" not in header:
        raise InputError(f"{path} is not a MetaImage file, or its header is damaged")
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(f"{path} holds several values per voxel (colour or vectors); a grey image is needed")
    if header["NDims"] not in ("3", "4"):
        raise InputError(f"{path} has {header['NDims']} dimensions; 3 (a stack) or 4 (a cine) are needed")
    if header.get("CompressedData", "").lower() == "true":
        _check_compressed(path, header)
    image = read_with_itk(path, "MetaImageIO")
    n_axes = image.GetDimension()
    spacing = np.array(image.GetSpacing())
    direction = np.array(image.GetDirection()).reshape(n_axes, n_axes)
    matrix = np.eye(4)
    matrix[:3, :3] = direction[:3, :3] * spacing[:3]
    matrix[:3, 3] = image.GetOrigin()[:3]
    matrix[:2] *= -1.0
    array = sitk.GetArrayFromImage(image)
    return Stack(
        array,
        matrix + 0.0,
        through_plane=default_through_plane(array.shape[-3:], matrix),
        frame_times=regular_frame_times(float(spacing[3]), "", array.shape[0]) if n_axes == 4 else None,
        spacing_known="ElementSpacing" in header or "ElementSize" in header,
        source=str(path),
    )


def write_metaimage(stack: Stack, path: Path) -> None:
    """Write `stack` as .mha, compressed; voxels and matrix read back bit-identical.

    Raises:
        InputError: ITK cannot write it (disk full, for one).
    """
    array = writable_array(stack.array)
    image = sitk.GetImageFromArray(array, isVector=False)
    n_axes = array.ndim
    spacing = np.ones(n_axes)
    direction = np.eye(n_axes)
    origin = np.zeros(n_axes)
    lps = np.array([-1.0, -1.0, 1.0])[:, None] * stack.ijk_to_ras[:3]
    for axis in range(3):
        spacing[axis], direction[:3, axis] = split_exactly(lps[:, axis])
    origin[:3] = lps[:, 3]
    if stack.frame_times is not None and stack.n_frames > 1:
        spacing[3] = stack.frame_times[-1] / (stack.n_frames - 1)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    with write_atomically(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise InputError(f"cannot write {path}: the disk is full or there is no permission") from error


def read_with_itk(path: Path, image_io: str = "") -> sitk.Image:
    """Read an image through SimpleITK without its warnings on the terminal.

    Raises:
        InputError: ITK cannot read the file.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    if image_io:
        reader.SetImageIO(image_io)
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read: it is truncated or damaged") from error
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def split_exactly(column: np.ndarray) -> tuple[float, np.ndarray]:
    """Split a matrix column into a length and a direction whose product rounds to exactly that column.

    The format stores both, so `column / norm * norm` may come back one bit off. Length and direction are free to move
    by a few units in the last place (1e-15 relative), and some such pair gives the exact product.

    Args:
        column: 3 numbers, mm.

    Returns:
        Length in mm and unit direction; the nearest pair where no exact one was found.
    """
    norm = float(np.linalg.norm(column))
    best: tuple[float, np.ndarray] = (norm, column / norm)
    for step in range(_ULPS):
        length = norm + (step + 1) // 2 * (1 if step % 2 else -1) * float(np.spacing(norm))
        direction = column / length
        for nudged in (direction, np.nextafter(direction, np.inf), np.nextafter(direction, -np.inf)):
            direction = np.where(direction * length == column, direction, nudged)
        if np.array_equal(direction * length, column):
            return length, direction
    return best


def _check_compressed(path: Path, header: dict[str, str]) -> None:
    """Raise InputError where the checksum of compressed voxels is wrong, which ITK does not look at."""
    where = header.get("ElementDataFile", "LOCAL")
    if where.upper() == "LOCAL":
        content = file_bytes(path)
        start = content.index(b"\n", content.index(b"ElementDataFile")) + 1
    else:
        content, start = file_bytes(path.parent / where), 0
    try:
        zlib.decompress(content[start:])
    except zlib.error as error:
        raise InputError(f"{path} is truncated or damaged: its voxels cannot be decompressed") from error


def _header_fields(path: Path) -> dict[str, str]:
    """The `Key = value` lines of a MetaImage header."""
    text = file_bytes(path)[:_HEADER_BYTES].decode("latin-1")
    fields = {}
    for match in re.finditer(r"^(\w+) *= *(.*?)\r?$", text, flags=re.MULTILINE):
        fields.setdefault(match[1], match[2].strip())
        if match[1] == "ElementDataFile":
            break
    return fields
