"""The Export panel: labels, tables, surfaces, a report and a scene of the study, as files."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .export_plan import existingFiles, prepareExport, videosPossible
from .export_run import ExportRun, ExportState
from .panel import Panel
from .run_driver import RunDriver
from .workers import JOB

POLL_MS = 100
_LISTED = 5
"""Files named in the question before some are replaced."""


class ExportPanel(Panel):
    """Connects the widgets of ExportPanel.ui with an `ExportRun`.

    Attributes:
        driver: of the export under way.
        folder: where the last export went; None before the first.
    """

    UI = "ExportPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.driver = RunDriver(self, POLL_MS, self._finish, self.updateButtons)
        self.timer = self.driver.timer
        self.folder: Path | None = None
        self._missing: tuple[requirements.Package, ...] = ()
        self._missingForMp4: tuple[requirements.Package, ...] = ()
        self.ui.exportFolderEdit.connect("currentPathChanged(QString)", lambda _path: self.updateButtons())
        self.ui.exportButton.connect("clicked()", self.onExport)
        self.ui.installButton.connect("clicked()", lambda: self.onInstall(self._missing))
        self.ui.installVideoButton.connect("clicked()", lambda: self.onInstall(self._missingForMp4))
        self.ui.openFolderButton.connect("clicked()", lambda: self._open(""))
        self.ui.openReportButton.connect("clicked()", lambda: self._open("report.html"))
        self.ui.openFolderButton.visible = self.ui.openReportButton.visible = False
        self.updateRequirements()

    @property
    def run(self) -> ExportRun | None:
        """The export under way; None while there is none."""
        return self.driver.run

    def enter(self) -> None:
        """The user opened the module: packages may have been installed meanwhile."""
        self.updateRequirements()
        self.updateButtons()

    def onStudyChanged(self, what: str) -> None:
        """The buttons depend on what is chosen."""
        if what in ("opened", "nodes", "view"):
            self.updateRequirements()
        if what in ("nodes", "parameters", "opened", "view"):
            self.updateButtons()

    def sceneIsClosing(self) -> None:
        """The study is about to go."""
        self.driver.cancel(_("Stopped, because the scene was closed; nothing was written."))

    def cleanup(self) -> None:
        """The widgets are about to go: leave no half-written folder behind."""
        for run in self.driver.release():
            run.abandon()
        Panel.cleanup(self)

    def updateRequirements(self) -> None:
        """Say what report and videos lack; the rest works without it."""
        self._missing = tuple(package for package in requirements.FIGURES_PACKAGES if not package.is_usable())
        self._missingForMp4 = tuple(package for package in requirements.VIDEO_PACKAGES if not package.is_usable())
        lines = []
        if self._missing:
            names = ", ".join(package.module for package in self._missing)
            text = _("Report and videos need {names}, which Slicer does not bring (about {size}); other files do not.")
            lines.append(text.format(names=names, size=requirements.size_text(self._missing)))
        film = videosPossible(self.session)
        if film and self._missingForMp4:
            names = ", ".join(package.module for package in self._missingForMp4)
            text = _("An MP4 video needs {names} too (about {size}); a GIF does not.")
            lines.append(text.format(names=names, size=requirements.size_text(self._missingForMp4)))
        ui = self.ui
        ui.requirementsLabel.text = "\n".join(lines)
        ui.requirementsLabel.visible = bool(lines)
        ui.installButton.visible = bool(self._missing)
        ui.installVideoButton.visible = film and bool(self._missingForMp4)

    def updateButtons(self) -> None:
        """Enable what can be done now, and say in the tool tip why something cannot."""
        running = self.run is not None
        reason = self._reasonNotToStart()
        ui = self.ui
        ui.exportButton.enabled = running or not reason
        ui.exportButton.text = _("Cancel") if running else _("Export")
        ready = _("Write the chosen files. The window stays usable meanwhile.")
        ui.exportButton.toolTip = _("Stop; nothing is written.") if running else reason or ready
        for widget in (
            *(ui.exportFolderEdit, ui.exportNameEdit, ui.labelsCheckBox, ui.labelNumbersSelector, ui.tablesCheckBox),
            *(ui.meshesCheckBox, ui.meshFormatSelector, ui.bundleCheckBox, ui.installButton, ui.installVideoButton),
        ):
            widget.enabled = not running
        drawable = not running and not self._missing
        ui.reportCheckBox.enabled = ui.gifCheckBox.enabled = drawable
        ui.mp4CheckBox.enabled = drawable and not self._missingForMp4
        ui.videoLabel.visible = ui.mp4CheckBox.visible = ui.gifCheckBox.visible = videosPossible(self.session)

    def onInstall(self, packages: tuple[requirements.Package, ...]) -> None:
        """The user wants the packages that report or videos need."""
        try:
            if requirements.ask_and_install(packages):
                self.say(_("The packages are installed."))
        except InputError as error:
            self.fail(str(error), getattr(error, "details", ""))
        self.updateRequirements()
        self.updateButtons()

    def onExport(self) -> None:
        """The button says Export, or Cancel while an export is on."""
        if self.run is not None:
            self.driver.cancel(_("Cancelled; nothing was written."))
            return
        if self._reasonNotToStart():
            return
        self.ui.openFolderButton.visible = self.ui.openReportButton.visible = False
        try:
            with slicer.util.WaitCursor():
                export = prepareExport(self.session, self._parts(), self.parameters.exportBundle)
            folder = Path(self.ui.exportFolderEdit.currentPath) / export.study.name
            existing = existingFiles(folder, export.plannedFiles())
            if not self._mayReplace(folder, existing):
                return
            run = ExportRun(self.session.workers.client(JOB), export, folder, existing)
        except InputError as error:
            self.fail(str(error))
            return
        self.ui.exportFolderEdit.addCurrentPathToHistory()
        self.driver.start(run, _("Starting"))

    def _finish(self, run: ExportRun, state: ExportState) -> None:
        if state.error:
            self.fail(state.error, state.details)
        elif state.cancelled:
            self.say(_("Cancelled; nothing was written."))
        else:
            self.folder = run.folder
            text = _("{count} files were written to {folder}.").format(count=len(state.files), folder=run.folder)
            self.say("\n".join([text, *state.warnings]))
            self.ui.openFolderButton.visible = True
            self.ui.openReportButton.visible = "report.html" in state.files

    def _parts(self) -> Any:
        from ..worker.export_request import ExportParts

        parameters = self.parameters
        wanted = {
            ".mp4": parameters.exportMp4 and not self._missingForMp4,
            ".gif": parameters.exportGif,
        }
        offered = videosPossible(self.session) and not self._missing
        return ExportParts(
            labels=parameters.exportLabels,
            scheme=parameters.exportNumbers.value,
            tables=parameters.exportTables,
            meshes=parameters.exportMeshFormat.value if parameters.exportMeshes else "",
            report=parameters.exportReport and not self._missing,
            videos=tuple(suffix for suffix, ticked in wanted.items() if ticked and offered),
        )

    def _reasonNotToStart(self) -> str:
        if self.parameters is None or self.session.volume is None:
            return _("Choose a volume first.")
        if self.session.segmentation is None and self.parameters.laSegmentation is None:
            return _("Segment the volume, or choose a segmentation first.")
        folder = self.ui.exportFolderEdit.currentPath
        if not folder:
            return _("Choose a folder first.")
        if not Path(folder).is_absolute():
            return _("Choose the folder with its whole path.")
        return ""

    def _mayReplace(self, folder: Path, existing: list[str]) -> bool:
        """Ask before files of an earlier export are replaced."""
        if not existing:
            return True
        names = ", ".join(existing[:_LISTED])
        if len(existing) > _LISTED:
            names = _("{names} and {count} more").format(names=names, count=len(existing) - _LISTED)
        question = _("{folder} already holds {names}. Replace them?").format(folder=folder, names=names)
        return slicer.util.confirmOkCancelDisplay(question, _("Replace files"))

    def _open(self, name: str) -> None:
        """Show the exported folder, or a file of it, in the system's own program."""
        if self.folder is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.folder / name)))
