"""A real worker process whose model labels by grey value, or misbehaves: what the panel is tested against."""
# ruff: noqa: ARG001  (every command takes the same three arguments)

from __future__ import annotations

import os
import sys
import time

import numpy as np
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker.handlers import default_handlers
from SparseCardiacSegLib.worker.schemes import write_scheme
from SparseCardiacSegLib.worker.server import serve


def segment(params, arrays, context):
    """Label the phantom by its grey values; the model's name says how to behave."""
    model = params["model"]
    if model == "refuses":
        raise InputError("this image is no heart")
    if model == "dies":
        sys.stderr.write("the last words of the worker\n")
        os._exit(3)
    if model == "stuck":
        context.progress(0.25, "stuck")
        time.sleep(120)
    for step in range(200 if model == "slow" else 4):
        context.progress(step / 200 if model == "slow" else step / 4, f"step {step}")
        time.sleep(0.05)
    image = arrays["image"]
    labels = np.zeros(image.shape, np.uint8)
    labels[(image > 220) & (image < 500)] = ACDC.numbers[Structure.MYO]
    labels[image > 600] = ACDC.numbers[Structure.LV]
    info = {"name": model, "folder": "", "backend": "none", "device": "cpu", "folds": [], "card": {}}
    values = {"labels_scheme": write_scheme(ACDC), "model": info, "warnings": [], "seconds": 0.2}
    return values, {"labels": labels}


def postprocess(params, arrays, context):
    """Leave the labels as they are."""
    return {"warnings": []}, arrays


if __name__ == "__main__":
    serve({**default_handlers(), "segment": segment, "postprocess": postprocess})
