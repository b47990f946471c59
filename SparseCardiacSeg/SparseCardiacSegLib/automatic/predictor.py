"""What every automatic predictor promises, and the choice between its two backends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import InputError
from ..progress import Progress, no_progress
from .backend_choice import onnx_or_torch
from .model_folder import ModelFolder
from .packages import installed, quiet_nnunet, require
from .region_routing import RoutedModel

DEVICES = ("auto", "cpu", "cuda", "mps", "directml", "coreml")
BACKENDS = ("auto", "onnx", "torch")


@dataclass(frozen=True)
class PredictionSettings:
    """How a model is run; the defaults are those of the `nnUNetv2_predict` command.

    Attributes:
        device: `auto` (a GPU where ONNX Runtime or torch has one, else the CPU), `cpu`, `cuda`, `mps` (torch),
            `directml` or `coreml` (ONNX Runtime).
        mirroring: average over mirrored inputs (test-time augmentation): four times the work in 2d, eight times in
            3d; nothing where the model was trained without.
        tile_step: distance of neighbouring tiles as a fraction of the tile, above 0 and at most 1.
        backend: `onnx` (no torch needed), `torch`, or `auto`: ONNX where the model folder holds a `network.onnx`,
            unless torch alone can use the GPU that is asked for or found.
        threshold: probability from which a voxel belongs to a structure; None takes the likeliest class.

    Raises:
        InputError: a value is outside its range.
    """

    device: str = "auto"
    mirroring: bool = True
    tile_step: float = 0.5
    backend: str = "auto"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise InputError(f"unknown device '{self.device}'; known are {', '.join(DEVICES)}")
        if self.backend not in BACKENDS:
            raise InputError(f"unknown backend '{self.backend}'; known are {', '.join(BACKENDS)}")
        if not isinstance(self.tile_step, int | float) or not 0 < self.tile_step <= 1:
            raise InputError(f"the tile step must lie above 0 and not above 1; {self.tile_step} was asked for")
        if self.threshold is not None and not (isinstance(self.threshold, int | float) and 0 < self.threshold < 1):
            raise InputError(f"the threshold is a probability between 0 and 1; {self.threshold} was asked for")


@dataclass(frozen=True, eq=False)
class Prediction:
    """Labels and, for display, what the network thought of every class.

    Attributes:
        labels: uint8 [slice, row, col], the model's own label numbers (`ModelFolder.scheme`).
        probabilities: float16 [class, slice, row, col]; class 0 is background, the others follow the label
            numbers in rising order (for region-based models: one channel a region, no background).
    """

    labels: np.ndarray
    probabilities: np.ndarray


@runtime_checkable
class Predictor(Protocol):
    """A loaded model that labels stacks, one after another.

    Attributes:
        model: the folder it was loaded from.
        backend: `onnx` or `torch`.
        device: the one that it computes on.
        warnings: sentences the user should see once.
    """

    model: ModelFolder
    backend: str
    device: str
    warnings: tuple[str, ...]

    def predict(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Label one stack.

        Args:
            array: numbers [slice, row, col], any real type.
            spacing: distance of voxel centres along the array axes (z, y, x), mm.
            progress: called after every tile; may raise `Cancelled`, which ends the work at once.
            slices: label only these, as they would be labelled among all; what is said of others means nothing.
                None labels all.

        Returns:
            uint8 [slice, row, col] in the model's own label numbers.

        Raises:
            InputError: the array or spacing cannot be used.
        """
        ...

    def predict_probabilities(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> Prediction:
        """As `predict`, with the probability of every class at every voxel."""
        ...


def check_input(array: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """`array` as float32 [slice, row, col] if a predictor can use it.

    Raises:
        InputError: not three dimensions, no voxels, NaN or infinite values, or an impossible spacing.
    """
    array = np.asarray(array)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"a predictor needs one stack [slice, row, col]; an array of shape {array.shape} was given")
    if array.dtype.kind not in "biuf":
        raise InputError(f"a predictor needs numbers; an array of type {array.dtype} was given")
    if not np.isfinite(array).all():
        raise InputError("the image holds NaN or infinite values; replace them before segmenting")
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"the spacing must be three positive numbers in mm; {tuple(spacing)} was given")
    return array.astype(np.float32)


def open_predictor(model: ModelFolder, settings: PredictionSettings | None = None) -> Predictor:
    """Load `model` once, on the backend and device that `settings` ask for.

    Raises:
        InputError: a needed package or device is missing, or the model cannot be used.
    """
    settings = settings or PredictionSettings()
    if isinstance(model, RoutedModel):
        from .region_predictor import RoutedPredictor

        return RoutedPredictor(model, settings)
    if choose_backend(model, settings) == "onnx":
        require(("onnxruntime",), "onnx", "the ONNX backend")
        from .onnx_predictor import OnnxPredictor

        return OnnxPredictor(model, settings)
    require(("torch", "nnunetv2"), "torch", f"model '{model.name}' on the torch backend")
    with quiet_nnunet():
        from .torch_predictor import TorchPredictor

        return TorchPredictor(model, settings)


def choose_backend(model: ModelFolder, settings: PredictionSettings) -> str:
    """The backend, `onnx` or `torch`, that `settings` mean for `model` on this computer.

    `auto` looks for CUDA only where torch is installed, and imports torch only when the device is `auto` and
    an NVIDIA driver is present: importing torch takes seconds, which the ONNX backend saves.

    Raises:
        InputError: ONNX was asked for where it cannot serve.
    """
    without_graph = "" if model.onnx else f"model '{model.name}' has no network.onnx"
    return onnx_or_torch(settings.device, settings.backend, without_graph, installed, _has_cuda)


def _has_cuda() -> bool:
    """Whether torch can use a CUDA device; torch is imported only where a driver is visible."""
    if not (installed("torch") and installed("nnunetv2")):
        return False
    if os.name != "nt" and not os.path.exists("/proc/driver/nvidia") and not os.path.exists("/dev/dxg"):  # noqa: PTH110
        return False
    import torch

    return torch.cuda.is_available()
