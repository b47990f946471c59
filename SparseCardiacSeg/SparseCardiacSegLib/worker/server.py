"""The worker's side: take requests, call handlers, report progress, results and errors, end with the parent."""

from __future__ import annotations

import argparse
import faulthandler
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError
from ..progress import Cancelled
from . import exchange, processes, protocol
from .models import LoadedModels
from .protocol import (
    CancelRequest,
    ErrorKind,
    Failure,
    Hello,
    Message,
    ProgressReport,
    ProtocolError,
    Ready,
    Request,
    Result,
    Stopped,
)

SHUTDOWN = "shutdown"
"""The one command that the server itself carries out."""

_PARENT_CHECK_S = 1.0
_GRACE_S = 1.0
"""How long running work may take to stop once the client has gone."""
_PROGRESS_INTERVAL_S = 0.03
_DETAIL_LINES = 20
_MEMORY_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
    "bad allocation",
)


class Context:
    """What a handler may use beside its parameters: progress with cancellation, and the loaded models."""

    def __init__(
        self, report: Callable[[float, str], None], is_cancelled: Callable[[], bool], models: LoadedModels
    ) -> None:
        self.models = models
        self._report = report
        self._is_cancelled = is_cancelled
        self._last = ("", 0.0)

    def progress(self, fraction: float, message: str) -> None:
        """Report progress; a `progress.Progress`. Reports that come thick and fast are thinned out.

        Raises:
            Cancelled: the client asked for the request to stop.
        """
        if self._is_cancelled():
            raise Cancelled
        now = time.monotonic()
        if message != self._last[0] or now - self._last[1] >= _PROGRESS_INTERVAL_S or fraction >= 1:
            self._last = (message, now)
            self._report(min(max(float(fraction), 0.0), 1.0), message)


Arrays = Mapping[str, np.ndarray]
Handler = Callable[[Mapping[str, Any], Arrays, Context], tuple[Mapping[str, Any], Arrays]]
"""Carries out a command: (params, arrays, context) -> (values, arrays). Values must have a JSON form.

`InputError` reaches the user as a sentence; `Cancelled` as "cancelled"; anything else with its traceback.
"""


def serve(handlers: Mapping[str, Handler], arguments: list[str] | None = None) -> NoReturn:
    """Carry out requests until the client closes the pipe, asks for a shutdown, or goes away; ends the process.

    Args:
        handlers: what to do for each command.
        arguments: the command line without the program's name; None takes the process's own.
    """
    parser = argparse.ArgumentParser(description="SparseCardiacSeg's worker process; its client starts it.")
    parser.add_argument("--folder", type=Path, required=True, help="folder through which arrays are exchanged")
    parser.add_argument("--parent", type=int, required=True, help="process number of the client")
    options = parser.parse_args(arguments)
    _Server(handlers, options.folder, options.parent).run()


class _Server:
    """One client, one request at a time; the reader thread lets a cancellation overtake the work."""

    def __init__(self, handlers: Mapping[str, Handler], folder: Path, parent: int) -> None:
        self._handlers = handlers
        self._folder = folder
        self._parent = processes.Watched(parent)
        self._models = LoadedModels()
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._hung_up = threading.Event()
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        # The pipe belongs to the protocol alone. Its descriptors are duplicated (duplicates are not inherited by
        # child processes) and the standard ones pointed elsewhere, so that no print, no C library and no child can
        # write into it or read from it.
        self._requests = os.fdopen(os.dup(0), "rb")
        self._replies = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def run(self) -> NoReturn:
        faulthandler.enable()  # a segmentation fault leaves the Python stack on stderr, which the client shows
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        threading.Thread(target=self._watch_parent, name="parent", daemon=True).start()
        while (request := self._queue.get()) is not None:
            self._send(self._carry_out(request))
            self._cancelled.discard(request.id)
            if request.command == SHUTDOWN:
                break
        self._end()

    def _carry_out(self, request: Request) -> Message:
        """Call the handler; whatever it does, there is one final message, and the server goes on."""
        started = time.monotonic()
        try:
            arrays = exchange.read_arrays(self._folder, request.arrays)
            exchange.remove_arrays(self._folder, request.id, "in")
            if request.id in self._cancelled:
                return Stopped(request.id)
            if request.command == SHUTDOWN:
                return Result(request.id, {}, {}, 0.0)
            handler = self._handlers.get(request.command)
            if handler is None:
                known = ", ".join(self._handlers)
                raise ProtocolError(f"the worker knows no command '{request.command}'; it knows {known}")
            context = Context(
                lambda fraction, message: self._send(ProgressReport(request.id, fraction, message)),
                lambda: request.id in self._cancelled,
                self._models,
            )
            values, results = handler(request.params, arrays, context)
            files = exchange.write_arrays(self._folder, request.id, "out", results)
            reply = Result(request.id, dict(values), files, time.monotonic() - started)
            protocol.encode(reply)
        except Cancelled:
            return Stopped(request.id)
        except InputError as error:
            return Failure(request.id, ErrorKind.INPUT, str(error))
        except (exchange.ArrayError, ProtocolError) as error:
            return Failure(request.id, ErrorKind.PROTOCOL, str(error))
        except (Exception, SystemExit) as error:  # libraries call sys.exit too; the models must stay loaded
            return self._failure(request, error)
        return reply

    def _failure(self, request: Request, error: BaseException) -> Failure:
        """What to say of an exception that is no one's input."""
        lines = traceback.format_exc().rstrip().splitlines()
        detail = "\n".join(line[:500] for line in lines[-_DETAIL_LINES:])
        if out_of_memory(error):
            self._models.clear()
            return Failure(request.id, ErrorKind.MEMORY, f"memory ran out during '{request.command}'", detail)
        text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
        return Failure(request.id, ErrorKind.INTERNAL, f"'{request.command}' failed: {text}", detail)

    def _send(self, message: Message) -> None:
        line = protocol.encode(message)
        try:
            with self._lock:
                self._replies.write(line)
                self._replies.flush()
        except OSError:  # the client has closed the pipe: there is nobody to work for
            self._end()

    def _read(self) -> None:
        """Take messages until the pipe is closed; runs in a thread of its own."""
        while line := protocol.read_line(self._requests):
            try:
                message = protocol.decode(line)
                if isinstance(message, Hello):
                    self._send(Ready(os.getpid(), (*self._handlers, SHUTDOWN)))
                elif isinstance(message, Request):
                    self._queue.put(message)
                elif isinstance(message, CancelRequest):
                    self._cancelled.add(message.id)
                else:
                    raise ProtocolError(f"not a request: {protocol.shorten(line)}")
            except ProtocolError as error:
                self._send(Failure(error.request, ErrorKind.PROTOCOL, f"the worker received {error}"))
        self._hang_up()

    def _watch_parent(self) -> None:
        """End the process when the client is gone although the pipe is open (a child of it may hold the other end)."""
        while not self._parent.is_gone():
            time.sleep(_PARENT_CHECK_S)
        self._hang_up()

    def _hang_up(self) -> None:
        """Let running work stop at its next progress step, then end the process, whatever it is doing."""
        if self._hung_up.is_set():
            return
        self._hung_up.set()
        self._cancelled = _Everything()
        self._queue.put(None)
        time.sleep(_GRACE_S)
        self._end()

    def _end(self) -> NoReturn:
        """End now, with all child processes, without waiting for threads or pools of libraries, which may hang."""
        self._ending.acquire()  # never released: a second thread that comes here waits for the first to finish
        processes.kill_own_children()
        sys.stdout.flush()
        sys.stderr.flush()
        if self._parent.is_gone():  # else the client cleans up
            if self._folder.name.startswith(exchange.PREFIX):
                shutil.rmtree(self._folder, ignore_errors=True)
            processes.kill_own_group()
        os._exit(0)


class _Everything(set):
    """A set that holds every number: all requests are cancelled."""

    def __contains__(self, item: object) -> bool:
        return True


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; torch, CUDA and ONNX Runtime each say it in their own way."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "OutOfMemory" in type(error).__name__
        or any(sign in text for sign in _MEMORY_SIGNS)
    )
