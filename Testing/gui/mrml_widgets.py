"""Slicer's own widgets that the panels use, remade on PySide6 over a real MRML scene."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QGroupBox, QLayout, QVBoxLayout, QWidget


class qMRMLWidget(QWidget):
    """A widget that hands the scene on to its children."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


class ctkCollapsibleButton(QGroupBox):
    """A titled section."""

    def _get_text(self) -> str:
        return self.title()

    def _set_text(self, text: str) -> None:
        self.setTitle(text)

    text = Property(str, _get_text, _set_text)


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box whose contents can be folded away."""

    _collapsed = False

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        for child in self.findChildren(QWidget):
            child.setVisible(not collapsed)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def setLayout(self, layout: QLayout) -> None:
        super().setLayout(layout)
        self._set_collapsed(self._collapsed)


def _plain(name: str, kind: Any, default: Any) -> Property:
    """A property that only keeps its value, and refreshes the list."""

    def get(self: Any) -> Any:
        return self._values.get(name, default)

    def put(self: Any, value: Any) -> None:
        self._values[name] = value
        self.refresh()

    return Property(kind, get, put)


class qMRMLNodeComboBox(QWidget):
    """Nodes of the scene, of the wanted classes, with an entry for none."""

    currentNodeChanged = Signal(object)
    nodeAddedByUser = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, Any] = {}
        self._scene: Any = None
        self._nodes: list[Any] = []
        self._current: Any = None
        self._filling = False
        self._combo = QComboBox(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.currentIndexChanged.connect(self._picked)
        self.setEnabled(False)

    nodeTypes = _plain("nodeTypes", "QStringList", [])
    showChildNodeTypes = _plain("showChildNodeTypes", bool, True)
    noneEnabled = _plain("noneEnabled", bool, False)
    noneDisplay = _plain("noneDisplay", str, "None")
    addEnabled = _plain("addEnabled", bool, True)
    removeEnabled = _plain("removeEnabled", bool, True)
    renameEnabled = _plain("renameEnabled", bool, False)
    baseName = _plain("baseName", str, "")
    selectNodeUponCreation = _plain("selectNodeUponCreation", bool, True)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent):
            scene.AddObserver(event, lambda *_: self.refresh())
        self.setEnabled(True)
        self.refresh()

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        self._choose(node if node in self._nodes else None)

    def addNode(self) -> Any:
        """As from the menu: make a node of the first type, and select it."""
        node = self._scene.AddNewNodeByClass(self.nodeTypes[0], self._scene.GenerateUniqueName(self.baseName))
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def refresh(self) -> None:
        """Read the scene again; a node that is gone is no longer selected."""
        if self._scene is None:
            return
        every = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        wanted = [node for node in every if self._accepts(node) and not node.GetHideFromEditors()]
        self._filling = True
        self._nodes = wanted
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay)
        for node in wanted:
            self._combo.addItem(node.GetName())
        self._filling = False
        still = self._current if self._current in wanted else None
        if still is None and not self.noneEnabled and wanted:
            still = wanted[0]
        self._choose(still)

    def _accepts(self, node: Any) -> bool:
        if self.showChildNodeTypes:
            return any(node.IsA(name) for name in self.nodeTypes)
        return node.GetClassName() in self.nodeTypes

    def _choose(self, node: Any) -> None:
        offset = 1 if self.noneEnabled else 0
        self._filling = True
        self._combo.setCurrentIndex(self._nodes.index(node) + offset if node is not None else offset - 1)
        self._filling = False
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)

    def _picked(self, index: int) -> None:
        if not self._filling:
            position = index - (1 if self.noneEnabled else 0)
            self._choose(self._nodes[position] if position >= 0 else None)


CUSTOM_WIDGETS = (qMRMLWidget, ctkCollapsibleButton, ctkCollapsibleGroupBox, qMRMLNodeComboBox)
