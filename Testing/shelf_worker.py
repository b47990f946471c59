"""The real worker with a test's catalogue of models; see `model_shelf.py`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from model_shelf import FREE_VARIABLE, VARIABLE
from SparseCardiacSegLib.automatic import catalogue
from SparseCardiacSegLib.worker.handlers import default_handlers
from SparseCardiacSegLib.worker.server import serve


def sleep(params, arrays, context):  # noqa: ARG001
    """Be busy."""
    context.progress(0.5, "asleep")
    time.sleep(params.get("seconds", 60))
    return {}, {}


def die(params, arrays, context):  # noqa: ARG001
    """End as a process does that the system kills, or as its launcher reports it."""
    sys.stderr.write(params["words"] + "\n")
    sys.stderr.flush()
    if params.get("signal"):
        os.kill(os.getpid(), params["signal"])
    os._exit(params.get("code", 1))


def environment(params, arrays, context):  # noqa: ARG001
    """The environment that the worker was started in."""
    return dict(os.environ), {}


if __name__ == "__main__":
    sys.modules["torch"] = None  # a Slicer without PyTorch must do all this, and loading torch takes seconds
    if VARIABLE in os.environ:
        catalogue.EMBEDDED = Path(os.environ[VARIABLE])
    if FREE_VARIABLE in os.environ:
        shutil.disk_usage = lambda _path: SimpleNamespace(free=int(os.environ[FREE_VARIABLE]))
    serve({**default_handlers(), "sleep": sleep, "die": die, "environment": environment})
