"""The messages between client and worker: typed dataclasses, written as one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, BinaryIO

VERSION = 1
"""Raised with every change that an older client or worker would misread; both sides refuse another one."""

LINE_LIMIT = 8 * 2**20
"""Longest line in bytes. Arrays travel as files, so that a longer line can only be garbage."""

_SHOWN = 120
"""How much of an offending text is shown."""


class ProtocolError(Exception):
    """A line on the pipe is not a message of this version; `request` is the request it names, where it can be told."""

    def __init__(self, message: str, request: int | None = None) -> None:
        super().__init__(message)
        self.request = request


class NotAMessage(ProtocolError):
    """The line is no message at all, of whatever version."""


class ErrorKind(StrEnum):
    """What kind of failure ended a request."""

    INPUT = "input"
    """The user's input cannot be used; the message is the whole story."""
    MEMORY = "memory"
    """The memory of the machine or of the graphics card ran out."""
    INTERNAL = "internal"
    """A fault in the program; the detail holds the end of the traceback."""
    PROTOCOL = "protocol"
    """Client and worker did not understand each other."""


@dataclass(frozen=True)
class Hello:
    """Client to worker, first of all; `Ready` answers it. A launcher that keeps stdin to itself is found out by it."""


@dataclass(frozen=True)
class Request:
    """Client to worker: do `command`. `arrays` maps a name to a file in the exchange folder."""

    id: int
    command: str
    params: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CancelRequest:
    """Client to worker: stop request `id` at its next progress step, or do not begin it."""

    id: int


@dataclass(frozen=True)
class Ready:
    """Worker to client, the answer to `Hello`: it listens. `pid` is the interpreter's, behind any launcher."""

    pid: int
    commands: tuple[str, ...]


@dataclass(frozen=True)
class ProgressReport:
    """Worker to client: `fraction` (0 to 1) of request `id` is done."""

    id: int
    fraction: float
    message: str


@dataclass(frozen=True)
class Result:
    """Worker to client: request `id` is done. `arrays` maps a name to a file in the exchange folder."""

    id: int
    values: dict[str, Any]
    arrays: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Worker to client: request `id` failed (None: a line could not be read as a request)."""

    id: int | None
    kind: ErrorKind
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Stopped:
    """Worker to client: request `id` was cancelled."""

    id: int


Message = Hello | Request | CancelRequest | Ready | ProgressReport | Result | Failure | Stopped

_TYPES: Mapping[str, type[Message]] = {
    "hello": Hello,
    "request": Request,
    "cancel": CancelRequest,
    "ready": Ready,
    "progress": ProgressReport,
    "result": Result,
    "failure": Failure,
    "stopped": Stopped,
}
_NAMES = {message_type: name for name, message_type in _TYPES.items()}


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "int": _is_integer,
    "int | None": lambda value: value is None or _is_integer(value),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    "str": lambda value: isinstance(value, str),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "dict[str, Any]": lambda value: isinstance(value, dict),
    "dict[str, str]": _is_text_table,
    "ErrorKind": lambda value: value in list(ErrorKind),
}
"""What a field may hold, by its annotation (a text, because annotations are not evaluated here)."""


def encode(message: Message) -> bytes:
    """One line of JSON, newline included.

    Raises:
        TypeError: a value has no JSON form (numpy scalars and anything with `tolist` have one).
        ValueError: the line would be longer than `LINE_LIMIT`.
    """
    body = {"version": VERSION, "type": _NAMES[type(message)]}
    body.update((item.name, getattr(message, item.name)) for item in fields(message))
    line = json.dumps(body, default=_plain).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        raise ValueError(f"a {body['type']} of {len(line)} bytes is too long for a message; pass it as an array")
    return line


def decode(line: bytes) -> Message:
    """The message that `line` holds.

    Raises:
        NotAMessage: it is something else.
        ProtocolError: it is a message of another version, or a malformed one.
        Both texts say what is wrong and show the beginning of the line.
    """
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise NotAMessage(f"not a message: {shorten(line)}") from None
    if not isinstance(body, dict):
        raise NotAMessage(f"not a message: {shorten(line)}")
    request = body.get("id") if _is_integer(body.get("id")) else None
    if body.get("version") != VERSION:
        raise ProtocolError(
            f"a message of protocol version {ascii(body.get('version'))[:20]} instead of {VERSION}: the two sides "
            "come from different versions of SparseCardiacSeg",
            request,
        )
    kind = body.get("type")
    message_type = _TYPES.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise ProtocolError(f"a message of unknown type: {shorten(line)}", request)
    expected = {item.name: item for item in fields(message_type)}
    if set(body) - {"version", "type"} != set(expected):
        raise ProtocolError(f"a {kind} with wrong fields: {shorten(line)}", request)
    values: dict[str, Any] = {}
    for name, item in expected.items():
        if not _CHECKS[str(item.type)](body[name]):
            raise ProtocolError(f"a {kind} whose '{name}' is no {item.type}: {shorten(line)}", request)
        values[name] = body[name]
    if message_type is Ready:
        values["commands"] = tuple(values["commands"])
    elif message_type is Failure:
        values["kind"] = ErrorKind(values["kind"])
    return message_type(**values)


def read_line(stream: BinaryIO) -> bytes:
    """The next line without its end; empty lines are passed over; b"" at the end of the stream.

    A line longer than `LINE_LIMIT` is read to its end, so that the next one is found, and cut to its beginning.
    """
    while line := stream.readline(LINE_LIMIT):
        if not line.endswith(b"\n"):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(LINE_LIMIT)
        if text := line.strip():
            return text
    return b""


def shorten(text: bytes | str) -> str:
    """The beginning of a text that came down the pipe, in quotes and with unprintable characters escaped."""
    beginning = text[:_SHOWN]
    shown = ascii(beginning.decode(errors="backslashreplace") if isinstance(beginning, bytes) else beginning)
    return f"{shown} and {len(text) - _SHOWN} more" if len(text) > _SHOWN else shown


def _plain(value: Any) -> Any:
    """The JSON form of a value that `json` does not know: numpy scalars and arrays as numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
