"""A worker whose extra commands misbehave in every way that a worker may; run as a script by the worker's tests."""
# ruff: noqa: ARG001  (every command takes the same three arguments)

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time

import numpy as np
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker.handlers import default_handlers
from SparseCardiacSegLib.worker.server import serve

SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]


def steps(params, arrays, context):
    """Report progress at every step, as good commands do."""
    count = params.get("count", 3)
    for step in range(count):
        context.progress(step / count, f"step {step}")
        time.sleep(params.get("pause", 0))
    return {"steps": count}, {}


def stuck(params, arrays, context):
    """Never look at progress, with one child in the worker's group and one in a session of its own."""
    children = [subprocess.Popen(SLEEP), subprocess.Popen(SLEEP, start_new_session=True)]
    context.progress(0.5, ",".join(str(child.pid) for child in children))
    time.sleep(120)


def leave(params, arrays, context):
    """End without a word to the client, leaving a child behind that holds stderr open."""
    sys.stderr.write("\n".join(f"line {index}" for index in range(30)) + "\nthe last words\n")
    if params.get("child"):
        child = subprocess.Popen(SLEEP)
        context.progress(0.5, str(child.pid))
    os._exit(params.get("code", 3))


def crash(params, arrays, context):
    """Read from address 0, as a broken C library does."""
    ctypes.string_at(0)


def pollute(params, arrays, context):
    """Write to stdout from Python, from the descriptor, from C and from a child."""
    sys.stdout.write('{"version": 1, "type": "result"}\nfrom Python\n')
    sys.stdout.flush()
    os.write(1, b"from the descriptor\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    context.progress(0.5, "half")
    return {"fine": True}, arrays


def fail(params, arrays, context):
    """Raise what was asked for."""
    errors = {
        "input": InputError("the image is upside down"),
        "memory": MemoryError(),
        "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        "fault": ZeroDivisionError("deep inside"),
        "exit": SystemExit(5),
    }
    raise errors[params["kind"]]


def wrong(params, arrays, context):
    """Return what cannot go through the pipe."""
    if params["kind"] == "values":
        return {"thing": object()}, {}
    return {}, {"things": np.array([object()])}


def read_stdin(params, arrays, context):
    """Try to take the requests away from the server."""
    return {"read": sys.stdin.read()}, {}


def threshold(params, arrays, context):
    """A stand-in for `segment`: LV where the image is bright, and what it was given, so that a test can look."""
    image = arrays["image"]
    if params["model"] == "slow":
        time.sleep(120)
    for index in range(len(image)):
        context.progress(index / len(image), f"slice {index}")
        time.sleep(params.get("pause", 0))
    if params["model"] == "dies":
        os._exit(9)
    labels = np.where(image > 0.5, 3, 0).astype(np.uint8)
    if params["model"] == "misshapen":
        labels = labels[:, :-1]
    values = {
        "labels_scheme": {"name": "acdc", "numbers": {"RV": 1, "MYO": 2, "LV": 3}},
        "model": {"name": params["model"], "given": {**params, "type": str(image.dtype), "shape": image.shape}},
        "warnings": ["the model is a threshold"],
        "seconds": 0.25,
    }
    return values, {"labels": labels}


HANDLERS = {
    "steps": steps,
    "stuck": stuck,
    "leave": leave,
    "crash": crash,
    "pollute": pollute,
    "fail": fail,
    "wrong": wrong,
    "read_stdin": read_stdin,
}

if __name__ == "__main__":
    if os.environ.get("WORKER_TEST_NO_PSUTIL"):
        sys.modules["psutil"] = None
    stand_in = {"segment": threshold} if os.environ.get("WORKER_TEST_THRESHOLD") else {}
    serve({**default_handlers(), **HANDLERS, **stand_in})
