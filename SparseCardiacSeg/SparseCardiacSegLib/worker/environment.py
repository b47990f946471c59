"""The environment variables of the worker process; the host application's own are never changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

LIBRARY_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `SparseCardiacSegLib`."""

REMOVED = (
    # Slicer's launcher sets it; a SimpleITK that is not Slicer's own build then loads Slicer's plugin and crashes.
    "ITK_AUTOLOAD_PATH",
    # Slicer's launcher sets it; any other interpreter then looks for its standard library in Slicer. PythonSlicer
    # sets it again for itself.
    "PYTHONHOME",
    # They make an interpreter run other things first, ask questions at the end, or start under another name.
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONEXECUTABLE",
    "__PYVENV_LAUNCHER__",
    # A worker that waits for a debugger, or that profiles to stdout, would hang without a word.
    "PYTHONBREAKPOINT",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONVERBOSE",
)
"""Variables that do harm in a worker started from inside an application."""


def worker_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment to start the worker with.

    The number of threads is left as the user set it: nothing here touches OMP_NUM_THREADS and its like.

    Args:
        base: what to start from; None takes this process's environment. Inside Slicer pass
            `slicer.util.startupEnvironment()`, which is the environment without the launcher's additions.

    Returns:
        A new dictionary; neither `base` nor `os.environ` is changed.
    """
    environment = {name: value for name, value in (os.environ if base is None else base).items() if name not in REMOVED}
    found = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    environment["PYTHONPATH"] = os.pathsep.join([str(LIBRARY_ROOT), *(p for p in found if p != str(LIBRARY_ROOT))])
    # `python -m` would put the current folder first: a file torch.py among the user's images must not be run.
    environment["PYTHONSAFEPATH"] = "1"
    environment["PYTHONUTF8"] = "1"
    # The last lines before a crash are the ones that explain it.
    environment["PYTHONUNBUFFERED"] = "1"
    unused = str(Path(tempfile.gettempdir()) / "sparsecardiacseg-unused")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        environment.setdefault(name, unused)  # nnU-Net before 2.7 complains at import; prediction uses none of them
    # Else nnU-Net starts a shell at import to learn the host's name: on Windows a console window flashes up.
    environment.setdefault("nnUNet_n_proc_DA", "0")
    # Must be set before torch is imported; without it operations that Apple's GPU lacks stop the prediction.
    environment.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    return environment
