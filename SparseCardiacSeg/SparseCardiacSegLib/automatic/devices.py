"""Which device torch runs a model on."""

from __future__ import annotations

from ..errors import InputError


def choose_device(asked: str) -> str:
    """The torch device to use: for `auto`, CUDA, then MPS, then the CPU.

    Raises:
        InputError: the one asked for is unknown or not there.
    """
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if asked not in present:
        raise InputError(f"unknown device '{asked}'; known are auto, cpu, cuda, mps")
    if not present[asked]:
        raise InputError(f"device '{asked}' is not available on this computer; choose 'auto' or 'cpu'")
    return asked
