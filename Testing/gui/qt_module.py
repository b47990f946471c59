"""The modules `qt` and `ctk` of PythonQt, as far as the description of Slicer goes, on PySide6."""

from __future__ import annotations

import enum
from pathlib import Path
from types import ModuleType
from typing import Any

import dialogs
import ui_loader
from PySide6 import QtCore, QtGui, QtWidgets
from pythonqt import Wrapped, guarded, unwrap, wrap
from slicer_api import EXTRA, EXTRA_OBJECTS, classes

_PARTS = (QtWidgets, QtGui, QtCore)
_STATIC = {
    "QDesktopServices": (),
    "QStandardPaths": ("writableLocation", "standardLocations"),
    "QApplication": ("processEvents", "setOverrideCursor", "restoreOverrideCursor", "keyboardModifiers", "clipboard",
                     "beep", "focusWidget", "activeWindow", "palette", "style", "font"),
    "QCoreApplication": ("processEvents", "translate"),
    "QEvent": (),
    "QHeaderView": (),
    "QToolTip": ("showText", "hideText"),
}  # fmt: skip
"""Classes of which scripts use static functions and enumerations."""
_STATICS_OF_VALUES = {
    "QDir": ("homePath", "tempPath", "toNativeSeparators", "fromNativeSeparators", "cleanPath"),
    "QUrl": ("fromLocalFile",),
    "QColor": ("fromRgb", "fromRgbF", "fromHsv", "fromHsvF"),
    "QCursor": ("pos",),
    "QIcon": ("fromTheme",),
    "QKeySequence": ("fromString",),
    "QImage": (),
}


class QtClass:
    """One class of `qt` or `ctk`: makes objects, and has the enumerators and static functions."""

    def __init__(self, name: str, real: type) -> None:
        self._name = name
        self._real = real

    def __call__(self, *arguments: Any, **named: Any) -> Wrapped:
        if named:
            raise TypeError(f"PythonQt takes no named arguments: {self._name}({', '.join(named)})")
        return wrap(self._real(*(unwrap(argument) for argument in arguments)))

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(unwrap(instance), self._real)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._real, name, None)
        if isinstance(found, enum.Enum):
            return found
        static = (*_STATIC.get(self._name, ()), *_STATICS_OF_VALUES.get(self._name, ()))
        described = classes().get(self._name)
        if found is None or (name not in static and (described is None or name not in described.names)):
            raise AttributeError(f"Slicer's qt.{self._name} has no '{name}'")
        return lambda *arguments: wrap(found(*(unwrap(argument) for argument in arguments)))


class _Enumerators:
    """qt.Qt: enumerators only, as in PythonQt; PySide6's scoped names (Qt.AlignmentFlag.AlignLeft) are refused."""

    def __getattr__(self, name: str) -> enum.Enum:
        found = getattr(QtCore.Qt, name, None)
        if not isinstance(found, enum.Enum):
            raise AttributeError(f"PythonQt's qt.Qt has no '{name}'")
        return found


class _Timer(QtClass):
    """qt.QTimer, where singleShot is a function of the class and a property of its objects."""

    @staticmethod
    def singleShot(milliseconds: int, slot: Any) -> None:
        """Call a slot once, later."""
        QtCore.QTimer.singleShot(milliseconds, guarded(slot))


class _FileDialog(QtClass):
    """qt.QFileDialog: its static functions answer as the test wants, with a text and not with PySide6's pair."""

    def __getattr__(self, name: str) -> Any:
        cancelled = {"getExistingDirectory": "", "getOpenFileName": "", "getSaveFileName": "", "getOpenFileNames": ()}
        if name not in cancelled:
            return super().__getattr__(name)

        def choose(*arguments: Any) -> Any:
            title = arguments[1] if len(arguments) > 1 else ""
            return dialogs.current.choose(name, title, cancelled[name], *arguments)

        return choose


class _MessageBox(QtClass):
    """qt.QMessageBox and ctk.ctkMessageBox: nothing stops; questions are answered by the test."""

    def __getattr__(self, name: str) -> Any:
        if name in ("question", "warning", "critical", "information", "about"):
            return lambda *arguments: dialogs.current.ask(f"QMessageBox.{name}", str(arguments[2]), *arguments)
        return super().__getattr__(name)


class _DesktopServices(QtClass):
    """qt.QDesktopServices: remembers what would be opened."""

    @staticmethod
    def openUrl(url: Any) -> bool:
        """Remember an address."""
        dialogs.current.opened.append(unwrap(url).toString())
        return True


class QSettings(QtCore.QSettings):
    """Settings in an .ini file of the test; as after a restart of Slicer, numbers and truth come back as texts."""

    file = Path("settings.ini")

    def __init__(self) -> None:
        super().__init__(str(self.file), QtCore.QSettings.Format.IniFormat)

    def setValue(self, key: str, value: Any) -> None:
        """Keep a value as the file would give it back."""
        texts = {True: "true", False: "false"}
        super().setValue(key, texts[value] if isinstance(value, bool) else str(value) if value is not None else "")

    def value(self, key: str, default: Any = None) -> Any:
        """A value, or the default; PySide6's third argument does not exist here."""
        return super().value(key, default)


_SPECIAL = {
    "QTimer": _Timer,
    "QFileDialog": _FileDialog,
    "QMessageBox": _MessageBox,
    "QDesktopServices": _DesktopServices,
}


def qt_module() -> ModuleType:
    """The module `qt`."""
    module = ModuleType("qt")
    names = {name for name in classes() if name[0] == "Q"} | set(EXTRA) | set(EXTRA_OBJECTS) | set(_STATIC)
    for name in names:
        real = next((getattr(part, name) for part in _PARTS if hasattr(part, name)), None)
        if real is not None:
            setattr(module, name, _SPECIAL.get(name, QtClass)(name, real))
    module.QSettings = QtClass("QSettings", QSettings)
    module.QFile, module.QUiLoader = ui_loader.File, ui_loader.UiLoader
    module.Qt = _Enumerators()
    return module


def ctk_module() -> ModuleType:
    """The module `ctk`."""
    import widgets

    module = ModuleType("ctk")
    for widget_class in widgets.CUSTOM_WIDGETS:
        name = widget_class.__name__
        if name.startswith("ctk"):
            kind = _MessageBox if name == "ctkMessageBox" else QtClass
            setattr(module, name, kind(name, widget_class))
    return module


def slicer_widgets() -> dict[str, QtClass]:
    """The widget classes that are found in `slicer`."""
    import widgets

    return {kind.__name__: QtClass(kind.__name__, kind) for kind in widgets.CUSTOM_WIDGETS if kind.__name__[0] == "q"}
