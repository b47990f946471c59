"""A long-running program that ends with the program that started it, however that ends."""

from __future__ import annotations

import os
import threading

from . import processes

EXIT_CODE = 143
"""With which the program ends where its starter is gone: as if it had been asked to (128 + SIGTERM)."""
NICENESS = 5
"""Below the starter's window in the queue for processor time; training takes every core for hours."""


def end_with_starter(pipe: int = 0) -> threading.Thread:
    """End this process and all that it started when a pipe ends, and let other programs go first from now on.

    The starter holds the other end of the pipe and never writes to it. The system closes it when the starter ends,
    crashes or is killed, on every platform and through a launcher in between; no process number can be mistaken.

    Args:
        pipe: file descriptor whose other end the starter holds; stdin by default.
    """
    if hasattr(os, "nice"):  # Windows sets the priority when the process is started
        os.nice(NICENESS)
    thread = threading.Thread(target=_wait, args=(pipe,), name="lifeline", daemon=True)
    thread.start()
    return thread


def _wait(pipe: int) -> None:
    # Not through sys.stdin: its lock, held by this thread for ever, would abort the interpreter at its normal end.
    while os.read(pipe, 1):
        continue
    processes.kill_own_children()
    processes.kill_own_group()
    os._exit(EXIT_CODE)
