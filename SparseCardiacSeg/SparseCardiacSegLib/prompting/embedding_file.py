"""The file that holds one embedding: a fixed header, raw half-precision numbers, and a checksum over both.

A format of its own rather than a pickle or a torch file: reading one can run no code and allocates no more than the
file holds, and whatever is not exactly such a file is refused.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import numpy as np

from .backend import EMBEDDING_TYPE, Embedding

_MAGIC = b"SCSEMB01"
_HEADER = struct.Struct("<8s32s7I")
"""Magic, key, then shape of the features (3), original size (2) and input size (2)."""
_DIGEST_BYTES = hashlib.sha256().digest_size
_STORED = np.dtype(EMBEDDING_TYPE).newbyteorder("<")


class NotAnEmbedding(ValueError):
    """The file is damaged, cut short, or something else."""


def embedding_bytes(embedding: Embedding, key: str) -> bytes:
    """The file's content.

    Args:
        embedding: features in half precision.
        key: SHA-256 as hexadecimal digits; a file under another name than its own is refused on reading.
    """
    sizes = (*embedding.features.shape, *embedding.original_size, *embedding.input_size)
    content = _HEADER.pack(_MAGIC, bytes.fromhex(key), *sizes)
    content += np.ascontiguousarray(embedding.features, _STORED).tobytes()
    return content + hashlib.sha256(content).digest()


def read_embedding(path: Path, key: str) -> Embedding:
    """Read a file that `embedding_bytes` made for `key`; the features cannot be written to.

    Raises:
        NotAnEmbedding: it is anything else.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise NotAnEmbedding(f"{path} is cut short")
        magic, owner, *sizes = _HEADER.unpack(header)
        if magic != _MAGIC or owner.hex() != key:
            raise NotAnEmbedding(f"{path} is not the embedding of that name")
        shape, original_size, input_size = tuple(sizes[:3]), tuple(sizes[3:5]), tuple(sizes[5:])
        # Before reading on: a header can claim terabytes.
        payload = int(np.prod(shape, dtype=object)) * _STORED.itemsize
        if os.fstat(file.fileno()).st_size != _HEADER.size + payload + _DIGEST_BYTES:
            raise NotAnEmbedding(f"{path} has the wrong length")
        rest = file.read(payload + _DIGEST_BYTES)
    numbers, digest = rest[:payload], rest[payload:]
    if hashlib.sha256(header + numbers).digest() != digest:
        raise NotAnEmbedding(f"{path} is damaged")
    features = np.frombuffer(numbers, _STORED).reshape(shape).astype(EMBEDDING_TYPE, copy=False)
    return Embedding(features, original_size, input_size)
