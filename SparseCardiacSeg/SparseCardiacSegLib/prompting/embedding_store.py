"""A promptable model that remembers what it has encoded: in memory, then on disk."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import numpy as np

from .backend import Embedding, PromptBackend
from .embedding_cache import EmbeddingCache, embedding_key

Origin = Literal["memory", "disk", "encoder"]

DEFAULT_MEMORY_BYTES = 512_000_000
"""About 480 slices of the embedded model or 240 of SAM: a cine of 10 slices x 30 frames is 300."""


class EmbeddingStore:
    """Embeddings by the content of their slice.

    Args:
        backend: the loaded model.
        cache: on disk; None to keep embeddings in memory only.
        memory_bytes: limit of the features in memory; those used longest ago are let go. The last one stays in any
            case, since the next click will be on its slice.

    Attributes:
        backend, cache: as given.
    """

    def __init__(
        self,
        backend: PromptBackend,
        cache: EmbeddingCache | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        self.backend = backend
        self.cache = cache
        self._limit = memory_bytes
        self._kept: OrderedDict[str, Embedding] = OrderedDict()
        self._kept_bytes = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences the user should see once."""
        return (self.cache.problem,) if self.cache is not None and self.cache.problem else ()

    def get(self, image: np.ndarray) -> tuple[Embedding, Origin]:
        """The embedding of a slice, uint8 [row, col], and where it came from; the slice is encoded if need be.

        The same slice gives the same embedding from each origin, number by number.
        """
        key = embedding_key(image, self.backend.model_id)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key], "memory"
        stored = self.cache.get(key) if self.cache is not None else None
        # A key is a promise about pixels and weights, not about the size of another version's grid.
        if stored is not None and stored.original_size == image.shape:
            self._keep(key, stored)
            return stored, "disk"
        embedding = self.backend.encode(image)
        embedding.features.setflags(write=False)
        self._keep(key, embedding)
        if self.cache is not None:
            self.cache.put(key, embedding)
        return embedding, "encoder"

    def has(self, image: np.ndarray) -> bool:
        """Whether `get` will likely need no encoder for this slice."""
        key = embedding_key(image, self.backend.model_id)
        return key in self._kept or (self.cache is not None and self.cache.has(key))

    def forget(self) -> None:
        """Let go of what is in memory."""
        self._kept.clear()
        self._kept_bytes = 0

    def _keep(self, key: str, embedding: Embedding) -> None:
        self._kept[key] = embedding
        self._kept_bytes += embedding.features.nbytes
        while self._kept_bytes > self._limit and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.features.nbytes
