"""What every panel has in common: its widgets, the study, and the events of the application."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from .study_session import StudySession


class Panel(VTKObservationMixin):
    """One collapsible section; a subclass connects its widgets and shows what the session tells.

    Attributes:
        UI: the .ui file in Resources/UI.
        ui: the file's widgets, by name.
        session: what the panels share.
    """

    UI = ""

    def __init__(self, widget: Any, session: StudySession) -> None:
        """Take the widgets over and connect them.

        Args:
            widget: what `slicer.util.loadUI` made of the .ui file; a qMRMLWidget with one ctkCollapsibleButton.
            session: what the panels share; not connected with a scene yet.
        """
        VTKObservationMixin.__init__(self)
        self.widget = widget
        self.session = session
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self._guiTag: int | None = None
        self._connectedNode: Any = None
        self.section = next(part for part in vars(self.ui).values() if part.className() == "ctkCollapsibleButton")
        self.section.connect("contentsCollapsed(bool)", lambda _collapsed: self.onOpened())
        if hasattr(self.ui, "detailsGroupBox"):
            self.ui.detailsGroupBox.visible = False
        self.setupWidgets()
        self.say("")
        session.changed.connect(self.onStudyChanged)
        self.widget.visible = self.isAvailable()

    @property
    def parameters(self) -> Any:
        """The wrapped parameter node; None while the scene is being closed."""
        return self.session.parameters

    @property
    def isOpen(self) -> bool:
        """Whether the section is unfolded: a hidden table needs no refreshing."""
        return not self.section.collapsed

    def isAvailable(self) -> bool:
        """Whether the section has an engine behind it; it stays hidden otherwise."""
        return True

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""

    def onStudyChanged(self, what: str) -> None:
        """Something of the session changed (see `StudySession.changed`)."""

    def onOpened(self) -> None:
        """The section was folded or unfolded."""
        if self.isOpen:
            self.onStudyChanged("opened")

    def enter(self) -> None:
        """The user opened the module."""

    def exit(self) -> None:
        """The user went to another module; what runs may go on."""

    def sceneIsClosing(self) -> None:
        """The nodes are about to go: stop what runs for them."""

    def cleanup(self) -> None:
        """The widgets are about to go: stop what runs, and let go of every node."""
        self.session.changed.disconnect(self.onStudyChanged)
        self.disconnectParameters()
        self.removeObservers()

    def connectParameters(self) -> None:
        """Connect the widgets that name a parameter (SlicerParameterName) with the scene's parameter node."""
        if self._connectedNode is self.parameters.parameterNode:
            return
        self.disconnectParameters()
        # connectGui(self.ui) gives no tag in Slicer 5.10, so what it connects could not be disconnected again.
        named = ((part.property("SlicerParameterName"), part) for part in vars(self.ui).values())
        mapping = {name: part for name, part in named if name}
        if mapping:
            self._guiTag = self.parameters.connectParametersToGui(mapping)
            self._wrapped = self.parameters
        self._connectedNode = self.parameters.parameterNode

    def disconnectParameters(self) -> None:
        """Leave the parameter node alone."""
        if self._guiTag is not None:
            self._wrapped.disconnectGui(self._guiTag)
        self._guiTag = None
        self._connectedNode = None

    def say(self, message: str) -> None:
        """Show a sentence in the panel's status line; an empty one hides the line."""
        if hasattr(self.ui, "statusLabel"):
            self.ui.statusLabel.text = message
            self.ui.statusLabel.visible = bool(message)
        if hasattr(self.ui, "detailsGroupBox"):
            self.ui.detailsGroupBox.visible = False

    def fail(self, message: str, details: str = "") -> None:
        """Show what went wrong and, where there is one, the worker's last output in the details."""
        self.say(message)
        if hasattr(self.ui, "detailsGroupBox"):
            self.ui.detailsText.setPlainText(details)
            self.ui.detailsGroupBox.visible = bool(details)
