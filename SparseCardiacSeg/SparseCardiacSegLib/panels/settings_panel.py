"""The Settings panel: what the user prefers on this computer, in Slicer's settings and not in the scene."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from .model_store import size_text
from .models_panel import MODELS, POLL_MS
from .panel import Panel
from .settings import CACHE_GB_RANGE, DEVICES, Settings, current_settings
from .worker_job import WorkerJob
from .workers import JOB, NAMES


class SettingsPanel(Panel):
    """Connects the widgets of SettingsPanel.ui with `Settings`."""

    UI = "SettingsPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets; they are filled when the section is opened."""
        self.job: WorkerJob | None = None
        self._filling = False
        self._edits = {
            "cache_folder": self.ui.cacheFolderEdit,
            "model_folder": self.ui.modelFolderEdit,
            "wheel_folder": self.ui.wheelFolderEdit,
        }
        buttons = (self.ui.cacheFolderButton, self.ui.modelStoreFolderButton, self.ui.wheelFolderButton)
        for (name, edit), button in zip(self._edits.items(), buttons, strict=True):
            edit.connect("editingFinished()", self._slot(self.onFolderEdited, name))
            edit.connect("textChanged(QString)", self._slot(self.onFolderCleared, name))
            button.connect("clicked()", self._slot(self.onChooseFolder, name))
        for text in self.deviceTexts():
            self.ui.defaultDeviceSelector.addItem(text)
        self.ui.defaultDeviceSelector.connect("currentIndexChanged(int)", self.onDeviceChosen)
        self.ui.cacheLimitSpinBox.setRange(*CACHE_GB_RANGE)
        self.ui.cacheLimitSpinBox.connect("valueChanged(double)", self.onCacheLimitChanged)
        self.ui.clearCacheButton.connect("clicked()", self.onClearCache)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)

    @staticmethod
    def deviceTexts() -> list[str]:
        """What the list of devices shows, in the order of `settings.DEVICES`."""
        from .parameters import Device

        return [Device(value).label() for value in DEVICES]

    @property
    def settings(self) -> Settings:
        """The preferences."""
        return current_settings()

    def onStudyChanged(self, what: str) -> None:
        """The section was opened: show what is set, and how large the cache is."""
        if what == "opened" and self.isOpen:
            self.refresh()

    def enter(self) -> None:
        """The user opened the module."""
        if self.isOpen:
            self.refresh()

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.timer.stop()
        Panel.cleanup(self)

    def refresh(self) -> None:
        """Show what is set; an empty field shows the place that is used then."""
        settings = self.settings
        used = {
            "cache_folder": str(settings.embeddings().parent),
            "model_folder": str(settings.models()),
            "wheel_folder": _("the internet"),
        }
        self._filling = True
        try:
            for name, edit in self._edits.items():
                edit.text = str(getattr(settings, name) or "")
                edit.placeholderText = used[name]
            self.ui.defaultDeviceSelector.setCurrentIndex(DEVICES.index(settings.device))
            self.ui.cacheLimitSpinBox.value = settings.cache_limit_gb
        finally:
            self._filling = False
        self.showCacheSize()

    def showCacheSize(self) -> None:
        """Say how much the cache takes; a look at 2000 files takes some ten milliseconds."""
        from ..prompting.embedding_cache import EmbeddingCache

        size = EmbeddingCache(self.settings.embeddings()).size()
        self.ui.cacheSizeLabel.text = _("{size} used").format(size=size_text(size))
        self.ui.clearCacheButton.enabled = size > 0 and self.job is None

    def onChooseFolder(self, name: str) -> None:
        """The user wants to choose a folder in a window."""
        before = getattr(self.settings, name)
        folder = qt.QFileDialog.getExistingDirectory(None, _("Choose a folder"), str(before or ""))
        if folder:
            self._set(name, folder)

    def onFolderEdited(self, name: str) -> None:
        """The user typed a folder."""
        self._set(name, self._edits[name].text)

    def onFolderCleared(self, name: str) -> None:
        """The user emptied a field with its button, which ends no editing."""
        if not self._edits[name].text:
            self._set(name, "")

    def onDeviceChosen(self, index: int) -> None:
        """What computes where a study says Automatic."""
        if not self._filling and 0 <= index < len(DEVICES):
            self.settings.device = DEVICES[index]

    def onCacheLimitChanged(self, gigabytes: float) -> None:
        """How large the cache may grow; it shrinks when the next slice is kept."""
        if not self._filling:
            self.settings.cache_limit_gb = gigabytes

    def onClearCache(self) -> None:
        """Delete the embeddings; they are made anew when a slice is clicked."""
        if self.job is not None:
            return
        try:
            client = self.session.workers.client(JOB)
            self.job = WorkerJob(client, "clear_cache", {"folder": str(self.settings.embeddings())})
        except InputError as error:
            self.fail(str(error))
            return
        self.ui.clearCacheButton.enabled = False
        self.timer.start()

    def onTimer(self) -> None:
        """Look whether the cache is cleared; never waits."""
        state = self.job.poll() if self.job is not None else None
        if state is not None and not state.finished:
            return
        self.timer.stop()
        self.job = None
        self.showCacheSize()
        if state is not None and state.error:
            self.fail(state.error, state.details)
        elif state is not None:
            freed = size_text(int(state.values.get("freed", 0)))
            self.say(_("{size} were freed.").format(size=freed))

    def _set(self, name: str, text: str) -> None:
        """Keep a folder if it can be used; else say why, and show the one before."""
        if self._filling:
            return
        folder = Path(text.strip()).expanduser() if text.strip() else None
        if folder == getattr(self.settings, name):
            return
        reason = self._reasonAgainst(name, folder)
        if not reason:
            setattr(self.settings, name, folder)
            self._letWorkersStartAnew(name)
        self.refresh()
        self.say(reason)
        if not reason and name == "model_folder":
            self.session.changed.emit(MODELS)

    def _reasonAgainst(self, name: str, folder: Path | None) -> str:
        if name != "wheel_folder" and any(self.session.workers.client(worker).is_busy for worker in NAMES):
            return _("Something is running that uses this folder: wait until it is done, or cancel it.")
        if folder is None:
            return ""
        if not folder.is_absolute():
            return _("{folder} is no full path: choose the folder with the button.").format(folder=folder)
        if name == "wheel_folder":
            if folder.is_dir() and any(folder.glob("*.whl")):
                return ""
            return _("{folder} holds no Python package (.whl).").format(folder=folder)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            return _("{folder} cannot be written to.").format(folder=folder)
        return ""

    def _letWorkersStartAnew(self, name: str) -> None:
        """Workers are told the folders when they are started."""
        if name != "wheel_folder":
            for worker in NAMES:
                self.session.workers.client(worker).close()

    @staticmethod
    def _slot(method: Any, name: str) -> Any:
        return lambda *_arguments: method(name)
