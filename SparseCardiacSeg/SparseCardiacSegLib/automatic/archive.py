"""Unpacking a .zip that may be damaged or hostile."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import InputError

MAX_ENTRIES = 2000
MAX_BYTES = 8 * 1024**3
MAX_RATIO = 200
"""Weights do not compress; JSON does, about tenfold. A zip bomb reaches a thousandfold and more."""

_FREE_BYTES = 16 * 1024**2
_BLOCK = 1024**2
_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError, struct.error)
"""What Python's zipfile raises for a damaged archive."""


def unpack(path: Path, destination: Path) -> None:
    """Unpack `path` into the new folder `destination`.

    Nothing is written before every entry's name, kind and size has been checked, and unpacking stops when an entry
    yields more than it declared.

    Raises:
        InputError: no zip file, damaged, encrypted, or an entry leads outside, is a link or is far too large.
    """
    entries = list_entries(path)
    check_entries(entries, path)
    destination.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        for entry in entries:
            target = destination.joinpath(*PurePosixPath(entry.filename).parts)
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(archive, entry, target, path)


def check_start(path: Path, otherwise: str) -> None:
    """Raise InputError unless the file begins as a zip file does.

    Args:
        path: the file.
        otherwise: what it is called if it does not, such as `no checkpoint`.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start:
        raise InputError(f"{path} is empty")
    if start.lstrip().lower().startswith(_WEB_PAGE):
        raise InputError(f"{path} is a web page: what was downloaded is an error or login page, not the file")
    if not start.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is {otherwise}")


def list_entries(path: Path) -> list[zipfile.ZipInfo]:
    """The entries of a zip file.

    Raises:
        InputError: the file cannot be read, or is damaged or no zip file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged or cut short, or no zip archive") from error


def check_entries(entries: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse the archive if any entry is not a plain file or folder of a plausible size inside it."""
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"{path} holds {len(entries)} entries; a model has a few. It was refused")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or any(char in name for char in '\\:\0*?"<>|'):
            raise InputError(f"{path} holds an entry that leads outside its folder ({name!r:.60}); it was refused")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{path} holds a link or device ({name!r:.60}); it was refused")
        if entry.flag_bits & 0x1:
            raise InputError(f"{path} is encrypted; unpack it first and import the folder")
        key = name.rstrip("/").casefold()
        if key in seen:
            raise InputError(f"{path} holds {name!r:.60} twice; it was refused")
        seen.add(key)
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if size > MAX_BYTES or size > packed * MAX_RATIO + _FREE_BYTES:
        raise InputError(f"{path} would unpack to {size / 1e6:.0f} MB from {packed / 1e6:.1f} MB; it was refused")


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, path: Path) -> None:
    """Copy one entry, at most as many bytes as it declared."""
    written = 0
    too_long = False
    try:
        with archive.open(entry) as source, target.open("xb") as stream:
            while not too_long and (block := source.read(_BLOCK)):
                written += len(block)
                too_long = written > entry.file_size
                stream.write(block)
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged at {entry.filename!r:.60}") from error
    if too_long:
        raise InputError(f"{path} holds more than it declares ({entry.filename!r:.60}); it was refused")
