"""The commands of the worker. What a command needs is imported when it is called: the worker must start quickly."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..errors import InputError
from ..progress import part_of
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..automatic.model_folder import ModelFolder
    from ..automatic.predictor import Predictor

Reply = tuple[Mapping[str, Any], Arrays]


def default_handlers() -> dict[str, Handler]:
    """What the worker of this extension can do, by command. Other rooms add theirs here."""
    from .export_handlers import export_handlers
    from .metric_handlers import metric_handlers
    from .model_handlers import model_handlers
    from .prompt_handlers import prompt_handlers
    from .propagation_handlers import propagation_handlers
    from .surface_handlers import surface_handlers
    from .training_handlers import training_handlers
    from .wall_handlers import wall_handlers

    return {
        "ping": ping,
        "load": load,
        "segment": segment,
        "postprocess": postprocess,
        **prompt_handlers(),
        **metric_handlers(),
        **model_handlers(),
        **surface_handlers(),
        **export_handlers(),
        **propagation_handlers(),
        **training_handlers(),
        **wall_handlers(),
    }


def ping(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Say what answers; arrays come back as they were sent."""
    values = {
        "pid": os.getpid(),
        "version": __version__,
        "python": platform.python_version(),
        "loaded_models": len(context.models),
        "echo": params.get("echo"),
    }
    return values, arrays


def load(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Open the model that a `segment` with the same parameters will use, so that it need not wait for it.

    Args:
        params: "model" and the settings of `segment`.
        arrays: none.
        context: progress and loaded models.

    Returns:
        Values "backend" and "device".

    Raises:
        InputError: a parameter is missing or wrong, or the model cannot be used.
    """
    del arrays
    _, predictor, _ = _opened(params, context)
    return {"backend": predictor.backend, "device": predictor.device}, {}


def segment(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Label one stack with an nnU-Net model, which stays loaded.

    Args:
        params: "spacing" (z, y, x) in mm; "model", a name or a folder; and, each with the default of
            `automatic.PredictionSettings`: "device", "mirroring", "tile_step", "backend", "threshold"; "orientation",
            where the image's axes point (`automatic.orientation`), for models that want to know.
        arrays: "image", numbers [slice, row, col], through-plane axis first.
        context: progress and loaded models.

    Returns:
        Values "labels_scheme" ({"name", "numbers"}), "model" (name, folder, backend, device, card), "warnings" and
        "seconds" (the prediction alone, loading not counted), and array "labels", uint8 in the shape of the image.

    Raises:
        InputError: a parameter is missing or wrong, or the model cannot be used.
    """
    from ..automatic.turned import predict_turned
    from .schemes import write_scheme

    if "image" not in arrays:
        raise InputError("'segment' needs an array 'image'")
    spacing = _spacing(params.get("spacing"))
    model, predictor, threshold = _opened(params, context)
    started = time.monotonic()
    progress = part_of(context.progress, 0.02, 1.0)
    labels = predict_turned(predictor, arrays["image"], spacing, params.get("orientation"), threshold, progress)
    seconds = time.monotonic() - started
    values = {
        "labels_scheme": write_scheme(model.scheme),
        "model": {
            "name": model.name,
            "folder": str(model.path),
            "backend": predictor.backend,
            "device": predictor.device,
            "folds": list(model.folds),
            "card": dict(model.card),
        },
        "warnings": list(dict.fromkeys([*model.warnings, *predictor.warnings])),
        "seconds": seconds,
    }
    return values, {"labels": np.ascontiguousarray(model.keep_known(labels), dtype=np.uint8)}


def postprocess(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Tidy the labels of a stack or cine up, frame by frame.

    Args:
        params: "steps", the fields of `automatic.PostprocessSettings`; "labels_scheme" as `segment` gives it;
            "ijk_to_ras", 4 x 4, and "through_plane" of the stack.
        arrays: "labels", uint8 [slice, row, col] or [frame, slice, row, col].
        context: progress.

    Returns:
        Value "warnings", and array "labels" in the shape that was given.

    Raises:
        InputError: the steps cannot be used.
    """
    from ..automatic.postprocess import PostprocessSettings
    from ..automatic.postprocess import postprocess as repair
    from ..segmentation import Segmentation
    from ..stack import Stack
    from .schemes import read_scheme

    labels = Stack(arrays["labels"], np.asarray(params["ijk_to_ras"]), int(params["through_plane"]))
    segmentation = Segmentation(labels, read_scheme(params["labels_scheme"]))
    steps = PostprocessSettings(**params["steps"])
    tidied = np.empty_like(arrays["labels"])
    frames = tidied if labels.is_cine else tidied[None]
    warnings: list[str] = []
    for index in range(labels.n_frames):
        context.progress(index / labels.n_frames, "post-processing")
        result = repair(segmentation.frame(index), steps)
        frames[index] = result.labels.array
        warnings.extend(result.warnings)
    return {"warnings": list(dict.fromkeys(warnings))}, {"labels": tidied}


def _opened(params: Mapping[str, Any], context: Context) -> tuple[ModelFolder, Predictor, float | None]:
    """The model that `params` name, its predictor, which stays loaded, and the threshold."""
    from ..automatic.catalogue import find_model
    from ..automatic.predictor import PredictionSettings, open_predictor

    name = params.get("model")
    if not isinstance(name, str) or not name:
        raise InputError("'segment' needs a model: its name, or its folder")
    given = {key: params[key] for key in ("device", "mirroring", "tile_step", "backend", "threshold") if key in params}
    threshold = PredictionSettings(**given).threshold
    settings = PredictionSettings(**{**given, "threshold": None})  # for the key: one loaded model serves any threshold
    context.progress(0.0, "loading the model")
    model = find_model(name)
    key = ("automatic", _state(model), settings)
    return model, context.models.get(key, lambda: open_predictor(model, settings)), threshold


def _spacing(value: Any) -> tuple[float, float, float]:
    """Three positive numbers."""
    numbers = value if isinstance(value, list | tuple) else ()
    if len(numbers) != 3 or not all(isinstance(n, int | float) and np.isfinite(n) and n > 0 for n in numbers):
        raise InputError(f"the spacing must be three positive numbers in mm (z, y, x), not {value}")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _state(model: ModelFolder) -> Hashable:
    """What tells a model folder from itself after new training: its files with their sizes and times."""
    states = [(str(file), status.st_size, status.st_mtime_ns) for file in model.files for status in [file.stat()]]
    return tuple(states)
