"""The promptable models that can be chosen in a panel."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .model_selector import ModelSelector
from .models import ModelChoice
from .settings import current_settings


def listed_prompt_models(folder: Path) -> list[ModelChoice]:
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


def _choice(name: str, title: str, model: Any) -> ModelChoice:
    structures = tuple(str(part) for part in model.structures)
    return ModelChoice(name, title, _describe(structures, model.card), not model.onnx, structures)


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


class PromptModelSelector(ModelSelector):
    """The promptable models; those of one's own come through the Models section."""

    def listModels(self) -> list[ModelChoice]:
        """The embedded and the user's promptable models."""
        return listed_prompt_models(current_settings().models())

    def packagesMissingFor(self, choice: ModelChoice) -> tuple[requirements.Package, ...]:
        """The Python packages that a promptable model needs and that are not installed."""
        return requirements.missing_packages(choice.needs_torch, prompting=True)
