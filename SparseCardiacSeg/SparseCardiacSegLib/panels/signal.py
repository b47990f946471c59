"""A list of callables, for news between panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Calls every connected slot, in the order of connecting; a slot may disconnect itself or others meanwhile."""

    def __init__(self) -> None:
        self._slots: list[Callable[..., Any]] = []

    def connect(self, slot: Callable[..., Any]) -> None:
        """Call `slot` from now on; connecting it twice makes no difference."""
        if slot not in self._slots:
            self._slots.append(slot)

    def disconnect(self, slot: Callable[..., Any]) -> None:
        """Call `slot` no longer; one that is not connected is fine."""
        if slot in self._slots:
            self._slots.remove(slot)

    def emit(self, *arguments: Any) -> None:
        """Call every slot with the arguments."""
        for slot in list(self._slots):
            if slot in self._slots:
                slot(*arguments)
