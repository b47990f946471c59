"""Which device a promptable model runs on."""

from __future__ import annotations

from pathlib import Path

from ..automatic.packages import installed
from ..automatic.predictor import DEVICES
from ..errors import InputError


def check_device(device: str) -> None:
    """Raise InputError unless `device` is one of `auto`, `cpu`, `cuda` and `mps`."""
    if device not in DEVICES:
        raise InputError(f"unknown device '{device}'; known are {', '.join(DEVICES)}")


def choose_device(asked: str) -> str:
    """The torch device to use: for `auto`, CUDA, then MPS, then the CPU.

    Raises:
        InputError: the one asked for is unknown or not there.
    """
    import torch

    check_device(asked)
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[asked]:
        raise InputError(f"device '{asked}' is not available on this computer; choose 'auto' or 'cpu'")
    return asked


def has_gpu() -> bool:
    """Whether torch can use an NVIDIA device; torch, slow to import, is asked only where a driver is visible."""
    if not installed("torch") or not installed("segment_anything"):
        return False
    if not any(Path(place).exists() for place in ("/proc/driver/nvidia", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")):
        return False
    import torch

    return torch.cuda.is_available()
