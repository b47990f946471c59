"""Which device a promptable model runs on."""

from __future__ import annotations

from pathlib import Path

from ..automatic.packages import installed
from ..automatic.predictor import DEVICES
from ..errors import InputError


def check_device(device: str) -> None:
    """Raise InputError unless `device` is one of `predictor.DEVICES`."""
    if device not in DEVICES:
        raise InputError(f"unknown device '{device}'; known are {', '.join(DEVICES)}")


def has_gpu() -> bool:
    """Whether torch can use an NVIDIA device; torch, slow to import, is asked only where a driver is visible."""
    if not installed("torch") or not installed("segment_anything"):
        return False
    if not any(Path(place).exists() for place in ("/proc/driver/nvidia", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")):
        return False
    import torch

    return torch.cuda.is_available()
