"""The models that can be chosen, as the panel shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..anatomy import Structure
from ..errors import InputError


@dataclass(frozen=True)
class ModelChoice:
    """One line of the model list.

    Attributes:
        name: what the worker is asked for: a catalogue name or a folder.
        title: what the list shows.
        info: what the model segments and was trained on, in a sentence or two.
        needs_torch: False where it runs on ONNX Runtime alone.
    """

    name: str
    title: str
    info: str
    needs_torch: bool


def listed_models() -> list[ModelChoice]:
    """The embedded and imported models that can be used; `models list` also tells what is wrong with the others."""
    from ..automatic.catalogue import list_models
    from ..automatic.model_folder import CARD_NAME, ONNX_NAME
    from ..automatic.plans import read_json

    choices = []
    for entry in list_models():
        if entry.problem:
            continue
        try:
            card = read_json(entry.folder / CARD_NAME) if (entry.folder / CARD_NAME).is_file() else {}
        except InputError:
            card = {"data": _("unknown data: its card cannot be read")}
        needs_torch = not (entry.folder / ONNX_NAME).is_file()
        choices.append(ModelChoice(entry.name, entry.title, _describe(entry.structures, card), needs_torch))
    return choices


def choice_for_folder(folder: str) -> ModelChoice:
    """A model folder that the user chose.

    Raises:
        InputError: it is no nnU-Net v2 model of the heart; the sentence says why.
    """
    from ..automatic.model_folder import open_model_folder

    model = open_model_folder(Path(folder))
    title = _("{name} (folder {folder})").format(name=model.name, folder=Path(folder).name)
    return ModelChoice(str(folder), title, _describe(model.scheme.numbers, model.card), needs_torch=model.onnx is None)


def _describe(structures: Iterable[Structure], card: Mapping[str, Any]) -> str:
    parts = [_("Segments {structures}.").format(structures=", ".join(Structure(part).value for part in structures))]
    if card.get("data"):
        parts.append(_("Trained on {data}.").format(data=str(card["data"]).split(";")[0]))
    if card.get("licence"):
        parts.append(_("Licence: {licence}.").format(licence=str(card["licence"]).rstrip(".")))
    return " ".join(parts)
