"""slicer.app on Qt's "offscreen" platform, with the names of a running Slicer only."""

# ruff: noqa: N815 (Slicer's own names)

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dialogs
import pythonqt
import qt_module
from layout_manager import LayoutManager, place_point
from PySide6 import QtGui, QtTest, QtWidgets
from slicer_api import names_in

FOR_TESTS = frozenset({"connect", "disconnect", "emit", "slots", "windows", "window", "click", "press", "host"})
"""Names of the stand-in that tests use, and that Slicer does not have."""


class Signals:
    """Something with `connect("name(types)", slot)`."""

    def __init__(self) -> None:
        self.slots: dict[str, list[Callable]] = {}

    def connect(self, signature: str, slot: Callable) -> None:
        """Remember a slot."""
        self.slots.setdefault(signature, []).append(slot)

    def disconnect(self, signature: str, slot: Callable) -> None:
        """Forget it."""
        self.slots[signature].remove(slot)

    def emit(self, signature: str, *arguments: Any) -> None:
        """Call every slot."""
        for slot in list(self.slots.get(signature, [])):
            slot(*arguments)


class Application(Signals):
    """slicer.app.

    Attributes:
        windows: what a user would have been asked and told (for tests).
        window: the main window, on Qt's "offscreen" platform.
        host: the scene and the module logics.
    """

    def __init__(self, home: Path, host: Any) -> None:
        super().__init__()
        self.slicerHome = str(home)
        self.temporaryPath = str(home)
        self.applicationName = "Slicer"
        self.applicationVersion = "5.10.0"
        self.host = host
        self.windows = dialogs.restart()
        self._manager = Signals()
        qt_module.QSettings.file = home / "Slicer.ini"
        self._layoutManager = LayoutManager(host.scene, host.application_logic)
        self.window = QtWidgets.QMainWindow()
        self.window.setCentralWidget(QtWidgets.QStackedWidget())

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in FOR_TESTS and name not in names_in("slicer.app"):
            raise AttributeError(f"Slicer's slicer.app has no '{name}'")
        return object.__getattribute__(self, name)

    def click(self, position: tuple[float, float, float]) -> int:
        """A click in a view in place mode, at a place in RAS millimetres; see `layout_manager.place_point`."""
        return place_point(self.host.scene, position)

    def press(self, keys: str) -> None:
        """A key, or keys as Qt writes them ("Ctrl+Z"), pressed in the main window."""
        self.window.show()
        self.window.activateWindow()
        QtTest.QTest.qWaitForWindowActive(self.window, 1000)
        QtTest.QTest.keySequence(QtWidgets.QApplication.focusWidget() or self.window, QtGui.QKeySequence(keys))
        QtWidgets.QApplication.processEvents()

    def moduleManager(self) -> Signals:
        return self._manager

    def layoutManager(self) -> LayoutManager:
        return self._layoutManager

    def applicationLogic(self) -> Any:
        return self.host.application_logic

    def mrmlScene(self) -> Any:
        return self.host.scene

    def userSettings(self) -> pythonqt.Wrapped:
        return pythonqt.Wrapped(qt_module.QSettings())

    settings = revisionUserSettings = userSettings

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def setOverrideCursor(self, _cursor: Any) -> None:
        """Nothing points here."""

    def restoreOverrideCursor(self) -> None:
        """Nothing points here."""

    def pauseRender(self) -> None:
        """Nothing is drawn."""

    resumeRender = pauseRender

    def startupEnvironment(self) -> Any:
        return SimpleNamespace(keys=lambda: list(os.environ), value=lambda name: os.environ[name])
