"""Stand-ins for Slicer's selectors of nodes on PySide6, over a real MRML scene."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QComboBox, QListWidget, QListWidgetItem, QVBoxLayout, QWidget
from widget_parts import Watcher, kept, row


class qMRMLNodeComboBox(QWidget):
    """Nodes of the scene, of the wanted classes, with an entry for none."""

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    currentNodeRenamed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._nodes: list[Any] = []
        self._current: Any = None
        self._filling = False
        self._attributes: dict[tuple[str, str], Any] = {}
        self._watcher = Watcher(self)
        self._combo = QComboBox(self)
        row(self, self._combo, direction=QVBoxLayout)
        self._combo.currentIndexChanged.connect(self._picked)
        self.setEnabled(False)

    nodeTypes = kept("QStringList", [], "_refresh")
    hideChildNodeTypes = kept("QStringList", [], "_refresh")
    showChildNodeTypes = kept(bool, True, "_refresh")
    showHidden = kept(bool, False, "_refresh")
    noneEnabled = kept(bool, False, "_refresh")
    noneDisplay = kept(str, "None", "_refresh")
    addEnabled = kept(bool, True)
    editEnabled = kept(bool, False)
    removeEnabled = kept(bool, True)
    renameEnabled = kept(bool, False)
    baseName = kept(str, "")
    selectNodeUponCreation = kept(bool, True)
    interactionNodeSingletonTag = kept(str, "")

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        events = [] if scene is None else [scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent]
        self._watcher.watch(scene, [*events, *([scene.EndImportEvent] if scene else [])], self._refresh)
        self.setEnabled(scene is not None)
        self._refresh()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node)
        self._choose(node if node in self._nodes else None)

    def _get_id(self) -> str:
        return self._current.GetID() if self._current is not None else ""

    def _set_id(self, identifier: str) -> None:
        self.setCurrentNode(identifier or None)

    currentNodeID = currentNodeId = Property(str, _get_id, _set_id)

    def setCurrentNodeIndex(self, index: int) -> None:
        self._choose(self._nodes[index] if 0 <= index < len(self._nodes) else None)

    def nodeCount(self) -> int:
        return len(self._nodes)

    def nodeFromIndex(self, index: int) -> Any:
        return self._nodes[index]

    def addAttribute(self, class_name: str, attribute: str, value: Any = None) -> None:
        self._attributes[(class_name, attribute)] = value
        self._refresh()

    def removeAttribute(self, class_name: str, attribute: str) -> None:
        self._attributes.pop((class_name, attribute), None)
        self._refresh()

    def addNode(self, class_name: str = "") -> Any:
        """As from the menu: make a node of the first type, and select it."""
        kind = class_name or self.nodeTypes[0]
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(self.baseName))
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """As from the menu."""
        self._scene.RemoveNode(self._current)

    def _refresh(self) -> None:
        """Read the scene again; a node that is gone is no longer selected."""
        if self._scene is None:
            return
        every = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        wanted = [node for node in every if self._accepts(node)]
        added = [node for node in wanted if node not in self._nodes]
        self._filling = True
        self._nodes = wanted
        self._fill(wanted)
        self._filling = False
        for node in added:
            self.nodeAdded.emit(node)
        still = self._current if self._current in wanted else None
        if still is None and not self.noneEnabled and wanted:
            still = wanted[0]
        self._choose(still)

    def _fill(self, nodes: list[Any]) -> None:
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay)
        for node in nodes:
            self._combo.addItem(node.GetName())

    def _accepts(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for (class_name, attribute), value in self._attributes.items():
            has = node.GetAttribute(attribute)
            if node.IsA(class_name) and (has is None or value not in (None, has)):
                return False
        if any(node.IsA(name) for name in self.hideChildNodeTypes):
            return False
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
            self.currentNodeChanged[object].emit(node)
            self.currentNodeChanged[bool].emit(node is not None)
            self.currentNodeIDChanged.emit(self._get_id())

    def _picked(self, index: int) -> None:
        if not self._filling:
            position = index - (1 if self.noneEnabled else 0)
            self._choose(self._nodes[position] if position >= 0 else None)
            self.nodeActivated.emit(self._current)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Nodes of the scene with a check box each; Slicer's list drops down, this one is open."""

    checkedNodesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        self._checked: set[str] = set()
        super().__init__(parent)
        self._combo.hide()
        self._list = QListWidget(self)
        self._list.setMaximumHeight(80)
        self.layout().addWidget(self._list)
        self._list.itemChanged.connect(self._ticked)

    def _fill(self, nodes: list[Any]) -> None:
        super()._fill(nodes)
        self._list.clear()
        for node in nodes:
            item = QListWidgetItem(node.GetName())
            item.setCheckState(self.checkState(node))
            self._list.addItem(item)

    def _ticked(self, item: QListWidgetItem) -> None:
        if not self._filling:
            self.setCheckState(self._nodes[self._list.row(item)], item.checkState())

    def checkState(self, node: Any) -> Qt.CheckState:
        return Qt.CheckState.Checked if node.GetID() in self._checked else Qt.CheckState.Unchecked

    def setCheckState(self, node: Any, state: Qt.CheckState) -> None:
        if self.checkState(node) == Qt.CheckState(state):
            return
        self._checked.symmetric_difference_update({node.GetID()})
        self._refresh()
        self.checkedNodesChanged.emit()

    def check(self, node: Any) -> None:
        self.setCheckState(node, Qt.CheckState.Checked)

    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, Qt.CheckState.Unchecked)

    def checkedNodes(self) -> list[Any]:
        return [node for node in self._nodes if node.GetID() in self._checked]

    def uncheckedNodes(self) -> list[Any]:
        return [node for node in self._nodes if node.GetID() not in self._checked]

    def allChecked(self) -> bool:
        return bool(self._nodes) and not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()


NODE_SELECTORS = (qMRMLNodeComboBox, qMRMLCheckableNodeComboBox)
