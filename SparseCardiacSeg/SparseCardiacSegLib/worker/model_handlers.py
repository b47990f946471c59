"""The worker's commands for the user's models and cache: fetch, import, remove, clear."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .server import Arrays, Context, Handler

Reply = tuple[Mapping[str, Any], Arrays]

_ABANDONED_SECONDS = 3600.0
"""An unfinished import that nothing has written to for so long belongs to a worker that was ended."""


def model_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {
        "fetch_model": fetch_model,
        "import_model": import_model,
        "remove_model": remove_model,
        "clear_cache": clear_cache,
    }


def fetch_model(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:  # noqa: ARG001
    """Fetch a published promptable model from the internet, or go on where an earlier attempt ended.

    Args:
        params: "name" of the catalogue; "folder" of the user's models, None for the default.
        arrays: none.
        context: progress; what has arrived is kept when it is cancelled.

    Returns:
        Values "name", "title" and "folder" of the model; no arrays.

    Raises:
        InputError: no connection, the server refuses, a wrong checksum, no room, or another process fetches it.
    """
    from ..prompting.catalogue import fetch_prompt_model

    entry = fetch_prompt_model(_text(params, "name"), context.progress, _folder(params))
    return {"name": entry.name, "title": entry.title, "folder": str(entry.folder)}, {}


def import_model(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:  # noqa: ARG001
    """Copy a model of either kind to the user's models, checked; it appears whole or not at all.

    Args:
        params: "path" of a file of weights, a folder or a .zip; "name" to call it, None for its own; "folder" of the
            user's models, None for the default.
        arrays: none.
        context: progress.

    Returns:
        Values "name", "title", "kind" (`promptable` or `automatic`) and "folder" of the model; no arrays.

    Raises:
        InputError: no usable model, a hostile file, no room, or the name is taken.
    """
    from ..automatic import catalogue as automatic
    from ..automatic.user_models import user_folder
    from ..prompting import catalogue as prompting

    path, folder = Path(_text(params, "path")), _folder(params) or user_folder()
    name = _text(params, "name") if params.get("name") is not None else None
    remove_abandoned(folder)
    context.progress(0.0, "looking at the model")
    if prompting.holds_prompt_model(path):
        found = prompting.import_prompt_model(path, name, folder, context.progress)
        values = {"name": found.name, "title": found.title, "kind": automatic.PROMPTABLE, "folder": str(found.folder)}
    else:
        entry = automatic.import_model(path, name, folder)
        values = {"name": entry.name, "title": entry.title, "kind": "automatic", "folder": str(entry.folder)}
    return values, {}


def remove_model(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:  # noqa: ARG001
    """Delete a fetched or imported model of either kind, or what has arrived of one.

    Args:
        params: "name"; "folder" of the user's models, None for the default.
        arrays: none.
        context: not used.

    Returns:
        No values and no arrays.

    Raises:
        InputError: it is embedded, others are built on it, there is none of that name, or the disk refused.
    """
    from ..automatic import catalogue as automatic
    from ..automatic.user_models import user_folder
    from ..prompting.catalogue import remove_prompt_model

    name, folder = _text(params, "name"), _folder(params) or user_folder()
    if (folder / name).is_dir() and not automatic.is_promptable(folder / name):
        automatic.remove_model(name, folder)
    else:
        remove_prompt_model(name, folder)
    return {}, {}


def clear_cache(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:  # noqa: ARG001
    """Delete the embeddings that are kept on disk; other files of the folder stay.

    Args:
        params: "folder" of the embeddings, None for the default.
        arrays: none.
        context: not used.

    Returns:
        Value "freed", in bytes; no arrays.
    """
    from ..prompting.embedding_cache import EmbeddingCache

    return {"freed": EmbeddingCache(_folder(params)).clear()}, {}


def remove_abandoned(folder: Path, older_than: float = _ABANDONED_SECONDS) -> None:
    """Remove what imports and removals left that were ended in the middle (a killed worker, a power cut)."""
    for path in [*folder.glob(".import-*"), *folder.glob(".removed-*")]:
        try:
            newest = max(item.stat().st_mtime for item in [path, *path.rglob("*")])
        except OSError:  # it is being removed this very moment
            continue
        if time.time() - newest > older_than:
            shutil.rmtree(path, ignore_errors=True)


def _text(params: Mapping[str, Any], key: str) -> str:
    value = params.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"the model's {key} must be a text, not {value}")
    return value


def _folder(params: Mapping[str, Any]) -> Path | None:
    value = params.get("folder")
    if value is not None and (not isinstance(value, str) or not value):
        raise InputError(f"the folder must be a path, not {value}")
    return None if value is None else Path(value)
