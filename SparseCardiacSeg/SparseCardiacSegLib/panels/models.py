"""The models that can be chosen, as the panel shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slicer.i18n import tr as _

from ..anatomy import Structure
from ..errors import InputError
from .settings import current_settings

ONNX_MB, TORCH_MB = 220, 960
"""Resident memory of a worker that segments the bundled stack, without the weights: 214 and 1000 MB were measured."""


@dataclass(frozen=True)
class ModelChoice:
    """One line of the model list.

    Attributes:
        name: what the worker is asked for: a catalogue name or a folder.
        title: what the list shows.
        info: what the model segments and was trained on, in a sentence or two.
        needs_torch: False where it runs on ONNX Runtime alone.
        structures: what it segments, by name; empty for a model that takes anything.
        megabytes: memory that the worker needs with it, about, without the images; 0 where it is not known.
    """

    name: str
    title: str
    info: str
    needs_torch: bool
    structures: tuple[str, ...] = ()
    megabytes: int = 0


class Choice(Protocol):
    """What `name_for_view` needs of a model."""

    name: str
    structures: tuple[str, ...]


def name_for_view(choices: Sequence[Choice], chosen: str, wanted: Sequence[str]) -> str:
    """The chosen model where it segments something of the view, else the first that does; empty where none does.

    Args:
        choices: the models of the list.
        chosen: name of the chosen one.
        wanted: names of the view's structures.
    """
    suiting = [choice.name for choice in choices if not choice.structures or set(choice.structures) & set(wanted)]
    return chosen if chosen in suiting else next(iter(suiting), "")


def listed_models() -> list[ModelChoice]:
    """The embedded and imported models that can be used; `models list` also tells what is wrong with the others."""
    from ..automatic.catalogue import list_models
    from ..automatic.model_folder import CARD_NAME, ONNX_NAME
    from ..automatic.plans import read_json

    choices = []
    for entry in list_models(current_settings().models()):
        if entry.problem:
            continue
        try:
            card = read_json(entry.folder / CARD_NAME) if (entry.folder / CARD_NAME).is_file() else {}
        except InputError:
            card = {"data": _("unknown data: its card cannot be read")}
        needs_torch = not (entry.folder / ONNX_NAME).is_file()
        structures = tuple(str(part) for part in entry.structures)
        info, memory = _describe(entry.structures, card), _megabytes(entry.folder, needs_torch)
        choices.append(ModelChoice(entry.name, entry.title, info, needs_torch, structures, memory))
    return choices


def choice_for_folder(folder: str) -> ModelChoice:
    """A model folder that the user chose.

    Raises:
        InputError: it is no nnU-Net v2 model of the heart; the sentence says why.
    """
    from ..automatic.model_folder import open_model_folder

    model = open_model_folder(Path(folder))
    title = _("{name} (folder {folder})").format(name=model.name, folder=Path(folder).name)
    structures = tuple(str(part) for part in model.scheme.numbers)
    memory = _megabytes(Path(folder), model.onnx is None)
    return ModelChoice(str(folder), title, _describe(structures, model.card), model.onnx is None, structures, memory)


def _megabytes(folder: Path, needs_torch: bool) -> int:
    """About how much memory a worker needs for a model; a checkpoint is held twice while it is loaded."""
    if not needs_torch:
        return ONNX_MB
    checkpoints = [file.stat().st_size for file in folder.glob("fold_*/*.pth")]
    return TORCH_MB + round(2 * max(checkpoints, default=0) / 1e6)


def _describe(structures: Iterable[Structure], card: Mapping[str, Any]) -> str:
    parts = [_("Segments {structures}.").format(structures=", ".join(Structure(part).value for part in structures))]
    if card.get("data"):
        parts.append(_("Trained on {data}.").format(data=str(card["data"]).split(";")[0]))
    if card.get("licence"):
        parts.append(_("Licence: {licence}.").format(licence=str(card["licence"]).rstrip(".")))
    return " ".join(parts)
