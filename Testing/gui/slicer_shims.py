"""The parts of the Slicer application that the module file meets, around slicer-core's real MRML scene.

A stand-in, not Slicer: windows are shown on Qt's "offscreen" platform only, views are not drawn. The module's code,
its .ui files, the scene, the module logics, the layout, slice nodes and slice logics are real; `slicer.app`, `qt`,
`ctk`, the qMRML widgets and `parameterNodeWrapper` are remade here with the same names and the same order of events as
in Slicer 5.10, and they refuse every name that Slicer does not show to Python (`Testing/data/slicer_api.json`). What
passes here has still to pass in Slicer itself; the self test and `Testing/slicer` are for that.
"""

# ruff: noqa: N803 (Slicer's own names)

from __future__ import annotations

import importlib
import sys
import traceback
import unittest
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import parameter_wrapper
import pythonqt
import qt_module
import slicer
import slicer.util
from application import Application
from PySide6 import QtWidgets
from widget_parts import qMRMLWidget

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
SHIMMED = ("qt", "ctk", "slicer.i18n", "slicer.ScriptedLoadableModule", "slicer.parameterNodeWrapper", "SampleData")
_OWN = ("SparseCardiacSegLib.panels", "SparseCardiacSeg.")
_TELLING = ("infoDisplay", "warningDisplay", "errorDisplay", "delayDisplay", "showStatusMessage")
_ASKING = ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay", "messageBox", "pip_install")


def _scripted_loadable_module() -> ModuleType:
    module = ModuleType("slicer.ScriptedLoadableModule")

    class ScriptedLoadableModule:
        def __init__(self, parent: Any) -> None:
            super().__init__()
            self.parent = parent
            self.moduleName = type(self).__name__

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Any = None) -> None:
            super().__init__()
            self.moduleName = type(self).__name__.removesuffix("Widget")
            self.parent = parent
            self.layout = parent.layout()
            self.reloaded = 0

        def resourcePath(self, name: str) -> str:
            return str(MODULE_FOLDER / "Resources" / name)

        def setup(self) -> None:
            """Nothing: the developer section is not shown."""

        def cleanup(self) -> None:
            """Nothing."""

        def onReload(self) -> None:
            self.reloaded += 1

    class ScriptedLoadableModuleLogic:
        def __init__(self, parent: Any = None) -> None:  # noqa: ARG002
            super().__init__()
            self.moduleName = type(self).__name__.removesuffix("Logic")

        def getParameterNode(self) -> Any:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is None:
                node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
                node.UnRegister(None)
                node.SetSingletonTag(self.moduleName)
                node = slicer.mrmlScene.AddNode(node)
            node.SetAttribute("ModuleName", self.moduleName)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        def delayDisplay(self, message: str, requestedDelay: int | None = None) -> None:
            """Say what goes on."""

    for name, value in list(locals().items()):
        if isinstance(value, type):
            setattr(module, name, value)
    return module


class SampleDataLogic:
    """SampleData.SampleDataLogic, as far as registering goes."""

    @staticmethod
    def registerCustomSampleDataSource(category: str, **values: Any) -> None:
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {})
        sources.setdefault(category, []).append(SimpleNamespace(**values))


def _modules() -> dict[str, ModuleType]:
    i18n, sample = ModuleType("slicer.i18n"), ModuleType("SampleData")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    sample.SampleDataLogic = SampleDataLogic
    made = (
        qt_module.qt_module(),
        qt_module.ctk_module(),
        i18n,
        _scripted_loadable_module(),
        parameter_wrapper.module(),
        sample,
    )
    return dict(zip(SHIMMED, made, strict=True))


def _utilities(app: Application) -> dict[str, Any]:
    """The functions of slicer.util that would open windows, and those that look for the main window."""
    told = {name: lambda text, *_, name=name, **__: app.windows.tell(name, text) for name in _TELLING}
    asked = {name: lambda text, *_, name=name, **__: app.windows.ask(name, text) for name in _ASKING}
    return {**told, **asked, "mainWindow": lambda: pythonqt.wrap(app.window)}


@contextmanager
def application(home: Path) -> Iterator[Application]:
    """A running application with an empty scene; everything is put back afterwards.

    Raises:
        AssertionError: at the end, where a slot or an observer failed meanwhile: Slicer prints such errors and goes
            on, so nothing else would tell a test of them.
    """
    from SparseCardiacSegLib.mrml import host

    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    widgets = qt_module.slicer_widgets()
    kept = {name: slicer.__dict__.get(name) for name in ("app", "mrmlScene", "modules", "i18n", *widgets)}
    shims = _modules()
    sys.modules.update(shims)
    sys.path.insert(0, str(MODULE_FOLDER))
    previous, hook = host._current, sys.excepthook
    pythonqt.slot_errors.clear()
    sys.excepthook = _remember_failure
    functions: dict[str, Any] = {}
    try:
        host.use(host.Host())
        slicer.app = Application(home, host._current)
        slicer.i18n = shims["slicer.i18n"]
        slicer.__dict__.update(widgets)
        functions = {name: getattr(slicer.util, name) for name in _utilities(slicer.app)}
        slicer.util.__dict__.update(_utilities(slicer.app))
        yield slicer.app
        assert not pythonqt.slot_errors, "a slot or an observer failed:\n" + "\n".join(pythonqt.slot_errors)
    finally:
        sys.excepthook = hook
        if isinstance(getattr(slicer, "app", None), Application):
            slicer.app.window.close()
        slicer.util.__dict__.update(functions)
        sys.path.remove(str(MODULE_FOLDER))
        for name in [name for name in sys.modules if name in SHIMMED or name.startswith(_OWN)]:
            del sys.modules[name]
        for name, value in kept.items():
            if value is None:
                slicer.__dict__.pop(name, None)
            else:
                setattr(slicer, name, value)
        host._current = previous


def _remember_failure(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """VTK and PySide6 hand the failures of observers and virtual methods to sys.excepthook."""
    text = "".join(traceback.format_exception(kind, error, trace))
    pythonqt.slot_errors.append(text)
    sys.stderr.write(text)


class OpenModule:
    """The module as the application opens it: module file imported, widget set up and entered."""

    def __init__(self, app: Application, only: Iterable[str] | None = None) -> None:
        """Open it.

        Args:
            app: the running application.
            only: names of the panels to make, for a test of those; None for all.
        """
        sys.modules.pop("SparseCardiacSeg", None)
        self.app = app
        self.file = importlib.import_module("SparseCardiacSeg")
        self.module = self.file.SparseCardiacSeg(SimpleNamespace(path=self.file.__file__))
        app.emit("startupCompleted()")
        frame = qMRMLWidget()
        frame.setLayout(QtWidgets.QVBoxLayout())
        self.frame = frame
        self._area = QtWidgets.QScrollArea()
        self._area.setWidget(frame)
        self._area.setWidgetResizable(True)
        app.window.centralWidget().addWidget(self._area)
        app.window.centralWidget().setCurrentWidget(self._area)
        app.window.resize(480, 900)
        app.window.show()
        parent = SimpleNamespace(layout=lambda: _Layout(frame.layout()), isEntered=False)
        self.widget = self.file.SparseCardiacSegWidget(parent)
        workbench = importlib.import_module("SparseCardiacSegLib.panels.workbench")
        every = workbench.PANELS
        workbench.PANELS = {name: every[name] for name in (every if only is None else only)}
        try:
            self.widget.setup()
        finally:
            workbench.PANELS = every
        self.enter()

    @property
    def session(self) -> Any:
        """What the panels share."""
        return self.widget.workbench.session

    @property
    def panels(self) -> dict[str, Any]:
        """The panels by name: "study", "segment", "prompt", ..."""
        return self.widget.workbench.panels

    @property
    def panel(self) -> Any:
        """The Segment panel."""
        return self.panels["segment"]

    @property
    def ui(self) -> Any:
        """The Segment panel's widgets by name."""
        return self.panel.ui

    def ui_of(self, name: str) -> Any:
        """A panel's widgets by name."""
        return self.panels[name].ui

    def open(self, name: str) -> Any:
        """Unfold a panel's section; returns the panel."""
        self.panels[name].section.collapsed = False
        return self.panels[name]

    def enter(self) -> None:
        """The user comes to the module."""
        self.widget.parent.isEntered = True
        self.widget.enter()

    def leave(self) -> None:
        """The user goes to another module."""
        self.widget.parent.isEntered = False
        self.widget.exit()

    def close(self) -> None:
        """The application closes."""
        self.widget.cleanup()
        self.app.window.centralWidget().removeWidget(self._area)
        self._area.deleteLater()


class _Layout:
    """parent.layout() of a module widget."""

    def __init__(self, layout: QtWidgets.QLayout) -> None:
        self._layout = layout

    def addWidget(self, widget: Any) -> None:
        self._layout.addWidget(pythonqt.unwrap(widget))

    def addStretch(self, factor: int) -> None:
        self._layout.addStretch(factor)
