"""Ending everything that a process has started."""

from __future__ import annotations

import psutil


def end_children(pid: int | None = None) -> None:
    """Kill everything that a process (by default this one) has started, and what that has started."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=5)
