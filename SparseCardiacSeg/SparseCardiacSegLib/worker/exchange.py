"""Arrays between the two processes: `.npy` files in a private folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files import disk_error

PREFIX = "sparsecardiacseg-worker-"
"""How an exchange folder's name begins; only a folder named so is ever removed."""

_FILE_NAME = re.compile(r"\d+-(in|out)-\d+\.npy")


class ArrayError(Exception):
    """An array file is missing, damaged, or holds something that is not a plain array."""


def make_folder(parent: Path | None = None) -> Path:
    """A new folder that only this user may enter (mode 0700).

    Args:
        parent: where to make it; None takes the system's folder for temporary files.

    Raises:
        InputError: the disk refused.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise disk_error(parent or tempfile.gettempdir(), error) from error


def write_arrays(folder: Path, request: int, side: str, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write the arrays of a request ("in") or of its reply ("out").

    Returns:
        File name of each array, by its name.

    Raises:
        InputError: the disk refused (full, say); what was written is removed.
        TypeError: an array holds Python objects; what was written is removed here too.
    """
    names: dict[str, str] = {}
    try:
        for index, (name, array) in enumerate(arrays.items()):
            array = np.asarray(array)
            if array.dtype.hasobject:
                raise TypeError(f"array '{name}' holds Python objects; only numbers can be passed")
            names[name] = f"{request}-{side}-{index}.npy"
            with (folder / names[name]).open("xb") as file:
                np.save(file, array, allow_pickle=False)
    except BaseException as error:
        remove_arrays(folder, request, side)
        if isinstance(error, OSError):
            raise disk_error(folder, error) from error
        raise
    return names


def read_arrays(folder: Path, files: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read arrays back, by name. Never unpickles: an array file cannot run code.

    Raises:
        ArrayError: a file lies elsewhere, is missing, damaged or holds Python objects; the text names the array.
        MemoryError: it is too large.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, file_name in files.items():
        if not _FILE_NAME.fullmatch(file_name):
            raise ArrayError(f"array '{name}' names a file outside the exchange folder")
        try:
            with (folder / file_name).open("rb") as file:
                _check_size(file)
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
        except MemoryError:
            raise
        # numpy meets damaged headers with many kinds of error, struct.error and SyntaxError among them.
        except Exception as error:
            raise ArrayError(f"array '{name}' cannot be read: {error or type(error).__name__}") from error
    return arrays


def _check_size(file: BinaryIO) -> None:
    """Refuse a header that promises more than the file holds, before memory is taken for it."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run code")
    start = file.tell()
    held = file.seek(0, 2) - start
    wanted = dtype.itemsize
    for length in shape:
        wanted *= length
    if held != wanted:
        raise ValueError(f"it holds {held} bytes where its header promises {wanted}")
    file.seek(0)


def remove_arrays(folder: Path, request: int, side: str = "*") -> None:
    """Remove the files of a request: its own ("in"), its reply's ("out") or both ("*")."""
    for path in folder.glob(f"{request}-{side}-*.npy"):
        path.unlink(missing_ok=True)
