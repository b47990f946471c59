"""Python packages that a model needs and Slicer does not bring: found without importing, installed only when asked."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ..errors import InputError

PROVIDED = ("SimpleITK", "numpy", "scipy", "requests", "torch", "torchvision")
"""Packages that come with Slicer or with the PyTorch extension: pip must not replace Slicer's own builds."""


@dataclass(frozen=True)
class Package:
    """A package that may be missing.

    Attributes:
        module: the name that is imported.
        requirement: what pip is asked for.
        megabytes: size on disk with what it brings along, for the question to the user.
    """

    module: str
    requirement: str
    megabytes: int

    def is_installed(self) -> bool:
        """Whether it can be imported; nothing is imported to find out."""
        return self.module in sys.modules or importlib.util.find_spec(self.module) is not None


ONNX_PACKAGES = (Package("onnxruntime", "onnxruntime>=1.20", 75), Package("psutil", "psutil>=5.9", 1))
"""What the embedded models need."""

TORCH = Package("torch", "torch>=2.6", 1200)
"""Comes through the PyTorch extension, which chooses the build that fits the graphics card."""

TORCH_PACKAGES = (TORCH, Package("nnunetv2", "nnunetv2>=2.6.4", 300), Package("psutil", "psutil>=5.9", 1))
"""What a model without an ONNX network needs."""


def missing_packages(needs_torch: bool) -> tuple[Package, ...]:
    """The packages that are not installed yet."""
    importlib.invalidate_caches()
    return tuple(
        package for package in (TORCH_PACKAGES if needs_torch else ONNX_PACKAGES) if not package.is_installed()
    )


def missing_sentence(packages: Sequence[Package]) -> str:
    """One sentence for the panel."""
    return _("This model needs Python packages that are not installed yet: {names} (about {size}).").format(
        names=", ".join(package.module for package in packages), size=_size(packages)
    )


def ask_and_install(packages: Sequence[Package]) -> bool:
    """Tell what will be installed and how large it is, and install it if the user agrees.

    Returns:
        Whether it was installed.

    Raises:
        InputError: the PyTorch extension is missing, or pip failed; the sentence says what to do.
    """
    if TORCH in packages and not _has_pytorch_extension():
        raise InputError(
            _(
                "PyTorch is installed through Slicer's PyTorch extension: "
                "install that in the Extensions Manager, then restart Slicer."
            )
        )
    question = _(
        "{names} will be downloaded and installed into Slicer's Python environment (about {size} on disk). "
        "This needs the internet and may take several minutes. Continue?"
    ).format(names=", ".join(package.requirement for package in packages), size=_size(packages))
    if not slicer.util.confirmOkCancelDisplay(question, _("Install Python packages")):
        return False
    try:
        if TORCH in packages:
            _install_torch()
        rest = [package.requirement for package in packages if package is not TORCH]
        if rest:
            _install(rest)
    except Exception as error:  # pip's failure is a CalledProcessError, the PyTorch extension raises what it likes
        raise InputError(_("Installing failed: {reason}. Is the internet reachable?").format(reason=error)) from error
    importlib.invalidate_caches()
    return all(package.is_installed() for package in packages)


def _size(packages: Sequence[Package]) -> str:
    megabytes = sum(package.megabytes for package in packages)
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes} MB"


def _has_pytorch_extension() -> bool:
    # Imported, not looked for: find_spec raises on the modules that Slicer itself has loaded.
    try:
        import PyTorchUtils  # noqa: F401
    except ImportError:
        return False
    return True


def _install_torch() -> None:
    from PyTorchUtils import PyTorchUtilsLogic

    # Only arguments that every published version of the extension takes: their names have changed before.
    if PyTorchUtilsLogic().installTorch(askConfirmation=False) is None:
        raise RuntimeError(_("PyTorch was not installed"))


def _install(requirements: list[str]) -> None:
    """Install with Slicer's own installer (5.12), else with its older one (5.10)."""
    if importlib.util.find_spec("slicer.packaging") is None:
        with slicer.util.WaitCursor():
            for requirement in requirements:
                _install_without_provided(requirement, slicer.util.pip_install, set())
        return
    from packaging.requirements import Requirement
    from slicer.packaging import pip_ensure

    pip_ensure(
        [Requirement(requirement) for requirement in requirements],
        skip_packages=list(PROVIDED),
        prompt_install=False,
        requester="SparseCardiacSeg",
    )


def _install_without_provided(requirement: str, pip_install: Callable[[list[str]], None], seen: set[str]) -> None:
    """Install `requirement` and what it depends on, except what Slicer provides.

    Slicer 5.10's pip_install cannot leave packages out, and pip would put a SimpleITK wheel over Slicer's own build.
    """
    name = _name_of(requirement)
    if name in seen or name in {_normalised(provided) for provided in PROVIDED}:
        return
    seen.add(name)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pip_install(["--no-deps", requirement])
        importlib.invalidate_caches()
        distribution = importlib.metadata.distribution(name)
    for dependency in distribution.requires or ():
        specifier, _separator, marker = dependency.partition(";")
        if _applies(marker):
            _install_without_provided(specifier.strip(), pip_install, seen)


def _applies(marker: str) -> bool:
    """Whether an environment marker holds here; extras are never asked for."""
    if not marker.strip():
        return True
    if importlib.util.find_spec("packaging") is not None:
        from packaging.markers import Marker
    else:  # pip itself is always there, and carries the same code
        from pip._vendor.packaging.markers import Marker

    return Marker(marker.strip()).evaluate({"extra": ""})


def _name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        raise InputError(f"'{requirement}' is no package name")
    return _normalised(match.group())


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
