"""Opening a network of ONNX Runtime that may be damaged or hostile, on the CPU or what the user's package offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..errors import InputError
from .packages import processor_threads

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Device to the part of ONNX Runtime that serves it; which parts there are depends on the package the user has."""

_CHOSEN_BY_ITSELF = ("cuda", "directml")
"""What `auto` takes where the package has it: whoever has one of these installed a build for it (onnxruntime-gpu,
onnxruntime-directml). CoreML is in every package for macOS and may compute in half precision, whose labels are not
nnU-Net's to the voxel: it is taken when asked for."""

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    # TF32 rounds every factor to 10 bits; the default search times every algorithm anew for every shape of tile.
    "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}


def onnx_devices() -> tuple[str, ...]:
    """The devices that the installed ONNX Runtime was built for, the CPU first."""
    available = onnxruntime.get_available_providers()
    return tuple(device for device, provider in PROVIDERS.items() if provider in available)


def onnx_device(asked: str) -> str:
    """The key of `PROVIDERS` that a device means here: for `auto`, CUDA, then DirectML, then the CPU.

    Raises:
        InputError: the device is unknown, or the installed ONNX Runtime was not built for it.
    """
    present = onnx_devices()
    if asked == "auto":
        return next((device for device in _CHOSEN_BY_ITSELF if device in present), "cpu")
    if asked not in PROVIDERS:
        raise InputError(f"unknown device '{asked}' for ONNX Runtime; known are auto, {', '.join(PROVIDERS)}")
    if asked not in present:
        raise InputError(f"this computer's ONNX Runtime cannot use device '{asked}'; choose 'auto' or 'cpu'")
    return asked


def open_session(
    path: Path,
    most_bytes: int,
    device: str = "cpu",
    threads: int | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    fallback: bool = False,
    fits: str = "",
) -> onnxruntime.InferenceSession:
    """Load a network from memory, where ONNX Runtime cannot follow references to other files.

    Args:
        path: the network's file.
        most_bytes: a larger file is refused.
        device: a key of `PROVIDERS` that is among `onnx_devices()`.
        threads: for one run of the network; None takes the machine's.
        weights: the initializers that the file leaves out, by name.
        fallback: take the CPU where the device cannot be started (a package with CUDA on a computer without).
        fits: what the error says beside "damaged": " or does not fit weights.npz".

    Raises:
        InputError: the file is missing, too large, damaged, no network or does not fit the weights, or the device
            cannot be started.
    """
    # Read while the session is made, which then has its own copy; before that, nothing but this keeps them alive.
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in (weights or {}).items()}
    try:
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path} is larger than {most_bytes // 1024**2} MB; it was refused")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        session = onnxruntime.InferenceSession(content, _options(device, threads, values), providers=_providers(device))
    except Exception as error:  # ONNX Runtime has a dozen exception types without a common base
        if device != "cpu" and fallback:
            return open_session(path, most_bytes, "cpu", threads, weights, fits=fits)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} is damaged{fits or ' or no usable network'} ({reason})") from error
    if PROVIDERS[device] not in session.get_providers() and not fallback:
        raise InputError(f"ONNX Runtime could not start its {PROVIDERS[device]}; choose device 'cpu'")
    return session


def device_of(session: onnxruntime.InferenceSession) -> str:
    """The key of `PROVIDERS` that a session computes with."""
    active = session.get_providers()[0]
    return next((device for device, provider in PROVIDERS.items() if provider == active), "cpu")


def _options(
    device: str, threads: int | None, values: Mapping[str, onnxruntime.OrtValue]
) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or processor_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that wait in a loop took 35 ms of processor time a click from others (57 for 22 ms) on two busy cores,
    # and a tile 57 ms in place of 35.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "directml":
        options.enable_mem_pattern = False  # which DirectML does not support
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    return options


def _providers(device: str) -> list[str | tuple[str, dict[str, Any]]]:
    """The device's provider with its options, then the CPU for what it cannot do."""
    if device == "cpu":
        return [PROVIDERS["cpu"]]
    return [(PROVIDERS[device], dict(_OPTIONS.get(device, {}))), PROVIDERS["cpu"]]
