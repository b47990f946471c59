"""Every model that is here or can be had, with all that a user should know before fetching it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError

if TYPE_CHECKING:
    from ..automatic.catalogue import ModelEntry
    from ..prompting.known import KnownModel
    from ..prompting.listing import PromptModelEntry


@dataclass(frozen=True)
class StoredModel:
    """One line of the store.

    Attributes:
        name: as the catalogues call it.
        title: one line for people.
        prompting: whether it is for clicks and boxes; else it segments by itself.
        architecture: of the network; empty if unknown.
        size: of its files, or of the file to fetch, in bytes; None if unknown.
        data, licence, citation, url: as published; empty if unknown.
        here: whether it can be used without fetching.
        embedded: it came with the extension and cannot be removed.
        downloadable: it can be fetched.
        arrived: bytes of an unfinished download.
        problem: why it cannot be used; empty where it can.
    """

    name: str
    title: str
    prompting: bool
    architecture: str = ""
    size: int | None = None
    data: str = ""
    licence: str = ""
    citation: str = ""
    url: str = ""
    here: bool = True
    embedded: bool = False
    downloadable: bool = False
    arrived: int = 0
    problem: str = ""

    @property
    def removable(self) -> bool:
        """Whether there is something of the user's to delete."""
        return not self.embedded and (self.here or self.arrived > 0)

    def line(self) -> str:
        """The line in the list."""
        if self.problem:
            state = _("cannot be used")
        elif self.embedded:
            state = _("included")
        elif self.here:
            state = _("here")
        elif self.arrived:
            state = _("partly downloaded")
        else:
            state = _("to download")
        return _("{title} [{state}]").format(title=self.title, state=state)

    def card(self) -> str:
        """All that is known of it, one fact a line."""
        use = _("points and boxes (Prompt)") if self.prompting else _("automatic segmentation (Segment)")
        facts = [
            (_("Problem"), self.problem),
            (_("Used for"), use),
            (_("Architecture"), self.architecture),
            (_("Size"), "" if self.size is None else size_text(self.size)),
            (_("Arrived so far"), size_text(self.arrived) if self.arrived else ""),
            (_("Trained on"), self.data),
            (_("Licence"), self.licence),
            (_("Please cite"), self.citation),
            (_("Published at"), self.url),
        ]
        return "\n".join(_("{fact}: {value}").format(fact=fact, value=value) for fact, value in facts if value)


def stored_models(folder: Path) -> list[StoredModel]:
    """Automatic models, then promptable ones, each: embedded, the user's, those that can be fetched.

    Args:
        folder: the user's models.
    """
    from ..automatic.catalogue import list_models
    from ..prompting.known import known_models
    from ..prompting.listing import list_prompt_models

    known = {model.name: model for model in known_models()}
    automatic = [_automatic(entry) for entry in list_models(folder)]
    return automatic + [_promptable(entry, known.get(entry.name), folder) for entry in list_prompt_models(folder)]


def size_text(size: int) -> str:
    """Bytes for people."""
    if size >= 1e9:
        return _("{gigabytes} GB").format(gigabytes=f"{size / 1e9:.2f}")
    return _("{megabytes} MB").format(megabytes=f"{size / 1e6:.0f}" if size >= 1e7 else f"{size / 1e6:.1f}")


def _automatic(entry: ModelEntry) -> StoredModel:
    card = _card(entry.folder)
    configuration = _text(card, "configuration")
    return StoredModel(
        entry.name,
        entry.title,
        prompting=False,
        architecture=_("nnU-Net {configuration}").format(configuration=configuration) if configuration else "nnU-Net",
        size=entry.size,
        data=_text(card, "data"),
        licence=_text(card, "licence"),
        citation=_text(card, "citation"),
        embedded=entry.embedded,
        problem=entry.problem,
    )


def _promptable(entry: PromptModelEntry, known: KnownModel | None, folder: Path) -> StoredModel:
    published: Mapping[str, Any] = known.card() if known is not None else {}
    card = _card(entry.folder) if entry.folder is not None else published
    return StoredModel(
        entry.name,
        entry.title,
        prompting=True,
        architecture=entry.architecture,
        size=entry.size,
        data=_text(card, "data"),
        licence=_text(card, "licence"),
        citation=_text(card, "citation"),
        url=_text(published, "url"),
        here=entry.folder is not None,
        embedded=entry.embedded,
        downloadable=entry.downloadable and entry.folder is None,
        arrived=_arrived(folder / f".fetch-{entry.name}") if entry.folder is None else 0,
        problem=entry.problem,
    )


def _card(folder: Path) -> Mapping[str, Any]:
    """A model's card; empty where there is none that can be read."""
    from ..automatic.model_folder import CARD_NAME
    from ..automatic.plans import read_json

    try:
        return read_json(folder / CARD_NAME) if (folder / CARD_NAME).is_file() else {}
    except InputError:
        return {}


def _text(card: Mapping[str, Any], key: str) -> str:
    """A text of the card, short enough to be shown; cards of imported models may hold anything."""
    value = card.get(key)
    return value[:500] if isinstance(value, str) else ""


def _arrived(work: Path) -> int:
    """Bytes that an unfinished download has left."""
    return sum(file.stat().st_size for file in work.glob("*.part")) if work.is_dir() else 0
