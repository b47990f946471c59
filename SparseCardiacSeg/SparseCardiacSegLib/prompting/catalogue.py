"""The promptable models: list, describe, import, fetch and remove them."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..automatic import catalogue as automatic
from ..automatic.archive import list_entries, unpack
from ..automatic.catalogue import CARD_NAME
from ..automatic.user_models import delete_folder, plain_name, user_folder
from ..errors import InputError
from ..files import disk_error
from ..progress import Progress, no_progress
from .download import RemoteFile, download
from .known import known_models
from .listing import PromptModelEntry, find_prompt_model, list_prompt_models, open_in_catalogue
from .locking import only_one
from .model import PromptModel
from .staging import stage_file, stage_folder
from .weights import IMAGE_SIZES, NUMPY_SUFFIX, TORCH_SUFFIXES

__all__ = [
    "PromptModelEntry",
    "fetch_prompt_model",
    "find_prompt_model",
    "holds_prompt_model",
    "import_prompt_model",
    "list_prompt_models",
    "prompt_model_info",
    "remove_prompt_model",
]


def holds_prompt_model(path: Path | str) -> bool:
    """Whether a file, folder or .zip is meant as a promptable model, rather than one of nnU-Net's."""
    path = Path(path)
    if path.is_dir():
        return automatic.is_promptable(path)
    if path.suffix.lower() == ".zip" and path.is_file():
        names = [entry.filename for entry in list_entries(path)]
        return any(name.endswith(CARD_NAME) for name in names) and not any(n.endswith("plans.json") for n in names)
    return path.suffix.lower() in (*TORCH_SUFFIXES, NUMPY_SUFFIX)


def prompt_model_info(name_or_path: str | Path, folder: Path | None = None) -> dict[str, Any]:
    """What `models info` shows: also of models that can be fetched but are not here.

    Raises:
        InputError: as `find_prompt_model`, except that a model to be fetched is described.
    """
    entry = next((entry for entry in list_prompt_models(folder) if entry.name == str(name_or_path)), None)
    known = next((known for known in known_models() if entry is not None and known.name == entry.name), None)
    if entry is not None and entry.folder is None and known is not None:
        card, described = (
            known.card(),
            {"folder": None, "size_mb": known.shown_size and round(known.shown_size / 1e6, 2)},
        )
        name, title, architecture, base = known.name, known.title, known.architecture, None
    else:
        model = find_prompt_model(name_or_path, folder)
        card, name, title, architecture = model.card, model.name, model.title, model.architecture
        base = model.base and model.base.name
        size = sum(file.stat().st_size for file in model.files)
        backends = ["onnx", "torch"] if model.onnx else ["torch"]
        described = {"folder": str(model.path), "size_mb": round(size / 1e6, 2), "backends": backends}
        described["weights_sha256"] = model.weights_sha256
    info = {
        "name": name,
        "kind": automatic.PROMPTABLE,
        "title": title,
        "origin": entry.origin if entry else "path",
        "architecture": architecture,
        "image_size": IMAGE_SIZES[architecture],
        "structures": list(card.get("structures", [])),
        **described,
        "base": base,
        "licence": str(card.get("licence", "unknown")),
        "citation": str(card.get("citation", "")),
        "card": dict(card),
    }
    if known is not None:
        info["url"] = known.url
        info["published_checksums"] = known.checksums
        if "sha256" not in known.checksums:
            info["note"] = "the publisher gives no SHA-256: a fetched file is checked by its MD5 alone"
    return info


def import_prompt_model(
    path: Path | str, name: str | None = None, folder: Path | None = None, progress: Progress = no_progress
) -> PromptModelEntry:
    """Add a model to the user's: a single file of weights, a folder with card.json, or a .zip of one.

    Everything is checked before the model appears. A published file is recognised by its checksum and gets its name
    and card; of any other file, the architecture is found out from the weights.

    Args:
        path: `.pth`, `.pt`, `.npz`, `.zip` or a folder.
        name: what to call it; by default its published name, the card's, or the file's.
        folder: the user's models; `user_folder()` if None.
        progress: may raise `Cancelled`; nothing is left then.

    Raises:
        InputError: no usable model, a hostile file, a missing base, no room, or the name is taken.
    """
    path, folder = Path(path), folder or user_folder()
    if not path.exists():
        raise InputError(f"{path} does not exist")
    work = folder / f".import-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir(parents=True)
        staged = work / "model"
        staged.mkdir()
        if path.is_file() and path.suffix.lower() != ".zip":
            card, published = stage_file(path, staged, progress)
        else:
            if path.is_file():
                unpack(path, work / "archive")
            card, published = stage_folder(path if path.is_dir() else work / "archive", staged, folder, progress)
        suggested = name or published or plain_name(card["name"])
        chosen = automatic.check_free_name(suggested, folder, own=published)
        _finish(staged, folder / chosen, {**card, "name": chosen, "origin": "imported"})
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _entry_of(chosen, folder)


def fetch_prompt_model(name: str, progress: Progress = no_progress, folder: Path | None = None) -> PromptModelEntry:
    """Fetch a published model; one that is here already is left as it is.

    What has arrived is kept when the work is cancelled or breaks off, and the next call goes on there.

    Raises:
        InputError: there is no such model to fetch, no connection, no room, a wrong checksum, or another process
            is fetching it.
    """
    folder = folder or user_folder()
    entries = {entry.name: entry for entry in list_prompt_models(folder)}
    known = next((known for known in known_models() if known.name == name), None)
    if known is None:
        names = ", ".join(entry.name for entry in entries.values() if entry.downloadable)
        here = f"model '{name}' is here already" if name in entries else f"there is no model '{name}' to fetch"
        raise InputError(f"{here}; those that can be fetched are {names}")
    work = folder / f".fetch-{name}"
    with only_one(folder / f".fetch-{name}.lock", f"fetching '{name}'"):
        if (folder / name).exists():  # also: another process has just finished
            entry = _entry_of(name, folder)
            if entry.problem or entry.folder is None:
                raise InputError(f"{folder / name} is in the way: {entry.problem or 'no promptable model'}; remove it")
            return entry
        arrived = work / known.file
        try:
            sha256 = download(RemoteFile(known.url, known.checksums, known.size), arrived, progress)
        finally:
            if work.is_dir() and not any(work.iterdir()):
                work.rmdir()
        try:
            staged = work / "model"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            size = arrived.stat().st_size
            arrived.replace(staged / known.file)
            card = {**known.card(), "sha256": {known.file: sha256}, "bytes": {known.file: size}}
            _finish(staged, folder / name, {**card, "origin": "downloaded"})
            shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise disk_error(folder, error) from error
    return _entry_of(name, folder)


def remove_prompt_model(name: str, folder: Path | None = None) -> None:
    """Delete a fetched or imported model, or what has arrived of one.

    Raises:
        InputError: it is embedded, others are built on it, or there is none of that name.
    """
    folder = folder or user_folder()
    entry = next((entry for entry in list_prompt_models(folder) if entry.name == name), None)
    partial = folder / f".fetch-{name}"
    if entry is not None and entry.embedded:
        raise InputError(f"model '{name}' came with the extension and cannot be removed")
    if entry is not None and entry.folder is not None:
        dependants = _built_on(entry.folder, folder)
        if dependants:
            raise InputError(f"model '{name}' is the base of {', '.join(dependants)}: remove that first")
        delete_folder(entry.folder)
    elif entry is not None and partial.is_dir():
        with only_one(folder / f".fetch-{name}.lock", f"fetching '{name}'"):
            delete_folder(partial)
    else:
        raise InputError(f"there is no imported or fetched model '{name}'")


def _built_on(base: Path, folder: Path) -> list[str]:
    """Names of the models that could not be used without the one in `base`."""
    names = []
    for entry in list_prompt_models(folder):
        if entry.folder is None or entry.problem:
            continue
        model: PromptModel | None = open_in_catalogue(entry.folder, folder, entry.name).base
        while model is not None and model.path != base:
            model = model.base
        if model is not None:
            names.append(f"'{entry.name}'")
    return names


def _finish(staged: Path, final: Path, card: Mapping[str, Any]) -> None:
    """Give a complete folder its card and its name; it appears whole."""
    (staged / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    staged.replace(final)


def _entry_of(name: str, folder: Path) -> PromptModelEntry:
    """The catalogue's entry for a folder of the user's."""
    found = next((entry for entry in list_prompt_models(folder) if entry.name == name), None)
    return found or PromptModelEntry(name, name, "", folder / name, False, False, "it is no promptable model")
