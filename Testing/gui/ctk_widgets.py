"""Stand-ins for CTK's widgets on PySide6: the same properties and signals, and as much behaviour as panels meet."""

# ruff: noqa: N801, N815 (CTK's own names)

from __future__ import annotations

import dialogs
from PySide6.QtCore import Property, QDir, QRect, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QGroupBox,
    QLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QWidget,
)
from widget_parts import Folding, kept, row

HEADER = 26
"""Height of a section's title in pixels."""
GROUP_HEADER = 18
"""The same of a group box."""


class ctkCollapsibleButton(QAbstractButton):
    """A titled section that folds: checked means open."""

    contentsCollapsed = Signal(bool)
    flat = kept(bool, False)
    collapsedHeight = kept(int, 10)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folding = Folding(self, HEADER)
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._toggled)

    def _get_collapsed(self) -> bool:
        return self._folding.folded

    def _set_collapsed(self, collapsed: bool) -> None:
        if self.isCheckable():
            self.setChecked(not collapsed)
        else:
            self.collapse(collapsed)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def collapse(self, collapsed: bool) -> None:
        changed = collapsed != self._folding.folded
        self._folding.fold(collapsed)
        if changed:
            self.contentsCollapsed.emit(collapsed)

    def _toggled(self, checked: bool) -> None:
        self.collapse(not checked)

    def hitButton(self, position: object) -> bool:
        return QRect(0, 0, self.width(), HEADER).contains(position)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = QRect(0, 0, self.width(), HEADER)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_PanelButtonCommand, option, painter, self)
        arrow = "▸" if self.collapsed else "▾"
        painter.drawText(option.rect.adjusted(8, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, f"{arrow} {self.text()}")
        painter.end()


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box whose contents can be folded away; in CTK it is a checked group box while it is open."""

    collapsedHeight = kept(int, 14)

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._folding = Folding(self, GROUP_HEADER)

    def _get_collapsed(self) -> bool:
        return self._folding.folded

    def _set_collapsed(self, collapsed: bool) -> None:
        changed = collapsed != self._folding.folded
        self._folding.fold(collapsed)
        if changed:
            self.toggled.emit(not collapsed)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def setLayout(self, layout: QLayout) -> None:
        super().setLayout(layout)
        self._folding.fold(self._folding.folded)


class ctkComboBox(QComboBox):
    """A combo box with a text for nothing chosen."""

    defaultText = kept(str, "")
    forceDefault = kept(bool, False)

    def _get_data(self) -> str:
        return str(self.currentData() or "")

    def _set_data(self, data: str) -> None:
        self.setCurrentIndex(self.findData(data))

    currentUserDataAsString = Property(str, _get_data, _set_data)


class ctkPushButton(QPushButton):
    """A push button with more ways to align its text."""

    buttonTextAlignment = kept("QVariant", None)
    iconAlignment = kept("QVariant", None)


class ctkMenuButton(QPushButton):
    """A push button with a menu at its side."""


class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box in it."""

    checkBoxToggled = Signal(bool)
    checkBoxControlsButton = kept(bool, True, "_control")
    checkBoxControlsButtonToggleState = kept(bool, True)
    checkBoxUserCheckable = kept(bool, True)
    _state = Qt.CheckState.Unchecked

    def _get_state(self) -> Qt.CheckState:
        return self._state

    def _set_state(self, state: Qt.CheckState) -> None:
        if state != self._state:
            self._state = Qt.CheckState(state)
            if self.checkBoxControlsButton:
                self.setCheckable(self._state == Qt.CheckState.Checked)
            if self.checkBoxControlsButtonToggleState:
                self.setChecked(self._state == Qt.CheckState.Checked)
            self.checkBoxToggled.emit(self._state == Qt.CheckState.Checked)

    checkState = Property("QVariant", _get_state, _set_state)

    def _control(self) -> None:
        self.setCheckable(not self.checkBoxControlsButton or self._state == Qt.CheckState.Checked)


class ctkColorPickerButton(QPushButton):
    """A push button that shows a colour."""

    colorChanged = Signal(QColor)
    colorNameChanged = Signal(str)
    displayColorName = kept(bool, True, "_show")
    _color = QColor(0, 0, 0)

    def _get_color(self) -> QColor:
        return self._color

    def _set_color(self, color: QColor) -> None:
        if color == self._color:
            return
        self._color = QColor(color)
        self._show()
        self.colorChanged.emit(self._color)
        self.colorNameChanged.emit(self._color.name())

    color = Property(QColor, _get_color, _set_color)
    colorName = Property(str, lambda self: self._color.name(), lambda self, name: self._set_color(QColor(name)))

    def _show(self) -> None:
        picture = QPixmap(14, 14)
        picture.fill(self._color)
        self.setIcon(QIcon(picture))
        self.setText(self._color.name() if self.displayColorName else "")


class ctkExpandButton(QToolButton):
    """A tool button with an arrow."""

    mirrorOnExpand = kept(bool, False)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("»")
        self.setCheckable(True)


class ctkPathLineEdit(QWidget):
    """A line for a file or a folder."""

    Dirs, Files, Drives, Executable = QDir.Filter.Dirs, QDir.Filter.Files, QDir.Filter.Drives, QDir.Filter.Executable
    Readable, Writable, NoDot = QDir.Filter.Readable, QDir.Filter.Writable, QDir.Filter.NoDot
    AllEntries, NoDotDot = QDir.Filter.AllEntries, QDir.Filter.NoDotDot
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    filters = kept("QVariant", None)
    label = kept(str, "")
    nameFilters = kept("QStringList", [])
    settingKey = kept(str, "")
    showHistoryButton = kept(bool, True)
    minimumContentsLength = kept(int, 0)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line, self._button = QLineEdit(self), QToolButton(self)
        self._button.setText("…")
        row(self, self._line, self._button)
        self._line.textChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(self.browse)

    currentPath = Property(str, lambda self: self._line.text(), lambda self, path: self._line.setText(path))
    showBrowseButton = Property(
        bool, lambda self: not self._button.isHidden(), lambda self, shown: self._button.setVisible(shown)
    )

    def browse(self) -> None:
        chosen = dialogs.current.choose("ctkPathLineEdit", self.label, "")
        if chosen:
            self.currentPath = chosen

    def addCurrentPathToHistory(self) -> None:
        """The stand-in keeps no history."""


class ctkDirectoryButton(QWidget):
    """A button that shows a folder, and lets the user choose one."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)
    caption = kept(str, "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory = QDir.currentPath()
        self._button = QPushButton(self._directory, self)
        row(self, self._button)
        self._button.clicked.connect(self.browse)

    def _set_directory(self, directory: str) -> None:
        # CTK keeps the absolute form, and says nothing when it is the same.
        absolute = QDir(directory).absolutePath()
        if absolute != self._directory:
            self._directory = absolute
            self._button.setText(absolute)
            self.directoryChanged.emit(absolute)

    directory = Property(str, lambda self: self._directory, _set_directory)
    text = Property(str, lambda self: self._button.text(), lambda self, text: self._button.setText(text))

    def browse(self) -> None:
        chosen = dialogs.current.choose("ctkDirectoryButton", self.caption, "")
        if chosen:
            self.directory = chosen
            self.directorySelected.emit(chosen)


class ctkMessageBox(QMessageBox):
    """A message box with a box to tick for never again."""

    dontShowAgain = kept(bool, False)
    dontShowAgainVisible = kept(bool, False)
    dontShowAgainSettingsKey = kept(str, "")


CTK_WIDGETS = (
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkComboBox,
    ctkPushButton,
    ctkMenuButton,
    ctkCheckablePushButton,
    ctkColorPickerButton,
    ctkExpandButton,
    ctkPathLineEdit,
    ctkDirectoryButton,
    ctkMessageBox,
)
