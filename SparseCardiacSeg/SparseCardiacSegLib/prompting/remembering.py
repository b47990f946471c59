"""Masks of prompts that did not change since the last click."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np

from .backend import Decoded, Embedding, PromptBackend

_ANSWERS_KEPT = 24


class RememberingBackend:
    """A backend that answers a repeated decode from memory.

    A click changes the prompt of one structure, and those of the others only where it gave them a negative point; all
    prompts of the slice come with it, since their masks are combined. What did not change need not be decoded again.
    """

    def __init__(self, backend: PromptBackend, kept: int = _ANSWERS_KEPT) -> None:
        self._backend = backend
        self._kept = kept
        # The embedding is held with its answer: an address is unique only as long as the object lives.
        self._answers: OrderedDict[Hashable, tuple[Embedding, Decoded]] = OrderedDict()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, image: np.ndarray) -> Embedding:
        """Encode one slice, uint8 [row, col]."""
        return self._backend.encode(image)

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        """One mask for one prompt, as `PromptBackend.decode`."""
        parts = (np.asarray(points, np.float64), np.asarray(signs, np.int64))
        key = (
            id(embedding),
            *(part.tobytes() for part in parts),
            None if box is None else np.asarray(box, float).tobytes(),
        )
        if key in self._answers:
            self._answers.move_to_end(key)
        else:
            self._answers[key] = embedding, self._backend.decode(embedding, points, signs, box)
            while len(self._answers) > self._kept:
                self._answers.popitem(last=False)
        return self._answers[key][1]
