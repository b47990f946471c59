"""Embeddings kept on disk, so that a slice is encoded once in its life.

Many processes may share a folder. Nothing is locked: a file appears whole under its final name or not at all, the name
says what is in it, and a reader checks all of it. Whatever goes wrong costs one encoding, never a wrong mask.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import sys
import time
import uuid
from pathlib import Path

import numpy as np

from ..files import disk_error
from .backend import Embedding
from .embedding_file import NotAnEmbedding, embedding_bytes, read_embedding
from .slice_check import check_slice

FOLDER_VARIABLE = "SPARSECARDIACSEG_CACHE"
DEFAULT_MAX_BYTES = 2_000_000_000
"""About 1900 slices of the embedded model (1.05 MB each) or 950 of SAM (2.1 MB): six cines of 10 slices x 30 frames."""

PREPROCESSING_VERSION = 1
"""To be raised whenever the way from an 8-bit slice to the encoder's input changes: old files are then never found."""

_NAME = re.compile(r"[0-9a-f]{64}\.embedding")
_PARTIAL_NAME = re.compile(r"\.[0-9a-f]{32}\.partial")
_ABANDONED_SECONDS = 600.0
"""A file that is still partial after this long belongs to a process that died: writing one takes milliseconds."""

_SPARE = 0.1
"""Share of the limit that an eviction frees at least, so that the next few writes need none."""


def cache_folder() -> Path:
    """Where embeddings are kept: below `SPARSECARDIACSEG_CACHE`, else below the platform's folder for caches."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        base = Path(chosen).expanduser()
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "SparseCardiacSeg" / "cache"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "SparseCardiacSeg"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "SparseCardiacSeg"
    return base / "embeddings"


def embedding_key(image: np.ndarray, model_id: str) -> str:
    """What tells an embedding from all others, as 64 hexadecimal digits.

    Args:
        image: uint8 [row, col].
        model_id: of the encoder's weights.

    Raises:
        InputError: not a slice of 8-bit pixels.
    """
    check_slice(image)
    identity = model_id.encode()
    digest = hashlib.sha256(struct.pack("<4Q", PREPROCESSING_VERSION, *image.shape, len(identity)) + identity)
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


class EmbeddingCache:
    """A folder of embeddings of limited size; those read or written longest ago make room.

    Reading and writing never fail: a folder that cannot be written is not used for writing any more, and `problem`
    says so. The folder is listed at the first write and then only when what it held and was written since might pass
    the limit, not at every write.

    Args:
        folder: need not exist; `cache_folder()` if None. Made readable by the user alone, since a slice can be guessed
            from its embedding.
        max_bytes: limit of all files together, of all processes. Two processes may pass it by a few files for the
            moment between their writes and their next look.

    Attributes:
        problem: one sentence if the disk is not used for writing any more, else empty.
    """

    def __init__(self, folder: Path | str | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder()
        self.max_bytes = max_bytes
        self.problem = ""
        self._assumed_bytes: int | None = None

    def has(self, key: str) -> bool:
        """Whether there is a file for `key`; it may still turn out to be damaged."""
        return _is_file(self._path(key))

    def get(self, key: str) -> Embedding | None:
        """The embedding of `key`, marked as used now; None if there is none. A damaged file is removed."""
        path = self._path(key)
        if not _is_file(path):  # opening a pipe that lies there would wait for ever
            return None
        try:
            embedding = read_embedding(path, key)
        except NotAnEmbedding:
            _remove(path)
            return None
        except OSError:  # evicted by another process meanwhile, or not ours to read
            return None
        try:
            os.utime(path)
        except OSError:  # evicted meanwhile, or a read-only disk: then nothing is evicted either
            return embedding
        return embedding

    def put(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding, and evict others if the limit is passed."""
        content = embedding_bytes(embedding, key)
        if self.problem or len(content) > self.max_bytes:
            return
        path = self._path(key)
        try:
            try:
                self._write(path, content)
            except FileNotFoundError:  # no folder yet, or somebody clears it this very moment
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(path, content)
        except OSError as error:
            # Windows lets no one replace a file that another process reads, and then it is as good as this one.
            if not _is_file(path):
                self.problem = f"embeddings are not kept on disk: {disk_error(self.folder, error)}"
            return
        if self._assumed_bytes is None:
            self._tidy()
        else:
            # Twice: another process may be writing as much. What it really wrote shows at the next look.
            self._assumed_bytes += 2 * len(content)
            if self._assumed_bytes > self.max_bytes:
                self._tidy()

    def size(self) -> int:
        """Bytes of all embeddings in the folder."""
        return sum(size for _, size, _ in self._listed())

    def clear(self) -> int:
        """Remove all embeddings, and what a crash left; return how many bytes that freed. Other files stay."""
        freed = sum(size for path, size, _ in self._listed() if _remove(path))
        self._remove_partial(older_than=0.0)
        self._assumed_bytes = None
        return freed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.embedding"

    def _write(self, path: Path, content: bytes) -> None:
        """Write under a temporary name, then rename. Not flushed to the disk: the checksum tells what a crash left."""
        partial = path.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            partial.replace(path)
        except BaseException:
            _remove(partial)
            raise

    def _tidy(self) -> None:
        """Look what the folder holds, and evict the embeddings used longest ago if that is too much."""
        self._remove_partial(_ABANDONED_SECONDS)
        files = sorted(self._listed(), key=lambda file: file[2])
        total = sum(size for _, size, _ in files)
        if total > self.max_bytes:
            for path, size, _ in files[:-1]:  # the newest was just written, or another process needs it
                if total <= self.max_bytes * (1 - _SPARE):
                    break
                if _remove(path):
                    total -= size
        self._assumed_bytes = total

    def _listed(self) -> list[tuple[Path, int, float]]:
        """Path, size and time of last use of every embedding."""
        return _files(self.folder, _NAME)

    def _remove_partial(self, older_than: float) -> None:
        """Remove what processes that died in mid-write left."""
        now = time.time()
        for path, _, written in _files(self.folder, _PARTIAL_NAME):
            # A clock that was set back must not leave a file for ever.
            if abs(now - written) >= older_than:
                _remove(path)


def _files(folder: Path, name: re.Pattern[str]) -> list[tuple[Path, int, float]]:
    """Path, size and modification time of the files called so; none where the folder cannot be listed."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not name.fullmatch(entry.name):
                    continue
                try:
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        found.append((Path(entry.path), status.st_size, status.st_mtime))
                except FileNotFoundError:  # evicted by another process meanwhile
                    continue
    except OSError:
        return found
    return found


def _is_file(path: Path) -> bool:
    """Whether there is a file that may be looked at; a folder without permission counts as empty."""
    try:
        return path.is_file()
    except OSError:
        return False


def _remove(path: Path) -> bool:
    """Remove a file if it is there; whether it is gone (Windows keeps files that another process reads)."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
