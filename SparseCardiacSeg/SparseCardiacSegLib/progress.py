"""How long work reports progress and learns that it was cancelled."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done (0 to 1) and a short message; raises `Cancelled` to stop the work."""


class Cancelled(Exception):
    """The user asked for the work to stop; nothing was written."""


def no_progress(fraction: float, message: str) -> None:
    """Ignore a progress report."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """A progress callback whose 0 to 1 fills `start` to `end` of `progress`."""

    def report(fraction: float, message: str) -> None:
        progress(start + (end - start) * fraction, message)

    return report
