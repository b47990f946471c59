"""Which optional packages are there, how nnU-Net is kept quiet, and how many threads to use."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from ..errors import InputError

_COMPILE = "nnUNet_compile"
_AUGMENTATION_PROCESSES = "nnUNet_n_proc_DA"
"""Set before nnU-Net is imported, else it starts a `hostname` process to find out where it runs."""


def installed(package: str) -> bool:
    """Whether `package` can be imported; it is looked for, not imported."""
    return importlib.util.find_spec(package) is not None


def require(packages: tuple[str, ...], extra: str, purpose: str) -> None:
    """Check that `packages` are installed before any of them is imported.

    Raises:
        InputError: one is missing; the sentence names it and the extra that brings it.
    """
    for package in packages:
        if not installed(package):
            raise InputError(
                f"{purpose} needs the package '{package}', which is not installed; "
                f"install it with: pip install sparsecardiacseg[{extra}]"
            )


def processor_threads() -> int:
    """Threads worth using for arithmetic: the physical cores, as far as this process may use them.

    `OMP_NUM_THREADS` is respected, as every numerical library does.
    """
    physical = os.cpu_count() or 1
    if installed("psutil"):  # Slicer does not ship it; without it, hyper-threads count as cores
        import psutil

        physical = psutil.cpu_count(logical=False) or physical
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    asked = os.environ.get("OMP_NUM_THREADS", "")
    limit = int(asked) if asked.isdigit() and int(asked) > 0 else physical
    return max(1, min(physical, allowed, limit))


@contextmanager
def quiet_nnunet() -> Iterator[None]:
    """Import and run nnU-Net without its remarks on stdout, which the worker uses for its protocol.

    torch.compile is switched off: it needs a C++ compiler and minutes. Notices about functions that later
    versions of its dependencies will drop say nothing to a user, and are dropped too.
    """
    os.environ[_COMPILE] = "false"
    os.environ.setdefault(_AUGMENTATION_PROCESSES, "0")
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
