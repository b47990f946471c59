"""Weights that an ONNX file leaves in the checkpoint beside it, read as data.

`network.onnx` of a model folder may name the checkpoint as the place of its weights (ONNX's own "external data":
location, offset and length of every initializer), so that both hold them once. ONNX Runtime is not trusted to follow
such references; they are read here, without the `onnx` package, and only into a checkpoint of the same model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError

_TYPES: Mapping[int, np.dtype] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}
"""`TensorProto.DataType` of the weights that may lie outside."""

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _TYPE, _NAME, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 8, 13, 14
_EXTERNAL = 1
"""Field numbers of onnx.proto: ModelProto.graph, GraphProto.initializer, and those of TensorProto."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""


@dataclass(frozen=True)
class _External:
    name: str
    kind: np.dtype
    shape: tuple[int, ...]
    place: Mapping[str, str]


def external_weights(network: Path, checkpoints: Sequence[Path], most_bytes: int = 1024**3) -> dict[str, np.ndarray]:
    """The initializers that `network` leaves in one of `checkpoints`, by name, in the type that it declares.

    Args:
        network: an ONNX file; one that holds its weights itself gives an empty dictionary.
        checkpoints: the model's, in folders at or below that of `network`.
        most_bytes: a larger network is refused.

    Raises:
        InputError: a file cannot be read, is too large or damaged, names another file, or the checkpoint is not the
            one that the network was exported with.
    """
    try:
        if network.stat().st_size > most_bytes:
            raise InputError(f"{network} is larger than {most_bytes // 1024**2} MB; it was refused")
        entries = list(_external_entries(network.read_bytes()))
    except OSError as error:
        raise InputError(f"{network} cannot be read: {error.strerror or error}") from error
    except InputError:
        raise
    except (IndexError, ValueError, KeyError) as error:
        raise InputError(f"{network} is damaged or no usable network ({type(error).__name__})") from error
    by_location = {file.relative_to(network.parent).as_posix(): file for file in checkpoints}
    contents: dict[str, bytes] = {}
    weights = {}
    for entry in entries:
        location = entry.place.get("location", "")
        if location not in by_location:
            raise InputError(f"{network} looks for weights in '{location:.60}', which is no checkpoint of this model")
        if location not in contents:
            contents[location] = _checked(by_location[location], entry.place.get("checksum", ""), network)
        weights[entry.name] = _values(entry, contents[location], network)
    return weights


def _checked(checkpoint: Path, checksum: str, network: Path) -> bytes:
    """The checkpoint's bytes, if they are those that the network was exported with."""
    try:
        content = checkpoint.read_bytes()
    except OSError as error:
        raise InputError(f"{checkpoint} cannot be read: {error.strerror or error}") from error
    if hashlib.sha1(content, usedforsecurity=False).hexdigest() != checksum:
        raise InputError(
            f"{checkpoint} is not the checkpoint that {network.name} was exported with; export the model again, "
            "or use the torch backend"
        )
    return content


def _values(entry: _External, content: bytes, network: Path) -> np.ndarray:
    try:
        offset, length = int(entry.place["offset"]), int(entry.place["length"])
    except (KeyError, ValueError):
        offset = length = -1
    if offset < 0 or length != math.prod(entry.shape) * entry.kind.itemsize or offset + length > len(content):
        raise InputError(f"{network} is damaged: weight '{entry.name:.80}' does not lie where it says")
    values = np.frombuffer(content, entry.kind, math.prod(entry.shape), offset).reshape(entry.shape)
    if not np.isfinite(values).all():
        raise InputError(f"{network} is unusable: weight '{entry.name:.80}' holds NaN or infinite values")
    return values


def _external_entries(model: bytes) -> Iterator[_External]:
    """Every initializer of a serialized ModelProto whose values lie in another file."""
    for field, graph in _fields(memoryview(model)):
        if field != _GRAPH or isinstance(graph, int):
            continue
        for part, tensor in _fields(graph):
            if part == _INITIALIZER and not isinstance(tensor, int):
                fields = list(_fields(tensor))
                if (_DATA_LOCATION, _EXTERNAL) in fields:
                    yield _external_entry(fields)


def _external_entry(fields: list[tuple[int, int | memoryview]]) -> _External:
    name, kind, dims, place = "", 0, [], {}
    for number, value in fields:
        if number == _DIMS:  # packed, or one at a time
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and not isinstance(value, int):
            name = bytes(value).decode()
        elif number == _EXTERNAL_DATA and not isinstance(value, int):
            pair = {key: bytes(text).decode() for key, text in _fields(value) if not isinstance(text, int)}
            place[pair[1]] = pair[2]
    return _External(name, _TYPES[kind], tuple(dims), place)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a serialized message; nested messages and strings as views of their bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(message):
            raise ValueError("cut short")
        yield key >> 3, message[at : at + size]
        at += size


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 70 bits")
