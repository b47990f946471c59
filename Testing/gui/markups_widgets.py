"""Stand-ins for Slicer's widgets that place markups, over the real selection, interaction and markups nodes."""

# ruff: noqa: N801, N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

import vtk
from mrml_widgets import qMRMLNodeComboBox
from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QTableWidget, QToolButton, QVBoxLayout, QWidget
from widget_parts import Watcher, kept, row


class qSlicerMarkupsPlaceWidget(QWidget):
    """A button that makes the next click in a view place a point of the current markups node."""

    ShowPlaceMultipleMarkupsOption, HidePlaceMultipleMarkupsOption = 0, 1
    ForcePlaceSingleMarkup, ForcePlaceMultipleMarkups = 2, 3
    mrmlSceneChanged = Signal(object)
    activeMarkupsPlaceModeChanged = Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = Signal(bool)
    defaultNodeColor = kept(QColor, QColor(0, 255, 0))
    deleteAllControlPointsOptionVisible = kept(bool, True)
    deleteAllMarkupsOptionVisible = kept(bool, True)
    unsetAllControlPointsOptionVisible = kept(bool, False)
    unsetLastControlPointOptionVisible = kept(bool, False)
    placeMultipleMarkups = kept(int, 0)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = self._node = None
        self._placing = False
        self._persistent = False
        self._watchers = (Watcher(self), Watcher(self))
        self._place, self._delete = QToolButton(self), QToolButton(self)
        for button, text in ((self._place, "place"), (self._delete, "delete")):
            button.setText(text)
        self._place.setCheckable(True)
        row(self, self._place, self._delete)
        self._place.clicked.connect(self.setPlaceModeEnabled)
        self._delete.clicked.connect(self.deleteAllPoints)
        self.setEnabled(False)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        for watcher, node in zip(self._watchers, (self.interactionNode(), self.selectionNode()), strict=True):
            watcher.watch(node, [vtk.vtkCommand.ModifiedEvent], self._refresh)
        self.mrmlSceneChanged.emit(scene)
        self._refresh()

    def interactionNode(self) -> Any:
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton") if self._scene is not None else None

    def selectionNode(self) -> Any:
        return self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton") if self._scene is not None else None

    def currentNode(self) -> Any:
        return self._node

    def currentMarkupsNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is not self._node:
            self.setPlaceModeEnabled(False)
        self._node = node
        self._refresh()

    def _get_placing(self) -> bool:
        return self._is_active() and self.interactionNode().GetCurrentInteractionMode() == self.interactionNode().Place

    def setPlaceModeEnabled(self, placing: bool) -> None:
        if self._node is None or self._scene is None or placing == self._get_placing():
            return
        interaction = self.interactionNode()
        if placing:
            self.setCurrentNodeActive(True)
            interaction.SetPlaceModePersistence(self._persistent)
            interaction.SetCurrentInteractionMode(interaction.Place)
        else:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    placeModeEnabled = Property(bool, _get_placing, lambda self, placing: self.setPlaceModeEnabled(placing))

    def setPlaceModePersistency(self, persistent: bool) -> None:
        self._persistent = persistent
        if self._get_placing():
            self.interactionNode().SetPlaceModePersistence(persistent)

    placeModePersistency = Property(
        bool, lambda self: self._persistent, lambda self, persistent: self.setPlaceModePersistency(persistent)
    )

    def _is_active(self) -> bool:
        return self._node is not None and self.selectionNode().GetActivePlaceNodeID() == self._node.GetID()

    def setCurrentNodeActive(self, active: bool) -> None:
        if active:
            self.selectionNode().SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            self.selectionNode().SetActivePlaceNodeID(self._node.GetID())
        elif self._is_active():
            self.selectionNode().SetActivePlaceNodeID(None)

    currentNodeActive = Property(bool, _is_active, lambda self, active: self.setCurrentNodeActive(active))

    def _get_color(self) -> QColor:
        display = self._node.GetDisplayNode() if self._node is not None else None
        return QColor.fromRgbF(*display.GetSelectedColor()) if display is not None else self.defaultNodeColor

    def setNodeColor(self, color: QColor) -> None:
        self._node.GetDisplayNode().SetSelectedColor(color.redF(), color.greenF(), color.blueF())

    nodeColor = Property(QColor, _get_color, lambda self, color: self.setNodeColor(color))
    buttonsVisible = Property(
        bool,
        lambda self: not self._place.isHidden(),
        lambda self, shown: [button.setVisible(shown) for button in (self._place, self._delete)],
    )

    def placeButton(self) -> QToolButton:
        return self._place

    def deleteButton(self) -> QToolButton:
        return self._delete

    def deleteLastPoint(self) -> None:
        if self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self) -> None:
        self._node.RemoveAllControlPoints()

    def _refresh(self) -> None:
        self.setEnabled(self._node is not None and self._scene is not None)
        placing = self._get_placing()
        self._place.setChecked(placing)
        if placing != self._placing:
            self._placing = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)
            self.activeMarkupsFiducialPlaceModeChanged.emit(placing)


class qSlicerSimpleMarkupsWidget(QWidget):
    """A markups node with its points in a table, and the place button."""

    mrmlSceneChanged = Signal(object)
    markupsNodeChanged = Signal()
    activeMarkupsPlaceModeChanged = Signal(bool)
    updateFinished = Signal()
    defaultNodeColor = kept(QColor, QColor(0, 255, 0))
    enterPlaceModeOnNodeChange = kept(bool, True)
    jumpToSliceEnabled = kept(bool, False)
    optionsVisible = kept(bool, True)
    viewGroup = kept(int, -1)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selector, self._placer = qMRMLNodeComboBox(self), qSlicerMarkupsPlaceWidget(self)
        self._selector.nodeTypes = ["vtkMRMLMarkupsFiducialNode"]
        self._selector.noneEnabled = True
        self._table = QTableWidget(0, 4, self)
        self._table.setHorizontalHeaderLabels(["Label", "R", "A", "S"])
        self._watcher = Watcher(self)
        row(self, self._selector, self._placer, self._table, direction=QVBoxLayout)
        self._selector.currentNodeChanged[object].connect(self._changed)
        self._placer.activeMarkupsPlaceModeChanged.connect(self.activeMarkupsPlaceModeChanged)

    nodeSelectorVisible = Property(
        bool, lambda self: not self._selector.isHidden(), lambda self, shown: self._selector.setVisible(shown)
    )

    def setMRMLScene(self, scene: Any) -> None:
        self._placer.setMRMLScene(scene)
        self._selector.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)

    def setNodeBaseName(self, name: str) -> None:
        self._selector.baseName = name

    def currentNode(self) -> Any:
        return self._selector.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        self._selector.setCurrentNode(node)

    def markupsPlaceWidget(self) -> qSlicerMarkupsPlaceWidget:
        return self._placer

    def markupsSelectorComboBox(self) -> qMRMLNodeComboBox:
        return self._selector

    def tableWidget(self) -> QTableWidget:
        return self._table

    def _changed(self, node: Any) -> None:
        self._placer.setCurrentNode(node)
        events = [] if node is None else [node.PointAddedEvent, node.PointRemovedEvent, node.PointModifiedEvent]
        self._watcher.watch(node, events, self._refresh)
        self._refresh()
        self.markupsNodeChanged.emit()

    def _refresh(self) -> None:
        from PySide6.QtWidgets import QTableWidgetItem

        node = self.currentNode()
        self._table.setRowCount(node.GetNumberOfControlPoints() if node is not None else 0)
        for number in range(self._table.rowCount()):
            place = [f"{value:.1f}" for value in node.GetNthControlPointPosition(number)]
            for column, text in enumerate([node.GetNthControlPointLabel(number), *place]):
                self._table.setItem(number, column, QTableWidgetItem(text))
        self.updateFinished.emit()


MARKUPS_WIDGETS = (qSlicerMarkupsPlaceWidget, qSlicerSimpleMarkupsWidget)
