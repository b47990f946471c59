"""Which promptable models there are, and opening one by name or path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..automatic import catalogue as automatic
from ..automatic.plans import read_json
from ..automatic.user_models import MODEL_NAME, user_folder
from ..errors import InputError
from .known import KnownModel, known_models
from .model import PromptModel, open_prompt_file, open_prompt_folder, read_card


@dataclass(frozen=True)
class PromptModelEntry:
    """One model of the catalogue, known without reading its weights.

    Attributes:
        name: what commands and the module call it.
        title: one line for people.
        architecture: one of `weights.IMAGE_SIZES`; empty if unknown.
        folder: where it lies; None if it can be fetched but is not here.
        embedded: it came with the extension and cannot be removed.
        downloadable: it is a published model that can be fetched (again).
        problem: why it cannot be used, or empty.
        size: of its files in bytes; None where it is not known.
        downloaded: it was fetched by this program.
    """

    name: str
    title: str
    architecture: str
    folder: Path | None
    embedded: bool
    downloadable: bool
    problem: str = ""
    size: int | None = None
    downloaded: bool = False

    @property
    def origin(self) -> str:
        """`embedded`, `downloaded`, `imported` or `available`."""
        if self.folder is None:
            return "available"
        if self.embedded:
            return "embedded"
        return "downloaded" if self.downloaded else "imported"


def list_prompt_models(folder: Path | None = None) -> list[PromptModelEntry]:
    """Embedded models in the order of their list, then the user's by name, then those that can be fetched.

    Args:
        folder: the user's models; `user_folder()` if None.
    """
    published = {known.name: known for known in known_models()}
    entries = [_embedded_entry(item, folder) for item in _embedded_items()]
    taken = {entry.name for entry in entries}
    for name, path in _user_folders(folder).items():
        if name not in taken:
            entries.append(_entry(path, name, name in published, folder))
    here = {entry.name for entry in entries}
    return entries + [_available(known) for known in published.values() if known.name not in here]


def find_prompt_model(name_or_path: str | Path, folder: Path | None = None) -> PromptModel:
    """The model of that name in the catalogue, or in that folder or file.

    Args:
        name_or_path: a name of the catalogue, a folder with card.json, or a `.pth`, `.pt` or `.npz` file.
        folder: the user's models; `user_folder()` if None.

    Raises:
        InputError: there is no such model, it is not here yet, or its files cannot be used.
    """
    text = str(name_or_path)
    folders = _all_folders(folder)
    if text in folders:
        return open_in_catalogue(folders[text], folder, text)
    path = Path(name_or_path)
    if path.is_dir():
        return open_in_catalogue(path, folder)
    if path.is_file():
        return open_prompt_file(path)
    known = next((known for known in known_models() if known.name == text), None)
    if known is not None:
        size = f", {known.shown_size / 1e6:.0f} MB" if known.shown_size else ""
        raise InputError(f"model '{text}' is not here yet; get it with: models fetch {text} ({known.file}{size})")
    names = ", ".join(folders) or "none"
    raise InputError(f"there is no promptable model '{text}': neither a folder, a file nor one of those here ({names})")


def open_in_catalogue(
    path: Path, folder: Path | None, name: str | None = None, chain: tuple[str, ...] = ()
) -> PromptModel:
    """Open the folder `path`; the base of a fine-tuned decoder is looked for in the catalogue.

    Args:
        path: folder of the model.
        folder: the user's models.
        name: what to call it.
        chain: checksums of the models that led here by their bases.

    Raises:
        InputError: as `open_prompt_folder`.
    """

    def find_base(base: str, checksum: str) -> PromptModel:
        if checksum in chain or len(chain) > 8:
            raise InputError(f"{path}: its bases lead back to '{base}' itself")
        folders = _all_folders(folder)
        # By name first, then by content: the same file may have been imported under another name.
        for candidate in dict.fromkeys((base, *folders)):
            if candidate in folders and _weights_checksum(folders[candidate]) == checksum:
                return open_in_catalogue(folders[candidate], folder, candidate, (*chain, checksum))
        known = next((item for item in known_models() if item.checksums.get("sha256") == checksum), None)
        named = f"'{known.name}' (models fetch {known.name})" if known else f"'{base}'"
        other = " (a model of that name is here, but with other weights)" if base in folders and not known else ""
        raise InputError(f"{path} is a fine-tuned mask decoder and needs its base {named}, which is not here{other}")

    return open_prompt_folder(path, find_base, name)


def _embedded_items() -> list[dict]:
    """What `Resources/Models/models.json` lists of promptable models."""
    listed = read_json(automatic.EMBEDDED / "models.json").get("models", [])
    return [item for item in listed if item.get("kind") == automatic.PROMPTABLE]


def _user_folders(folder: Path | None) -> dict[str, Path]:
    """Name to folder of the user's promptable models, by name."""
    folder = folder or user_folder()
    found = sorted(folder.iterdir()) if folder.is_dir() else ()
    return {
        path.name: path
        for path in found
        if MODEL_NAME.fullmatch(path.name) and path.is_dir() and automatic.is_promptable(path)
    }


def _all_folders(folder: Path | None) -> dict[str, Path]:
    """Name to folder of every promptable model that is here; embedded ones win."""
    embedded = {item["name"]: automatic.EMBEDDED / item["folder"] for item in _embedded_items()}
    return {**embedded, **{name: path for name, path in _user_folders(folder).items() if name not in embedded}}


def _weights_checksum(path: Path) -> str:
    """SHA-256 of the weights in a folder; empty where it cannot be told."""
    try:
        card = read_card(path)
        return PromptModel(path.name, card["architecture"], path, path / card["weights"], card).weights_sha256
    except InputError:  # a damaged model is no one's base
        return ""


def _embedded_entry(item: dict, folder: Path | None) -> PromptModelEntry:
    path = automatic.EMBEDDED / item["folder"]
    try:
        model = open_in_catalogue(path, folder, item["name"])
    except InputError as error:
        return PromptModelEntry(item["name"], item["title"], "", path, True, False, str(error))
    return PromptModelEntry(item["name"], item["title"], model.architecture, path, True, False, size=_size(model))


def _entry(path: Path, name: str, downloadable: bool, folder: Path | None) -> PromptModelEntry:
    """What the list shows of a model of the user's; a damaged one is shown with its problem."""
    try:
        model = open_in_catalogue(path, folder, name)
    except InputError as error:
        return PromptModelEntry(name, name, "", path, False, downloadable, str(error))
    downloaded = model.card.get("origin") == "downloaded"
    return PromptModelEntry(
        name, model.title, model.architecture, path, False, downloadable, size=_size(model), downloaded=downloaded
    )


def _available(known: KnownModel) -> PromptModelEntry:
    return PromptModelEntry(known.name, known.title, known.architecture, None, False, True, size=known.shown_size)


def _size(model: PromptModel) -> int:
    return sum(file.stat().st_size for file in model.files)
