"""No process outlives the training: neither after it was stopped nor after it was killed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1
_prepared: set[int] = set()
_owners: set[int] = set()
"""Processes that have our handler of SIGTERM."""


def die_with_this_process() -> None:
    """Let processes that this one forks from now on be killed by the kernel when this one ends, however it ends.

    nnU-Net's augmentation processes are ended by Python at its exit, which a kill does not wait for: they then go on
    for ever, waiting for room in a queue that nobody reads. Only Linux knows this; elsewhere nothing is changed.
    """
    if not sys.platform.startswith("linux") or os.getpid() in _prepared:
        return
    _prepared.add(os.getpid())
    library = ctypes.CDLL(None)

    def prepare() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    os.register_at_fork(after_in_child=prepare)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt, as SIGINT does; processes started within are ended after.

    Not `Cancelled`, which code that catches every Exception would take for a damaged file. Forked processes do not
    keep the handler: Python's handlers run between two instructions, so a pool's worker that is told to end just
    before it waits for work would wait for ever, and its pool for it.
    """

    def stop(number: int, _: FrameType | None) -> None:
        if os.getpid() not in _owners:  # forked a moment ago
            os._exit(128 + number)
        raise KeyboardInterrupt

    _owners.add(os.getpid())
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _owners.discard(os.getpid())
        end_children()


def _forget_handler() -> None:
    """In a process that was just forked from one with our handler: SIGTERM ends it, as it ends others."""
    if _owners and os.getpid() not in _owners:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_children(patience_s: float = 5.0) -> None:
    """End every process that this one started through multiprocessing."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(patience_s)
        if child.is_alive():
            child.kill()
            child.join(patience_s)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_handler)
