"""The part of a panel where a model is chosen: the list, what the chosen one is, and what is missing to run it."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .models import ModelChoice, choice_for_folder, listed_models, name_for_view


class ModelSelector:
    """Connects modelSelector, modelInfoLabel, requirementsLabel and installButton of a .ui file."""

    def __init__(self, ui: Any, onChosen: Callable[[str], None], onMessage: Callable[..., None]) -> None:  # noqa: N803
        """Connect the widgets; the list stays empty until `select`.

        Args:
            ui: the panel's widgets by name.
            onChosen: called with the model's name when the user chose another one, or installed packages.
            onMessage: called with a sentence for the user and, where there are some, details.
        """
        self.ui = ui
        self.missing: tuple[requirements.Package, ...] = ()
        self._onChosen = onChosen
        self._onMessage = onMessage
        self._models: list[ModelChoice] = []
        self._filling = False
        self.ui.modelSelector.connect("currentIndexChanged(int)", self.onIndexChanged)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self._showMissing()

    def listModels(self) -> list[ModelChoice]:
        """The models that can be chosen."""
        return listed_models()

    def packagesMissingFor(self, choice: ModelChoice) -> tuple[requirements.Package, ...]:
        """The Python packages that a model needs and that are not installed."""
        return requirements.missing_packages(choice.needs_torch)

    def selected(self) -> ModelChoice | None:
        """The chosen model; None where there is none."""
        index = self.ui.modelSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    def selectedName(self) -> str:
        """The chosen model's name; empty where there is none."""
        choice = self.selected()
        return choice.name if choice else ""

    def select(self, name: str) -> str:
        """List the models and choose one of them.

        Args:
            name: a model's name; empty, or a model that is gone, gives the first of the list.

        Returns:
            The name of the model that is chosen now.
        """
        if not self._models:
            self._models = self.listModels()
        self._filling = True
        try:
            self.ui.modelSelector.clear()
            for choice in self._models:
                self.ui.modelSelector.addItem(choice.title)
            self.ui.modelSelector.setCurrentIndex(self._names().index(name) if name in self._names() else 0)
        finally:
            self._filling = False
        self.describe()
        return self.selectedName()

    def selectForView(self, wanted: Sequence[str]) -> str:
        """Choose a model that segments something of a view (names of structures); returns its name, or none's: ""."""
        if not self._models:
            self._models = self.listModels()
        name = name_for_view(self._models, self.selectedName(), wanted)
        return self.select(name) if name else ""

    def refresh(self) -> str:
        """List the models anew, because some came or went; the chosen one stays chosen if it is still there."""
        chosen, self._models = self.selectedName(), []
        return self.select(chosen)

    def describe(self) -> None:
        """Say what the chosen model is, and what is missing to run it."""
        choice = self.selected()
        self.ui.modelInfoLabel.text = choice.info if choice else _("No model was found in this installation.")
        self.missing = self.packagesMissingFor(choice) if choice else ()
        self._showMissing()

    def onIndexChanged(self, _index: int) -> None:
        """The user chose a model of the list."""
        if not self._filling:
            self.describe()
            self._onChosen(self.selectedName())

    def onInstall(self) -> None:
        """The user wants the missing packages."""
        try:
            if requirements.ask_and_install(self.missing):
                self._onMessage(_("The packages are installed."))
        except InputError as error:
            self._onMessage(str(error), getattr(error, "details", ""))
        self.describe()
        self._onChosen(self.selectedName())

    def _showMissing(self) -> None:
        self.ui.requirementsLabel.text = requirements.missing_sentence(self.missing) if self.missing else ""
        self.ui.requirementsLabel.visible = bool(self.missing)
        self.ui.installButton.text = requirements.install_text(self.missing)
        self.ui.installButton.visible = bool(self.missing)

    def _names(self) -> list[str]:
        return [choice.name for choice in self._models]


class AutomaticModelSelector(ModelSelector):
    """The models of automatic segmentation, and with modelFolderButton an nnU-Net folder of the user's own."""

    def __init__(self, ui: Any, onChosen: Callable[[str], None], onMessage: Callable[..., None]) -> None:  # noqa: N803
        """Connect the widgets, as for `ModelSelector`."""
        ModelSelector.__init__(self, ui, onChosen, onMessage)
        self.ui.modelFolderButton.connect("clicked()", self.onChooseFolder)

    def select(self, name: str) -> str:
        """As `ModelSelector.select`; a name that is not listed may be a model folder."""
        if not self._models:
            self._models = self.listModels()
        if name and name not in self._names():
            try:
                self._models.append(choice_for_folder(name))
            except InputError as error:
                self._onMessage(str(error))
        return ModelSelector.select(self, name)

    def setEnabled(self, enabled: bool) -> None:
        """Let the user choose, or not."""
        for widget in (self.ui.modelSelector, self.ui.modelFolderButton, self.ui.installButton):
            widget.enabled = enabled

    def onChooseFolder(self) -> None:
        """The user wants a model folder of their own."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Choose an nnU-Net v2 model folder"))
        if not folder:
            return
        try:
            choice = choice_for_folder(folder)
        except InputError as error:
            self._onMessage(str(error))
            return
        if choice.name not in self._names():
            self._models.append(choice)
        self._onChosen(self.select(choice.name))
