"""Prediction by ONNX Runtime: needs numpy, scipy and onnxruntime, neither torch nor nnunetv2."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnxruntime

from ..errors import InputError
from ..progress import Progress, no_progress, part_of
from .model_folder import ModelFolder
from .nnunet_numpy import Prepared, chosen_slices, prepare, restore, restore_labels
from .onnx_session import device_of, onnx_device, open_session
from .onnx_weights import external_weights
from .packages import processor_threads
from .plans import Configuration
from .predictor import Prediction, PredictionSettings, check_input
from .tiles import sliding_window

BATCH = 2
"""Tiles at once. 160 x 160, one Zen 4 core: 29 ms a tile at 1, 2 or 4, 40 ms at 8, where the cache is too small."""

MAX_BYTES = 1024**3

MAX_SIDE_BY_SIDE = 4
"""Batches computed at once, one thread each; on more cores, each gets several threads. Threads that share a batch wait
for each other at every layer: on two cores that others used too, a tile took 35 to 57 ms so, and 30 side by side. Each
batch at work takes memory of its own (the embedded 2d model's 21 MB, a tile of the 3d one 129 MB), so there are at
most four, and of 3d tiles two."""


class OnnxPredictor:
    """A `Predictor` of a 2d or 3d model with the labels of nnU-Net: on the CPU, or what the user's package offers.

    Raises:
        InputError: network.onnx is missing, damaged or does not fit plans.json.
    """

    backend = "onnx"

    def __init__(self, model: ModelFolder, settings: PredictionSettings | None = None) -> None:
        settings = settings or PredictionSettings()
        self.model = model
        self.warnings = model.warnings
        self._settings = settings
        if model.onnx is None:
            raise InputError(f"model '{model.name}' has no network.onnx; use the torch backend")
        device = onnx_device(settings.device)
        threads = processor_threads()
        volumetric = any(len(plan.patch_size) == 3 for plan in model.configurations.values())
        self._side_by_side = min(threads, 2 if volumetric else MAX_SIDE_BY_SIDE)
        self._session = open_session(
            model.onnx,
            MAX_BYTES,
            device,
            max(1, threads // self._side_by_side),
            external_weights(model.onnx, model.checkpoints),
            fallback=settings.device == "auto",
            fits=", no usable network or does not fit its checkpoint",
        )
        self.device = device_of(self._session)
        if self.device != "cpu":  # a GPU is one device, and DirectML's sessions serve one thread
            self._side_by_side = 1
        self._input = self._session.get_inputs()[0].name
        self._plan, self._mirroring_axes = _read_metadata(self._session, model)

    def predict(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Label one stack; see `Predictor.predict`."""
        logits, prepared = self._logits(array, spacing, progress, slices)
        labels = restore_labels(logits, prepared, self._plan)
        progress(1.0, "done")
        return np.ascontiguousarray(labels)

    def predict_probabilities(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> Prediction:
        """Label one stack and keep the probability of every class; see `Predictor.predict_probabilities`."""
        logits, prepared = self._logits(array, spacing, progress, slices)
        labels, probabilities = restore(logits, prepared, self._plan)
        progress(1.0, "done")
        return Prediction(np.ascontiguousarray(labels), probabilities)

    def _logits(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress,
        slices: Sequence[int] | None,
    ) -> tuple[np.ndarray, Prepared]:
        """float16 logits [class, slice, row, col] on the network's grid, and the stack as it was prepared."""
        image = check_input(array, spacing)
        progress(0.0, "preparing the image")
        prepared = prepare(image, tuple(float(distance) for distance in spacing), self._plan)
        chosen = chosen_slices(slices, prepared.box[0], self._plan)
        logits = sliding_window(
            prepared.image[chosen],
            self._run,
            self._plan.patch_size,
            self._settings.tile_step,
            self._mirroring_axes if self._settings.mirroring else None,
            BATCH,
            part_of(progress, 0.02, 0.95),
            self._side_by_side,
        )
        if np.isinf(logits).any():
            raise InputError("the network's output overflowed; the model does not suit this image")
        if slices is not None:
            whole = np.zeros((len(logits), *prepared.image.shape), logits.dtype)
            whole[:, chosen] = logits
            logits = whole
        progress(0.95, "resampling the result")
        return logits, prepared

    def _run(self, tiles: np.ndarray) -> np.ndarray:
        """Logits [n, class, (slice,) row, col] of tiles [n, 1, (slice,) row, col]."""
        return self._session.run(None, {self._input: tiles})[0]


def _read_metadata(
    session: onnxruntime.InferenceSession, model: ModelFolder
) -> tuple[Configuration, tuple[int, ...] | None]:
    """The configuration the network was exported from, and the axes it may be mirrored along."""
    entries = session.get_modelmeta().custom_metadata_map
    inputs, outputs = session.get_inputs(), session.get_outputs()
    plan = model.configuration(entries.get("configuration", ""))
    text = entries.get("mirroring_axes", "")
    dimensions = len(plan.patch_size)
    if not re.fullmatch(r"(0(,1)?(,2)?|1(,2)?|2)?", text) or (dimensions == 2 and "2" in text):
        raise InputError(f"{model.onnx} names impossible mirroring axes: {text!r:.40}")
    classes = len(model.labels) + 1
    fits = (
        len(inputs) == len(outputs) == 1
        and not model.has_regions
        and len(inputs[0].shape) == len(outputs[0].shape) == dimensions + 2
        and inputs[0].shape[1] == 1
        and list(inputs[0].shape[2:]) == list(plan.patch_size)
        and outputs[0].shape[1] == classes
    )
    if not fits:
        raise InputError(f"{model.onnx} does not fit plans.json and dataset.json beside it")
    return plan, tuple(int(axis) for axis in text.split(",")) if text else None
