"""Keys that work while the module is open, and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Keyboard shortcuts of the main window that are made when the module is entered and removed when it is left.

    A field that takes text keeps its keys: Qt offers them to it first.
    """

    def __init__(self, actions: Mapping[str, Callable[[], Any]]) -> None:
        """Set up; nothing is made yet.

        Args:
            actions: what to call, by the key as Qt writes it ("A", "Ctrl+Shift+Z").
        """
        self._actions = dict(actions)
        self._made: list[Any] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, whether they work now or not."""
        return tuple(self._actions)

    def enable(self) -> None:
        """Make the keys work; nothing happens where they do already, or where there is no main window."""
        window = slicer.util.mainWindow()
        if self._made or window is None:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            self._made.append(shortcut)

    def disable(self) -> None:
        """Give the keys back to the application."""
        for shortcut in self._made:
            # Deleting waits for the event loop; until then the key must not work any more.
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made = []
