"""The training process: the command line under PythonSlicer, with its output in a file, ended with its whole tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..files import disk_error
from .settings import current_settings
from .worker_process import LIBRARY_PARENT, worker_interpreter

TAIL_BYTES = 20_000
TAIL_LINES = 40


def trainingCommand() -> list[str]:  # noqa: N802
    """What starts the command line; its arguments follow.

    The path is set in Python code and not through PYTHONPATH, which PythonSlicer's launcher sets for itself. With
    `alter_sys` the processes that nnU-Net starts find a main module that they need not run.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(LIBRARY_PARENT)!r}); "
        "from SparseCardiacSegLib.worker.lifeline import end_with_starter; end_with_starter(); "
        "import runpy; runpy.run_module('SparseCardiacSegLib', run_name='__main__', alter_sys=True)"
    )
    return [worker_interpreter(), "-c", code]


def trainingEnvironment() -> dict[str, str]:  # noqa: N802
    """The environment in which Slicer itself was started, with the user's folders."""
    from ..worker.environment import worker_environment

    return worker_environment({**slicer.util.startupEnvironment(), **current_settings().environment()})


class TrainingProcess:
    """A process that lives as long as this object's process at most; no method waits except `kill`.

    Attributes:
        log: what it prints is added to this file.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start it, as the leader of a process group of its own, without a console window and below normal priority.

        Raises:
            InputError: it cannot be started, or the log cannot be written.
        """
        from ..worker import processes

        self.log = log
        flags = 0
        if processes.WINDOWS:
            flags = (
                subprocess.CREATE_NEW_PROCESS_GROUP
                | subprocess.CREATE_NO_WINDOW
                | subprocess.BELOW_NORMAL_PRIORITY_CLASS
            )
        try:
            with log.open("ab") as file:
                self._start = file.tell()
                self._process = subprocess.Popen(
                    list(command),
                    env=dict(environment),
                    stdin=subprocess.PIPE,  # never written to: the process ends when this end of it is closed
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    creationflags=flags,
                    start_new_session=not processes.WINDOWS,
                )
        except OSError as error:
            if error.filename is not None and Path(os.fsdecode(error.filename)) == log:
                raise disk_error(log, error) from error
            reason = error.strerror or str(error)
            raise InputError(
                _("The training cannot be started with {program}: {reason}").format(program=command[0], reason=reason)
            ) from error

    @property
    def pid(self) -> int:
        """Number of the process; of a launcher where one stands before it."""
        return self._process.pid

    def exitCode(self) -> int | None:  # noqa: N802
        """How it ended; None while it runs."""
        return self._process.poll()

    def logTail(self, lines: int = TAIL_LINES) -> str:  # noqa: N802
        """The last lines that it has printed."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._start, end - TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:  # the disk has gone
            return ""
        # A progress bar writes over its line again and again.
        kept = [line.rsplit("\r", 1)[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
        return "\n".join([line for line in kept if line][-lines:])

    def kill(self) -> None:
        """End it and everything that it has started; takes some hundredths of a second."""
        from ..worker import processes

        processes.kill_tree(self._process)
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
