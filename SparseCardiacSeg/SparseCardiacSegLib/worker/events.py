"""What a client hears about its requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from ..errors import InputError
from .protocol import ErrorKind


class EventKind(StrEnum):
    """What happened to a request. All but PROGRESS are final: nothing follows for that request."""

    PROGRESS = "progress"
    RESULT = "result"
    ERROR = "error"
    CANCELLED = "cancelled"
    DIED = "died"


@dataclass(frozen=True, eq=False)
class Event:
    """News of a request.

    Attributes:
        kind: what happened.
        request: the request's number; None for a worker that died idle.
        fraction: share done, 0 to 1 (PROGRESS).
        message: one sentence for the user.
        values, arrays: the reply (RESULT).
        seconds: how long the worker took (RESULT).
        error_kind: what kind of failure (ERROR).
        detail: end of the traceback (ERROR), or of what the worker wrote to stderr (DIED).
        remedy: what the user can do (ERROR other than input, DIED).
        exit_code: as the operating system gave it, negative for a signal (DIED).
    """

    kind: EventKind
    request: int | None
    fraction: float = 0.0
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    error_kind: ErrorKind | None = None
    detail: str = ""
    remedy: str = ""
    exit_code: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing follows for this request."""
        return self.kind is not EventKind.PROGRESS

    def text(self) -> str:
        """Message, remedy and detail, each beginning a line: what a message box or a terminal shows."""
        return "\n".join(part for part in (self.message, self.remedy, self.detail) if part)


@dataclass(frozen=True, eq=False)
class Reply:
    """What a request came to: values, arrays, and the seconds that the worker took."""

    values: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    seconds: float


class WorkerError(RuntimeError):
    """A request failed for a reason that is not the user's input; `event` tells all, the text is `event.text()`."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.text())
        self.event = event


def error_of(event: Event) -> InputError | WorkerError:
    """The exception that stands for an ERROR or DIED event."""
    return InputError(event.message) if event.error_kind is ErrorKind.INPUT else WorkerError(event)
