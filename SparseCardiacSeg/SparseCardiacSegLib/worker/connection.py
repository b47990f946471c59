"""One running worker process and the threads that keep its pipes flowing."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from . import exchange, processes, protocol
from .protocol import (
    CancelRequest,
    ErrorKind,
    Failure,
    Hello,
    Message,
    NotAMessage,
    ProtocolError,
    Ready,
    Request,
    Result,
    Stopped,
)

LOG_LINES = 200
"""How much of the worker's stderr is kept."""
_LOG_LINE_LIMIT = 2000
_NOISE_LIMIT = 1000
"""Lines that may precede the worker's first message, from start-up files that print."""


@dataclass(frozen=True)
class Received:
    """What came down the pipe: a message, with a result's arrays already read, or a text that is none."""

    message: Message | None
    arrays: Mapping[str, np.ndarray]
    fault: str = ""


class Connection:
    """A worker process; dies with `kill`, after which it is of no more use.

    No method blocks except `kill` and `wait`. `inbox` fills from a thread, which sets `news` each time and at the end.
    """

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Start `command`, which finds the arrays of its requests in `folder`.

        Raises:
            OSError: it could not be started.
        """
        self.folder = folder
        self.inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self.ready = threading.Event()
        self.news = threading.Event()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._process = processes.start(command, environment)
        self._threads = [
            threading.Thread(target=work, args=(stream,), name=f"SparseCardiacSeg worker {name}", daemon=True)
            for work, stream, name in (
                (self._write, self._process.stdin, "requests"),
                (self._read, self._process.stdout, "replies"),
                (self._read_log, self._process.stderr, "log"),
            )
        ]
        for thread in self._threads:
            thread.start()
        self.send(Hello())

    @property
    def pid(self) -> int:
        """Process number of what was started: the interpreter, or a launcher before it."""
        return self._process.pid

    def send(self, message: Hello | Request | CancelRequest) -> None:
        """Queue a message; a thread writes it.

        Raises:
            TypeError, ValueError: it has no JSON form, or one that is too long.
        """
        self._outbox.put(protocol.encode(message))

    def hang_up(self) -> None:
        """Close the worker's stdin, upon which it ends by itself when it is idle."""
        self._outbox.put(None)

    def exit_code(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._process.poll()

    def drained(self) -> bool:
        """Whether everything that the process wrote has been read."""
        return not any(thread.is_alive() for thread in self._threads[1:])

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the worker wrote to stderr."""
        return "\n".join(list(self._log)[-lines:])

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended; False when it has not."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process with all that it started, and the threads."""
        self.hang_up()
        processes.kill_tree(self._process)
        for thread in self._threads:
            # A grandchild that escaped into a session of its own may hold a pipe open: its thread is left behind.
            thread.join(timeout=1)

    def _write(self, stream: BinaryIO) -> None:
        with suppress(OSError), stream:  # the worker is gone: `exit_code` tells
            while (line := self._outbox.get()) is not None:
                stream.write(line)
                stream.flush()

    def _read(self, stream: BinaryIO) -> None:
        noise = 0
        with stream:
            while line := protocol.read_line(stream):
                try:
                    message = protocol.decode(line)
                except ProtocolError as error:
                    # Start-up files of an interpreter may print before the worker takes the pipe over.
                    if isinstance(error, NotAMessage) and not self.ready.is_set() and noise < _NOISE_LIMIT:
                        noise += 1
                        self._log.append(protocol.shorten(line))
                        continue
                    self._deliver(Received(None, {}, str(error)))
                    continue
                self._take(message)
        self.news.set()

    def _take(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.ready.set()
        arrays: Mapping[str, np.ndarray] = {}
        if isinstance(message, Result):
            try:
                arrays = exchange.read_arrays(self.folder, message.arrays)
            except exchange.ArrayError as error:
                message = Failure(message.id, ErrorKind.PROTOCOL, f"a result cannot be used: {error}")
            except MemoryError:
                message = Failure(message.id, ErrorKind.MEMORY, "memory ran out while the result was read")
        if isinstance(message, Result | Failure | Stopped) and message.id is not None:
            exchange.remove_arrays(self.folder, message.id)
        self._deliver(Received(message, arrays))

    def _deliver(self, received: Received) -> None:
        self.inbox.put(received)
        self.news.set()

    def _read_log(self, stream: BinaryIO) -> None:
        with stream:
            while line := stream.readline(_LOG_LINE_LIMIT):
                # A progress bar rewrites its line: keep what it showed last.
                text = line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1]
                if text:
                    self._log.append(text)
