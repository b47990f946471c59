"""The Segment panel: choose a volume and a model, segment or cancel, see the result."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import InputError
from .model_selector import ModelSelector
from .segment_run import RunState, SegmentRun

if TYPE_CHECKING:
    from ..segmenter import SegmentResult

POLL_MS = 100
"""Ten looks a second: a progress bar seems to move steadily, and a look takes well under a millisecond."""


class Logic(Protocol):
    """What the panel needs of the module's logic."""

    def getParameterNode(self) -> Any:
        """The module's parameter node, wrapped."""

    def startSegmentation(self, volumeNode: Any, model: str, device: str, outputNode: Any) -> SegmentRun:
        """Start the worker on a volume."""

    def showIn3D(self, segmentationNode: Any, visible: bool) -> None:
        """Show or hide the surfaces of a segmentation."""


class SegmentPanel(VTKObservationMixin):
    """Connects the widgets of SegmentPanel.ui with the logic; holds no computation."""

    def __init__(self, widget: Any, logic: Logic) -> None:
        """Connect the widgets.

        Args:
            widget: what `slicer.util.loadUI` made of SegmentPanel.ui.
            logic: the module's logic.
        """
        VTKObservationMixin.__init__(self)
        self.logic = logic
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.run: SegmentRun | None = None
        self._ending: list[SegmentRun] = []
        self._parameters: Any = None
        self._guiTag: int | None = None
        self.models = ModelSelector(self.ui, self.onModelChosen, self._say)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.show3DCheckBox.connect("toggled(bool)", self.onShow3DToggled)
        self.ui.progressBar.visible = False
        self.ui.detailsGroupBox.visible = False
        self._say("")

    def enter(self) -> None:
        """The user opened the module: packages may have been installed meanwhile."""
        self.connectParameterNode()
        self.models.describe()
        self.updateButtons()

    def cleanup(self) -> None:
        """The widget is about to go: stop what runs, and let go of every node."""
        self.cancelRun("")
        self.timer.stop()
        self.disconnectParameterNode()
        self.removeObservers()

    def sceneIsClosing(self) -> None:
        """The nodes that the run works for are about to go."""
        self.cancelRun(_("Stopped, because the scene was closed."))
        self.disconnectParameterNode()

    def connectParameterNode(self) -> None:
        """Connect the widgets with the scene's parameter node, unless they are already."""
        parameters = self.logic.getParameterNode()
        if self._parameters is not None:
            if self._parameters.parameterNode is parameters.parameterNode:
                return
            self.disconnectParameterNode()
        if parameters.inputVolume is None:
            parameters.inputVolume = self._firstVolume()
        parameters.model = self.models.select(parameters.model)
        self._parameters = parameters
        # connectGui(self.ui) gives no tag in Slicer 5.10, so what it connects could not be disconnected again.
        self._guiTag = parameters.connectParametersToGui(self._parameterWidgets())
        self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.updateButtons()

    def disconnectParameterNode(self) -> None:
        """Leave the parameter node alone, as before a scene closes."""
        if self._parameters is None:
            return
        self._parameters.disconnectGui(self._guiTag)
        self.removeObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameters = None
        self._guiTag = None
        self.updateButtons()

    def _parameterWidgets(self) -> dict[str, Any]:
        """Widgets by the name of the parameter that the .ui file gives them."""
        named = ((widget.property("SlicerParameterName"), widget) for widget in vars(self.ui).values())
        return {name: widget for name, widget in named if name}

    def _firstVolume(self) -> Any:
        """The scene's first volume, to save a click; label maps are of a derived class and do not count."""
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return next((node for node in volumes if node.GetClassName() == "vtkMRMLScalarVolumeNode"), None)

    def onParametersModified(self, _caller: Any = None, _event: Any = None) -> None:
        """A choice changed, by the user or by a script."""
        if self._parameters is None:
            return
        if self._parameters.model != self.models.selectedName():
            chosen = self.models.select(self._parameters.model)
            if chosen != self._parameters.model:
                self._parameters.model = chosen
        self.updateButtons()

    def onModelChosen(self, name: str) -> None:
        """The user chose a model, or installed what it needs."""
        if self._parameters is not None:
            self._parameters.model = name
        self.updateButtons()

    def updateButtons(self) -> None:
        """Enable what can be done now, and say in the tool tip why something cannot."""
        running = self.run is not None
        reason = self._reasonNotToStart()
        self.ui.applyButton.enabled = running or not reason
        self.ui.applyButton.text = _("Cancel") if running else _("Segment")
        if running:
            self.ui.applyButton.toolTip = _("Stop the segmentation; nothing is changed.")
        else:
            ready = _("Segment the chosen volume. The window stays usable meanwhile.")
            self.ui.applyButton.toolTip = reason or ready
        self.models.setEnabled(not running)
        for widget in (self.ui.inputSelector, self.ui.deviceSelector, self.ui.outputSelector):
            widget.enabled = not running

    def _reasonNotToStart(self) -> str:
        if self._parameters is None or self._parameters.inputVolume is None:
            return _("Choose a volume first.")
        if self.models.selected() is None:
            return _("Choose a model first.")
        if self.models.missing:
            return _("Install the missing packages first.")
        return ""

    def onApply(self) -> None:
        """The button says Segment, or Cancel while a run is on."""
        if self.run is not None:
            self.cancelRun(_("Cancelled; nothing was changed."))
            return
        if self._reasonNotToStart():
            return
        self.ui.detailsGroupBox.visible = False
        try:
            self.run = self.logic.startSegmentation(
                self._parameters.inputVolume,
                self.models.selectedName(),
                self._parameters.device.value,
                self._parameters.outputSegmentation,
            )
        except InputError as error:
            self._fail(str(error))
            return
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True
        self._say(_("Starting"))
        self.updateButtons()
        self.timer.start()

    def cancelRun(self, message: str) -> None:
        """Stop a run, if there is one, and say why; the window is free at once."""
        if self.run is None:
            return
        run, self.run = self.run, None
        run.cancel()
        # The timer goes on: a worker that does not stop by itself is ended when it is polled after its time of grace.
        self._ending.append(run)
        self.ui.progressBar.visible = False
        self._say(message)
        self.updateButtons()

    def onTimer(self) -> None:
        """Look at the run, and at cancelled ones that have not ended yet; never waits for them."""
        self._ending = [run for run in self._ending if not run.poll().finished]
        if self.run is None:
            if not self._ending:
                self.timer.stop()
            return
        if not self.run.input_is_there():
            self.cancelRun(_("Stopped, because the volume was removed."))
            return
        state = self.run.poll()
        self.ui.progressBar.value = round(100 * state.fraction)
        if state.message:
            self._say(state.message)
        if state.finished:
            self._finish(state)

    def _finish(self, state: RunState) -> None:
        # First: whatever happens below, the timer must not come here again.
        run, self.run = self.run, None
        self.ui.progressBar.visible = False
        self.updateButtons()
        if state.error:
            self._fail(state.error, state.details)
        elif state.result is None:
            self._say(_("Cancelled; nothing was changed."))
        else:
            try:
                self._showResult(run, state.result)
            except InputError as error:
                self._fail(str(error))

    def _showResult(self, run: SegmentRun, result: SegmentResult) -> None:
        node = run.write_result(result)
        self._say(run.summary(result))
        if self._parameters is not None:
            self._parameters.outputSegmentation = node
            if self._parameters.show3D and node.GetSegmentation().GetNumberOfSegments() > 0:
                self.logic.showIn3D(node, True)

    def onShow3DToggled(self, checked: bool) -> None:
        """Show or hide the surfaces of the chosen segmentation."""
        node = self._parameters.outputSegmentation if self._parameters is not None else None
        if node is None:
            return
        try:
            self.logic.showIn3D(node, bool(checked))
        except InputError as error:
            self._fail(str(error))

    def _say(self, message: str) -> None:
        self.ui.statusLabel.text = message
        self.ui.statusLabel.visible = bool(message)

    def _fail(self, message: str, details: str = "") -> None:
        """A sentence in the panel and, where there is one, the worker's last output in the details."""
        self._say(message)
        self.ui.detailsText.setPlainText(details)
        self.ui.detailsGroupBox.visible = bool(details)
