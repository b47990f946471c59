"""qt.QFile and qt.QUiLoader for `slicer.util.loadUI`: the module's .ui files with the stand-in widgets."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets
from pythonqt import Wrapped, unwrap
from slicer_api import classes

NOT_PROPERTIES = {"buddy"}
"""What a .ui file writes as a property and its loader takes for itself."""


class File:
    """qt.QFile, as far as slicer.util.loadUI uses it."""

    ReadOnly = 1

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    def open(self, mode: int) -> bool:
        """Pretend to open it: `UiLoader` reads the file itself."""
        return mode == self.ReadOnly and self.exists()


@functools.cache
def _qt_loader() -> tuple[QtUiTools.QUiLoader, frozenset[str]]:
    """Qt's loader with the stand-in widgets, and the names of all classes that it knows.

    One for all files: telling it 29 classes takes 33 ms, which was half of the time of opening the module.
    """
    import widgets

    loader = QtUiTools.QUiLoader()
    for widget_class in widgets.CUSTOM_WIDGETS:
        loader.registerCustomWidget(widget_class)
    names = frozenset({*loader.availableWidgets(), *(kind.__name__ for kind in widgets.CUSTOM_WIDGETS)})
    return loader, names


class UiLoader:
    """qt.QUiLoader with the stand-in widgets, and the .ui file's own connections by Slicer's signatures."""

    def load(self, file: File) -> Wrapped:
        """Build the widgets of a .ui file.

        Raises:
            ValueError: a class, property, signal or slot that Slicer does not have.
        """
        tree = ElementTree.parse(file.path)
        loader, offered = _qt_loader()
        self._check(tree, file.path.name, offered)
        connections = [
            [item.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")] for item in tree.iter("connection")
        ]
        for parent in list(tree.iter("connections")):
            parent.clear()
        self._drop_enumerators(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree.getroot()))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        root = Wrapped(loader.load(buffer))
        for sender, signal, receiver, slot in connections:
            self._find(root, sender).connect(signal, self._slot(self._find(root, receiver), slot))
        return root

    @staticmethod
    def _find(root: Wrapped, name: str) -> Wrapped:
        top = unwrap(root)
        found = top if top.objectName() == name else top.findChild(QtWidgets.QWidget, name)
        if found is None:
            raise ValueError(f"the .ui file connects '{name}', which it does not hold")
        return Wrapped(found)

    @staticmethod
    def _drop_enumerators(tree: ElementTree.ElementTree) -> None:
        """Leave out properties like ctkPathLineEdit::Dirs: PySide6's loader knows no enumerators of Python classes."""
        for widget in tree.iter("widget"):
            for item in widget.findall("property"):
                text = item.findtext("enum") or item.findtext("set") or ""
                if text.startswith(("ctk", "qMRML", "qSlicer")):
                    widget.remove(item)

    @staticmethod
    def _slot(receiver: Wrapped, slot: str) -> object:
        if slot not in receiver._described().slots:
            raise ValueError(f"Slicer's {receiver.className()} has no slot {slot}")
        return getattr(receiver, slot.split("(")[0])

    @staticmethod
    def _check(tree: ElementTree.ElementTree, name: str, offered: set[str]) -> None:
        for widget in tree.iter("widget"):
            kind = widget.get("class")
            if kind not in classes() or kind not in offered:
                raise ValueError(f"{name}: the stand-in host has no {kind}")
            for item in widget.findall("property"):
                known = item.get("stdset") == "0" or item.get("name") in NOT_PROPERTIES
                if not known and item.get("name") not in classes()[kind].properties:
                    raise ValueError(f"{name}: Slicer's {kind} has no property {item.get('name')}")
