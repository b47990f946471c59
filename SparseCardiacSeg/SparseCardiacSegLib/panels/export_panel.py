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
from .workers import JOB

POLL_MS = 100
_LISTED = 5
"""Files named in the question before some are replaced."""


class ExportPanel(Panel):
    """Connects the widgets of ExportPanel.ui with an `ExportRun`.

    Attributes:
        run: the export under way; None where none is.
        folder: where the last export went; None before the first.
    """

    UI = "ExportPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.run: ExportRun | None = None
        self.folder: Path | None = None
        self._ending: list[ExportRun] = []
        self._missing: tuple[requirements.Package, ...] = ()
        self._missingForMp4: tuple[requirements.Package, ...] = ()
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)
        self.ui.exportFolderEdit.connect("currentPathChanged(QString)", lambda _path: self.updateButtons())
        self.ui.exportButton.connect("clicked()", self.onExport)
        self.ui.installButton.connect("clicked()", lambda: self.onInstall(self._missing))
        self.ui.installVideoButton.connect("clicked()", lambda: self.onInstall(self._missingForMp4))
        self.ui.openFolderButton.connect("clicked()", lambda: self._open(""))
        self.ui.openReportButton.connect("clicked()", lambda: self._open("report.html"))
        self.ui.progressBar.visible = False
        self.ui.openFolderButton.visible = self.ui.openReportButton.visible = False
        self.updateRequirements()

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
        self.cancelRun(_("Stopped, because the scene was closed; nothing was written."))

    def cleanup(self) -> None:
        """The widgets are about to go: leave no half-written folder behind."""
        self.timer.stop()
        for run in (*self._ending, *([self.run] if self.run is not None else [])):
            run.abandon()
        self.run = None
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
            self.cancelRun(_("Cancelled; nothing was written."))
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
            self.run = ExportRun(self.session.workers.client(JOB), export, folder, existing)
        except InputError as error:
            self.fail(str(error))
            return
        self.ui.exportFolderEdit.addCurrentPathToHistory()
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True
        self.say(_("Starting"))
        self.updateButtons()
        self.timer.start()

    def cancelRun(self, message: str) -> None:
        """Stop an export, if there is one, and say why; the panel is free at once."""
        if self.run is None:
            return
        run, self.run = self.run, None
        run.cancel()
        # The timer goes on: what was written is removed once the worker has stopped.
        self._ending.append(run)
        self.ui.progressBar.visible = False
        self.say(message)
        self.updateButtons()

    def onTimer(self) -> None:
        """Look at the export, and at cancelled ones that have not ended yet."""
        self._ending = [run for run in self._ending if not run.poll().finished]
        if self.run is None:
            if not self._ending:
                self.timer.stop()
            return
        try:
            state = self.run.poll()
        except Exception:
            # Else it would fail again at every look, and the button would say Cancel for ever.
            run, self.run = self.run, None
            run.abandon()
            self.ui.progressBar.visible = False
            self.fail(_("Stopped by a fault in the program, nothing was written; the Python console tells more."))
            self.updateButtons()
            raise
        self.ui.progressBar.value = round(100 * state.fraction)
        if state.finished:
            self._finish(state)
        elif state.message:
            self.say(state.message)

    def _finish(self, state: ExportState) -> None:
        run, self.run = self.run, None
        self.ui.progressBar.visible = False
        self.updateButtons()
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
