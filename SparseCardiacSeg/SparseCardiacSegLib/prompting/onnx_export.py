"""Writes the embedded promptable model for ONNX Runtime: two small graphs beside the weights they use."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..automatic.packages import require
from ..errors import InputError
from ..files import output_folder

if TYPE_CHECKING:
    import onnx
    from segment_anything.modeling import Sam

    from .onnx_backend import OnnxBackend
    from .torch_backend import TorchBackend

ENCODER_NAME, DECODER_NAME, WEIGHTS_NAME = "encoder.onnx", "decoder.onnx", "weights.npz"

MAX_GRAPH_BYTES = 200_000
"""Far above 14 and 35 kB, far below a graph with weights in it."""

EMBEDDING_TOLERANCE = 2e-3
"""Largest accepted difference of an embedding's value, as a share of the largest one; half precision gives 5e-4."""

LOGIT_TOLERANCE = 1e-3
"""Largest accepted difference of a logit on the same embedding, as a share of the largest one; rounding: 1e-6."""

MASK_TOLERANCE = 1e-3
"""Largest accepted share of a mask's voxels that differ from image to mask, where roundings of both halves add up."""

_SHAPES = ((256, 256), (216, 256), (171, 130), (412, 320))
"""Slices for the check: the encoder's size, one to be padded, a smaller and a larger one."""


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime's results lie from torch's.

    Attributes:
        embedding: largest difference of a value, as a share of the largest one.
        logits: the same of the decoder's output on the same embedding.
        score: largest difference of a score.
        masks: largest share of a slice's voxels on another side of the mask's border, from image to mask.
    """

    embedding: float
    logits: float
    score: float
    masks: float


def export_prompt_model(folder: Path, sam: Sam) -> Agreement:
    """Write encoder.onnx and decoder.onnx beside weights.npz, once they are seen to do what torch does.

    The graphs hold no weights; those of weights.npz are handed over when the graphs are loaded. The same network
    gives the same bytes.

    Args:
        folder: holds weights.npz (`weights.save_weights`) with every weight of the state dict of `sam`.
        sam: the network, of architecture `slice-256`; only its structure is used, and it is not changed.

    Returns:
        How far the results lie apart.

    Raises:
        InputError: a package is missing, the network is not the embedded one's, or the weights do not fit.
        RuntimeError: the graphs do not compute what the network does; nothing was written.
    """
    require(("torch", "segment_anything", "onnx", "onnxruntime"), "all", "exporting a promptable model")
    import torch

    from .click_map import ClickMapPromptEncoder
    from .model import PromptModel
    from .onnx_backend import OnnxBackend, decoder_weight_names, encoder_weight_names
    from .onnx_graphs import decoder_graph, encoder_graph
    from .slice_encoder import SliceEncoder
    from .torch_backend import TorchBackend
    from .weights import check_shapes, load_weights

    if not (isinstance(sam.image_encoder, SliceEncoder) and isinstance(sam.prompt_encoder, ClickMapPromptEncoder)):
        raise InputError("only a model of architecture slice-256 can be exported for ONNX Runtime")
    weights_file = folder / WEIGHTS_NAME
    weights = load_weights(weights_file)
    check_shapes(weights, "slice-256", weights_file)
    reference = copy.deepcopy(sam).cpu().float()
    reference.load_state_dict({name: torch.from_numpy(np.array(value, np.float32)) for name, value in weights.items()})
    with output_folder(folder) as staged:
        _write(staged / ENCODER_NAME, encoder_graph(reference), encoder_weight_names(weights))
        _write(staged / DECODER_NAME, decoder_graph(reference), decoder_weight_names(weights))
        model = PromptModel(folder.name, "slice-256", staged, weights_file)
        agreement = compare(OnnxBackend(model), TorchBackend(reference, model.model_id))
        if not (
            agreement.embedding <= EMBEDDING_TOLERANCE
            and agreement.logits <= LOGIT_TOLERANCE
            and agreement.score <= LOGIT_TOLERANCE
            and agreement.masks <= MASK_TOLERANCE
        ):
            raise RuntimeError(f"the exported graphs do not do what the network does: {agreement}")
    return agreement


def _write(path: Path, proto: onnx.ModelProto, names: list[str]) -> None:
    """Write a graph after checking that it expects exactly the weights it will be given, and holds none."""
    expected = sorted(tensor.name for tensor in proto.graph.initializer)
    if expected != names:
        raise RuntimeError(f"{path.name} expects other weights than it gets: {set(expected) ^ set(names)}")
    data = proto.SerializeToString(deterministic=True)
    if len(data) > MAX_GRAPH_BYTES:
        raise RuntimeError(f"{path.name} takes {len(data)} bytes: it holds weights")
    path.write_bytes(data)


def compare(onnx_backend: OnnxBackend, torch_backend: TorchBackend) -> Agreement:
    """Compare both backends on made-up slices with every kind of prompt."""
    embedding = logits = score = masks = 0.0
    for seed, shape in enumerate(_SHAPES):
        rng = np.random.default_rng(seed)
        image = _picture(rng, shape)
        ours, theirs = onnx_backend.encode(image), torch_backend.encode(image)
        embedding = max(embedding, _apart(ours.features, theirs.features))
        for points, signs, box in _prompts(rng, shape):
            expected = torch_backend.decode(theirs, points, signs, box)
            found = onnx_backend.decode(theirs, points, signs, box)
            logits = max(logits, _apart(found.logits, expected.logits))
            score = max(score, abs(found.score - expected.score))
            found = onnx_backend.decode(ours, points, signs, box)
            masks = max(masks, float((found.mask != expected.mask).mean()))
    return Agreement(embedding, logits, score, masks)


def _picture(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """uint8 discs and rings on a ground with noise."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    picture = rng.normal(60, 12, shape)
    for _ in range(5):
        centre, radius = rng.uniform(0.2, 0.8, 2) * shape, rng.uniform(0.03, 0.18) * min(shape)
        distance = np.hypot(rows - centre[0], cols - centre[1])
        picture[distance < radius] += rng.uniform(40, 120)
        picture[np.abs(distance - radius) < 0.3 * radius] -= rng.uniform(20, 50)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _prompts(
    rng: np.random.Generator, shape: tuple[int, int]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Points (col, row), signs and box: points only, box only, both, and many points."""
    size = np.array(shape[::-1], np.float64)
    box = np.concatenate([rng.uniform(0.2, 0.4, 2) * size, rng.uniform(0.6, 0.8, 2) * size])
    points = rng.uniform(0, 1, (15, 2)) * (size - 1)
    signs = np.array([1, 0, 1] * 5)
    none = np.zeros((0, 2)), np.zeros(0, int)
    return [
        (points[:1], signs[:1], None),
        (*none, box),
        (points[:2], signs[:2], box),
        (points, signs, box),
    ]


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference as a share of the largest value."""
    expected = expected.astype(np.float32)
    return float(np.abs(found.astype(np.float32) - expected).max() / np.abs(expected).max())
