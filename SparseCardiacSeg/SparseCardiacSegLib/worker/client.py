"""The client's side of the worker: starts it on first use, never blocks when polled, survives its death."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..progress import Cancelled, Progress, no_progress
from . import exchange
from .book import RequestBook
from .connection import Connection
from .environment import worker_environment
from .events import Event, EventKind, Reply, error_of
from .protocol import CancelRequest, ErrorKind, Request

CANCEL_GRACE_S = 0.7
"""How long cancelled work may take to stop by itself: polled ten times a second, it is gone within one either way."""

_DRAIN_S = 0.5
"""How long the pipes of a dead worker may take to run dry before it is reported."""


class WorkerClient:
    """Requests to one worker process, which is started when it is first needed and again after it died.

    For one thread (Slicer's main thread, a script). Requests are carried out one after another. `poll` and `submit`
    do not wait for the worker; `run`, `kill` and `close` do.
    """

    def __init__(
        self,
        interpreter: str | Path | None = None,
        *,
        command: Sequence[str | Path] | None = None,
        environment: Callable[[], Mapping[str, str]] = worker_environment,
        temporary: Path | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        """Set up; nothing is started yet.

        Args:
            interpreter: the Python to run the worker with; None takes the running one. Inside Slicer pass PythonSlicer.
            command: what to run in place of `interpreter -m SparseCardiacSegLib.worker`; it must call `server.serve`.
            environment: gives the worker's environment each time that it is started.
            temporary: where to make the private folder for arrays; None takes the system's place for such.
            start_timeout_s: how long the worker may take until it listens.
        """
        default = [str(interpreter or sys.executable), "-m", "SparseCardiacSegLib.worker"]
        self._command = [str(part) for part in command] if command else default
        self._environment = environment
        self._temporary = temporary
        self._start_timeout_s = start_timeout_s
        self._connection: Connection | None = None
        self._started = 0.0
        self._died: float | None = None
        self._last_request = 0
        self._book = RequestBook()
        self._endings: list[threading.Thread] = []
        self._alive: set[Connection] = set()
        weakref.finalize(self, _end_all, self._alive)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether a worker process is there."""
        return self._connection is not None and self._connection.exit_code() is None

    @property
    def is_busy(self) -> bool:
        """Whether a request is not finished."""
        return bool(self._book.open)

    @property
    def pid(self) -> int | None:
        """Process number of the worker; None where none runs."""
        return self._connection.pid if self.is_running else None

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the running worker wrote to stderr."""
        return self._connection.log_tail(lines) if self._connection else ""

    def start(self) -> None:
        """Start the worker if it does not run; it may be left out, `submit` does it.

        Raises:
            InputError: the interpreter cannot be started, or there is no place for temporary files.
        """
        self._collect()
        if self._connection is not None and self._connection.exit_code() is None:
            return
        if self._connection is not None:
            self._report_death(self._connection)
        folder = exchange.make_folder(self._temporary)
        command = [*self._command, "--folder", str(folder), "--parent", str(os.getpid())]
        try:
            self._connection = Connection(command, dict(self._environment()), folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = error.strerror or str(error)
            raise InputError(f"the worker cannot be started with {self._command[0]}: {reason}") from error
        self._alive.add(self._connection)
        self._started = time.monotonic()
        self._died = None

    def submit(
        self, command: str, params: Mapping[str, Any] | None = None, arrays: Mapping[str, np.ndarray] | None = None
    ) -> int:
        """Ask for `command`; the worker is started where it does not run.

        Returns:
            The request's number, which its events carry.

        Raises:
            InputError: the worker cannot be started, or the disk refused the arrays (full, say).
            TypeError, ValueError: `params` have no JSON form or are too long; an array holds Python objects.
        """
        self.start()
        connection = self._connection
        assert connection is not None
        self._last_request += 1
        request = self._last_request
        files = exchange.write_arrays(connection.folder, request, "in", arrays or {})
        try:
            connection.send(Request(request, command, dict(params or {}), files))
        except (TypeError, ValueError):
            exchange.remove_arrays(connection.folder, request)
            raise
        self._book.enter(request, command)
        return request

    def poll(self, request: int | None = None) -> list[Event]:
        """What has happened since the last call, in order; never waits.

        Args:
            request: give only the events of this request, and keep the others for their own callers.
        """
        self._collect()
        return self._book.collect(request)

    def run(
        self,
        command: str,
        params: Mapping[str, Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        progress: Progress = no_progress,
    ) -> Reply:
        """Carry out `command` and wait for the reply.

        Args:
            command: what to do.
            params: its parameters, with a JSON form.
            arrays: its arrays, by name.
            progress: called now and then; `Cancelled` or `KeyboardInterrupt` raised here (or Ctrl+C at any time)
                cancels the request, if need be by ending the worker, and goes on to the caller.

        Raises:
            Cancelled: `progress` raised it, or `cancel` was called there.
            InputError: as for `submit`, or the worker refused the input.
            WorkerError: the worker died or failed.
        """
        request = self.submit(command, params, arrays)
        try:
            while True:
                for event in self.poll(request):
                    if event.kind is EventKind.PROGRESS:
                        progress(event.fraction, event.message)
                    elif event.kind is EventKind.RESULT:
                        return Reply(event.values, event.arrays, event.seconds)
                    elif event.kind is EventKind.CANCELLED:
                        raise Cancelled(event.message)
                    else:
                        raise error_of(event)
                self.wait()
        except BaseException:
            self.abandon(request)
            raise

    def wait(self, seconds: float = 0.02) -> None:
        """Wait until the worker may have sent something, at most `seconds`: what a loop around `poll` does between."""
        if self._connection is None:
            return
        if self._connection.news.wait(seconds):
            self._connection.news.clear()

    def cancel(self, grace_s: float = CANCEL_GRACE_S, request: int | None = None) -> None:
        """Ask the worker to stop; `poll` ends its whole process tree if it has not within `grace_s`. Does not wait.

        Args:
            grace_s: seconds that the worker has to reach its next progress step.
            request: what to stop; None stops everything that is not finished.
        """
        for number in self._book.open if request is None else [request]:
            if self._book.cancel(number, time.monotonic() + grace_s) and self._connection is not None:
                self._connection.send(CancelRequest(number))

    def abandon(self, request: int) -> None:
        """Cancel a request that nobody waits for any more, and see it gone: within about a second."""
        try:
            self.cancel(request=request)
            while request in self._book.open:
                self._collect()
                self.wait()
        finally:
            # A second Ctrl+C while waiting comes here too.
            self._book.cancel(request, 0.0)
            self.poll(request)
            self._join_endings()

    def kill(self) -> None:
        """End the worker and all that it started, now; unfinished requests become CANCELLED."""
        self._collect()
        for request in self._book.open:
            self._book.cancel(request, 0.0)
        self._drop("the worker was ended")
        self._join_endings()

    def close(self) -> None:
        """Let the worker end; unfinished requests are cancelled. The client can be used again."""
        if self._connection is not None and not self._book.open:
            self._connection.hang_up()
            self._connection.wait(1.0)
            self._drop("the worker was closed")
        self.kill()
        self._book.collect(None)

    def _collect(self) -> None:
        """Turn what came down the pipe, a death or a missed deadline into events."""
        connection = self._connection
        if connection is None:
            return
        # Before the inbox is emptied: what a process wrote is complete only if it had ended before we looked.
        complete = connection.exit_code() is not None and connection.drained()
        while not connection.inbox.empty():
            if reason := self._book.take(connection.inbox.get(), connection.log_tail()):
                self._drop(reason)
                return
        now = time.monotonic()
        if self._book.is_overdue(now):
            self._drop("it did not stop by itself, so the worker was ended; it is started anew when needed")
        elif connection.exit_code() is not None:
            self._died = self._died or now
            # A child that outlived the worker may hold its pipes open.
            if complete or now - self._died > _DRAIN_S:
                self._report_death(connection)
        elif not connection.ready.is_set() and now - self._started > self._start_timeout_s:
            sentence = f"The worker did not answer within {self._start_timeout_s:g} s of being started"
            self._book.fail_all(ErrorKind.PROTOCOL, sentence, connection.log_tail())
            self._drop(sentence)

    def _report_death(self, connection: Connection) -> None:
        code = connection.exit_code()
        assert code is not None
        self._book.died(code, connection.log_tail())
        self._drop("the worker ended")

    def _drop(self, reason: str) -> None:
        """Let go of the worker: a thread ends its process tree and removes its files. No request stays open."""
        self._book.end_all(reason)
        connection, self._connection = self._connection, None
        if connection is not None:
            thread = threading.Thread(target=_end, args=(connection, self._alive), name="SparseCardiacSeg worker end")
            thread.start()
            self._endings.append(thread)
        self._endings = [thread for thread in self._endings if thread.is_alive()]

    def _join_endings(self) -> None:
        for thread in self._endings:
            thread.join()
        self._endings.clear()


def _end(connection: Connection, alive: set[Connection]) -> None:
    connection.kill()
    shutil.rmtree(connection.folder, ignore_errors=True)
    alive.discard(connection)


def _end_all(alive: set[Connection]) -> None:
    """End the workers of a client that was dropped without `close`, or at the interpreter's exit."""
    for connection in list(alive):
        _end(connection, alive)
