"""The models there are: embedded ones, those a user imported, and any nnU-Net folder."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..anatomy import Structure
from ..errors import InputError
from ..files import disk_error
from .archive import unpack
from .checkpoint import load_checkpoint
from .model_folder import CARD_NAME, ModelFolder, open_model_folder
from .packages import installed
from .plans import read_json
from .region_routing import RoutedModel
from .user_models import MODEL_NAME, delete_folder, plain_name, user_folder

EMBEDDED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
PROMPTABLE_LIST = "promptable.json"
PROMPTABLE = "promptable"
"""The `kind` on the card of a model for prompting; those lie in the same folders and have a catalogue of their own."""


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue, known without opening it.

    Attributes:
        name: what commands and the module call it.
        title: one line for people.
        view: `short-axis`, `left atrium` or another view; empty if unknown.
        structures: what it segments.
        folder: where it lies.
        embedded: it came with the extension and cannot be removed.
        problem: why it cannot be used, or empty.
    """

    name: str
    title: str
    view: str
    structures: tuple[Structure, ...]
    folder: Path
    embedded: bool
    problem: str = ""

    @property
    def origin(self) -> str:
        """`embedded` or `imported`."""
        return "embedded" if self.embedded else "imported"

    @property
    def size(self) -> int:
        """Of all files in its folder, in bytes."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


def list_models(folder: Path | None = None) -> list[ModelEntry]:
    """Embedded models in the order of their list, then imported ones by name.

    Args:
        folder: the user's models; `user_folder()` if None.
    """
    entries = _embedded_models()
    folder = folder or user_folder()
    taken = {entry.name for entry in entries}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if MODEL_NAME.fullmatch(path.name) and path.is_dir() and path.name not in taken and not is_promptable(path):
            entries.append(_imported_entry(path))
    return entries


def find_model(name_or_folder: str | Path, folder: Path | None = None) -> ModelFolder:
    """The model of that name in the catalogue, or the nnU-Net v2 folder of that path.

    Raises:
        InputError: there is no such model, or its files cannot be used.
    """
    text = str(name_or_folder)
    entries = list_models(folder)
    for entry in entries:
        if entry.name == text:
            if not entry.folder.is_dir():
                raise InputError(f"model '{text}' is listed, but its folder {entry.folder} is missing")
            return open_model_folder(entry.folder, entry.name)
    if Path(name_or_folder).exists():
        return open_model_folder(name_or_folder)
    names = ", ".join(entry.name for entry in entries) or "none"
    raise InputError(f"there is no model '{text}': it is neither a folder nor one of the models here ({names})")


def model_info(name_or_folder: str | Path, folder: Path | None = None) -> dict[str, Any]:
    """What `models info` shows: card, size, labels, licence.

    Raises:
        InputError: as `find_model`.
    """
    model = find_model(name_or_folder, folder)
    entry = next((entry for entry in list_models(folder) if entry.name == str(name_or_folder)), None)
    return {
        "name": model.name,
        "title": entry.title if entry else str(model.card.get("title", model.name)),
        "view": entry.view if entry else str(model.card.get("view", "")),
        "embedded": bool(entry and entry.embedded),
        "folder": str(model.path),
        "size_mb": round(sum(file.stat().st_size for file in _needed_files(model)) / 1e6, 2),
        "labels": dict(model.labels),
        "structures": [str(structure) for structure in model.scheme.numbers],
        "configurations": list(model.configurations),
        "folds": list(model.folds),
        "backends": ["onnx", "torch"] if model.onnx else ["torch"],
        "licence": str(model.card.get("licence", "unknown")),
        "card": dict(model.card),
        "warnings": list(model.warnings),
    }


def import_model(path: Path | str, name: str | None = None, folder: Path | None = None) -> ModelEntry:
    """Add a model, a folder or a .zip of one, to the user's models.

    The model is checked completely before it lands; only the files that a model needs are taken, and they appear
    together or not at all.

    Args:
        path: what nnU-Net's training wrote, or a zip archive of it.
        name: what to call it; by default the name on its card or of its file.
        folder: the user's models; `user_folder()` if None.

    Raises:
        InputError: no usable model, a hostile archive or checkpoint, or the name is taken.
    """
    path = Path(path)
    folder = folder or user_folder()
    if not path.exists():
        raise InputError(f"{path} does not exist")
    work = folder / f".import-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir(parents=True)
        source = path
        if path.is_file() and path.suffix.lower() == ".zip":
            unpack(path, work / "archive")
            source = work / "archive"
        elif path.is_file():
            raise InputError(f"{path} is neither a model folder nor a .zip of one")
        model = open_model_folder(source)
        chosen = check_free_name(name or _default_name(model, path, source), folder)
        _check_contents(model)
        staged = work / "model"
        for file in _needed_files(model):
            target = staged / file.relative_to(model.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        open_model_folder(staged, chosen)
        staged.replace(folder / chosen)
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _imported_entry(folder / chosen)


def remove_model(name: str, folder: Path | None = None) -> None:
    """Delete an imported model.

    Raises:
        InputError: it is embedded, or there is none of that name.
    """
    folder = folder or user_folder()
    if any(entry.name == name and entry.embedded for entry in list_models(folder)):
        raise InputError(f"model '{name}' came with the extension and cannot be removed")
    if not MODEL_NAME.fullmatch(name) or not (folder / name).is_dir() or is_promptable(folder / name):
        raise InputError(f"there is no imported model '{name}'")
    delete_folder(folder / name)


def is_promptable(folder: Path) -> bool:
    """Whether the card in `folder` says that the model is one for prompting."""
    try:
        return (folder / CARD_NAME).is_file() and read_json(folder / CARD_NAME).get("kind") == PROMPTABLE
    except InputError:  # a card that cannot be read: the list of this catalogue shows the folder with its problem
        return False


def _embedded_models() -> list[ModelEntry]:
    """The models listed in `Resources/Models/models.json` that nnU-Net made."""
    listed = read_json(EMBEDDED / "models.json").get("models", [])
    entries = []
    for item in listed:
        if item.get("kind", "automatic") != "automatic":
            continue
        folder = EMBEDDED / item["folder"]
        problem = "" if (folder / "plans.json").is_file() else "its files are missing"
        structures = tuple(Structure(value) for value in item["structures"])
        entries.append(ModelEntry(item["name"], item["title"], item["view"], structures, folder, True, problem))
    return entries


def _imported_entry(folder: Path) -> ModelEntry:
    """What the list shows of an imported model; a damaged one is shown with its problem."""
    try:
        model = open_model_folder(folder, folder.name)
    except InputError as error:
        return ModelEntry(folder.name, folder.name, "", (), folder, False, str(error))
    title, view = (str(model.card.get(key, default))[:200] for key, default in (("title", folder.name), ("view", "")))
    return ModelEntry(folder.name, title, view, tuple(model.scheme.numbers), folder, False)


def _default_name(model: ModelFolder, path: Path, source: Path) -> str:
    """The card's name, else the archive's or folder's, in lower case with hyphens."""
    named = model.card.get("name")
    fallback = path.stem if source != path else model.path.name
    return plain_name(named if isinstance(named, str) and named else fallback)


def check_free_name(name: str, folder: Path, own: str = "") -> str:
    """`name`, if it is allowed and no model of either kind has it, embedded, imported or to be fetched.

    Args:
        name: what a model shall be called.
        folder: the user's models.
        own: the name under which the list of models to fetch knows this very model, if it does.

    Raises:
        InputError: it is no model name, or it is taken.
    """
    if not MODEL_NAME.fullmatch(name):
        raise InputError(f"'{name:.70}' is no model name: use lower-case letters, digits, '.', '_' and '-', up to 64")
    embedded = {item["name"] for item in read_json(EMBEDDED / "models.json").get("models", [])}
    if name in embedded or (folder / name).exists():
        raise InputError(f"a model '{name}' exists already; remove it first or give the new one another name")
    listed = read_json(EMBEDDED / PROMPTABLE_LIST)["models"] if (EMBEDDED / PROMPTABLE_LIST).is_file() else []
    if name != own and any(item["name"] == name for item in listed):
        raise InputError(f"'{name}' is the name of a published model that this is not; give it another name")
    return name


def _needed_files(model: ModelFolder) -> list[Path]:
    """The files of a model that are used: nothing else in its folder is copied or counted."""
    return list(model.files)


def _check_contents(model: ModelFolder) -> None:
    """Check every file that will be loaded later, as far as the installed packages can."""
    for file in _needed_files(model):
        if file.is_symlink():
            raise InputError(f"{file} is a link; a model must hold its own files")
    parts = model.parts if isinstance(model, RoutedModel) else (model,)
    for part in parts:
        _check_sums(part)
        if installed("torch"):
            for checkpoint in part.checkpoints:
                load_checkpoint(checkpoint)
        if part.onnx and installed("onnxruntime"):
            from .onnx_predictor import OnnxPredictor

            OnnxPredictor(part)
    if isinstance(model, RoutedModel) and installed("onnxruntime"):
        from .region_classifier import RegionClassifier

        RegionClassifier(model.classifier)


def _check_sums(model: ModelFolder) -> None:
    """Compare files with the checksums on the card, where it has some."""
    sums = model.card.get("sha256")
    if not isinstance(sums, Mapping):
        return
    for file in _needed_files(model):
        expected = sums.get(file.relative_to(model.path).as_posix())
        if expected is not None and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise InputError(f"{file} is damaged: its checksum is not the one on the model's card")
