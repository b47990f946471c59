"""One run in a process of its own: `python -m SparseCardiacSegLib.training.experiments.one_run RUNFOLDER`.

Ends with 0 when the run is finished (also when it was before), 2 on bad input, 1 on any other failure, 75 when another
process has the run. Killed at any moment, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import InputError
from ...progress import Progress
from . import stages
from .lock import BEAT_SECONDS, HeldElsewhere, Lock
from .processes import end_children
from .run_folder import SCHEMA, SCHEMA_VERSION, SUMMARY, RunFolder
from .run_settings import RunSettings

BUSY = 75
"""Exit code: somebody else has the run (EX_TEMPFAIL)."""

_SHARES = {"sparsify": 0.02, "preprocess": 0.06, "train": 0.80, "export": 0.84, "predict": 0.94, "measure": 1.0}
"""Where each stage ends, as part of the whole: of 300 s with 600 iterations and 40 volumes to measure."""
_PACKAGES = ("torch", "nnunetv2", "numpy", "scipy", "onnxruntime", "SimpleITK", "dask", "distributed")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what run.json of a folder says."""
    parser = argparse.ArgumentParser(prog="one_run", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--guarded", action="store_true", help="end with everything started when stdin closes")
    options = parser.parse_args(argv)
    folder = RunFolder(options.folder.resolve())
    try:
        settings = folder.settings()
        lock = Lock(folder.path)
        lock.acquire()
    except HeldElsewhere as error:
        sys.stderr.write(f"one_run: {error}\n")
        return BUSY
    except InputError as error:
        sys.stderr.write(f"one_run: error: {error}\n")
        return 2
    if options.guarded:
        threading.Thread(target=_end_with_stdin, args=(lock,), daemon=True).start()
    threading.Thread(target=_beat, args=(lock,), daemon=True).start()
    stage = _Stage(folder)
    try:
        work_through(folder, settings, stage)
    except InputError as error:
        folder.tell("failed", stage.name, stage.fraction, str(error))
        sys.stderr.write(f"one_run: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        folder.tell("stopped", stage.name, stage.fraction, "stopped by the user")
        return 130
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split())[:300]
        folder.tell("failed", stage.name, stage.fraction, f"{type(error).__name__}: {text}" if text else repr(error))
        return 1
    finally:
        # nnU-Net's data processes would outlive a failed training.
        end_children()
        lock.release()
    return 0


class _Stage:
    """Which stage runs, how far it is, and how long each took."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.name = ""
        self.fraction = 0.0
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()
        self._told = 0.0

    def begin(self, name: str) -> Progress:
        """Start a stage; its progress callback."""
        self.end()
        names = list(_SHARES)
        start = _SHARES[names[names.index(name) - 1]] if name != names[0] else 0.0
        self.name = name
        self._began = time.monotonic()
        self._told = 0.0

        def report(fraction: float, message: str) -> None:
            self.fraction = start + (_SHARES[name] - start) * fraction
            if time.monotonic() - self._told > 1.0:  # a status is a flushed file
                self._told = time.monotonic()
                self.folder.tell("running", name, self.fraction, message)

        report(0.0, "")
        return report

    def end(self) -> None:
        """Note how long the stage took."""
        if self.name:
            self.seconds[self.name] = round(time.monotonic() - self._began, 2)


def work_through(folder: RunFolder, settings: RunSettings, stage: _Stage) -> None:
    """All stages in turn, then the summary, then what is no longer needed is removed."""
    if not folder.finished:
        folder.write_json("versions.json", versions())
        borrowed = folder.json(stages.BORROWED) if stages.borrow(folder, settings) else {}
        if not borrowed:
            _train(folder, settings, stage)
        how = stages.predict(folder, settings, stage.begin("predict"))
        found = stages.measure(folder, settings, stage.begin("measure"))
        stage.end()
        seconds = {**borrowed.get("seconds", {}), **stage.seconds}
        folder.write_json(SUMMARY, _summary(folder, settings, how, found, seconds))
    stages.clean(folder, settings.keep)
    folder.tell("done", "", 1.0)


def _train(folder: RunFolder, settings: RunSettings, stage: _Stage) -> None:
    """From the data set to the model."""
    stages.sparsify(folder, settings, stage.begin("sparsify"))
    stage.begin("preprocess")
    stages.prepare_data(folder, settings)
    progress = stage.begin("train")
    trained = stages.train(folder, settings, lambda done, total: progress(done / total, f"epoch {done} of {total}"))
    stage.begin("export")
    stages.export(folder, settings, trained)


def versions() -> dict[str, Any]:
    """What the figures may depend on."""
    found = {"SparseCardiacSeg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return {**found, "platform": platform.platform(), "host": platform.node(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")}  # fmt: skip


def _summary(
    folder: RunFolder, settings: RunSettings, how: dict[str, Any], found: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """What the report and other programs read; metrics.csv holds the figures of every case."""
    record = folder.json("sparsity.json")
    return {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "name": settings.name,
        "settings": settings.as_dict(),
        "annotated": record["totals"],
        "prediction": how,
        "regions_method": found["regions_method"],
        "n_cases": found["n_cases"],
        "aggregates": found["aggregates"],
        "warnings": [*record["warnings"], *found["warnings"]],
        "seconds": seconds,
    }


def _end_with_stdin(lock: Lock) -> None:
    """Wait until whoever started this process has gone, then end the whole tree at once."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    end_children()
    lock.release()
    os._exit(137)


def _beat(lock: Lock) -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        lock.beat()


if __name__ == "__main__":
    raise SystemExit(main())
