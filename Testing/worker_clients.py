"""A client of the misbehaving worker, and what tests ask about it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from SparseCardiacSegLib.worker.client import WorkerClient

SCRIPT = Path(__file__).parent / "unit" / "worker_for_tests.py"
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="signals and C's puts as on POSIX systems")


def make_client(folder, **options):
    return WorkerClient(command=[sys.executable, SCRIPT], temporary=folder, **options)


def wait_for(client, request, kind=None, seconds=20):
    """The first event of `kind` (None: the final one) of a request, by polling."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for event in client.poll(request):
            if event.kind is kind or (kind is None and event.is_final):
                return event
        time.sleep(0.005)
    raise AssertionError(f"no {kind} within {seconds} s; the worker wrote: {client.log_tail()}")


def gone(pid, seconds=5):
    """Whether a process ends within `seconds`; a zombie has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
