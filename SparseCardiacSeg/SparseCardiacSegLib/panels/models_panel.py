"""The Models panel: what can be fetched, imported and removed, and all that is known of it beforehand."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .model_store import StoredModel, size_text, stored_models
from .panel import Panel
from .settings import current_settings
from .worker_job import WorkerJob, WorkerJobState
from .workers import JOB, NAMES

POLL_MS = 100
MODELS = "models"
"""What `StudySession.changed` is emitted with when models came or went."""

CHOSEN_IN = ("model", "promptModel")
"""The parameters that hold the name of a chosen model."""


class ModelsPanel(Panel):
    """Connects the widgets of ModelsPanel.ui with the catalogues; fetching and copying is the job worker's."""

    UI = "ModelsPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets; the list is read when the section is opened."""
        self.models: list[StoredModel] = []
        self.job: WorkerJob | None = None
        self._done = ""
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)
        self.ui.modelList.connect("currentRowChanged(int)", lambda _row: self.updateButtons())
        self.ui.fetchButton.connect("clicked()", self.onFetch)
        self.ui.importFileButton.connect("clicked()", self.onImportFile)
        self.ui.importFolderButton.connect("clicked()", self.onImportFolder)
        self.ui.removeButton.connect("clicked()", self.onRemove)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.updateButtons()

    def onStudyChanged(self, what: str) -> None:
        """The section was opened, or models came or went."""
        if what in ("opened", MODELS) and self.isOpen:
            self.refresh()

    def enter(self) -> None:
        """The user opened the module: models may have been added by the command line."""
        if self.isOpen:
            self.refresh()

    def cleanup(self) -> None:
        """The widgets are about to go; what has arrived of a download is kept."""
        self.timer.stop()
        if self.job is not None:
            self.job.cancel()
            self.job = None
        Panel.cleanup(self)

    def selected(self) -> StoredModel | None:
        """The model chosen in the list."""
        row = self.ui.modelList.currentRow
        return self.models[row] if 0 <= row < len(self.models) else None

    def select(self, name: str) -> None:
        """Choose a model of the list by its name; one that is not there changes nothing."""
        row = next((row for row, model in enumerate(self.models) if model.name == name), None)
        if row is not None:
            self.ui.modelList.setCurrentRow(row)

    def refresh(self) -> None:
        """Read the catalogues again."""
        chosen = self.selected()
        self.models = stored_models(current_settings().models())
        self.ui.modelList.clear()
        for model in self.models:
            self.ui.modelList.addItem(model.line())
        self.ui.modelList.setCurrentRow(0)
        if chosen is not None:
            self.select(chosen.name)
        self.updateButtons()

    def updateButtons(self) -> None:
        """Show the chosen model's card, and enable what can be done with it now."""
        model, busy = self.selected(), self.job is not None
        self.ui.modelCardLabel.text = model.card() if model is not None else ""
        self.ui.fetchButton.enabled = model is not None and model.downloadable and not busy
        self.ui.fetchButton.text = _("Download")
        if model is not None and model.downloadable and model.size is not None:
            rest = max(model.size - model.arrived, 0)
            text = _("Download the rest ({size})") if model.arrived else _("Download ({size})")
            self.ui.fetchButton.text = text.format(size=size_text(rest))
        self.ui.removeButton.enabled = model is not None and model.removable and not busy
        self.ui.importFileButton.enabled = not busy
        self.ui.importFolderButton.enabled = not busy
        self.ui.importNameEdit.enabled = not busy
        self.ui.cancelButton.visible = busy
        self.ui.progressBar.visible = busy

    def onFetch(self) -> None:
        """Download the chosen model; its card has told size and licence."""
        model = self.selected()
        if model is not None and model.downloadable:
            self._start(
                "fetch_model", {"name": model.name}, _("{title} is ready to be used.").format(title=model.title)
            )

    def onImportFile(self) -> None:
        """Copy a file of the user's: weights, or a .zip of a model folder."""
        filters = _("Models ({patterns})").format(patterns="*.pth *.pt *.npz *.zip")
        self._import(qt.QFileDialog.getOpenFileName(None, _("Choose a file of weights or a .zip"), "", filters))

    def onImportFolder(self) -> None:
        """Copy a model folder of the user's."""
        self._import(qt.QFileDialog.getExistingDirectory(None, _("Choose a model folder")))

    def onRemove(self) -> None:
        """Delete the chosen model from the disk, after a question; never one that is being used."""
        model = self.selected()
        if model is None or not model.removable:
            return
        chosen = self._isChosen(model)
        if chosen and self._isAnyWorkerBusy():
            self.say(_("{title} is being used: wait until it is done, or cancel it.").format(title=model.title))
            return
        question = _("{title} will be deleted from this computer.").format(title=model.title)
        if chosen:
            question = _("{question} It is the model chosen in this study; another must be chosen then.").format(
                question=question
            )
        if not slicer.util.confirmOkCancelDisplay(question, _("Remove a model")):
            return
        self._letGoOfFiles()
        self._start("remove_model", {"name": model.name}, _("{title} was removed.").format(title=model.title))

    def onCancel(self) -> None:
        """Stop what runs."""
        if self.job is not None:
            self.job.cancel()
            self.ui.cancelButton.enabled = False
            self.say(_("Stopping"))

    def onTimer(self) -> None:
        """Look at the job; never waits."""
        if self.job is None:
            self.timer.stop()
            return
        state = self.job.poll()
        self.ui.progressBar.value = round(100 * state.fraction)
        if state.finished:
            self._finish(state)
        elif state.message and self.ui.cancelButton.enabled:
            self.say(state.message)

    def _import(self, path: str) -> None:
        if path:
            name = self.ui.importNameEdit.text.strip() or None
            self._start("import_model", {"path": str(Path(path)), "name": name}, "")

    def _start(self, command: str, params: Mapping[str, Any], done: str) -> None:
        """Send a request to the job worker.

        Args:
            command: what to do.
            params: its parameters; the folder of the user's models is added.
            done: what to say in the end; empty to name the model that came.
        """
        if self.job is not None:
            return
        folder = str(current_settings().models())
        try:
            self.job = WorkerJob(self.session.workers.client(JOB), command, {**params, "folder": folder})
        except InputError as error:
            self.fail(str(error))
            return
        self._done = done
        self.ui.progressBar.value = 0
        self.ui.cancelButton.enabled = True
        self.say(_("Starting"))
        self.updateButtons()
        self.timer.start()

    def _finish(self, state: WorkerJobState) -> None:
        self.job = None
        self.timer.stop()
        self.refresh()
        if state.cancelled:
            model = self.selected()
            kept = model is not None and model.arrived > 0
            self.say(_("Cancelled; what has arrived is kept.") if kept else _("Cancelled; nothing was changed."))
            return
        if state.error:
            self.fail(state.error, state.details)
            return
        self.select(str(state.values.get("name", "")))
        self.ui.importNameEdit.text = ""
        imported = _("{title} is ready to be used.").format(title=state.values.get("title", ""))
        self.say(self._done or imported)
        self.session.changed.emit(MODELS)

    def _isChosen(self, model: StoredModel) -> bool:
        """Whether the study works with this model."""
        return any(getattr(self.parameters, field, "") == model.name for field in CHOSEN_IN)

    def _isAnyWorkerBusy(self) -> bool:
        return any(self.session.workers.client(name).is_busy for name in NAMES)

    def _letGoOfFiles(self) -> None:
        """End workers that may hold the model's files open: Windows deletes no such file. They start when needed."""
        for name in NAMES:
            client = self.session.workers.client(name)
            if not client.is_busy:
                client.close()
