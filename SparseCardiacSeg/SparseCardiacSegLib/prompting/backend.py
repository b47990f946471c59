"""What every promptable model offers, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

EMBEDDING_TYPE = np.float16
"""Embeddings are rounded to half precision before use, so that a cached slice gives the very mask of a fresh one."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the image encoder made of one slice.

    Attributes:
        features: float16 [channel, row, col] on the encoder's grid.
        original_size: (rows, cols) of the slice.
        input_size: (rows, cols) after its longest side was brought to the encoder's size, padding not counted.
    """

    features: np.ndarray
    original_size: tuple[int, int]
    input_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What the mask decoder made of one prompt.

    Attributes:
        logits: float32 [row, col] on the slice's own pixels; above 0 is inside.
        score: the IoU that the model itself expects.
    """

    logits: np.ndarray
    score: float

    @property
    def mask(self) -> np.ndarray:
        """Boolean [row, col]."""
        return self.logits > 0


class PromptBackend(Protocol):
    """A loaded promptable model."""

    name: str
    """Of the backend: `torch` or `onnx`."""
    device: str
    model_id: str
    """Tells the encoder's weights from all others (a SHA-256): part of the embedding cache's key."""

    def encode(self, image: np.ndarray) -> Embedding:
        """Encode one slice, uint8 [row, col]."""
        ...

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        """One mask for one prompt (`multimask_output=False`).

        Args:
            embedding: of the slice.
            points: float (n, 2) as (col, row) in the slice's pixels; n may be 0 where there is a box.
            signs: int (n,), 1 inside and 0 outside.
            box: float (4,) as (col0, row0, col1, row1), or None.
        """
        ...
