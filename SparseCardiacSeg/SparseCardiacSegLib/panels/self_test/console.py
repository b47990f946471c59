"""What a user would see in the Python console and in the application's log while the steps run."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import slicer
import vtk

_ENTRY = re.compile(r"^\[(WARNING|ERROR|CRITICAL|FATAL)\]\[(\w+)\]")
"""How a line of the application's log file begins; a line that does not begin so belongs to the entry before."""
_TRACEBACK = "Traceback (most recent call last)"


class _Handler(logging.Handler):
    """Keeps what is logged at the level of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.lines.append(self.format(record))


class Console:
    """Listens from `with` to its end; what it hears is printed as it would be without it.

    A Python error in a slot or an observer is printed by the application, which then goes on: no test would notice.
    Both end in `sys.excepthook`, which is where they are heard.

    Attributes:
        failures: Python errors that nobody handled; each makes the self-test fail.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._handler = _Handler()
        self._window: Any = None
        self._before: Any = None
        self._log = _log_file()
        self._read = 0

    def __enter__(self) -> Self:
        self._hook = sys.excepthook
        sys.excepthook = self._hear
        logging.getLogger().addHandler(self._handler)
        if self._log is None:
            # Outside the application VTK's messages go nowhere else.
            self._before = vtk.vtkOutputWindow.GetInstance()
            self._window = vtk.vtkStringOutputWindow()
            vtk.vtkOutputWindow.SetInstance(self._window)
        else:
            self._read = self._log.stat().st_size
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.excepthook = self._hook
        logging.getLogger().removeHandler(self._handler)
        if self._window is not None:
            vtk.vtkOutputWindow.SetInstance(self._before)

    def messages(self) -> list[str]:
        """Warnings and errors of the application, of VTK and of Python's logging, since the beginning.

        They do not make the self-test fail: other modules and the graphics driver speak here, too.
        """
        slicer.app.processEvents()  # the log is written when the event loop comes to it
        told = [] if self._window is None else _paragraphs(self._window.GetOutput() or "")
        return [*told, *self._handler.lines, *self._entries()]

    def _hear(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self.failures.append("".join(traceback.format_exception(kind, error, trace)))
        self._hook(kind, error, trace)

    def _entries(self) -> list[str]:
        """Entries of the log file with what follows them; tracebacks among them are failures already."""
        if self._log is None:
            return []
        with self._log.open("rb") as stream:
            stream.seek(self._read)
            lines = stream.read().decode("utf-8", "replace").splitlines()
        found: list[list[str]] = []
        keep = False
        for line in lines:
            if line.startswith("["):
                keep = _ENTRY.match(line) is not None
                if keep:
                    found.append([line])
            elif keep:
                found[-1].append(line)
        return ["\n".join(entry) for entry in found if _TRACEBACK not in entry[0]]


def _log_file() -> Path | None:
    """The application's log file; None where there is none."""
    if not hasattr(slicer.app, "errorLogModel"):
        return None
    path = Path(str(slicer.app.errorLogModel().filePath or ""))
    return path if path.is_file() else None


def _paragraphs(text: str) -> list[str]:
    """VTK ends a message with an empty line."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
