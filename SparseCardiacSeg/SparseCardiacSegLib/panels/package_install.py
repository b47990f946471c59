"""Installing Python packages with Slicer's own installer: slicer.packaging (5.12) or slicer.util.pip_install (5.10)."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .install_errors import InstallError, explain, tail
from .package_versions import distribution_name, installed_version, normalised, unmet

REQUESTER = "SparseCardiacSeg"

PROVIDED = ("SimpleITK", "numpy", "scipy", "vtk", "requests", "torch", "torchvision")
"""Packages that come with Slicer or with the PyTorch extension: pip must not replace Slicer's own builds."""


def install(requirements: Sequence[str], wheel_folder: Path | None = None) -> None:
    """Install packages and what they bring along, except what Slicer provides; what is there already stays.

    Main thread only, as Slicer's installers. Slicer 5.12 shows a window with progress; 5.10 a waiting cursor.

    Args:
        requirements: as pip takes them.
        wheel_folder: take packages from this folder instead of the internet.

    Raises:
        InstallError: it failed; the sentence gives cause and remedy, `details` the end of pip's output.
    """
    asked = {distribution_name(requirement) for requirement in requirements}
    provided = [name for name in PROVIDED if normalised(name) not in asked]
    if wheel_folder is not None and not any(wheel_folder.glob("*.whl")):
        raise InstallError(
            _(
                "The folder {folder}, which the Settings section names for packages, holds no .whl file. "
                "Choose another folder there, or empty the field to use the internet."
            ).format(folder=wheel_folder)
        )
    lacking = unmet(requirements, provided)
    with _pip_settings(provided, wheel_folder) as (constraints, log):
        try:
            if has_slicer_packaging():
                _ensure(lacking, provided, constraints)
            else:
                with slicer.util.WaitCursor():
                    _install_one_by_one(lacking, provided, constraints)
        except Exception as error:  # CalledProcessError of pip; RuntimeError where PythonSlicer is not found
            raise _failure(_read(log) or str(error), wheel_folder) from error
        importlib.invalidate_caches()
        still = unmet(requirements, provided)
        # Slicer's installer only logs that a package which another one needs could not be installed.
        if still and slicer.app.testingEnabled() and not _read(log):
            raise InstallError(_("Nothing was installed, because Slicer runs in testing mode."))
        if still:
            missing = _("Not installed: {names}.").format(names=", ".join(still))
            raise _failure(_read(log), wheel_folder, missing)


def has_slicer_packaging() -> bool:
    """Whether this Slicer has `slicer.packaging.pip_ensure` (5.12 and later)."""
    return importlib.util.find_spec("slicer.packaging") is not None


def _ensure(requirements: Sequence[str], provided: Sequence[str], constraints: Path) -> None:
    from slicer.packaging import pip_ensure

    pip_ensure(
        list(requirements),
        constraints=constraints,
        skip_packages=list(provided),
        prompt_install=False,  # the user has just agreed, and was told the size, which this question would not tell
        requester=REQUESTER,
    )


def _install_one_by_one(requirements: Sequence[str], provided: Collection[str], constraints: Path) -> None:
    """Install without dependencies, then the dependencies in the same way, leaving out what Slicer provides.

    Slicer 5.10's pip_install cannot leave packages out, and pip would put a SimpleITK wheel over Slicer's own build.
    """
    tried: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop(0)
        name = distribution_name(requirement)
        if name in tried:
            continue
        tried.add(name)
        slicer.util.pip_install(["--no-deps", "-c", str(constraints), requirement])
        importlib.invalidate_caches()
        waiting.extend(unmet([requirement], provided))


@contextmanager
def _pip_settings(provided: Sequence[str], wheel_folder: Path | None) -> Iterator[tuple[Path, Path]]:
    """Constraints and a log for pip, in a folder that is removed afterwards.

    The constraints keep what Slicer provides at its version, and carry the folder of packages: a constraints file may
    hold pip's --no-index and --find-links, and both of Slicer's installers take one.

    Yields:
        The constraints file, and the file to which pip appends its log.
    """
    with tempfile.TemporaryDirectory(prefix="sparsecardiacseg-pip-") as folder:
        constraints, log = Path(folder) / "constraints.txt", Path(folder) / "pip.log"
        lines = [f"{name}=={version}" for name in provided if (version := installed_version(name))]
        if wheel_folder is not None:
            lines += ["--no-index", f"--find-links {wheel_folder.resolve().as_uri()}"]
        constraints.write_text("\n".join(lines) + "\n", "utf-8")
        # Slicer's installers give pip this process's environment, and keep its output to themselves when it fails.
        with _environment({"PIP_LOG": str(log), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}):
            yield constraints, log


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the moment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _failure(log: str, wheel_folder: Path | None, first: str = "") -> InputError:
    explanation = explain(log, wheel_folder)
    failed = _("Installing failed: {explanation}").format(explanation=explanation.sentence())
    return InstallError(" ".join(part for part in (failed, first) if part), tail(log))


def _read(log: Path) -> str:
    return log.read_text("utf-8", errors="replace") if log.is_file() else ""
