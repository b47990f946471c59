"""From the prompts on one slice to the masks on its pixels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..anatomy import Structure
from ..automatic.backend_choice import onnx_or_torch
from ..automatic.packages import installed, require
from ..errors import InputError
from .backend import Decoded, Embedding, PromptBackend
from .combine import OVERLAP_RULES, Overlap, without_overlap
from .devices import check_device, has_gpu
from .embedding_store import EmbeddingStore, Origin
from .islands import without_islands
from .prompts import Point, Prompt, with_shared_negatives
from .slice_check import check_slice

if TYPE_CHECKING:
    from .model import PromptModel

Myocardium = Literal["ring", "difference"]
MYOCARDIUM_MODES: tuple[Myocardium, ...] = ("ring", "difference")
BACKENDS = ("auto", "torch", "onnx")


@dataclass(frozen=True)
class PromptOptions:
    """How prompts become masks.

    Attributes:
        shared_negatives: positive points of each structure serve as negatives of the others on the slice.
        myocardium: `ring` prompts the ring itself. `difference` prompts the epicardium, the outer border, and takes
            the cavity out; it needs a prompt for the cavity, and is `ring` on slices without one.
        overlap: `order` or `score`, see `combine.without_overlap`.
        drop_islands: leave out small pieces that nobody clicked, see `islands.without_islands`; those of the left
            atrium stay, for its veins are pieces of their own.

    Raises:
        InputError: a value is not one of these.
    """

    shared_negatives: bool = True
    myocardium: Myocardium = "ring"
    overlap: Overlap = "order"
    drop_islands: bool = True

    def __post_init__(self) -> None:
        if self.myocardium not in MYOCARDIUM_MODES:
            raise InputError(
                f"unknown way to find the myocardium '{self.myocardium}'; known are {', '.join(MYOCARDIUM_MODES)}"
            )
        if self.overlap not in OVERLAP_RULES:
            raise InputError(f"unknown overlap rule '{self.overlap}'; known are {', '.join(OVERLAP_RULES)}")


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """What the prompts on one slice became.

    Attributes:
        masks: boolean [row, col] on the slice's own pixels for every structure prompted, overlaps resolved.
        scores: the IoU that the model expects of each mask; for a myocardium by `difference`, of its epicardium.
        seconds_encode: time to have the slice's embedding.
        seconds_decode: time for all masks.
        origin: where the embedding came from: `memory`, `disk` or `encoder`.
    """

    masks: Mapping[Structure, np.ndarray]
    scores: Mapping[Structure, float]
    seconds_encode: float
    seconds_decode: float
    origin: Origin


def open_backend(model: PromptModel, device: str = "auto", backend: str = "auto") -> PromptBackend:
    """Load a promptable model.

    Args:
        model: from the catalogue.
        device: as in `automatic.predictor.PredictionSettings`.
        backend: `torch`, `onnx` (no torch needed), or `auto`: ONNX where the model's folder holds its two graphs and
            ONNX Runtime is installed, unless torch alone can use the GPU that is asked for or found.

    Raises:
        InputError: a value is unknown, a package or device is missing, or the model's files cannot be used.
    """
    if _choose_backend(model, device, backend) == "onnx":
        require(("onnxruntime",), "onnx", "the ONNX backend")
        from .onnx_backend import OnnxBackend

        return OnnxBackend(model, device)
    require(("torch", "torchvision", "segment_anything"), "torch", f"model '{model.name}' on the torch backend")
    from .torch_backend import TorchBackend
    from .weights import load_sam

    return TorchBackend(load_sam(model), model.model_id, device)


def predict_prompts(
    store: EmbeddingStore, image: np.ndarray, prompts: Sequence[Prompt], options: PromptOptions | None = None
) -> SlicePrediction:
    """Segment the structures prompted on one slice, class by class, one mask each.

    Args:
        store: the loaded model with its embeddings.
        image: uint8 [row, col] (`intensity.to_8_bit`).
        prompts: of this slice, at most one a structure; at least one.
        options: the defaults of `PromptOptions` if None.

    Raises:
        InputError: there is no prompt, they are of several slices, two are for one structure, or one cannot be used
            (`Prompt.check`).
    """
    options = options or PromptOptions()
    _check(image, prompts)
    started = time.perf_counter()
    embedding, origin = store.get(image)
    encoded = time.perf_counter()
    decoded = _decode_all(store.backend, embedding, prompts, options)
    masks = {structure: result.mask for structure, result in decoded.items()}
    scores = {structure: result.score for structure, result in decoded.items()}
    if _by_difference(decoded, options):
        masks[Structure.MYO] &= ~masks[Structure.LV]
    if options.drop_islands:
        points = {prompt.structure: prompt.positive for prompt in prompts}
        masks = {
            structure: mask if structure is Structure.LA else without_islands(mask, points[structure])
            for structure, mask in masks.items()
        }
    masks = without_overlap(masks, scores, options.overlap)
    return SlicePrediction(masks, scores, encoded - started, time.perf_counter() - encoded, origin)


def _choose_backend(model: PromptModel, device: str, backend: str) -> str:
    """`onnx` or `torch`; torch is imported only where a GPU driver is visible (it takes seconds)."""
    check_device(device)
    if backend not in BACKENDS:
        raise InputError(f"unknown backend '{backend}'; known are {', '.join(BACKENDS)}")
    without_graph = "" if model.onnx else f"model '{model.name}' has no encoder.onnx and decoder.onnx"
    return onnx_or_torch(device, backend, without_graph, installed, has_gpu)


def _check(image: np.ndarray, prompts: Sequence[Prompt]) -> None:
    check_slice(image)
    if not prompts:
        raise InputError("there is no prompt on this slice")
    first = prompts[0]
    rows, cols = image.shape
    seen = set()
    for prompt in prompts:
        if (prompt.frame, prompt.slice) != (first.frame, first.slice):
            raise InputError(f"the {first.describe()} and the {prompt.describe()} are not of the same slice")
        if prompt.structure in seen:
            raise InputError(f"there are two entries of a {prompt.describe()}")
        seen.add(prompt.structure)
        # The caller knows how many slices there are; here only the places on this one can be wrong.
        prompt.check(prompt.frame + 1, prompt.slice + 1, rows, cols)


def _decode_all(
    backend: PromptBackend, embedding: Embedding, prompts: Sequence[Prompt], options: PromptOptions
) -> dict[Structure, Decoded]:
    """One result a structure in the order of `Structure`; of the myocardium, its epicardium if so wanted."""
    by_structure = {prompt.structure: prompt for prompt in prompts}
    used = with_shared_negatives(prompts) if options.shared_negatives else prompts
    used_by_structure = {prompt.structure: prompt for prompt in used}
    decoded = {}
    difference = _by_difference(by_structure, options)
    for structure in Structure:
        if structure in used_by_structure and not (difference and structure is Structure.MYO):
            decoded[structure] = _decode(backend, embedding, used_by_structure[structure])
    if difference:
        # After the cavity: whatever lies in it is inside the epicardium, so it cannot be a negative of it.
        outer = _epicardium(by_structure, decoded[Structure.LV].mask, options)
        decoded[Structure.MYO] = _decode(backend, embedding, outer)
    return {structure: decoded[structure] for structure in Structure if structure in decoded}


def _by_difference(present: Mapping[Structure, object], options: PromptOptions) -> bool:
    return options.myocardium == "difference" and {Structure.MYO, Structure.LV} <= set(present)


def _epicardium(prompts: Mapping[Structure, Prompt], cavity: np.ndarray, options: PromptOptions) -> Prompt:
    """The prompt of cavity and myocardium together."""
    ring, inner = prompts[Structure.MYO], prompts[Structure.LV]
    positive = tuple(dict.fromkeys(ring.positive + inner.positive))
    negative = [point for point in ring.negative if not _lies_in(cavity, point)]
    if options.shared_negatives:
        others = (prompt for structure, prompt in prompts.items() if structure not in (Structure.MYO, Structure.LV))
        negative += [point for other in others for point in other.positive]
    kept = tuple(point for point in dict.fromkeys(negative) if point not in positive)
    return replace(ring, positive=positive, negative=kept)


def _lies_in(mask: np.ndarray, point: Point) -> bool:
    col, row = (min(max(round(value), 0), size - 1) for value, size in zip(point, mask.shape[::-1], strict=True))
    return bool(mask[row, col])


def _decode(backend: PromptBackend, embedding: Embedding, prompt: Prompt) -> Decoded:
    """Decode one prompt, brought onto the slice where it reaches over its rim: the networks know no other places."""
    rows, cols = embedding.original_size
    places = [*prompt.positive, *prompt.negative]
    points = np.clip(np.array(places, np.float64).reshape(-1, 2), 0, (cols - 1, rows - 1))
    signs = np.array([1] * len(prompt.positive) + [0] * len(prompt.negative), np.int64)
    box = None if prompt.box is None else np.clip(np.array(prompt.box, np.float64), 0, [cols - 1, rows - 1] * 2)
    return backend.decode(embedding, points, signs, box)
