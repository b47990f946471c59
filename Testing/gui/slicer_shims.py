"""The parts of the Slicer application that the module file meets, around slicer-core's real MRML scene.

Written from Slicer's documentation, with the same names and the same order of events as a running Slicer 5.10; what
the module does not use is left out.
"""

# ruff: noqa: N803 (Slicer's own names)

from __future__ import annotations

import enum
import importlib
import os
import sys
import typing
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mrml_widgets
import pythonqt
import slicer
import slicer.util
import vtk
from PySide6 import QtWidgets

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
SHIMMED = ("qt", "ctk", "slicer.i18n", "slicer.ScriptedLoadableModule", "slicer.parameterNodeWrapper", "SampleData")


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
    """slicer.app."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.slicerHome = str(home)
        self._manager = Signals()

    def moduleManager(self) -> Signals:
        return self._manager

    def layoutManager(self) -> None:
        return None

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def startupEnvironment(self) -> Any:
        return SimpleNamespace(keys=lambda: list(os.environ), value=lambda name: os.environ[name])


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


class _Parameters:
    """What @parameterNodeWrapper gives a class: typed attributes kept in a vtkMRMLScriptedModuleNode."""

    # Which widget a value can be connected with, in Slicer 5.10 (exact classes).
    WIDGETS = {
        bool: {"QCheckBox", "ctkCheckBox"},
        enum.Enum: {"QComboBox", "ctkComboBox"},
        str: {"QLineEdit", "QLabel"},
    }

    def __init__(self, node: Any) -> None:
        self.__dict__["parameterNode"] = node
        self.__dict__["_mappings"] = {}
        for name, default in self._defaults.items():
            if not self._is_node(name) and not node.GetParameter(name):
                setattr(self, name, default)

    def _is_node(self, name: str) -> bool:
        return isinstance(self._types[name], type) and issubclass(self._types[name], slicer.vtkMRMLNode)

    def __getattr__(self, name: str) -> Any:
        kind = type(self)._types.get(name)
        if kind is None:
            raise AttributeError(name)
        if self._is_node(name):
            return self.parameterNode.GetNodeReference(name)
        text = self.parameterNode.GetParameter(name)
        if issubclass(kind, enum.Enum):
            return kind[text]
        return text == "True" if kind is bool else kind(text)

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(self)._types[name]
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__name__}, not {value!r}")
        if self._is_node(name):
            self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)
        else:
            self.parameterNode.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        tag = len(self._mappings)
        slots = {}
        for name, widget in mapping.items():
            slots[name] = self._connect(name, widget)
        self._mappings[tag] = (mapping, slots)
        self.__dict__["_updating"] = False
        self._write_all(mapping)
        self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._refresh(tag))
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        mapping, slots = self._mappings.pop(tag, ({}, {}))
        for name, (signature, slot) in slots.items():
            mapping[name].disconnect(signature, slot)

    def _refresh(self, tag: int) -> None:
        if tag in self._mappings:
            self._write_all(self._mappings[tag][0])

    def _write_all(self, mapping: dict[str, Any]) -> None:
        if self.__dict__.get("_updating"):
            return
        self.__dict__["_updating"] = True
        try:
            for name, widget in mapping.items():
                value = getattr(self, name)
                if self._is_node(name):
                    widget.setCurrentNode(value)
                elif isinstance(value, enum.Enum):
                    widget.setCurrentIndex(list(type(value)).index(value))
                else:
                    widget.checked = value
        finally:
            self.__dict__["_updating"] = False

    def _connect(self, name: str, widget: Any) -> tuple[str, Callable]:
        kind = type(self)._types[name]
        if self._is_node(name):
            assert widget.className() == "qMRMLNodeComboBox", f"{name} cannot be shown in a {widget.className()}"
            widget.nodeTypes = [kind.__name__]
            signature, read = "currentNodeChanged(vtkMRMLNode*)", widget.currentNode
        elif issubclass(kind, enum.Enum):
            assert widget.className() in self.WIDGETS[enum.Enum], f"{name} cannot be shown in a {widget.className()}"
            label = getattr(kind, "label", lambda member: member.name)
            widget.clear()
            for member in kind:
                widget.addItem(label(member))
            signature, read = "currentIndexChanged(int)", lambda: list(kind)[widget.currentIndex]
        else:
            assert widget.className() in self.WIDGETS[kind], f"{name} cannot be shown in a {widget.className()}"
            signature, read = "toggled(bool)", lambda: widget.checked

        def changed(*_: Any) -> None:
            if not self.__dict__.get("_updating"):
                setattr(self, name, read())

        widget.connect(signature, changed)
        return signature, changed


def parameter_node_wrapper(described: type) -> type:
    """slicer.parameterNodeWrapper.parameterNodeWrapper."""
    hints = typing.get_type_hints(described)
    defaults = {name: getattr(described, name, None) for name in hints}
    return type(described.__name__, (_Parameters,), {"_types": hints, "_defaults": defaults})


class SampleDataLogic:
    """SampleData.SampleDataLogic, as far as registering goes."""

    @staticmethod
    def registerCustomSampleDataSource(category: str, **values: Any) -> None:
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {})
        sources.setdefault(category, []).append(SimpleNamespace(**values))


def _modules() -> dict[str, ModuleType]:
    qt, ctk, i18n, wrapper, sample = (
        ModuleType(name) for name in ("qt", "ctk", "slicer.i18n", "slicer.parameterNodeWrapper", "SampleData")
    )
    qt.QTimer, qt.QFile, qt.QUiLoader = pythonqt.timer, pythonqt.File, pythonqt.UiLoader
    qt.QFileDialog = SimpleNamespace(getExistingDirectory=lambda *_: "")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    wrapper.parameterNodeWrapper = parameter_node_wrapper
    sample.SampleDataLogic = SampleDataLogic
    return dict(zip(SHIMMED, (qt, ctk, i18n, _scripted_loadable_module(), wrapper, sample), strict=True))


@contextmanager
def application(home: Path) -> Iterator[Application]:
    """A running application with an empty scene; everything is put back afterwards."""
    from SparseCardiacSegLib.mrml import host

    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    kept = {name: getattr(slicer, name, None) for name in ("app", "mrmlScene", "modules", "i18n", "qMRMLNodeComboBox")}
    shims = _modules()
    sys.modules.update(shims)
    sys.path.insert(0, str(MODULE_FOLDER))
    previous = host._current
    try:
        host.use(host.Host())
        slicer.app = Application(home)
        slicer.i18n = shims["slicer.i18n"]
        yield slicer.app
    finally:
        sys.path.remove(str(MODULE_FOLDER))
        for name in [name for name in sys.modules if name in SHIMMED or name.startswith(_OWN)]:
            del sys.modules[name]
        for name, value in kept.items():
            if value is None:
                slicer.__dict__.pop(name, None)
            else:
                setattr(slicer, name, value)
        host._current = previous


_OWN = ("SparseCardiacSegLib.panels", "SparseCardiacSeg.")


class OpenModule:
    """The module as the application opens it: module file imported, widget set up and entered."""

    def __init__(self, app: Application) -> None:
        sys.modules.pop("SparseCardiacSeg", None)
        self.file = importlib.import_module("SparseCardiacSeg")
        self.module = self.file.SparseCardiacSeg(SimpleNamespace(path=self.file.__file__))
        app.emit("startupCompleted()")
        frame = mrml_widgets.qMRMLWidget()
        frame.setLayout(QtWidgets.QVBoxLayout())
        self.frame = frame
        parent = SimpleNamespace(layout=lambda: _Layout(frame.layout()), isEntered=False)
        self.widget = self.file.SparseCardiacSegWidget(parent)
        self.widget.setup()
        self.enter()

    @property
    def panel(self) -> Any:
        """The Segment panel."""
        return self.widget.segmentPanel

    @property
    def ui(self) -> Any:
        """Its widgets by name."""
        return self.widget.segmentPanel.ui

    def enter(self) -> None:
        """The user comes to the module."""
        self.widget.parent.isEntered = True
        self.widget.enter()

    def close(self) -> None:
        """The application closes."""
        self.widget.cleanup()
        self.frame.deleteLater()


class _Layout:
    """parent.layout() of a module widget."""

    def __init__(self, layout: QtWidgets.QLayout) -> None:
        self._layout = layout

    def addWidget(self, widget: Any) -> None:
        self._layout.addWidget(pythonqt.unwrap(widget))

    def addStretch(self, factor: int) -> None:
        self._layout.addStretch(factor)
