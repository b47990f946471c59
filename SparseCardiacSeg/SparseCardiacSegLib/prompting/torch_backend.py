"""Promptable models by torch, through segment_anything's own `SamPredictor`.

Import this module through `open_backend`, which says in a sentence when a package is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from ..automatic.devices import choose_device
from ..automatic.packages import processor_threads
from ..errors import InputError
from .backend import EMBEDDING_TYPE, Decoded, Embedding
from .slice_check import check_slice


class TorchBackend:
    """A `PromptBackend` whose masks are those of `SamPredictor`, for SAM and every network built of its parts.

    Args:
        sam: the network with its weights; moved to the device, set to evaluation, otherwise left as it is.
        model_id: SHA-256 of the encoder's weights.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        InputError: the device is missing or too small.
    """

    name = "torch"

    def __init__(self, sam: Sam, model_id: str, device: str = "cpu") -> None:
        self.model_id = model_id
        self.device = choose_device(device)
        with _sentence_when_full(self.device):
            self.sam = sam.to(self.device).eval()

    def encode(self, image: np.ndarray) -> Embedding:
        """Encode one slice; see `PromptBackend.encode`.

        Raises:
            InputError: not a slice of 8-bit pixels, one too long and thin to be resized, or the encoder overflows.
        """
        check_slice(image, self.sam.image_encoder.img_size)
        predictor = SamPredictor(self.sam)
        with self.computing():
            predictor.set_image(np.repeat(image[:, :, None], 3, 2))
            features = predictor.features[0].cpu().numpy()
        with np.errstate(over="ignore"):
            features = features.astype(EMBEDDING_TYPE)
        if not np.isfinite(features).all():
            raise InputError("the encoder's output overflowed; the model's weights are not usable")
        return Embedding(features, image.shape, predictor.input_size)

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        """One mask for one prompt; see `PromptBackend.decode`.

        Raises:
            InputError: there is neither a point nor a box, or the embedding is another model's.
        """
        if len(points) == 0 and box is None:
            raise InputError("a prompt needs a point or a box")
        encoder = self.sam.prompt_encoder
        if embedding.features.shape != (encoder.embed_dim, *encoder.image_embedding_size):
            raise InputError(
                f"an embedding of shape {embedding.features.shape} is not one of this model's, "
                f"{(encoder.embed_dim, *encoder.image_embedding_size)}"
            )
        # A predictor for each call: it holds one image at a time, and two callers must not see each other's.
        predictor = SamPredictor(self.sam)
        with self.computing():
            features = torch.from_numpy(embedding.features.astype(np.float32))
            predictor.features = features[None].to(self.device)
            predictor.original_size = embedding.original_size
            predictor.input_size = embedding.input_size
            predictor.is_image_set = True
            logits, scores, _ = predictor.predict(
                point_coords=np.asarray(points, np.float32) if len(points) else None,
                point_labels=np.asarray(signs, np.int32) if len(points) else None,
                box=None if box is None else np.asarray(box, np.float32),
                multimask_output=False,
                return_logits=True,
            )
        return Decoded(logits[0], float(scores[0]))

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Without gradients, on the cores worth using; a full device becomes a sentence."""
        threads, wanted = torch.get_num_threads(), processor_threads()
        torch.set_num_threads(wanted)
        try:
            with _sentence_when_full(self.device), torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def _sentence_when_full(device: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(f"the {device} device ran out of memory; choose device 'cpu'") from error
