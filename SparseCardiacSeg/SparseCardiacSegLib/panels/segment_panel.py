"""The Segment panel: choose a model, segment or cancel, see the result."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from slicer.i18n import tr as _

from ..errors import InputError
from .model_selector import AutomaticModelSelector
from .panel import Panel
from .parameters import VIEW_STRUCTURES
from .run_driver import RunDriver
from .run_estimate import RunSize, estimate_sentence, remember_run
from .segment_box import BoxChoice
from .segment_logic import SegmentLogic, SegmentRequest
from .segment_run import SegmentRun, SegmentState
from .settings import current_settings

POLL_MS = 100
"""Ten looks a second: a progress bar seems to move steadily, and a look takes well under a millisecond."""


class SegmentPanel(Panel):
    """Connects the widgets of SegmentPanel.ui with the logic; holds no computation."""

    UI = "SegmentPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.logic = SegmentLogic(self.session.workers)
        self._size: RunSize | None = None
        self.models = AutomaticModelSelector(self.ui, self.onModelChosen, self.fail)
        self.driver = RunDriver(self, POLL_MS, self._finish, self.updateButtons, self._reasonToStop)
        self.timer = self.driver.timer
        self.box = BoxChoice(self.ui, self.session)
        self.ui.applyButton.connect("clicked()", self.onApply)

    @property
    def run(self) -> SegmentRun | None:
        """The segmentation under way; None while there is none."""
        return self.driver.run

    def enter(self) -> None:
        """The user opened the module: packages may have been installed meanwhile."""
        self.models.describe()
        self.updateButtons()

    def cleanup(self) -> None:
        """The widgets are about to go: stop what runs, and let go of every node."""
        self.cancelRun("")
        self.timer.stop()
        self.box.stop()
        Panel.cleanup(self)

    def sceneIsClosing(self) -> None:
        """The nodes that the run works for are about to go."""
        self.cancelRun(_("Stopped, because the scene was closed."))
        self.box.stop()

    def onStudyChanged(self, what: str) -> None:
        """A choice changed, by the user or by a script, or models came or went."""
        if what == "models" and self.parameters is not None:
            self.parameters.model = self.models.refresh()
        if what == "view" and self.parameters is not None:
            self._followView()
        if what in ("nodes", "parameters"):
            if self.parameters is not None and (
                self.models.selected() is None or self.parameters.model != self.models.selectedName()
            ):
                chosen = self.models.select(self.parameters.model)
                if chosen != self.parameters.model:
                    self.parameters.model = chosen
            self.updateButtons()

    def _followView(self) -> None:
        chosen = self.models.selectForView(VIEW_STRUCTURES[self.parameters.view])
        if chosen:
            self.parameters.model = chosen
            self.say("")
        else:
            self.say(_("No model here segments this view; use the Prompt section, or a model folder of your own."))

    def onModelChosen(self, name: str) -> None:
        """The user chose a model, or installed what it needs."""
        if self.parameters is not None:
            self.parameters.model = name
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
        for widget in (self.ui.deviceSelector, self.ui.mirroringCheckBox, self.ui.allFramesCheckBox):
            widget.enabled = not running
        self.ui.allFramesCheckBox.visible = self.session.nFrames > 1
        self.box.update(running)
        self.ui.estimateLabel.text = "" if running or reason else estimate_sentence(self._runSize())
        self.ui.estimateLabel.visible = bool(self.ui.estimateLabel.text)

    def request(self) -> SegmentRequest:
        """What the widgets ask for."""
        from ..automatic.postprocess import PostprocessSettings

        chosen = self.parameters
        return SegmentRequest(
            self.session.volume,
            self.models.selectedName(),
            current_settings().device_for(chosen.device.value),
            self.session.segmentation,
            self.session.browser,
            chosen.allFrames,
            chosen.mirroring,
            PostprocessSettings(
                largest_component=chosen.largestComponent,
                fill_holes=chosen.fillHoles,
                closing=chosen.closing,
                blank_slices=chosen.blankSlices,
                myo_surrounds_lv=chosen.myoSurroundsLv,
            ),
            self.box.node(),
        )

    def onApply(self) -> None:
        """The button says Segment, or Cancel while a run is on."""
        if self.run is not None:
            self.cancelRun(_("Cancelled; nothing was changed."))
            return
        if self._reasonNotToStart():
            return
        try:
            run = self.logic.start(self.request(), self.session.historyOf)
        except InputError as error:
            self.fail(str(error))
            return
        self._size = self._runSize()
        self.driver.start(run, _("Starting"))

    def cancelRun(self, message: str) -> None:
        """Stop a run, if there is one, and say why; the window is free at once."""
        self.driver.cancel(message)

    def _reasonToStop(self, run: SegmentRun) -> str:
        return "" if run.input_is_there() else _("Stopped, because the volume was removed.")

    def _runSize(self) -> RunSize:
        from ..mrml.volumes import through_plane_of

        volume = self.session.volume
        shape = tuple(reversed(volume.GetImageData().GetDimensions()))
        frames = self.session.nFrames if self.parameters.allFrames else 1
        slices = shape[through_plane_of(volume)] * frames
        model = self.models.selected()
        return RunSize(model, self.parameters.device.value, slices, self.parameters.mirroring)

    def _reasonNotToStart(self) -> str:
        if self.session.volume is None:
            return _("Choose a volume first.")
        if self.models.selected() is None:
            return _("Choose a model first.")
        if self.models.missing:
            return _("Install the missing packages first.")
        return ""

    def _finish(self, run: SegmentRun, state: SegmentState) -> None:
        if state.error:
            self.fail(state.error, state.details)
        elif state.result is None:
            self.say(_("Cancelled; nothing was changed."))
        else:
            self._showResult(run, state)

    def _showResult(self, run: SegmentRun, state: SegmentState) -> None:
        self.say(run.summary(state.result))
        if self._size is not None:
            remember_run(self._size, state.result.seconds)
        if self.parameters is None:
            return
        if run.target.output is None and self.session.volume is run.target.volume:
            self.parameters.outputSegmentation = state.node
        self.session.changed.emit("segments")  # the Display section makes the surfaces
        if state.result.segmentation.labels.is_cine:
            self.session.changed.emit("frames")
