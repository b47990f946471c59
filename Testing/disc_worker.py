"""A real worker process with models that need no network; the model's name says how it behaves.

Run as a script by `disc_client`, which the tests of prompting use.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import prompt_backends
from SparseCardiacSegLib.anatomy import SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker.client import WorkerClient

BEHAVIOUR = {
    "disc": {},
    "slow": {"encode_s": 0.3},
    "slow to decode": {"decode_s": 0.3},
    "stuck": {"encode_s": 120},
    "dies": {"dies_in": "decode"},
    "dies encoding": {"dies_in": "encode"},
    "breaks": {"breaks": True},
    "short-axis": {"structures": SHORT_AXIS},
}


@dataclass
class Model:
    """As much of a `PromptModel` as the worker looks at."""

    name: str
    structures: tuple[Structure, ...] = ()
    files: tuple[Path, ...] = (Path(__file__),)
    base: None = None


@dataclass
class Misbehaving(prompt_backends.DiscBackend):
    """A disc that takes its time, dies or breaks."""

    encode_s: float = 0
    decode_s: float = 0
    dies_in: str = ""
    breaks: bool = False

    def encode(self, image):
        time.sleep(self.encode_s)
        if self.dies_in == "encode":
            os._exit(9)
        return super().encode(image)

    def decode(self, embedding, points, signs, box):
        time.sleep(self.decode_s)
        if self.dies_in == "decode":
            os._exit(9)
        if self.breaks:
            raise ZeroDivisionError("deep inside")
        return super().decode(embedding, points, signs, box)


def find_model(name):
    if name not in BEHAVIOUR:
        raise InputError(f"there is no promptable model '{name}'")
    return Model(name, BEHAVIOUR[name].get("structures", ()))


def open_backend(model, device, backend):
    if backend not in ("auto", "torch"):
        raise InputError(f"unknown backend '{backend}'")
    given = {key: value for key, value in BEHAVIOUR[model.name].items() if key != "structures"}
    return Misbehaving(**given, device="cpu" if device == "auto" else device)


def everything(backend, image, progress):
    """Two discs about the middle, the smaller first, as by score."""
    from SparseCardiacSegLib.prompting.everything import FoundMask

    assert isinstance(backend, Misbehaving)
    progress(0.5, "half")
    row, col = np.mgrid[: image.shape[0], : image.shape[1]]
    apart = np.hypot(row - image.shape[0] / 2, col - image.shape[1] / 2)
    return [FoundMask(apart < radius + 0.5, 1 - radius / 100, 1.0, (0.0, 0.0)) for radius in (4, 9)]


def disc_client(folder, **options):
    """A client of this worker."""
    return WorkerClient(command=[sys.executable, Path(__file__).resolve()], temporary=folder, **options)


if __name__ == "__main__":
    from SparseCardiacSegLib.prompting import catalogue, predictor
    from SparseCardiacSegLib.prompting import everything as everything_room
    from SparseCardiacSegLib.worker.handlers import default_handlers
    from SparseCardiacSegLib.worker.server import serve

    catalogue.find_prompt_model = find_model
    predictor.open_backend = open_backend
    everything_room.everything = everything
    serve(default_handlers())
