"""The Clinical panel: volumes, ejection fraction, mass and left-atrial index, with all that is needed to trust them."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

import json
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import clinical_study, study_phases
from .clinical_cells import figureCells
from .clinical_wall import WallSection
from .curve_plot import showVolumeCurve
from .panel import Panel
from .table_cells import fillTable

PAUSE_MS = 300
"""Typing a height sends a change with every digit; and a brush stroke must not wait for figures."""


class ClinicalPanel(Panel):
    """Connects the widgets of ClinicalPanel.ui with the session.

    Attributes:
        measures: what `measures.clinical.clinical_measures` found; None where nothing can be measured.
    """

    UI = "ClinicalPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        from ..mrml.carried_frames import FrameBook

        self.measures: dict[str, Any] | None = None
        self._book = FrameBook()
        self._found: study_phases.StudyPhases | None = None
        self.wall = WallSection(self, self.onWall)
        self._choices: tuple = ()
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(PAUSE_MS)
        self.timer.connect("timeout()", self.update)
        self.ui.findEdEsButton.connect("clicked()", self.onFindEdEs)
        self.ui.curveButton.connect("clicked()", self.onShowCurve)
        self.ui.copyCsvButton.connect("clicked()", self.onCopyCsv)
        self.ui.copyJsonButton.connect("clicked()", self.onCopyJson)
        self.ui.clinicalTableButton.connect("clicked()", self.onAddTable)

    def enter(self) -> None:
        """The user opened the module: segments may have changed meanwhile."""
        self.update()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.timer.stop()
        self.wall.stop()
        self.measures = self._found = None

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.timer.stop()
        self.wall.stop()
        Panel.cleanup(self)

    def onStudyChanged(self, what: str) -> None:
        """Measure anew where something changed that the figures depend on."""
        if what in ("nodes", "opened"):
            self.update()
        elif what == "segments" or (what == "parameters" and self._choices != self._currentChoices()):
            self.timer.start()

    def update(self) -> None:
        """Measure and show; nothing is done while the section is folded."""
        self.timer.stop()
        if not self.isOpen:
            return
        self._choices = self._currentChoices()
        self._showWhatIsMeasured()
        self._found = None
        message = ""
        if self.parameters is None or self.session.volume is None:
            message = _("Choose a volume first.")
        else:
            try:
                self._found = study_phases.phasesOf(self.session)
            except InputError as error:
                message = str(error)
        self.wall.follow(self._found, "" if self.session.volume is None else self.session.volume.GetName())
        self._measure(message)

    def onWall(self) -> None:
        """The wall was measured, the fold-out was opened or closed, or the insertion was moved."""
        if self._found is None or self.parameters is None or self.session.volume is None:
            self.update()
            return
        self.wall.follow(self._found, self.session.volume.GetName())
        self._measure("")

    def _measure(self, message: str) -> None:
        """Measure the phases that were found, and show the figures or what is missing."""
        self.measures = None
        if self._found is not None:
            try:
                self.measures = clinical_study.measure(self.session, self._found, self._book, self.wall.found)
            except InputError as error:
                message = str(error)
        self.say(message)
        self._showTable()
        self._updateTableNode()
        for button in (self.ui.copyCsvButton, self.ui.copyJsonButton, self.ui.clinicalTableButton):
            button.enabled = self.measures is not None
        self.ui.curveButton.enabled = self.measures is not None and self.measures["volume_curve"] is not None

    def onShowCurve(self) -> None:
        """Plot the volumes over the heart beat in Slicer's plot view."""
        if self.session.browser is not None and self.session.segmentation is not None:
            showVolumeCurve(self.session, self._book.contents(self.session.segmentation, self.session.browser))

    def onFindEdEs(self) -> None:
        """Find the largest and the smallest LV."""
        if self.parameters is None or self.session.volume is None:
            return
        try:
            with slicer.util.WaitCursor():
                found = study_phases.findEdEs(self.session)
        except InputError as error:
            self.fail(str(error))
            return
        self.update()
        self.say(found)

    def onCopyCsv(self) -> None:
        """Copy the figures as a table."""
        from ..measures.clinical_rows import clinical_csv

        if self.measures is not None:
            qt.QApplication.clipboard().setText(clinical_csv(self.measures))
            self.say(_("The table is in the clipboard."))

    def onCopyJson(self) -> None:
        """Copy the figures with all that belongs to them."""
        if self.measures is not None:
            qt.QApplication.clipboard().setText(json.dumps(self.measures, indent=2))
            self.say(_("The measures are in the clipboard."))

    def onAddTable(self) -> None:
        """Put the table into the scene; it is filled anew from then on."""
        if self.measures is None or self.parameters is None:
            return
        if self.parameters.clinicalTable is None:
            from ..mrml.segmentations import place_beside
            from ..mrml.tables import clinical_table

            name = _("{volume} clinical measures").format(volume=self.session.volume.GetName())
            node = clinical_table(self.measures, name)
            place_beside(node, self.session.volume)
            self.parameters.clinicalTable = node
        self._updateTableNode()
        self.say(_("The table is {name} in the scene.").format(name=self.parameters.clinicalTable.GetName()))

    def _showWhatIsMeasured(self) -> None:
        """Frames for a cine, segmentations for single stacks."""
        is_cine = self.session.browser is not None
        for widget in (self.ui.framesRowLabel, self.ui.framesLabel):
            widget.visible = is_cine
        for widget in (
            *(self.ui.edSegmentationLabel, self.ui.edSegmentationSelector),
            *(self.ui.esSegmentationLabel, self.ui.esSegmentationSelector),
        ):
            widget.visible = not is_cine
        self.ui.curveButton.visible = is_cine
        self.ui.framesLabel.text = study_phases.chosenFrames(self.session) if is_cine else ""
        self.ui.findEdEsButton.enabled = self.session.segmentation is not None

    def _showTable(self) -> None:
        if self.measures is None:
            fillTable(self.ui.clinicalTable, [])
            self.ui.warningsLabel.visible = False
            return
        from ..measures.clinical_rows import clinical_figures

        fillTable(self.ui.clinicalTable, [figureCells(one, self.measures) for one in clinical_figures(self.measures)])
        lines = [_("Please check:"), *(f"• {text}" for text in self.measures["warnings"])]
        lines = [*(lines if self.measures["warnings"] else []), self.measures["conventions"]["papillary_muscles"]]
        self.ui.warningsLabel.text = "\n".join(lines)
        self.ui.warningsLabel.visible = True

    def _updateTableNode(self) -> None:
        node = self.parameters.clinicalTable if self.parameters is not None else None
        if node is not None and self.measures is not None:
            from ..mrml.tables import clinical_table

            clinical_table(self.measures, node=node)

    def _currentChoices(self) -> tuple[Any, ...]:
        """What the figures depend on beside the segmentations' voxels."""
        parameters = self.parameters
        if parameters is None:
            return ()
        return (
            *(parameters.heightCm, parameters.weightKg, parameters.sex, parameters.heartRate),
            *(parameters.edFrame, parameters.esFrame),
            *(parameters.edSegmentation, parameters.esSegmentation, parameters.laSegmentation),
        )
