"""Qt as PythonQt shows it to Slicer's scripts, on top of PySide6: properties are attributes, signals go by signature.

A stand-in, and strict on purpose: a name that a running Slicer does not show on a widget raises AttributeError here
too, so does writing to something that is no property; a signal that Slicer or Qt 6 does not know raises ValueError.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

import dialogs
from PySide6 import QtCore, QtWidgets
from slicer_api import EXTRA, Described, classes

if sys.version_info < (3, 12):
    # PySide6 6.12 gives a reference to None or True away at every call that returns one. Python 3.12 does not count
    # these; before, the interpreter dies after about 3700 calls, so more references are made than the tests can use up.
    for value in (None, True, False):
        ctypes.c_ssize_t.from_address(id(value)).value += 3_000_000

ALIASES = {"name": "objectName"}
"""PythonQt gives objectName under the name `name` too; slicer.util asks for it."""
slot_errors: list[str] = []
"""Tracebacks of slots that failed. Qt and Slicer only print them, so the host makes the test fail at its end."""


def wrap(value: Any) -> Any:
    """What PythonQt would hand to Python for a value that came from Qt."""
    if isinstance(value, QtCore.QObject) or type(value).__name__ in EXTRA:
        return Wrapped(value)
    if isinstance(value, list | tuple):
        return tuple(wrap(item) for item in value)
    return value


def unwrap(value: Any) -> Any:
    """The PySide6 object behind a wrapped one."""
    if isinstance(value, Wrapped):
        return object.__getattribute__(value, "_object")
    if isinstance(value, list | tuple):
        return [unwrap(item) for item in value]
    if type(value).__module__ == "numpy" and not isinstance(value, float | str):
        raise TypeError(f"PythonQt does not convert {type(value).__name__}: give {value!r} as a plain Python value")
    return value


def guarded(slot: Callable) -> Callable:
    """A slot called with as many arguments as it takes, whose failure is kept."""
    try:
        kinds = [p.kind for p in inspect.signature(slot).parameters.values()]
    except ValueError:
        kinds = [inspect.Parameter.VAR_POSITIONAL]
    takes = len([kind for kind in kinds if kind in (0, 1)])
    limit = None if inspect.Parameter.VAR_POSITIONAL in kinds else takes

    def call(*arguments: Any) -> None:
        try:
            slot(*(wrap(argument) for argument in arguments[:limit]))
        except Exception:
            slot_errors.append(traceback.format_exc())
            traceback.print_exc()

    return call


class Wrapped:
    """A QObject, or one of Qt's values, with PythonQt's manners."""

    def __init__(self, wrapped: Any) -> None:
        object.__setattr__(self, "_object", wrapped)

    def _is_object(self) -> bool:
        return isinstance(self._object, QtCore.QObject)

    def _class(self) -> str:
        if not self._is_object():
            return type(self._object).__name__
        return self._object.metaObject().className().rsplit("::", 1)[-1]

    def _described(self) -> Described:
        """The description of the nearest class that is described."""
        if not self._is_object():
            return classes()[type(self._object).__name__]
        meta = self._object.metaObject()
        while meta.className().rsplit("::", 1)[-1] not in classes():
            meta = meta.superClass()
        return classes()[meta.className().rsplit("::", 1)[-1]]

    def _check(self, name: str) -> None:
        if name not in self._described().names:
            raise AttributeError(f"Slicer's {self._class()} has no '{name}'")

    def _property(self, name: str) -> QtCore.QMetaProperty | None:
        if not self._is_object():
            return None
        # PythonQt takes the "is" off read-only flags such as `active`; PySide6 does so where Qt itself does.
        index = self._object.metaObject().indexOfProperty(name)
        return self._object.metaObject().property(index) if index >= 0 else None

    def __getattr__(self, name: str) -> Any:
        name = ALIASES.get(name, name)
        self._check(name)
        if name in ("className", "connect", "disconnect"):
            return {"className": self._class, "connect": self._connect, "disconnect": self._disconnect}[name]
        if name in ("exec_", "exec") and isinstance(self._object, QtWidgets.QDialog | QtWidgets.QMenu):
            return lambda *_: dialogs.current.ask(self._class(), str(self._object.property("text") or ""))
        if self._property(name) is not None:
            return wrap(self._object.property(name))
        found = getattr(self._object, name.removesuffix("_"), None)
        if found is None and name.startswith("set") and self._property(name[3:4].lower() + name[4:]) is not None:
            return lambda value: setattr(self, name[3:4].lower() + name[4:], value)
        if found is None:
            raise AttributeError(f"the stand-in for {self._class()} lacks '{name}': add it to Testing/gui")
        if isinstance(found, QtCore.SignalInstance):
            return BoundSignal(self, name)
        if name in self._described().properties and callable(found):
            return wrap(found())
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            return wrap(found(*(unwrap(argument) for argument in arguments)))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        name = ALIASES.get(name, name)
        self._check(name)
        kind = self._described().properties.get(name)
        if kind is None or kind.endswith("(read-only)"):
            raise AttributeError(f"'{name}' is no writable property of {self._class()}")
        plain = unwrap(value)
        if kind in ("bool", "int", "double") and not isinstance(plain, bool | int | float):
            raise TypeError(f"{self._class()}.{name} is of type {kind} and does not take {value!r}")
        if kind == "QString" and not isinstance(plain, str):
            raise TypeError(f"{self._class()}.{name} is a text and does not take {value!r}")
        if self._property(name) is None:
            getattr(self._object, f"set{name[0].upper()}{name[1:]}")(plain)
        elif not self._object.setProperty(name, bool(plain) if kind == "bool" else plain):
            raise TypeError(f"{self._class()}.{name} does not take {value!r}")

    def __eq__(self, other: object) -> bool:
        mine, theirs = self._object, unwrap(other)
        return mine is theirs if self._is_object() else mine == theirs

    def __hash__(self) -> int:
        return hash(self._object)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        label = self._object.objectName() if self._is_object() else str(self._object)
        return f"{self._class()} ({label})"

    def _signal(self, signature: str) -> Any:
        """The PySide6 signal of a signature that both Slicer's Qt 5 and Qt 6 know."""
        if signature not in self._described().signals:
            raise ValueError(f"Slicer's {self._class()} has no signal {signature}")
        name, _, arguments = signature.rstrip(")").partition("(")
        signal = getattr(self._object, name, None)
        if signal is None:
            raise ValueError(f"the stand-in for {self._class()} lacks the signal {signature}: add it to Testing/gui")
        meta = self._object.metaObject()
        every = [meta.method(index) for index in range(meta.methodCount())]
        overloads = [
            [bytes(kind).decode() for kind in method.parameterTypes()]
            for method in every
            if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and bytes(method.name()).decode() == name
        ]
        wanted = arguments.split(",") if arguments else []
        if wanted in overloads:
            return signal[",".join(wanted)] if wanted and len(overloads) > 1 else signal
        # MRML nodes travel as Python objects, in the first overload of the stand-in.
        if not wanted or ["PyObject"] * len(wanted) in overloads:
            return signal
        raise ValueError(f"{self._class()} has no signal {signature} in Qt 6")

    def _connect(self, signature: str, slot: Any) -> bool:
        if not callable(slot):
            raise TypeError(f"{slot!r} cannot be called")
        without = signature.endswith("()")
        safe = guarded(slot)

        def call(*arguments: Any) -> None:
            safe(*(() if without else arguments))

        self._signal(signature).connect(call)
        self._object.__dict__.setdefault("_pythonqt_slots", []).append((signature, slot, call))
        return True

    def _disconnect(self, signature: str, slot: Any) -> bool:
        kept = self._object.__dict__.get("_pythonqt_slots", [])
        found = next((entry for entry in kept if entry[:2] == (signature, slot)), None)
        signal = self._signal(signature)
        if found is None:
            return False
        signal.disconnect(found[2])
        kept.remove(found)
        return True


class BoundSignal:
    """A signal as an attribute: `button.clicked.connect(slot)`; the first signature of that name."""

    def __init__(self, owner: Wrapped, name: str) -> None:
        known = sorted(sig for sig in owner._described().signals if sig.split("(")[0] == name)
        self._owner = owner
        self._signature = max(known, key=len)

    def connect(self, slot: Callable) -> bool:
        """Connect a slot."""
        return self._owner.connect(self._signature, slot)

    def disconnect(self, slot: Callable) -> bool:
        """Disconnect it."""
        return self._owner.disconnect(self._signature, slot)

    def __call__(self, *arguments: Any) -> None:
        """PythonQt emits a signal that is called."""
        self._owner._signal(self._signature).emit(*(unwrap(argument) for argument in arguments))
