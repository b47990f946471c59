"""How the worker process is started from inside Slicer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .settings import current_settings

if TYPE_CHECKING:
    from ..worker.client import WorkerClient

LIBRARY_PARENT = Path(__file__).resolve().parents[2]
"""The folder that must be on the worker's path so that SparseCardiacSegLib can be imported there."""


def worker_interpreter() -> str:
    """The path of PythonSlicer, which starts Slicer's Python with the libraries that its packages need.

    `sys.executable` inside the application is Slicer itself.

    Raises:
        InputError: this Slicer has none.
    """
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    installed = Path(slicer.app.slicerHome) / "bin" / name
    if installed.is_file():
        return str(installed)
    found = shutil.which("PythonSlicer")
    if found is None:
        raise InputError(_("{program} is missing: install 3D Slicer again.").format(program=installed))
    return found


def worker_command() -> list[str]:
    """What starts the worker.

    The path is set in Python code and not through PYTHONPATH, which PythonSlicer's launcher sets for itself.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(LIBRARY_PARENT)!r}); "
        "import runpy; runpy.run_module('SparseCardiacSegLib.worker', run_name='__main__')"
    )
    return [worker_interpreter(), "-c", code]


def make_client() -> WorkerClient:
    """A client whose worker runs in the environment in which Slicer itself was started; nothing is started yet.

    The user's folders of models and of kept slices are read each time that the worker is started.
    """
    from ..worker.client import WorkerClient
    from ..worker.environment import worker_environment

    def environment() -> dict[str, str]:
        return worker_environment({**slicer.util.startupEnvironment(), **current_settings().environment()})

    return WorkerClient(command=worker_command(), environment=environment)
