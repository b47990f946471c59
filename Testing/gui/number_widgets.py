"""Stand-ins for CTK's and Slicer's sliders, ranges and spin boxes of decimal numbers."""

# ruff: noqa: N801, N815 (CTK's and Slicer's own names)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QWidget
from widget_parts import kept, row

STEPS = 1000
"""Positions of the bar; the spin box keeps the value."""


def of_box(kind: type, name: str, box: str = "_box") -> Property:
    """A property that is one of the spin box inside."""
    setter = f"set{name[0].upper()}{name[1:]}"

    def get(self: Any) -> Any:
        return getattr(getattr(self, box), name)()

    def put(self: Any, value: Any) -> None:
        getattr(getattr(self, box), setter)(value)

    return Property(kind, get, put)


class ctkDoubleSpinBox(QWidget):
    """A spin box for decimal numbers."""

    valueChanged = Signal((float,), (str,))
    decimalsChanged = Signal(int)
    editingFinished = Signal()
    invertedControls = kept(bool, False)
    decimalsOption = kept("QVariant", None)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QDoubleSpinBox(self)
        row(self, self._box)
        self._box.valueChanged.connect(self._changed)
        self._box.editingFinished.connect(self.editingFinished)

    minimum, maximum, value = of_box(float, "minimum"), of_box(float, "maximum"), of_box(float, "value")
    singleStep, decimals, readOnly = of_box(float, "singleStep"), of_box(int, "decimals"), kept(bool, False)
    prefix, suffix = of_box(str, "prefix"), of_box(str, "suffix")

    def _changed(self, value: float) -> None:
        self.valueChanged[float].emit(value)
        self.valueChanged[str].emit(self._box.text())

    def stepUp(self) -> None:
        self._box.stepUp()

    def stepDown(self) -> None:
        self._box.stepDown()


class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box with units of the scene."""

    quantity = kept(str, "")
    unitAwareProperties = kept("QVariant", None)
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def mrmlScene(self) -> Any:
        return self._scene


class ctkDoubleSlider(QWidget):
    """A bar for decimal numbers."""

    valueChanged = Signal(float)
    rangeChanged = Signal(float, float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    tracking = kept(bool, True)
    tickInterval = kept(float, 0.0)
    pageStep = kept(float, 10.0)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # The number is kept apart from the bar, which only has whole steps.
        self._box = QDoubleSpinBox()
        self._box.setDecimals(10)
        self._bar = QSlider(Qt.Orientation.Horizontal, self)
        self._bar.setRange(0, STEPS)
        row(self, self._bar)
        self._box.valueChanged.connect(self._changed)
        self._bar.valueChanged.connect(self._moved)
        self._bar.sliderPressed.connect(self.sliderPressed)
        self._bar.sliderReleased.connect(self.sliderReleased)

    minimum, maximum, value = of_box(float, "minimum"), of_box(float, "maximum"), of_box(float, "value")
    singleStep = of_box(float, "singleStep")
    orientation = of_box(Qt.Orientation, "orientation", "_bar")

    def _changed(self, value: float) -> None:
        _place(self._bar, self._box)
        self.valueChanged.emit(value)

    def _moved(self, position: int) -> None:
        self._box.setValue(_number(position, self._box))


class ctkSliderWidget(QWidget):
    """A bar and a spin box for one decimal number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)
    tracking = kept(bool, True)
    tickInterval = kept(float, 0.0)
    pageStep = kept(float, 10.0)
    popupSlider = kept(bool, False)
    invertedAppearance = kept(bool, False)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QDoubleSpinBox(self)
        self._bar = QSlider(Qt.Orientation.Horizontal, self)
        self._bar.setRange(0, STEPS)
        row(self, self._bar, self._box)
        self._box.valueChanged.connect(self._changed)
        self._bar.valueChanged.connect(self._moved)

    minimum, maximum, value = of_box(float, "minimum"), of_box(float, "maximum"), of_box(float, "value")
    singleStep, decimals = of_box(float, "singleStep"), of_box(int, "decimals")
    prefix, suffix = of_box(str, "prefix"), of_box(str, "suffix")
    spinBoxVisible = Property(
        bool, lambda self: not self._box.isHidden(), lambda self, shown: self._box.setVisible(shown)
    )

    def reset(self) -> None:
        self._box.setValue(0.0)

    def _changed(self, value: float) -> None:
        _place(self._bar, self._box)
        self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    def _moved(self, position: int) -> None:
        self._box.setValue(_number(position, self._box))


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider with units of the scene."""

    orientation = of_box(Qt.Orientation, "orientation", "_bar")
    quantity = kept(str, "")
    unitAwareProperties = kept("QVariant", None)
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def mrmlScene(self) -> Any:
        return self._scene


class ctkRangeWidget(QWidget):
    """Two spin boxes for the ends of a range."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    minimumValueIsChanging = Signal(float)
    maximumValueIsChanging = Signal(float)
    rangeChanged = Signal(float, float)
    tracking = kept(bool, True)
    symmetricMoves = kept(bool, False)
    tickInterval = kept(float, 0.0)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = QDoubleSpinBox(self), QDoubleSpinBox(self)
        row(self, self._low, self._high)
        self._high.setValue(99.0)
        self._low.valueChanged.connect(self._low_changed)
        self._high.valueChanged.connect(self._high_changed)

    minimumValue, maximumValue = of_box(float, "value", "_low"), of_box(float, "value", "_high")

    def _both(kind: type, name: str) -> Property:  # noqa: N805
        setter = f"set{name[0].upper()}{name[1:]}"

        def put(self: Any, value: Any) -> None:
            for box in (self._low, self._high):
                getattr(box, setter)(value)
            if name in ("minimum", "maximum"):
                self.rangeChanged.emit(self._low.minimum(), self._high.maximum())

        return Property(kind, lambda self: getattr(self._low, name)(), put)

    minimum, maximum, singleStep = _both(float, "minimum"), _both(float, "maximum"), _both(float, "singleStep")
    decimals, prefix, suffix = _both(int, "decimals"), _both(str, "prefix"), _both(str, "suffix")

    def setRange(self, low: float, high: float) -> None:
        self.minimum, self.maximum = low, high

    def setValues(self, low: float, high: float) -> None:
        before = (self.minimumValue, self.maximumValue)
        for box, value in ((self._low, low), (self._high, high)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        if (self.minimumValue, self.maximumValue) != before:
            self.valuesChanged.emit(self.minimumValue, self.maximumValue)

    def _low_changed(self, value: float) -> None:
        self._high.setValue(max(value, self._high.value()))
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._high.value())

    def _high_changed(self, value: float) -> None:
        self._low.setValue(min(value, self._low.value()))
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._low.value(), value)


class qMRMLRangeWidget(ctkRangeWidget):
    """A range with units of the scene."""

    quantity = kept(str, "")

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene


def _place(bar: QSlider, box: QDoubleSpinBox) -> None:
    length = box.maximum() - box.minimum()
    bar.blockSignals(True)
    bar.setValue(round(STEPS * (box.value() - box.minimum()) / length) if length > 0 else 0)
    bar.blockSignals(False)


def _number(position: int, box: QDoubleSpinBox) -> float:
    return box.minimum() + position / STEPS * (box.maximum() - box.minimum())


NUMBER_WIDGETS = (
    ctkDoubleSpinBox,
    qMRMLSpinBox,
    ctkDoubleSlider,
    ctkSliderWidget,
    qMRMLSliderWidget,
    ctkRangeWidget,
    qMRMLRangeWidget,
)
