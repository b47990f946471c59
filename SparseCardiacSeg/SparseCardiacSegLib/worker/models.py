"""Models that stay loaded between requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

Loaded = TypeVar("Loaded")

CAPACITY = 3
"""Models kept at once: one automatic, one promptable and one to compare with."""


class LoadedModels:
    """The models used last, by what identifies them (folder, state of its files, settings)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._models: OrderedDict[Hashable, object] = OrderedDict()

    def __len__(self) -> int:
        return len(self._models)

    def get(self, key: Hashable, load: Callable[[], Loaded]) -> Loaded:
        """The model of `key`, loaded with `load` if it is not there; the one unused for longest makes room first.

        `load` may raise; nothing is kept then.
        """
        if key in self._models:
            self._models.move_to_end(key)
        else:
            # Before loading: two large models at once might not fit.
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            self._models[key] = load()
        return self._models[key]  # type: ignore[return-value]

    def clear(self) -> None:
        """Let go of all models, to get memory back."""
        self._models.clear()
