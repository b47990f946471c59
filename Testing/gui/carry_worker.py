"""A real worker process that carries labels without any images, or misbehaves: the Cine panel is tested with it."""
# ruff: noqa: ARG001  (every command takes the same three arguments)

from __future__ import annotations

import os
import sys
import time

import numpy as np
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker.handlers import default_handlers
from SparseCardiacSegLib.worker.server import serve

BEHAVIOUR = "CARRY_WORKER"
"""Environment variable: "slow", "stuck", "dies", "refuses", or nothing."""
FOLDING = 0.0123


def misbehave(context):
    """Do as the environment says; return where it says nothing."""
    how = os.environ.get(BEHAVIOUR, "")
    if how == "refuses":
        raise InputError("these images cannot be registered")
    if how == "dies":
        sys.stderr.write("the last words of the worker\n")
        os._exit(3)
    if how == "stuck":
        context.progress(0.25, "stuck")
        time.sleep(120)
    for step in range(200 if how == "slow" else 3):
        context.progress(step / 200, f"frame {step}")
        time.sleep(0.03)


def propagate(params, arrays, context):
    """Every frame gets the labels of the last source before it, moved by a pixel a frame."""
    misbehave(context)
    image, given, frames = arrays["image"], arrays["labels"], params["frames"]
    assert image.ndim == 4
    assert given.shape == (len(frames), *image.shape[1:])
    assert sorted(set(np.unique(given)) - {0}) == sorted(params["numbers"].values())
    labels = np.zeros(image.shape, np.uint8)
    for frame in range(len(image)):
        source = max((one for one in frames if one <= frame), default=frames[0])
        labels[frame] = np.roll(given[frames.index(source)], frame - source, axis=-1)
    values = {
        "engine": params["engine"],
        "folding": [0.0 if frame in frames else FOLDING * frame / len(image) for frame in range(len(image))],
        "sources": [[frame] for frame in range(len(image))],
        "warnings": ["the motion is large between frames 1 and 2"],
        "seconds": 1.5,
    }
    return values, {"labels": labels}


def find_phases(params, arrays, context):
    """The darkest frame is end systole."""
    misbehave(context)
    mean = arrays["image"].mean(axis=(1, 2, 3))
    values = {"ed": 0, "es": int(mean.argmin()), "certain": len(mean) > 3, "reason": "the cavity is smallest there"}
    return values, {}


if __name__ == "__main__":
    serve({**default_handlers(), "propagate": propagate, "find-phases": find_phases})
