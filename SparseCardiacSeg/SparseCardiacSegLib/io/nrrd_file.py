"""The NRRD file format: header lines and voxels, without a meaning given to the axes.

Format: http://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import write_atomically
from .checks import file_bytes

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_WRITTEN_TYPE = {
    "i1": "int8", "u1": "unsigned char", "i2": "short", "u2": "unsigned short", "i4": "int", "u4": "unsigned int",
    "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_MAGIC = b"NRRD000"
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = 65536
_LONGEST_HEADER = 16 * 2**20


@dataclass(frozen=True)
class NrrdFile:
    """The content of a NRRD file.

    Attributes:
        fields: the header's `field: value` lines, names in lower case.
        pairs: the header's `key:=value` lines, unescaped.
        array: voxels in native byte order; the axes are those of the header reversed (fastest last).
    """

    fields: Mapping[str, str]
    pairs: Mapping[str, str]
    array: np.ndarray


def read_nrrd_file(path: Path) -> NrrdFile:
    """Read header and all voxels of a NRRD file (.nrrd, or .nhdr with one data file beside it).

    Raises:
        InputError: it is no NRRD file, uses a feature that images do not have, or is truncated.
    """
    content = file_bytes(path)
    if not content.startswith(_MAGIC):
        raise InputError(f"{path} is not a NRRD file")
    end = _HEADER_END.search(content)
    fields, pairs = _parse_header(content[: end.start()] if end else content)
    data = content[end.end() :] if end else b""
    if (detached := fields.get("data file", fields.get("datafile"))) is not None:
        if detached.upper().startswith("LIST") or "%" in detached:
            raise InputError(f"{path} spreads its voxels over several files, which is not supported; save it as one")
        data = file_bytes(path.parent / detached)
    elif not end:
        raise InputError(f"{path} is truncated: its header has no end")
    return NrrdFile(fields, pairs, _decode(path, fields, data))


def read_header_pairs(path: Path) -> Mapping[str, str]:
    """The `key:=value` lines alone, without reading the voxels; empty if it is no NRRD file."""
    try:
        with path.open("rb") as file:
            content = file.read(_CHUNK)
            while not _HEADER_END.search(content) and (more := file.read(_CHUNK)) and len(content) < _LONGEST_HEADER:
                content += more
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    end = _HEADER_END.search(content)
    return _parse_header(content[: end.start()])[1] if end and content.startswith(_MAGIC) else {}


def write_nrrd_file(
    path: Path,
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    fields: list[str],
    pairs: Mapping[str, str],
    list_axis: int | None,
) -> None:
    """Write voxels, geometry and header lines as a gzip-compressed NRRD file.

    Args:
        path: the file; written whole or not at all.
        array: voxels, header axes reversed (fastest last).
        ijk_to_ras: 4 x 4 matrix of the three spatial axes.
        fields: further `field: value` lines (kinds, labels, units).
        pairs: `key:=value` lines.
        list_axis: header axis (fastest = 0) that is not spatial.
    """
    lps = _RAS_TO_LPS[:, None] * ijk_to_ras[:3]
    directions = [_bracketed(lps[:, axis]) for axis in range(3)]
    if list_axis is not None:
        directions.insert(list_axis, "none")
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        f"type: {_WRITTEN_TYPE[array.dtype.str[1:]]}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(size) for size in reversed(array.shape))}",
        f"space directions: {' '.join(directions)}",
        *fields,
        "endian: little",
        "encoding: gzip",
        f"space origin: {_bracketed(lps[:, 3])}",
    ]
    for key, value in pairs.items():
        escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"{key}:={escaped}")
    voxels = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join([*lines, "", ""]).encode())
        file.write(gzip.compress(voxels.tobytes(), 6, mtime=0))


def _parse_header(header: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Split a header into its fields (names in lower case) and its key-value pairs (unescaped)."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in header.decode("utf-8", errors="replace").splitlines()[1:]:
        key, separator, value = line.partition(":")
        if not separator or line.startswith("#"):
            continue
        if value.startswith("="):
            pairs[key] = re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", value[1:])
        else:
            fields[key.strip().lower()] = value.strip()
    return fields, pairs


def _decode(path: Path, fields: Mapping[str, str], data: bytes) -> np.ndarray:
    """The voxels of a NRRD file as a writable array in native byte order, axes reversed."""
    try:
        sizes = tuple(int(size) for size in fields["sizes"].split())
        dtype = np.dtype(_DTYPES[fields["type"].lower()])
        encoding = fields["encoding"].lower()
        line_skip = int(fields.get("line skip", fields.get("lineskip", "0")))
        byte_skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    except (KeyError, ValueError):
        raise InputError(f"{path} has a damaged header: its type, sizes or encoding cannot be read") from None
    if not sizes or min(sizes) < 1:
        raise InputError(f"{path} holds no voxels (sizes {fields['sizes']})")
    if fields.get("endian", "little").lower() == "big":
        dtype = dtype.newbyteorder(">")
    count = int(np.prod(sizes, dtype=object))
    for _ in range(line_skip):
        data = data.partition(b"\n")[2]
    try:
        if encoding in ("gzip", "gz"):
            data = gzip.decompress(data)
        elif encoding in ("bzip2", "bz2"):
            data = bz2.decompress(data)
        elif encoding in ("text", "txt", "ascii"):
            data = np.array(data.split(), dtype).tobytes()
        elif encoding != "raw":
            raise InputError(f"{path} is encoded as '{encoding}'; raw, gzip, bzip2 and text are supported")
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path} is truncated or damaged: its voxels cannot be decompressed") from error
    data = data[-count * dtype.itemsize :] if byte_skip == -1 else data[byte_skip:]
    if len(data) < count * dtype.itemsize:
        raise InputError(f"{path} is truncated: it holds {len(data)} of {count * dtype.itemsize} bytes of voxels")
    array = np.frombuffer(data, dtype, count).reshape(sizes[::-1])
    return array.astype(dtype.newbyteorder("="))


def _bracketed(vector: np.ndarray) -> str:
    """A vector as NRRD writes it, with the shortest digits that give the same float64."""
    return "(" + ",".join(repr(float(value)) for value in vector) + ")"
