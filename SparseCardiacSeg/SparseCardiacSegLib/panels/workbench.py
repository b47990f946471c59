"""The module's panels, in the order of work, and the events of the application that concern them."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from .panel import Panel
from .study_session import StudySession

PANELS: Mapping[str, str] = {
    "study": "StudyPanel",
    "segment": "SegmentPanel",
    "prompt": "PromptPanel",
    "cine": "CinePanel",
    "regions": "RegionsPanel",
    "measure": "MeasurePanel",
    "clinical": "ClinicalPanel",
    "display": "DisplayPanel",
    "export": "ExportPanel",
    "train": "TrainPanel",
    "models": "ModelsPanel",
    "settings": "SettingsPanel",
}
"""Class by name; each is in `<name>_panel.py`, and its widgets in `<class>.ui`."""


class Workbench(VTKObservationMixin):
    """Makes the panels and hands the events on to them.

    Attributes:
        session: what the panels share.
        panels: the panels by name.
    """

    def __init__(
        self,
        layout: Any,
        resourcePath: Callable[[str], str],  # noqa: N803
        session: StudySession,
        isEntered: Callable[[], bool],  # noqa: N803
    ) -> None:
        """Make the panels and join the scene.

        Args:
            layout: the module widget's layout.
            resourcePath: gives the path of a file in the module's Resources.
            session: what the panels share.
            isEntered: tells whether the module is shown.
        """
        VTKObservationMixin.__init__(self)
        self.session = session
        self._isEntered = isEntered
        self.panels: dict[str, Panel] = {}
        for name, class_name in PANELS.items():
            panel_class = getattr(importlib.import_module(f"{__package__}.{name}_panel"), class_name)
            widget = slicer.util.loadUI(resourcePath(f"UI/{class_name}.ui"))
            layout.addWidget(widget)
            self.panels[name] = panel_class(widget, session)
        layout.addStretch(1)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self.onSceneImported)
        # A reload does not enter the module anew.
        self.enter() if isEntered() else self.connect()

    def connect(self) -> None:
        """Join the scene, unless that is done."""
        self.session.connect()
        for panel in self.panels.values():
            panel.connectParameters()
        self.session.changed.emit("nodes")

    def enter(self) -> None:
        """The user opens the module."""
        self.connect()
        for panel in self.panels.values():
            panel.enter()

    def exit(self) -> None:
        """The user goes to another module; what runs goes on."""
        for panel in self.panels.values():
            panel.exit()

    def onSceneStartClose(self, _caller: Any = None, _event: str = "") -> None:
        """The nodes are about to go: stop what runs for them."""
        for panel in self.panels.values():
            # The parameter node outlives the scene, and its widgets stay connected: Slicer never takes their observers
            # off the node again, so that connecting anew after every scene would make each change slower.
            panel.sceneIsClosing()
        self.session.disconnect()
        self.session.changed.emit("nodes")

    def onSceneChanged(self, _caller: Any = None, _event: str = "") -> None:
        """The scene is empty, or another was loaded into it; the next `enter` joins it where the module is hidden."""
        if self._isEntered():
            self.connect()

    def onSceneImported(self, _caller: Any = None, _event: str = "") -> None:
        """A scene was loaded: its nodes are there now, those that the parameters name among them."""
        self.refreshParameters()
        self.onSceneChanged()
        # A selector may list new nodes only when the scene's batch process ends, which comes after this event.
        qt.QTimer.singleShot(0, self.refreshParameters)

    def refreshParameters(self) -> None:
        """Have the parameters read again.

        Slicer's wrapper keeps what it read when the parameter node was last modified. A scene that is loaded brings the
        parameters before the nodes that they name, so that was no node at all, and says nothing afterwards.
        """
        if self.session.parameters is not None:
            self.session.parameters.parameterNode.Modified()

    def cleanup(self) -> None:
        """The module is reloaded or the application closes: stop everything."""
        self.removeObservers()
        try:
            for panel in self.panels.values():
                # When the application closes, Qt may have deleted the widgets before; PythonQt's are false then.
                if panel.widget:
                    panel.cleanup()
                else:
                    panel.removeObservers()
        finally:
            self.session.disconnect()
            self.session.workers.stop()
