"""Which widget of a .ui file can show which type of parameter, and how: as Slicer's guiConnectors, by exact class."""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer

INT_LIMIT = 2**31


@dataclass(frozen=True)
class WithinRange:
    """Annotation: the number lies within."""

    minimum: float
    maximum: float


@dataclass(frozen=True)
class Minimum:
    """Annotation: the number is at least this."""

    minimum: float


@dataclass(frozen=True)
class Maximum:
    """Annotation: the number is at most this."""

    maximum: float


@dataclass(frozen=True)
class Choice:
    """Annotation: one of these."""

    choices: list


@dataclass(frozen=True)
class Default:
    """Annotation: the first value."""

    value: Any


@dataclass(frozen=True)
class Decimals:
    """Annotation: digits behind the point."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """Annotation: what one step of the arrows adds."""

    value: float


ANNOTATIONS = (WithinRange, Minimum, Maximum, Choice, Default, Decimals, SingleStep)
INTEGERS = ("QSlider", "QSpinBox")
SLIDERS = ("ctkSliderWidget", "qMRMLSliderWidget", "ctkDoubleSlider")
DECIMALS = ("QDoubleSpinBox", "ctkDoubleSpinBox", "qMRMLSpinBox", *SLIDERS)
NEED_A_RANGE = ("QSlider", *SLIDERS)
SWITCHES = {
    "QCheckBox": ("toggled(bool)", "checked"),
    "QPushButton": ("toggled(bool)", "checked"),
    "ctkCheckablePushButton": ("checkBoxToggled(bool)", "checkState"),
}
TEXTS = {"QLineEdit": "textChanged(QString)", "QLabel": "", "QTextEdit": "textChanged()"}
PATHS = {
    "ctkPathLineEdit": ("currentPathChanged(QString)", "currentPath"),
    "ctkDirectoryButton": ("directoryChanged(QString)", "directory"),
}


@dataclass(eq=False)
class Connector:
    """A widget that shows one parameter.

    Attributes:
        widget: the wrapped widget.
        signal: what it says when the user changed it; empty where the user cannot.
        read: gives the value that the widget shows.
        write: shows a value.
    """

    widget: Any
    signal: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    _slot: Callable[[], None] | None = None

    def connect(self, changed: Callable[[], None]) -> None:
        """Call `changed` when the user changed the value."""
        self._slot = lambda *_: changed()
        if self.signal:
            self.widget.connect(self.signal, self._slot)

    def disconnect(self) -> None:
        """Let the widget go."""
        if self.signal:
            self.widget.disconnect(self.signal, self._slot)


def connect_widget(parameter: Any, widget: Any) -> Connector:
    """The connector for a type and a widget.

    Raises:
        RuntimeError: Slicer has none for these.
    """
    kind, shown = parameter.kind, widget.className()
    if issubclass(kind, slicer.vtkMRMLNode) and shown == "qMRMLNodeComboBox":
        widget.nodeTypes = [kind.__name__]
        return Connector(widget, "currentNodeChanged(vtkMRMLNode*)", widget.currentNode, widget.setCurrentNode)
    if issubclass(kind, enum.Enum) and shown in ("QComboBox", "ctkComboBox"):
        label = getattr(kind, "label", lambda member: member.name)
        return _choices(widget, list(kind), [label(member) for member in kind])
    choice = next((item for item in parameter.annotations if isinstance(item, Choice)), None)
    if kind in (bool, int, float, str) and shown in ("QComboBox", "ctkComboBox"):
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        return _choices(widget, choice.choices, [str(item) for item in choice.choices])
    if kind is bool and shown in SWITCHES:
        return _switch(widget, shown)
    if (kind is int and shown in INTEGERS) or (kind in (int, float) and shown in DECIMALS):
        return _number(parameter, widget, shown)
    if kind is str and shown in TEXTS:
        return _text(widget, shown)
    if issubclass(kind, pathlib.PurePath) and shown in PATHS:
        signal, name = PATHS[shown]
        return Connector(
            widget, signal, lambda: kind(getattr(widget, name)), lambda value: setattr(widget, name, str(value))
        )
    pair = f"datatype '{kind}' to widget type '{shown}' ({parameter.name})"
    raise RuntimeError(f"Unable to create GUI connector from {pair}")


def _choices(widget: Any, values: list[Any], labels: list[str]) -> Connector:
    widget.clear()
    for text in labels:
        widget.addItem(text)
    return Connector(
        widget,
        "currentIndexChanged(int)",
        lambda: values[widget.currentIndex],
        lambda value: setattr(widget, "currentIndex", values.index(value)),
    )


def _switch(widget: Any, shown: str) -> Connector:
    signal, name = SWITCHES[shown]
    if name == "checkState":
        from PySide6.QtCore import Qt

        states = {True: Qt.CheckState.Checked, False: Qt.CheckState.Unchecked}
        return Connector(
            widget,
            signal,
            lambda: widget.checkState == states[True],
            lambda value: setattr(widget, "checkState", states[value]),
        )
    if shown == "QPushButton":
        widget.checkable = True
    return Connector(widget, signal, lambda: widget.checked, lambda value: setattr(widget, "checked", value))


def _number(parameter: Any, widget: Any, shown: str) -> Connector:
    """The range comes from the annotations only: what the .ui file says is overwritten."""
    low, high = -INT_LIMIT, INT_LIMIT - 1
    bounds = [False, False]
    if shown not in INTEGERS:
        low, high = float("-inf"), float("inf")
    for item in parameter.annotations:
        if isinstance(item, Decimals) and shown not in INTEGERS:
            widget.decimals = item.value
        if isinstance(item, SingleStep):
            widget.singleStep = item.value
        if isinstance(item, WithinRange | Minimum):
            low, bounds[0] = item.minimum, True
        if isinstance(item, WithinRange | Maximum):
            high, bounds[1] = item.maximum, True
    if shown in NEED_A_RANGE and not all(bounds):
        raise RuntimeError(f"Cannot have a connection to {shown} where the type is unbounded ({parameter.name}).")
    widget.minimum, widget.maximum = low, high
    return Connector(
        widget,
        "valueChanged(int)" if shown in INTEGERS else "valueChanged(double)",
        lambda: parameter.kind(widget.value),
        lambda value: setattr(widget, "value", value),
    )


def _text(widget: Any, shown: str) -> Connector:
    if shown == "QTextEdit":
        return Connector(widget, TEXTS[shown], widget.toPlainText, widget.setPlainText)
    return Connector(widget, TEXTS[shown], lambda: widget.text, lambda value: setattr(widget, "text", value))
