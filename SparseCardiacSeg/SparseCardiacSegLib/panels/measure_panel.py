"""The Measure panel: the segmentation against a reference, in figures, plots and on the slices."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

import vtk
from slicer.i18n import tr as _

from ..errors import InputError
from .comparison_display import ComparisonDisplay
from .measure_figures import MeasureFigures
from .measure_run import MeasureRun, MeasureSettings, MeasureState
from .measure_text import legendText
from .panel import Panel
from .region_choices import overridesOf
from .run_driver import RunDriver
from .workers import JOB

POLL_MS = 30
"""Reading goes on at each look; a look at the worker takes well under a millisecond."""


class MeasurePanel(Panel):
    """Connects the widgets of MeasurePanel.ui with the comparison; holds no computation."""

    UI = "MeasurePanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.figures = MeasureFigures(self)
        self._outdated = False
        self._warnings: tuple[str, ...] = ()
        self.comparison = ComparisonDisplay(self.session)
        self.driver = RunDriver(self, POLL_MS, self._finish, self.updateButtons, self._reasonToStop)
        self.timer = self.driver.timer
        self.ui.referenceSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onReferenceChosen)
        self.ui.computeButton.connect("clicked()", self.onCompute)
        self.ui.sideBySideButton.connect("toggled(bool)", self.onSideBySide)
        self.forget()

    @property
    def run(self) -> MeasureRun | None:
        """The comparison under way; None while there is none."""
        return self.driver.run

    def observeLayout(self) -> None:
        """Follow the layout, which the user may change by Slicer's tool bar; it outlives the scene."""
        from ..mrml.layouts import find_layout_node

        node = find_layout_node()
        if node is not None and not self.hasObserver(node, vtk.vtkCommand.ModifiedEvent, self.onLayoutChanged):
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onLayoutChanged)

    def onLayoutChanged(self, _caller: Any = None, _event: Any = None) -> None:
        """Another layout: segmentations that were shown on one side are shown everywhere again."""
        if not self.comparison.isSideBySide:
            self.comparison.endSideBySide()
        self._showSideBySide()

    def onStudyChanged(self, what: str) -> None:
        """Keep the choices, the differences and the buttons up to date."""
        if self.parameters is None:
            self.forget()
            return
        if what == "nodes":
            self.observeLayout()
        if what in ("nodes", "parameters"):
            self.ui.referenceSelector.setCurrentNode(self.parameters.referenceNode)
            self._showSchemeChoice()
        if what == "nodes" and self.figures.prediction not in (None, self.session.segmentation):
            self.forget()
        if what == "segments" and self.figures.found is not None and not self._outdated:
            self._outdated = True
            self.say(_("The segmentation has changed since: compare again for its figures."))
        if what in ("nodes", "parameters", "segments", "frame", "slice"):
            self._updateDisplay(what)
        self.updateButtons()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.cancelRun("")
        self.comparison.forget()
        self.forget()

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.cancelRun("")
        self.timer.stop()
        self.comparison.end()
        super().cleanup()

    def forget(self) -> None:
        """Show no figures."""
        self.figures.forget()
        self._outdated = False
        self.updateButtons()

    def onReferenceChosen(self, node: Any) -> None:
        """The user chose a reference."""
        if self.parameters is not None and self.parameters.referenceNode is not node:
            self.parameters.referenceNode = node

    def updateButtons(self) -> None:
        """Enable what can be done now, and say in the tool tip why something cannot."""
        running = self.run is not None
        reason = self._reasonNotToCompare()
        self.ui.computeButton.enabled = running or not reason
        self.ui.computeButton.text = _("Cancel") if running else _("Compare")
        self.ui.computeButton.toolTip = (
            _("Stop; nothing is changed.")
            if running
            else reason or _("Compare the segmentation with the reference. The window stays usable meanwhile.")
        )
        for name in ("referenceSelector", "schemeSelector", "surfaceSelector", "measureRegionsSelector"):
            getattr(self.ui, name).enabled = not running
        self.figures.updateButtons()
        self.ui.differenceSelector.enabled = not reason
        self.ui.sideBySideButton.enabled = not reason or self.comparison.isSideBySide
        self._showSideBySide()

    def _reasonNotToCompare(self) -> str:
        if self.parameters is None or self.session.volume is None:
            return _("Choose a volume first.")
        if self.session.segmentation is None:
            return _("There is no segmentation yet: segment the volume, or choose a segmentation.")
        if self.parameters.referenceNode is None:
            return _("Choose a reference first.")
        if self.parameters.referenceNode is self.session.segmentation:
            return _("The reference is the segmentation itself: choose another one.")
        return ""

    def onCompute(self) -> None:
        """The button says Compare, or Cancel while a comparison is on."""
        if self.run is not None:
            self.cancelRun(_("Cancelled; nothing was changed."))
            return
        try:
            reference, warnings = self.comparison.reference()
            settings = MeasureSettings(
                self.session.segmentation,
                reference,
                self.session.volume,
                self.session.browser,
                self.parameters.regionMethod.value,
                self.parameters.surfaceDefinition.value,
                self.session.baseFirst,
                overridesOf(self.session),
            )
            run = MeasureRun(lambda: self.session.workers.client(JOB), settings)
        except InputError as error:
            self.fail(str(error))
            return
        self._warnings = warnings
        self.driver.start(run, _("Reading the labels"))

    def cancelRun(self, message: str) -> None:
        """Stop a comparison, if there is one; the panel is free at once."""
        self.driver.cancel(message)

    def _reasonToStop(self, run: MeasureRun) -> str:
        return "" if run.nodesAreThere() else _("Stopped, because a node was removed.")

    def _finish(self, run: MeasureRun, state: MeasureState) -> None:
        if state.found is None:
            self.fail(state.error or state.message, state.details)
            return
        self._outdated = False
        self.figures.show(run.settings, state)
        done = _("Compared {segmentation} with {reference}").format(
            segmentation=run.settings.prediction.GetName(), reference=run.settings.reference.GetName()
        )
        if self.session.nFrames > 1:
            done += " " + _("(frames {frames})").format(frames=", ".join(str(frame) for frame in state.frames))
        self.say("\n".join([done + ".", *dict.fromkeys([*self._warnings, *state.warnings])]))

    def onSideBySide(self, wanted: bool) -> None:
        """Show the two side by side, or the former layout again."""
        if bool(wanted) == self.comparison.isSideBySide:
            return
        try:
            if wanted:
                self.comparison.showSideBySide()
            else:
                self.comparison.endSideBySide()
        except InputError as error:
            self.fail(str(error))
        self._showSideBySide()

    def _showSideBySide(self) -> None:
        self.ui.sideBySideButton.checked = self.comparison.isSideBySide

    def _showSchemeChoice(self) -> None:
        node = self.parameters.referenceNode
        shown = node is not None and node.IsA("vtkMRMLLabelMapVolumeNode")
        self.ui.schemeLabel.visible = self.ui.schemeSelector.visible = shown

    def _updateDisplay(self, what: str) -> None:
        try:
            self.comparison.update(what)
        except InputError as error:
            if what != "slice":
                self.fail(str(error))
        self.ui.legendLabel.text = legendText(self.comparison.shown)
        self.ui.legendLabel.visible = bool(self.ui.legendLabel.text)
