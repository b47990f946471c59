"""The worker's commands for prompting: encode a slice, turn prompts into masks, find everything on a slice."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..progress import part_of
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..prompting.backend import PromptBackend
    from ..prompting.embedding_cache import EmbeddingCache
    from ..prompting.embedding_store import EmbeddingStore
    from ..prompting.model import PromptModel
    from ..prompting.predictor import PromptOptions
    from ..prompting.prompts import Prompt

Reply = tuple[Mapping[str, Any], Arrays]


def prompt_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"encode_slice": encode_slice, "prompt_slice": prompt_slice, "everything_slice": everything_slice}


def encode_slice(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Encode one slice ahead of the prompts that may come; model and embedding stay.

    Args:
        params: "model", a name, a folder or a file; "device" and "backend" ("auto" by default); "cache", None for no
            cache on disk (the default) or {"folder": path or None for the user's, "max_bytes": number or None};
            "memory_bytes", how much the embeddings in memory may take (None for the store's default).
        arrays: "slice", uint8 [row, col].
        context: progress and loaded models.

    Returns:
        Values "origin" (memory, disk or encoder), "seconds_encode", "capacity" (how many such embeddings memory
        holds), "warnings" and "model" (name, id, backend, device); no arrays.

    Raises:
        InputError: a parameter is missing or wrong, or the model cannot be used.
    """
    image = _slice_of(arrays)
    loaded = _loaded(params, context)
    started = time.perf_counter()
    embedding, origin = loaded.store.get(image)
    values = {
        "origin": origin,
        "seconds_encode": time.perf_counter() - started,
        "capacity": max(1, loaded.memory_bytes // max(1, embedding.features.nbytes)),
        "warnings": list(loaded.store.warnings),
        "model": loaded.info,
    }
    return values, {}


def prompt_slice(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """One mask for each prompt of one slice.

    Args:
        params: as for `encode_slice`, and "prompts", a list in the form of the prompts file, all on one slice of one
            frame; "options", the fields of `prompting.PromptOptions` that differ from its defaults.
        arrays: "slice", uint8 [row, col]: the slice that the prompts lie on.
        context: progress and loaded models.

    Returns:
        Values "structures" in the order of the masks, "scores" by structure, "origin" of the embedding,
        "seconds_encode", "seconds_decode", "warnings" and "model"; array "masks", uint8 [structure, row, col], no
        two of which share a pixel.

    Raises:
        InputError: a parameter is missing or wrong, a prompt cannot be used, or the model cannot be used.
    """
    from ..prompting.predictor import predict_prompts
    from ..prompting.prompt_file import prompts_from_json

    image = _slice_of(arrays)
    prompts = tuple(prompts_from_json({"prompts": params.get("prompts")}))
    options = _options(params.get("options"))
    loaded = _loaded(params, context)
    if not loaded.store.has(image):
        context.progress(0.1, "encoding the slice")
    prediction = predict_prompts(loaded.store, image, prompts, options)
    structures = list(prediction.masks)
    values = {
        "structures": [str(structure) for structure in structures],
        "scores": {str(structure): float(score) for structure, score in prediction.scores.items()},
        "origin": prediction.origin,
        "seconds_encode": prediction.seconds_encode,
        "seconds_decode": prediction.seconds_decode,
        "warnings": [*_beyond_the_model(loaded, prompts), *loaded.store.warnings],
        "model": loaded.info,
    }
    return values, {"masks": np.stack([prediction.masks[structure] for structure in structures]).astype(np.uint8)}


def everything_slice(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Every mask that the model finds on a slice without a prompt, for comparison.

    Args:
        params: as for `encode_slice`; the backend is torch.
        arrays: "slice", uint8 [row, col].
        context: progress and loaded models.

    Returns:
        Values "count", "areas" in pixels, "seconds" and "model"; array "labels", uint16 [row, col], where mask `n` of
        `count` (the largest is 1) holds number `n` and a smaller mask lies on a larger one.

    Raises:
        InputError: a parameter is missing or wrong, or the model cannot be used.
    """
    from ..prompting.everything import everything

    image = _slice_of(arrays)
    loaded = _loaded({**params, "backend": "torch"}, context)
    context.progress(0.05, "looking for everything")
    started = time.perf_counter()
    found = everything(loaded.backend, image, progress=part_of(context.progress, 0.05, 1.0))
    masks = sorted((item.mask for item in found), key=np.count_nonzero, reverse=True)[: np.iinfo(np.uint16).max]
    labels = np.zeros(image.shape, np.uint16)
    for number, mask in enumerate(masks, 1):
        labels[mask] = number
    values = {
        "count": len(masks),
        "areas": [int(np.count_nonzero(mask)) for mask in masks],
        "seconds": time.perf_counter() - started,
        "model": loaded.info,
    }
    return values, {"labels": labels}


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A model in memory with the embeddings that it made."""

    backend: PromptBackend
    store: EmbeddingStore
    info: Mapping[str, Any]
    structures: tuple[str, ...]
    memory_bytes: int


_found: dict[str, tuple[Hashable, PromptModel]] = {}
"""Models by the name they were asked for, with the state of their files then: a click must not search the disk."""


def _loaded(params: Mapping[str, Any], context: Context) -> _Loaded:
    """The model that the parameters name, from memory while its files stay as they are."""
    name = params.get("model")
    if not isinstance(name, str) or not name:
        raise InputError("prompting needs a model: its name, its folder or a checkpoint file")
    device, backend = (params.get(key, "auto") for key in ("device", "backend"))
    if not isinstance(device, str) or not isinstance(backend, str):
        raise InputError(f"device and backend must be names, not {device} and {backend}")
    memory = params.get("memory_bytes")
    if memory is not None:
        _positive(memory, "memory_bytes")
    cache = _cache(params.get("cache"))
    state, model = _find(name)
    key = ("promptable", model.name, state, device, backend, memory, repr(params.get("cache")))

    def load() -> _Loaded:
        from ..prompting.embedding_store import DEFAULT_MEMORY_BYTES, EmbeddingStore
        from ..prompting.predictor import open_backend
        from ..prompting.remembering import RememberingBackend

        context.progress(0.0, "loading the model")
        opened = open_backend(model, device, backend)
        info = {"name": model.name, "id": opened.model_id, "backend": opened.name, "device": opened.device}
        structures = tuple(str(structure) for structure in model.structures)
        limit = memory or DEFAULT_MEMORY_BYTES
        store = EmbeddingStore(RememberingBackend(opened), cache(), limit)
        return _Loaded(opened, store, info, structures, limit)

    return context.models.get(key, load)


def _find(name: str) -> tuple[Hashable, PromptModel]:
    """The model of that name and what tells it from itself after new training."""
    if name in _found:
        state, model = _found[name]
        if _state(model) == state:
            return state, model
    from ..prompting.catalogue import find_prompt_model

    model = find_prompt_model(name)
    state = _state(model)
    if state is not None:
        _found[name] = state, model
    return state, model


def _state(model: PromptModel) -> Hashable | None:
    """Sizes and times of the model's files and its base's; None where one is gone."""
    try:
        states = [(str(file), status.st_size, status.st_mtime_ns) for file in model.files for status in [file.stat()]]
    except OSError:
        return None
    return (*states, None if model.base is None else _state(model.base))


def _cache(value: Any) -> Callable[[], EmbeddingCache | None]:
    """Opens the cache on disk that the parameters ask for."""
    if value is None:
        return lambda: None
    if not isinstance(value, Mapping) or not set(value) <= {"folder", "max_bytes"}:
        raise InputError(f"the cache must be none, or a folder and a limit, not {value}")
    folder = value.get("folder")
    if folder is not None and (not isinstance(folder, str) or not folder):
        raise InputError(f"the cache's folder must be a path, not {folder}")
    given: dict[str, Any] = {} if folder is None else {"folder": Path(folder)}
    if value.get("max_bytes") is not None:
        given["max_bytes"] = _positive(value["max_bytes"], "the cache's max_bytes")

    def open_cache() -> EmbeddingCache:
        from ..prompting.embedding_cache import EmbeddingCache

        return EmbeddingCache(**given)

    return open_cache


def _slice_of(arrays: Arrays) -> np.ndarray:
    """The slice that came with the request."""
    image = arrays.get("slice")
    if image is None:
        raise InputError("prompting needs an array 'slice'")
    if image.ndim != 2 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"the slice must be uint8 [row, col], not {image.dtype} of shape {image.shape}")
    return image


def _options(value: Any) -> PromptOptions:
    """The options of the prediction."""
    from ..prompting.predictor import PromptOptions

    given = {} if value is None else value
    known = {item.name for item in fields(PromptOptions)}
    if not isinstance(given, Mapping) or not set(given) <= known:
        raise InputError(f"the options of a prompt must be among {', '.join(sorted(known))}, not {value}")
    for name in ("shared_negatives", "drop_islands"):
        if not isinstance(given.get(name, True), bool):
            raise InputError(f"{name} must be true or false, not {given[name]}")
    return PromptOptions(**given)


def _beyond_the_model(loaded: _Loaded, prompts: Sequence[Prompt]) -> list[str]:
    """A warning where a model that was trained on some structures is asked for another."""
    known = loaded.structures
    unknown = [str(prompt.structure) for prompt in prompts if known and str(prompt.structure) not in known]
    if not unknown:
        return []
    name = loaded.info["name"]
    return [f"model '{name}' was trained on {', '.join(known)}; what it makes of {', '.join(unknown)} is a guess"]


def _positive(value: Any, name: str) -> int:
    """A positive whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InputError(f"{name} must be a positive whole number, not {value}")
    return value
