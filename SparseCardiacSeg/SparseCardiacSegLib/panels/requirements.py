"""Python packages that a model needs and Slicer does not bring: found without importing, installed only when asked."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .install_errors import InstallError
from .package_install import PROVIDED, install
from .package_versions import distribution_name, installed_version, meets, unmet
from .settings import current_settings


@dataclass(frozen=True)
class Package:
    """A package that may be missing.

    Attributes:
        module: the name that is imported.
        requirement: what pip is asked for: the lowest version that works, and those known not to work.
        megabytes: size on disk with what it brings along, for the question to the user.
        download: megabytes to download, for the button; 0 where it depends on the computer (PyTorch's build).
    """

    module: str
    requirement: str
    megabytes: int
    download: int = 0

    def is_installed(self) -> bool:
        """Whether it can be imported, in whatever version; nothing is imported to find out."""
        return self.module in sys.modules or importlib.util.find_spec(self.module) is not None

    def wrong_version(self) -> str:
        """The installed version, if it is too old or known not to work; else empty."""
        version = installed_version(distribution_name(self.requirement))
        return version if version and self.is_installed() and not meets(self.requirement, version) else ""

    def is_usable(self) -> bool:
        """Whether it is installed, in a version that works, with everything that it needs itself."""
        if not self.is_installed():
            return False
        # Without metadata it is a build of another name (onnxruntime-gpu) or Slicer's own: taken as it is.
        known = installed_version(distribution_name(self.requirement)) is not None
        return not known or not unmet([self.requirement], [name for name in PROVIDED if name != self.module])


_ONNX_DOWNLOAD = {"win32": 15, "darwin": 21}.get(sys.platform, 23)
"""With flatbuffers, packaging and protobuf, which it brings along (version 1.31)."""

ONNX_PACKAGES = (
    Package("onnxruntime", "onnxruntime>=1.20", 75, _ONNX_DOWNLOAD),
    Package("psutil", "psutil>=5.9", 1, 1),
)
"""What the embedded models need."""

TORCH = Package("torch", "torch>=2.6,!=2.9.*", 1200)
"""Comes through the PyTorch extension, which chooses the build that fits the graphics card.

2.6 reads checkpoints without running code from them by default. 2.9 is excluded by nnU-Net's own requirements: its 3D
convolutions in mixed precision take four times as long (github.com/pytorch/pytorch/issues/166122).
"""

TORCHVISION = Package("torchvision", "torchvision>=0.21", 15)
"""Comes through the PyTorch extension, too."""

TORCH_PACKAGES = (TORCH, Package("nnunetv2", "nnunetv2>=2.6.4", 300), Package("psutil", "psutil>=5.9", 1))
"""What an nnU-Net model without an ONNX network needs. Before 2.6.4, nnU-Net does not read checkpoints of torch 2.6."""

SAM_PACKAGES = (
    TORCH,
    TORCHVISION,
    Package("segment_anything", "segment-anything>=1.0", 1),
    Package("psutil", "psutil>=5.9", 1),
)
"""What SAM, MedSAM and models fine-tuned from them need."""

FIGURES_PACKAGES = (Package("matplotlib", "matplotlib>=3.9", 60),)
"""What the pictures of the report need, and every video."""

VIDEO_PACKAGES = (Package("imageio_ffmpeg", "imageio-ffmpeg>=0.5", 165),)
"""What an MP4 needs beside `FIGURES_PACKAGES`: the encoder, in a wheel that brings it along. A GIF needs none."""

REGISTRATION_PACKAGES = (Package("cv2", "opencv-python-headless>=4.8", 155), *ONNX_PACKAGES)
"""What the engines of `propagation.engine` may need that Slicer does not bring."""

TRAINING_PACKAGES = (
    *TORCH_PACKAGES,
    Package("onnx", "onnx>=1.17", 40),
    Package("onnxscript", "onnxscript>=0.3", 15),
    ONNX_PACKAGES[0],
)
"""What the Train section needs: nnU-Net, and what turns its network into one that runs without PyTorch."""

_FROM_EXTENSION = ("torch", "torchvision")


def missing_packages(needs_torch: bool, prompting: bool = False) -> tuple[Package, ...]:
    """The packages that are not installed yet, or not in a version that works.

    Args:
        needs_torch: the model has no ONNX networks.
        prompting: it is a promptable model.
    """
    importlib.invalidate_caches()
    needed = ONNX_PACKAGES if not needs_torch else SAM_PACKAGES if prompting else TORCH_PACKAGES
    return tuple(package for package in needed if not package.is_usable())


def missing_for_engine(names: Sequence[str]) -> tuple[Package, ...]:
    """Those of an engine's packages (as they are imported) that are not installed yet, or not in a version that works.

    `onnxruntime` brings psutil with it, as for the models.
    """
    importlib.invalidate_caches()
    wanted = {*names, *(("psutil",) if "onnxruntime" in names else ())}
    return tuple(one for one in REGISTRATION_PACKAGES if one.module in wanted and not one.is_usable())


def missing_for_training() -> tuple[Package, ...]:
    """Those of `TRAINING_PACKAGES` that are not installed yet, or not in a version that works."""
    importlib.invalidate_caches()
    return tuple(package for package in TRAINING_PACKAGES if not package.is_usable())


def missing_sentence(packages: Sequence[Package]) -> str:
    """One or two sentences for the panel."""
    wrong = {package: version for package in packages if (version := package.wrong_version())}
    absent = [package for package in packages if package not in wrong]
    sentences = []
    if absent:
        sentences.append(
            _("This model needs Python packages that are not installed yet: {names} (about {size} on disk).").format(
                names=", ".join(package.module for package in absent), size=size_text(absent)
            )
        )
    for package, version in wrong.items():
        sentences.append(
            _("{name} {version} is installed, but {requirement} is needed.").format(
                name=package.module, version=version, requirement=package.requirement
            )
        )
    return " ".join(sentences)


def install_text(packages: Sequence[Package]) -> str:
    """What the button that installs says: with the size of the download, where it is known beforehand."""
    if packages and all(package.download for package in packages):
        return _("Install ({megabytes} MB)…").format(megabytes=sum(package.download for package in packages))
    return _("Install packages…")


def ask_and_install(packages: Sequence[Package]) -> bool:
    """Tell what will be installed, from where and how large it is, and install it if the user agrees.

    Returns:
        Whether it was installed.

    Raises:
        InputError: the PyTorch extension is missing; or an `InstallError`, whose `details` are pip's last output.
    """
    folder = current_settings().wheel_folder
    by_extension = _left_to_extension(packages, folder)
    if by_extension:
        _check_extension(by_extension)
    if not slicer.util.confirmOkCancelDisplay(_question(packages, folder), _("Install Python packages")):
        return False
    if by_extension:
        _install_torch()
    rest = [package.requirement for package in packages if package not in by_extension]
    if rest:
        _install(rest)
    importlib.invalidate_caches()
    return all(package.is_usable() for package in packages)


def size_text(packages: Sequence[Package]) -> str:
    """How much room packages take on the disk, for people."""
    megabytes = sum(package.megabytes for package in packages)
    if megabytes >= 1000:
        return _("{gigabytes} GB").format(gigabytes=f"{megabytes / 1000:.1f}")
    return _("{megabytes} MB").format(megabytes=megabytes)


def _question(packages: Sequence[Package], folder: Path | None) -> str:
    names = ", ".join(package.requirement for package in packages)
    if folder is None:
        return _(
            "{names} will be downloaded and installed into Slicer's Python environment (about {size} on disk). "
            "This needs the internet and may take several minutes. Continue?"
        ).format(names=names, size=size_text(packages))
    return _(
        "{names} will be installed into Slicer's Python environment (about {size} on disk) from the folder {folder}. "
        "This may take several minutes. Continue?"
    ).format(names=names, size=size_text(packages), folder=folder)


def _left_to_extension(packages: Sequence[Package], folder: Path | None) -> list[Package]:
    """PyTorch's packages, except where the user has put them into the folder of packages."""
    return [
        package
        for package in packages
        if package.module in _FROM_EXTENSION and not (folder and any(folder.glob(f"{package.module}-*.whl")))
    ]


def _check_extension(packages: Sequence[Package]) -> None:
    """Raise InputError where the PyTorch extension cannot install these."""
    if not _has_pytorch_extension():
        raise InputError(
            _(
                "PyTorch is installed through Slicer's PyTorch extension: "
                "install that in the Extensions Manager, then restart Slicer."
            )
        )
    for package in packages:
        if version := package.wrong_version():
            raise InputError(
                _(
                    "{name} {version} does not work with these models: uninstall PyTorch in the PyTorch Util module, "
                    "restart Slicer, and install {requirement} there."
                ).format(name=package.module, version=version, requirement=package.requirement)
            )


def _has_pytorch_extension() -> bool:
    # Imported, not looked for: find_spec raises on the modules that Slicer itself has loaded.
    try:
        import PyTorchUtils  # noqa: F401
    except ImportError:
        return False
    return True


def _install_torch() -> None:
    from PyTorchUtils import PyTorchUtilsLogic

    try:
        # Only arguments that every published version of the extension takes: their names have changed before.
        torch = PyTorchUtilsLogic().installTorch(askConfirmation=False)
    except Exception as error:  # the extension raises what it likes
        raise InstallError(
            _("The PyTorch extension could not install PyTorch: {reason}. Its module PyTorch Util tells more.").format(
                reason=error
            )
        ) from error
    if torch is None:
        raise InstallError(_("The PyTorch extension did not install PyTorch; its module PyTorch Util tells why."))


def _install(requirements: list[str]) -> None:
    install(requirements, current_settings().wheel_folder)
