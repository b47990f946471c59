"""Thin stand-ins for Slicer's views of tables, plots and sequences, over real MRML nodes."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

import vtk
from plot_painter import paint_chart
from PySide6.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QSlider,
    QTableView,
    QToolButton,
    QWidget,
)
from widget_parts import Watcher, kept, qMRMLWidget, row


class _TableModel(QAbstractTableModel):
    """The cells of a vtkMRMLTableNode."""

    node: Any = None

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() or self.node is None else self.node.GetNumberOfRows()

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() or self.node is None else self.node.GetNumberOfColumns()

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        wanted = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole)
        return self.node.GetCellText(index.row(), index.column()) if role in wanted else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role != Qt.ItemDataRole.DisplayRole or self.node is None:
            return None
        across = orientation == Qt.Orientation.Horizontal
        return self.node.GetColumnName(section) if across else section + 1


class qMRMLTableView(QTableView):
    """The cells of a table node; editing in the cells is left out."""

    mrmlSceneChanged = Signal(object)
    firstRowLocked = kept(bool, False)
    firstColumnLocked = kept(bool, False)
    transposed = kept(bool, False)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _TableModel(self)
        self.setModel(self._model)
        self._scene: Any = None
        self._watcher = Watcher(self)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLTableNode(self, node: Any) -> None:
        self._watcher.watch(node, [vtk.vtkCommand.ModifiedEvent], self._reset)
        self._model.node = node
        self._reset()

    def mrmlTableNode(self) -> Any:
        return self._model.node

    def _reset(self) -> None:
        self._model.beginResetModel()
        self._model.endResetModel()


class qMRMLPlotView(QWidget):
    """The series of a chart node, drawn roughly: enough to see what a plot shows."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._watcher = Watcher(self)
        self.setMinimumHeight(160)

    def setMRMLScene(self, scene: Any) -> None:
        self.mrmlSceneChanged.emit(scene)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._node = node
        self._watcher.watch(node, [vtk.vtkCommand.ModifiedEvent], self.fitToContent)
        self.update()

    def fitToContent(self) -> None:
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("white"))
        chart = self._node.GetPlotChartNode() if self._node is not None else None
        if chart is not None:
            paint_chart(painter, self.rect(), chart)
        painter.end()


class qMRMLSequenceBrowserSeekWidget(qMRMLWidget):
    """A bar over the items of a sequence browser node."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._watcher = Watcher(self)
        self._bar = QSlider(Qt.Orientation.Horizontal, self)
        row(self, self._bar)
        self._bar.valueChanged.connect(self.setSelectedItemNumber)

    def slider(self) -> QSlider:
        return self._bar

    def setMRMLSequenceBrowserNode(self, node: Any) -> None:
        self._node = node
        self._watcher.watch(node, [vtk.vtkCommand.ModifiedEvent], self._refresh)
        self._refresh()

    def setSelectedItemNumber(self, number: int) -> None:
        if self._node is not None and number != self._node.GetSelectedItemNumber():
            self._node.SetSelectedItemNumber(number)

    def _refresh(self) -> None:
        self._bar.setEnabled(self._node is not None)
        if self._node is not None:
            self._bar.setRange(0, max(0, self._node.GetNumberOfItems() - 1))
            self._bar.setValue(self._node.GetSelectedItemNumber())


class qMRMLSequenceBrowserPlayWidget(qMRMLWidget):
    """Buttons that move a sequence browser node; the frames are stepped by the application, not here."""

    NextFrameShortcut = kept(str, "")
    PreviousFrameShortcut = kept(str, "")
    PlayPauseShortcut = kept(str, "")
    RecordingControlsVisible = kept(bool, True)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        buttons = []
        for text, slot in (
            ("|<", self.onVcrFirst),
            ("<", self.onVcrPrevious),
            ("play", self.onVcrPlayPause),
            (">", self.onVcrNext),
            (">|", self.onVcrLast),
        ):
            button = QToolButton(self)
            button.setText(text)
            button.clicked.connect(slot)
            buttons.append(button)
        row(self, *buttons)

    def setMRMLSequenceBrowserNode(self, node: Any) -> None:
        self._node = node
        self.setEnabled(node is not None)

    def onVcrFirst(self) -> None:
        self._node.SelectFirstItem()

    def onVcrLast(self) -> None:
        self._node.SelectLastItem()

    def onVcrNext(self) -> None:
        self._node.SelectNextItem(1)

    def onVcrPrevious(self) -> None:
        self._node.SelectNextItem(-1)

    def onVcrPlayPause(self) -> None:
        self.setPlaybackEnabled(not self._node.GetPlaybackActive())

    def setPlaybackEnabled(self, playing: bool) -> None:
        self._node.SetPlaybackActive(playing)

    def setPlaybackLoopEnabled(self, loop: bool) -> None:
        self._node.SetPlaybackLooped(loop)

    def setPlaybackRateFps(self, rate: float) -> None:
        self._node.SetPlaybackRateFps(rate)


VIEWS = (
    qMRMLTableView,
    qMRMLPlotView,
    qMRMLSequenceBrowserSeekWidget,
    qMRMLSequenceBrowserPlayWidget,
)
