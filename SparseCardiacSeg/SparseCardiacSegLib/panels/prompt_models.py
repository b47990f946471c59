"""The list of promptable models in a panel, what the chosen one is, and what is missing to run it."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .models import name_for_view
from .settings import current_settings


@dataclass(frozen=True)
class PromptModelChoice:
    """One line of the list.

    Attributes:
        name: what the worker is asked for: a catalogue name.
        title: what the list shows.
        info: what it was made for, in a sentence or two.
        structures: those that it was made for, by name; empty for one that takes any.
        needs_torch: False where it runs on ONNX Runtime alone.
    """

    name: str
    title: str
    info: str
    structures: tuple[str, ...]
    needs_torch: bool


def listed_prompt_models(folder: Path) -> list[PromptModelChoice]:
    """The models that are here and can be used: embedded ones, then the user's."""
    from ..prompting.listing import find_prompt_model, list_prompt_models

    choices = []
    for entry in list_prompt_models(folder):
        if entry.problem or entry.folder is None:
            continue
        try:
            choices.append(_choice(entry.name, entry.title, find_prompt_model(entry.name, folder)))
        except InputError:  # the Models section tells what is wrong with it
            continue
    return choices


def _choice(name: str, title: str, model: Any) -> PromptModelChoice:
    structures = tuple(str(part) for part in model.structures)
    return PromptModelChoice(name, title, _describe(structures, model.card), structures, needs_torch=not model.onnx)


def _describe(structures: tuple[str, ...], card: Mapping[str, Any]) -> str:
    if structures:
        parts = [_("Made for {structures}.").format(structures=", ".join(structures))]
    else:
        parts = [_("Takes any structure.")]
    if card.get("data"):
        parts.append(_("Trained on {data}.").format(data=str(card["data"]).split(";")[0]))
    if card.get("licence"):
        parts.append(_("Licence: {licence}.").format(licence=str(card["licence"]).split(";")[0].rstrip(".")))
    return " ".join(parts)


class PromptModelSelector:
    """Connects modelSelector, modelInfoLabel and the requirements of PromptPanel.ui."""

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
        self._models: list[PromptModelChoice] = []
        self._filling = False
        self.ui.modelSelector.connect("currentIndexChanged(int)", self.onIndexChanged)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self._showMissing()

    def selected(self) -> PromptModelChoice | None:
        """The chosen model; None where there is none."""
        index = self.ui.modelSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    def selectedName(self) -> str:
        """The chosen model's name; empty where there is none."""
        choice = self.selected()
        return choice.name if choice else ""

    def refresh(self) -> None:
        """Models came or went: read the catalogue at the next `select`."""
        self._models = []

    def select(self, name: str) -> str:
        """List the models and choose one.

        Args:
            name: a catalogue name; empty, or a model that is gone, gives the first of the list.

        Returns:
            The name of the model that is chosen now.
        """
        if not self._models:
            self._models = listed_prompt_models(current_settings().models())
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
        """Choose a model that was made for a view (names of structures); returns its name, or none's: ""."""
        if not self._models:
            self._models = listed_prompt_models(current_settings().models())
        name = name_for_view(self._models, self.selectedName(), wanted)
        return self.select(name) if name else ""

    def describe(self) -> None:
        """Say what the chosen model is, and what is missing to run it."""
        choice = self.selected()
        self.ui.modelInfoLabel.text = choice.info if choice else _("No model was found in this installation.")
        self.missing = requirements.missing_packages(choice.needs_torch, prompting=True) if choice else ()
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
        self.ui.installButton.visible = bool(self.missing)

    def _names(self) -> list[str]:
        return [choice.name for choice in self._models]
