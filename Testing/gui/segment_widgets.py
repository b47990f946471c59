"""Stand-ins for Slicer's selector and table of segments on PySide6, over real segmentation nodes."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

import slicer
from mrml_widgets import qMRMLNodeComboBox
from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget
from widget_parts import Watcher, kept, qMRMLWidget, row


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation of the scene, and one of its segments."""

    currentNodeChanged = Signal((object,), (bool,))
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal("QStringList")
    noneEnabled = kept(bool, False, "_refresh")
    multiSelection = kept(bool, False)
    editEnabled = kept(bool, False)
    selectNodeUponCreation = kept(bool, True)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.noneEnabled = True
        self._segments = QComboBox(self)
        self._filling = False
        self._segment = ""
        self._watcher = Watcher(self)
        row(self, self._nodes, self._segments, direction=QVBoxLayout)
        self._nodes.currentNodeChanged[object].connect(self._node_changed)
        self._segments.currentIndexChanged.connect(self._picked)

    segmentationNodeSelectorVisible = Property(
        bool, lambda self: not self._nodes.isHidden(), lambda self, shown: self._nodes.setVisible(shown)
    )

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, identifier: str) -> None:
        self._nodes.setCurrentNode(identifier)

    def segmentIDs(self) -> list[str]:
        node = self.currentNode()
        return list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []

    def currentSegmentID(self) -> str:
        return self._segment

    def setCurrentSegmentID(self, identifier: str) -> None:
        every = self._entries()
        if identifier in every:
            self._segments.setCurrentIndex(every.index(identifier))

    def selectedSegmentIDs(self) -> list[str]:
        return [self._segment] if self._segment else []

    def _entries(self) -> list[str]:
        return [*([""] if self.noneEnabled else []), *self.segmentIDs()]

    def _node_changed(self, node: Any) -> None:
        kind = slicer.vtkSegmentation
        events = [kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified]
        self._watcher.watch(node.GetSegmentation() if node is not None else None, events, self._refresh)
        self._refresh()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _refresh(self) -> None:
        node, every = self.currentNode(), self._entries()
        self._filling = True
        self._segments.clear()
        for identifier in every:
            self._segments.addItem(node.GetSegmentation().GetSegment(identifier).GetName() if identifier else "None")
        self._filling = False
        index = every.index(self._segment) if self._segment in every else 0
        self._segments.setCurrentIndex(index if every else -1)
        self._picked(self._segments.currentIndex())

    def _picked(self, index: int) -> None:
        if self._filling:
            return
        every = self._entries()
        chosen = every[index] if 0 <= index < len(every) else ""
        if chosen != self._segment:
            self._segment = chosen
            self.currentSegmentChanged.emit(chosen)
            self.segmentSelectionChanged.emit(self.selectedSegmentIDs())


class qMRMLSegmentsTableView(qMRMLWidget):
    """Colour and name of every segment of a segmentation."""

    segmentAboutToBeModified = Signal(str)
    readOnly = kept(bool, False)
    headerVisible = kept(bool, True)
    filterBarVisible = kept(bool, False)
    colorColumnVisible = kept(bool, True)
    opacityColumnVisible = kept(bool, True)
    visibilityColumnVisible = kept(bool, True)
    statusColumnVisible = kept(bool, False)
    layerColumnVisible = kept(bool, False)
    selectionMode = kept(int, 3)
    textFilter = kept(str, "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._watcher = Watcher(self)
        self._table = QTableWidget(0, 2, self)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        row(self, self._table)

    def segmentationNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node
        kind = slicer.vtkSegmentation
        events = [kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified]
        self._watcher.watch(node.GetSegmentation() if node is not None else None, events, self._refresh)
        self._refresh()

    def displayedSegmentIDs(self) -> list[str]:
        return list(self._node.GetSegmentation().GetSegmentIDs()) if self._node is not None else []

    def selectedSegmentIDs(self) -> list[str]:
        chosen = sorted({index.row() for index in self._table.selectedIndexes()})
        return [self.displayedSegmentIDs()[number] for number in chosen]

    def setSelectedSegmentIDs(self, identifiers: list[str]) -> None:
        self._table.clearSelection()
        for number, identifier in enumerate(self.displayedSegmentIDs()):
            if identifier in identifiers:
                self._table.selectRow(number)

    def segmentIDForRow(self, number: int) -> str:
        return self.displayedSegmentIDs()[number]

    def rowForSegmentID(self, identifier: str) -> int:
        every = self.displayedSegmentIDs()
        return every.index(identifier) if identifier in every else -1

    def _refresh(self) -> None:
        every = self.displayedSegmentIDs()
        self._table.setRowCount(len(every))
        for number, identifier in enumerate(every):
            segment = self._node.GetSegmentation().GetSegment(identifier)
            colour = QTableWidgetItem()
            colour.setBackground(QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(number, 0, colour)
            self._table.setItem(number, 1, QTableWidgetItem(segment.GetName()))


SEGMENT_WIDGETS = (qMRMLSegmentSelectorWidget, qMRMLSegmentsTableView)
