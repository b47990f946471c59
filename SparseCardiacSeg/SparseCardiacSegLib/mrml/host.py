"""The scene and the module logics: the application's own inside Slicer, the same set made by hand outside it.

`slicer-core` from PyPI is Slicer's C++ core without the application, so what the application does at start has to be
done here: one scene, the application logic, and the logics of the modules, each given the scene. `slicer.mrmlScene` and
`slicer.modules` are set too, because `slicer.util` reads them. Inside Slicer nothing is made and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import slicer
import vtk

from ..anatomy import TERMINOLOGY_CONTEXT

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
TERMINOLOGY_FILE = RESOURCES / "SparseCardiacSeg.term.json"
"""The extension's own terminology; Slicer's lists have no myocardium."""

_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
}
"""Module logics by module name, in the order in which Slicer needs them."""


def inside_slicer() -> bool:
    """Whether the Slicer application runs around this code."""
    return getattr(slicer, "app", None) is not None


class Host:
    """A scene with what the application puts around it.

    Attributes:
        scene: the MRML scene.
        application_logic: the application logic of that scene.
        logics: module logics by module name ("Segmentations").
    """

    def __init__(self, scene: Any = None, application_logic: Any = None) -> None:
        """Make a host for a new scene, or complete the one whose scene and application logic are given."""
        self.scene = scene if scene is not None else slicer.vtkMRMLScene()
        self.application_logic = application_logic
        if application_logic is None:
            self.application_logic = slicer.vtkSlicerApplicationLogic()
            self.application_logic.SetMRMLScene(self.scene)
            self.application_logic.SetSliceLogics(vtk.vtkCollection())
            self.application_logic.SetViewLogics(vtk.vtkCollection())
            self.application_logic.GetColorLogic().SetMRMLScene(self.scene)
            self.application_logic.GetColorLogic().AddDefaultColorNodes()
            slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self.logics: Mapping[str, Any] = {name: self._logic(name) for name in _LOGICS}
        load_terminology(self.logics["Terminologies"])

    def _logic(self, name: str) -> Any:
        registered = self.application_logic.GetModuleLogic(name)
        if registered is not None:
            return registered
        logic = getattr(slicer, _LOGICS[name])()
        shared = _slicer_terminologies() if name == "Terminologies" else None
        if shared is not None:
            logic.SetModuleShareDirectory(str(shared))
        # Without those files the terminologies logic complains of each; the extension's own is loaded afterwards.
        with quiet() if name == "Terminologies" and shared is None else nullcontext():
            logic.SetMRMLScene(self.scene)
            logic.SetMRMLApplicationLogic(self.application_logic)
        self.application_logic.SetModuleLogic(name, logic)
        return logic

    def publish(self) -> None:
        """Put this host where `slicer.util` looks: `slicer.mrmlScene` and `slicer.modules`."""
        slicer.mrmlScene = self.scene
        slicer.modules = SimpleNamespace(
            **{name.lower(): SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in self.logics.items()}
        )


def _slicer_terminologies() -> Path | None:
    """Folder of Slicer's own terminologies, which come with trame-slicer, not with slicer-core; None without it."""
    found = find_spec("trame_slicer")
    folder = Path(found.origin).parent / "resources" / "terminologies" if found and found.origin else None
    return folder if folder and folder.is_dir() else None


_current: Host | None = None
_private: list[Host] = []


def use(host: Host) -> None:
    """Make `host` the current one (outside Slicer only)."""
    global _current
    _current = host
    host.publish()


@contextmanager
def quiet() -> Iterator[Any]:
    """Collect what VTK says instead of printing it; yields the vtkStringOutputWindow with the collected text."""
    before = vtk.vtkOutputWindow.GetInstance()
    collected = vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(collected)
    verbosity = vtk.vtkLogger.GetCurrentVerbosityCutoff()
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    try:
        yield collected
    finally:
        vtk.vtkLogger.SetStderrVerbosity(verbosity)
        vtk.vtkOutputWindow.SetInstance(before)


@contextmanager
def private() -> Iterator[Host]:
    """A host with a scene of its own in which nodes are made until the body ends; the open scene is not touched."""
    host = Host()
    _private.append(host)
    try:
        yield host
    finally:
        _private.pop()


def current_scene() -> Any:
    """The private scene while there is one, else the application's, else (outside Slicer) one made on first use."""
    if _private:
        return _private[-1].scene
    if not inside_slicer() and _current is None:
        use(Host())
    return slicer.mrmlScene


def module_logic(name: str) -> Any:
    """The logic of a loadable module, such as "Segmentations", for the current scene."""
    if _private:
        return _private[-1].logics[name]
    if inside_slicer():
        return getattr(slicer.modules, name.lower()).logic()
    current_scene()
    return _current.logics[name]  # type: ignore[union-attr]


def application_logic() -> Any:
    """The application logic of the current scene."""
    if _private:
        return _private[-1].application_logic
    if inside_slicer():
        return slicer.app.applicationLogic()
    current_scene()
    return _current.application_logic  # type: ignore[union-attr]


@contextmanager
def archive_cache() -> Iterator[None]:
    """Let the current scene unpack archives (.mrb, sequences of segmentations); the application always lets it."""
    scene = current_scene()
    if scene.GetDataIOManager() is not None:
        yield
        return
    with TemporaryDirectory(prefix="sparsecardiacseg-") as folder:
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(slicer.vtkCacheManager())
        manager.GetCacheManager().SetMRMLScene(scene)
        manager.GetCacheManager().SetRemoteCacheDirectory(folder)
        scene.SetDataIOManager(manager)
        try:
            yield
        finally:
            scene.SetDataIOManager(None)


def add_node(class_name: str, name: str, scene: Any = None) -> Any:
    """Add a node of a class to `scene` (the current one when None) under a name that is unique there."""
    scene = current_scene() if scene is None else scene
    return scene.AddNewNodeByClass(class_name, scene.GenerateUniqueName(name))


def terminology_is_loaded(logic: Any = None) -> bool:
    """Whether Slicer knows the extension's terminology."""
    logic = module_logic("Terminologies") if logic is None else logic
    # Every Slicer has this list; its `IsTerminologyContextLoaded` is of late.
    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    return TERMINOLOGY_CONTEXT in {names.GetValue(index) for index in range(names.GetNumberOfValues())}


def load_terminology(logic: Any = None) -> str:
    """Load the extension's terminology into Slicer's, once, and return its context name.

    Raises:
        RuntimeError: the file is missing from the installation or is not a terminology.
    """
    logic = module_logic("Terminologies") if logic is None else logic
    if not terminology_is_loaded(logic):
        loaded = logic.LoadTerminologyFromFile(str(TERMINOLOGY_FILE))
        if not terminology_is_loaded(logic):
            raise RuntimeError(f"{TERMINOLOGY_FILE} could not be loaded as a terminology (got '{loaded}')")
    return TERMINOLOGY_CONTEXT
