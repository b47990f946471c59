"""Whether ONNX Runtime or torch runs a model, for automatic and promptable models alike."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import InputError

ONNX_ONLY = ("directml", "coreml")
"""Devices that ONNX Runtime knows and torch does not."""


def onnx_or_torch(
    device: str,
    backend: str,
    without_graph: str,
    installed: Callable[[str], bool],
    torch_has_gpu: Callable[[], bool],
) -> str:
    """`onnx` or `torch`.

    What is asked for is taken. Otherwise ONNX Runtime runs every model that has a graph for it: on a GPU where the
    installed ONNX Runtime was built for one, on the CPU unless torch has a GPU. Torch, slow to import, is asked last.

    Args:
        device: one of `predictor.DEVICES`.
        backend: `auto`, `onnx` or `torch`.
        without_graph: why ONNX Runtime cannot run this model; empty where it can.
        installed: whether a package can be imported.
        torch_has_gpu: whether torch can use an NVIDIA device.

    Raises:
        InputError: what was asked for cannot serve.
    """
    if backend == "torch" or (backend == "auto" and without_graph):
        if device in ONNX_ONLY:
            raise InputError(without_graph or f"device '{device}' needs the ONNX backend")
        return "torch"
    if backend == "onnx":
        if without_graph:
            raise InputError(f"{without_graph}; use the torch backend")
        if device not in ("auto", "cpu", *ONNX_ONLY) and not _onnx_has(device, installed):
            raise InputError(
                f"the ONNX Runtime installed here runs on the CPU; device '{device}' needs the torch backend"
            )
        return "onnx"
    if device in ("cuda", "mps"):
        return "onnx" if _onnx_has(device, installed) else "torch"
    if not installed("onnxruntime") and installed("torch"):
        return "torch"
    if device == "auto" and not _onnx_has_gpu(installed) and torch_has_gpu():
        return "torch"
    return "onnx"


def _onnx_has(device: str, installed: Callable[[str], bool]) -> bool:
    if not installed("onnxruntime"):
        return False
    from .onnx_session import onnx_devices

    return device in onnx_devices()


def _onnx_has_gpu(installed: Callable[[str], bool]) -> bool:
    if not installed("onnxruntime"):
        return False
    from .onnx_session import onnx_device

    return onnx_device("auto") != "cpu"
