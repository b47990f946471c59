"""The embedded promptable model by ONNX Runtime: needs numpy, scipy and onnxruntime, neither torch nor Pillow.

Import this module through `open_backend`, which says in a sentence when a package is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from ..automatic.onnx_session import device_of, onnx_device, open_session
from ..errors import InputError
from .backend import Decoded, Embedding
from .model import PromptModel
from .sam_numpy import encoder_image, encoder_points, slice_logits
from .slice_check import check_slice
from .weights import read_model_weights

MAX_GRAPH_BYTES = 4 * 1024**2
"""The embedded model's graphs take 14 and 35 kB, for the weights are not in them."""

PADDING, OUTSIDE, INSIDE, FIRST_CORNER, SECOND_CORNER = -1, 0, 1, 2, 3
"""Kinds of point in SAM's prompt encoder."""

_UNUSED = (
    "prompt_encoder.no_mask_embed.",
    *(f"mask_decoder.output_hypernetworks_mlps.{token}." for token in (1, 2, 3)),
)
"""Weights of what the graphs leave out: what stands for no drawing of the prompts, and the three further masks."""


def encoder_weight_names(names: Iterable[str]) -> list[str]:
    """The weights among `names` (a state dict's) that encoder.onnx expects."""
    return sorted(name for name in names if name.startswith("image_encoder."))


def decoder_weight_names(names: Iterable[str]) -> list[str]:
    """The weights among `names` (a state dict's) that decoder.onnx expects."""
    return sorted(name for name in names if not name.startswith(("image_encoder.", *_UNUSED)))


class OnnxBackend:
    """A `PromptBackend` with the masks of `SamPredictor`.

    Args:
        model: with encoder.onnx and decoder.onnx beside its weights.
        device: `auto` or a key of `onnx_session.PROVIDERS`.

    Raises:
        InputError: a graph is missing, damaged or does not fit the weights, or ONNX Runtime lacks the device.
    """

    name = "onnx"

    def __init__(self, model: PromptModel, device: str = "cpu") -> None:
        graphs = model.onnx
        if graphs is None:
            raise InputError(f"model '{model.name}' has no encoder.onnx and decoder.onnx; use the torch backend")
        chosen = onnx_device(device)
        weights = read_model_weights(model)
        self.model_id = model.model_id
        self._size = model.image_size
        parts = (_given(weights, encoder_weight_names(weights)), _given(weights, decoder_weight_names(weights)))
        self._encoder, self._decoder = (
            open_session(
                graph,
                MAX_GRAPH_BYTES,
                chosen,
                weights=part,
                fallback=device == "auto",
                fits=f" or does not fit {model.weights_file.name}",
            )
            for graph, part in zip(graphs, parts, strict=True)
        )
        self.device = device_of(self._encoder)
        self._shape = self._check_interface(*graphs)

    def encode(self, image: np.ndarray) -> Embedding:
        """Encode one slice; see `PromptBackend.encode`.

        Raises:
            InputError: not a slice of 8-bit pixels, one too long and thin to be resized, or the encoder overflows.
        """
        check_slice(image, self._size)
        picture, inside = encoder_image(image, self._size)
        features = self._encoder.run(None, {"image": picture})[0][0]
        if not np.isfinite(features).all():
            raise InputError("the encoder's output overflowed; the model's weights are not usable")
        return Embedding(features, image.shape, inside)

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        """One mask for one prompt; see `PromptBackend.decode`.

        Raises:
            InputError: there is neither a point nor a box, or the embedding is another model's.
        """
        if len(points) == 0 and box is None:
            raise InputError("a prompt needs a point or a box")
        if embedding.features.shape != self._shape:
            raise InputError(
                f"an embedding of shape {embedding.features.shape} is not one of this model's, {self._shape}"
            )
        places = encoder_points(np.reshape(points, (-1, 2)), embedding.original_size, self._size)
        if box is None:  # SAM appends a point that is none, in the encoder's corner
            last, kinds = np.zeros((1, 2), np.float32), [PADDING]
        else:
            last = encoder_points(np.reshape(box, (2, 2)), embedding.original_size, self._size)
            kinds = [FIRST_CORNER, SECOND_CORNER]
        feed = {
            "embedding": embedding.features[None],
            "points": np.concatenate([places, last])[None],
            "labels": np.concatenate([np.asarray(signs, np.float32), np.asarray(kinds, np.float32)])[None],
        }
        logits, score = self._decoder.run(None, feed)
        logits = slice_logits(logits[0, 0], self._size, embedding.input_size, embedding.original_size)
        return Decoded(logits, float(score[0, 0]))

    def _check_interface(self, encoder: Path, decoder: Path) -> tuple[int, int, int]:
        """Check what goes into and comes out of both graphs; returns the embedding's shape."""
        embedding = self._encoder.get_outputs()
        expected = [("image", "tensor(float)", [1, 1, self._size, self._size])]
        if _interface(self._encoder.get_inputs()) != expected or len(embedding) != 1 or len(embedding[0].shape) != 4:
            raise InputError(f"{encoder} does not take a picture of {self._size} x {self._size} pixels")
        shape = embedding[0].shape
        inputs = [
            ("embedding", "tensor(float16)", shape),
            ("points", "tensor(float)", [1, "points", 2]),
            ("labels", "tensor(float)", [1, "points"]),
        ]
        outputs = ["logits", "score"]
        if (
            embedding[0].type != "tensor(float16)"
            or _interface(self._decoder.get_inputs()) != inputs
            or [value.name for value in self._decoder.get_outputs()] != outputs
        ):
            raise InputError(f"{decoder} does not fit {encoder.name}")
        return tuple(shape[1:])


def _interface(values: list[onnxruntime.NodeArg]) -> list[tuple[str, str, list[int | str]]]:
    return [(value.name, value.type, value.shape) for value in values]


def _given(weights: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The weights of those names as float32, as the graphs expect them."""
    return {name: np.array(weights[name], np.float32) for name in names}
