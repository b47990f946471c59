"""Wall clock, processor time and peak memory of a command with all its children."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        seconds: from before its start until after its end.
        processor_seconds: of all its processes that were waited for; other programs on the computer change it little.
        megabytes: peak of its memory and its children's together, sampled 20 times a second; pages that several of
            them share count once in all (PSS) on Linux, once each elsewhere.
    """

    seconds: float
    processor_seconds: float
    megabytes: float


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with the last lines that it wrote to stderr.
    """
    started, before = time.perf_counter(), _processor_seconds()
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peak = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, ended))
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{command[:4]} failed: {errors[-2000:]}")
    return Measured(seconds, _processor_seconds() - before, peak[0] / 1e6)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _watch(process: psutil.Process, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(_INTERVAL_S):
        total = 0
        with suppress(psutil.Error):
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):
                    total += _memory(one)
        peak[0] = max(peak[0], total)


def _memory(process: psutil.Process) -> int:
    if psutil.LINUX:
        return process.memory_full_info().pss
    return process.memory_info().rss
