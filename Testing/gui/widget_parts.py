"""What the stand-in widgets are built of: kept properties, folding of contents, and watching a scene."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

import itertools
import weakref
from typing import Any

import shiboken6
from PySide6.QtCore import Property, QEvent, QObject, Signal
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QWidget

NO_LIMIT = 16777215
"""Qt's QWIDGETSIZE_MAX."""
_numbers = itertools.count()


def kept(kind: Any, default: Any, changed: str = "") -> Property:
    """A property that only keeps its value, and calls the method `changed` when it is set."""
    name = f"_kept_{next(_numbers)}"

    def get(self: Any) -> Any:
        return self.__dict__.get(name, default)

    def put(self: Any, value: Any) -> None:
        self.__dict__[name] = value
        if changed:
            getattr(self, changed)()

    return Property(kind, get, put)


def row(parent: QWidget, *parts: QWidget, direction: type[QBoxLayout] = QHBoxLayout) -> QBoxLayout:
    """Lay parts side by side in a widget, without a margin."""
    layout = direction(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    return layout


class Folding(QObject):
    """Hides the children of a widget while it is folded; what was hidden before stays hidden afterwards."""

    def __init__(self, widget: QWidget, header: int) -> None:
        super().__init__(widget)
        self._widget = widget
        self._header = header
        self._folding = False
        self._hidden: set[QWidget] = set()
        self.folded = False

    def fold(self, folded: bool) -> None:
        """Fold, or unfold."""
        self.folded = folded
        self._folding = True
        for child in self._children():
            child.installEventFilter(self)
            if folded and not child.isHidden():
                self._hidden.add(child)
                child.hide()
            elif not folded and child in self._hidden:
                child.show()
        if not folded:
            self._hidden.clear()
        self._folding = False
        self._widget.setMaximumHeight(self._header if folded else NO_LIMIT)

    def eventFilter(self, child: QObject, event: QEvent) -> bool:
        """A child that is shown while folded appears when unfolded."""
        # While Python takes the widgets down, events still come, and the attributes may be gone.
        if self.__dict__.get("_folding", True) or not self.folded:
            return False
        if event.type() == QEvent.Type.ShowToParent:
            self.fold(True)
        elif event.type() == QEvent.Type.HideToParent:
            self._hidden.discard(child)
        return False

    def _children(self) -> list[QWidget]:
        return [child for child in self._widget.children() if child.isWidgetType() and not child.isWindow()]


class qMRMLWidget(QWidget):
    """A widget that hands the scene on to its children."""

    mrmlSceneChanged = Signal(object)
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


class Watcher:
    """Observers of one VTK object at a time, which neither keep the widget that owns them alive nor outlive it."""

    def __init__(self, owner: QObject) -> None:
        self._owner = weakref.ref(owner)
        self._observed: list[tuple[Any, int]] = []

    def watch(self, node: Any, events: list[int], slot: Any) -> None:
        """Call the widget's method `slot` at events of `node`, and no longer at those of the one before."""
        _forget(self._observed)
        method, observed, owner = weakref.WeakMethod(slot), self._observed, self._owner

        def called(*_: Any) -> None:
            # Qt says `destroyed` too late to be heard when Python takes the widget down.
            if owner() is None or not shiboken6.isValid(owner()):
                _forget(observed)
            elif method() is not None:
                method()()

        for event in events if node is not None else []:
            self._observed.append((node, node.AddObserver(event, called)))


def _forget(observed: list[tuple[Any, int]]) -> None:
    for node, tag in observed:
        node.RemoveObserver(tag)
    observed.clear()
