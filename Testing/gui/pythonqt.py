"""Qt as PythonQt shows it to Slicer's scripts, on top of PySide6: properties are attributes, signals go by signature.

Strict on purpose: a name that a running Slicer does not show on a widget raises AttributeError here too (where the
description of Slicer's widgets lies beside the checkout), and so does writing to something that is no property.
"""

from __future__ import annotations

import ctypes
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

API_FILE = Path(__file__).resolve().parents[3] / "shared" / "slicer-api.json"
if sys.version_info < (3, 12):
    # PySide6 6.12 gives a reference to None or True away at every call that returns one. Python 3.12 does not count
    # these; before, the interpreter dies after about 3700 calls, so more references are made than the tests can use up.
    for value in (None, True, False):
        for _ in range(1_000_000):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))

SLICER_UTIL_NAMES = {"name"}
"""Names that slicer.util itself asks for; PythonQt gives objectName under this name."""


@lru_cache(maxsize=1)
def slicer_classes() -> dict[str, Any]:
    """Widget classes of a running Slicer by class name; empty where the description is absent."""
    if not API_FILE.is_file():
        return {}
    return {name.rsplit(".", 1)[-1]: value for name, value in json.loads(API_FILE.read_text())["classes"].items()}


def wrap(value: Any) -> Any:
    """What PythonQt would hand to Python for a value that came from Qt."""
    if isinstance(value, QtCore.QObject):
        return Wrapped(value)
    if isinstance(value, list | tuple):
        return type(value)(wrap(item) for item in value)
    return value


def unwrap(value: Any) -> Any:
    """The PySide6 object behind a wrapped one."""
    return object.__getattribute__(value, "_object") if isinstance(value, Wrapped) else value


class Wrapped:
    """A QObject with PythonQt's manners."""

    def __init__(self, wrapped: QtCore.QObject) -> None:
        object.__setattr__(self, "_object", wrapped)

    def _class(self) -> str:
        return self._object.metaObject().className().rsplit("::", 1)[-1]

    def _check(self, name: str) -> None:
        described = slicer_classes().get(self._class())
        if described is not None and name not in SLICER_UTIL_NAMES and name not in described["python_names"]:
            raise AttributeError(f"Slicer's {self._class()} has no '{name}'")

    def _property(self, name: str) -> QtCore.QMetaProperty | None:
        index = self._object.metaObject().indexOfProperty(name)
        return self._object.metaObject().property(index) if index >= 0 else None

    def __getattr__(self, name: str) -> Any:
        if name == "name":
            return self._object.objectName()
        self._check(name)
        if name == "className":
            return self._class
        if name == "connect":
            return self._connect
        if name == "disconnect":
            return self._disconnect
        if self._property(name) is not None:
            return wrap(self._object.property(name))
        found = getattr(self._object, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            return wrap(found(*(unwrap(argument) for argument in arguments)))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        self._check(name)
        described = self._property(name)
        if described is None or not described.isWritable():
            raise AttributeError(f"'{name}' is no writable property of {self._class()}")
        if not self._object.setProperty(name, unwrap(value)):
            raise TypeError(f"{self._class()}.{name} does not take {value!r}")

    def __eq__(self, other: object) -> bool:
        return unwrap(self) is unwrap(other)

    def __hash__(self) -> int:
        return hash(self._object)

    def __bool__(self) -> bool:
        return True

    def _signal(self, signature: str) -> Any:
        described = slicer_classes().get(self._class())
        if described is not None and signature not in described["signals"]:
            raise ValueError(f"Slicer's {self._class()} has no signal {signature}")
        name, arguments = signature.rstrip(")").split("(")
        signal = getattr(self._object, name)
        # PySide6 knows an overload by its argument type; MRML nodes travel as Python objects.
        return signal[arguments] if arguments in ("bool", "int") and hasattr(signal, "__getitem__") else signal

    def _connect(self, signature: str, slot: Any) -> bool:
        wants_none = signature.endswith("()")
        calls = self._object.__dict__.setdefault("_pythonqt_slots", {})

        def call(*arguments: Any) -> None:
            slot(*([] if wants_none else [wrap(argument) for argument in arguments]))

        calls[(signature, slot)] = call
        self._signal(signature).connect(call)
        return True

    def _disconnect(self, signature: str, slot: Any) -> bool:
        self._signal(signature).disconnect(self._object.__dict__["_pythonqt_slots"].pop((signature, slot)))
        return True


def timer() -> Wrapped:
    """qt.QTimer()."""
    return Wrapped(QtCore.QTimer())


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


class UiLoader:
    """qt.QUiLoader with the custom widgets of `mrml_widgets`, and the .ui file's own connections."""

    def load(self, file: File) -> Wrapped:
        """Build the widgets of a .ui file."""
        import xml.etree.ElementTree as ElementTree

        from mrml_widgets import CUSTOM_WIDGETS

        loader = QtUiTools.QUiLoader()
        for widget_class in CUSTOM_WIDGETS:
            loader.registerCustomWidget(widget_class)
        root = Wrapped(loader.load(str(file.path)))
        for connection in ElementTree.parse(file.path).iter("connection"):
            sender, signal, receiver, slot = (
                connection.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")
            )
            target = unwrap(root).findChild(QtWidgets.QWidget, receiver)
            assert sender == root.name, f"{sender} is not the top widget"
            assert target is not None, f"{receiver} does not exist"
            root.connect(signal, getattr(Wrapped(target), slot.split("(")[0]))
        return root
