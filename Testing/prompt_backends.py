"""A promptable model without a network, whose masks can be worked out by hand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.backend import EMBEDDING_TYPE, Decoded, Embedding

GRID = 8


@dataclass(frozen=True)
class Call:
    """One prompt as the backend was given it."""

    points: tuple[tuple[float, float], ...]
    signs: tuple[int, ...]
    box: tuple[float, float, float, float] | None

    @property
    def positive(self) -> set[tuple[float, float]]:
        return {point for point, sign in zip(self.points, self.signs, strict=True) if sign == 1}

    @property
    def negative(self) -> set[tuple[float, float]]:
        return {point for point, sign in zip(self.points, self.signs, strict=True) if sign == 0}


@dataclass
class DiscBackend:
    """Every positive point is a disc of `radius` pixels; every negative point takes one of half that radius away.

    A box cuts off what lies outside it, and is the mask itself where there is no positive point. The score is
    0.5 + 0.1 a positive point. Embeddings tell images apart, and remember nothing of the prompts.

    Attributes:
        encoded: how often `encode` was called.
        calls: the prompts that `decode` was given, in order.
    """

    radius: float = 6.0
    model_id: str = "d" * 64
    name: str = "disc"
    device: str = "cpu"
    encoded: int = 0
    calls: list[Call] = field(default_factory=list)

    def encode(self, image: np.ndarray) -> Embedding:
        if image.dtype != np.uint8 or image.ndim != 2:
            raise InputError(f"a slice must be uint8 [row, col], not {image.dtype} of shape {image.shape}")
        self.encoded += 1
        digest = np.frombuffer(hashlib.sha256(np.ascontiguousarray(image)).digest() * 2, np.uint8)
        return Embedding(digest.reshape(1, GRID, GRID).astype(EMBEDDING_TYPE), image.shape, image.shape)

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        corners = None if box is None else tuple(float(value) for value in box)
        call = Call(tuple((float(c), float(r)) for c, r in points), tuple(int(sign) for sign in signs), corners)
        self.calls.append(call)
        rows, cols = embedding.original_size
        row, col = np.mgrid[:rows, :cols].astype(np.float64)
        logits = np.full((rows, cols), -1.0)
        for c, r in call.positive:
            logits = np.maximum(logits, self.radius + 0.5 - np.hypot(row - r, col - c))
        if corners is not None:
            col0, row0, col1, row1 = corners
            inside = np.minimum.reduce([col - col0, col1 - col, row - row0, row1 - row]) + 0.5
            logits = np.minimum(logits, inside) if call.positive else inside
        for c, r in call.negative:
            logits = np.minimum(logits, np.hypot(row - r, col - c) - self.radius / 2)
        return Decoded(logits.astype(np.float32), 0.5 + 0.1 * len(call.positive))
