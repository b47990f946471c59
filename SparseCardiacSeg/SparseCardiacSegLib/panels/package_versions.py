"""Which Python packages are installed in which version, read from their metadata: nothing is imported to find out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType


def normalised(name: str) -> str:
    """A distribution's name as pip compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution_name(requirement: str) -> str:
    """The distribution that a requirement such as `onnxruntime>=1.20` names, normalised."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        raise ValueError(f"'{requirement}' is no package name")  # a fault of the program: no user names packages
    return normalised(match.group())


def installed_version(name: str) -> str | None:
    """The version of a distribution; None where it is not installed, or carries no metadata (Slicer's own builds)."""
    found = _installed(name, _state_of_folders())
    return found.version if found else None


@lru_cache(maxsize=1024)
def meets(requirement: str, version: str) -> bool:
    """Whether a version is one that a requirement asks for."""
    return _packaging("requirements").Requirement(requirement).specifier.contains(version, prereleases=True)


def unmet(requirements: Iterable[str], provided: Collection[str] = ()) -> list[str]:
    """What is missing or of a wrong version, with everything that the requirements bring along.

    An installation that broke off leaves packages whose own dependencies are missing; these are found too.

    Args:
        requirements: as pip takes them; extras are not followed.
        provided: distributions that are there in a form that pip does not see; they count as installed.

    Returns:
        Requirements without environment markers, in the order in which they were met.
    """
    state = _state_of_folders()
    passed = {normalised(name) for name in provided}
    waiting, lacking = list(requirements), []
    while waiting:
        specifier, _separator, marker = waiting.pop(0).partition(";")
        specifier = specifier.strip()
        name = distribution_name(specifier)
        if name in passed or not _applies(marker):
            continue
        passed.add(name)
        found = _installed(name, state)
        if found is None or not meets(specifier, found.version):
            lacking.append(specifier)
        else:
            waiting.extend(found.requires)
    return lacking


@dataclass(frozen=True)
class _Installed:
    """An installed distribution: its version and what it needs, with environment markers."""

    version: str
    requires: tuple[str, ...]


@lru_cache(maxsize=1024)
def _installed(name: str, state: tuple) -> _Installed | None:  # noqa: ARG001 (of another state, another answer)
    """A distribution; remembered, since reading the metadata of a few took a quarter of opening the module."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    # Only the lines before the description, which importlib.metadata would parse as well: ten times sooner.
    headers = (found.read_text("METADATA") or "").partition("\n\n")[0]
    version = re.search(r"^Version: *(\S+)", headers, re.MULTILINE)
    if version is None:  # an older kind of metadata
        return _Installed(found.version, tuple(found.requires or ()))
    return _Installed(version[1], tuple(re.findall(r"^Requires-Dist: *(.+?)\s*$", headers, re.MULTILINE)))


def _state_of_folders() -> tuple:
    """What changes when a package is installed, updated or removed: the times of the folders that hold them."""
    state = []
    for folder in sys.path:
        try:
            state.append((folder, Path(folder).stat().st_mtime_ns))
        except OSError:  # an entry of the path that is not there holds no package
            continue
    return tuple(state)


@lru_cache(maxsize=1024)
def _applies(marker: str) -> bool:
    """Whether an environment marker holds here; extras are never asked for."""
    if not marker.strip():
        return True
    return _packaging("markers").Marker(marker.strip()).evaluate({"extra": ""})


def _packaging(part: str) -> ModuleType:
    """A module of `packaging`; pip, which is always there, carries the same code."""
    home = "packaging" if importlib.util.find_spec("packaging") is not None else "pip._vendor.packaging"
    return importlib.import_module(f"{home}.{part}")
