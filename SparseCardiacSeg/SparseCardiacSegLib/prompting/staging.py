"""Checking a promptable model and copying it to where an import prepares it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..automatic.catalogue import CARD_NAME, PROMPTABLE
from ..automatic.packages import installed
from ..errors import InputError
from ..progress import Progress, part_of
from .download import check_space
from .known import Checksums, recognise
from .listing import open_in_catalogue
from .weights import (
    IMAGE_SIZES,
    NUMPY_SUFFIX,
    TORCH_SUFFIXES,
    check_shapes,
    detect_architecture,
    load_weights,
    read_model_weights,
)

_BLOCK = 4 * 1024**2
_COPYING = 0.8
"""Share of an import's time that copying takes; the rest is looking at the weights."""


def stage_file(path: Path, staged: Path, progress: Progress) -> tuple[dict[str, Any], str]:
    """Copy a single file of weights into the folder `staged` and check it.

    Returns:
        Its card, and the name under which it is published, or "".

    Raises:
        InputError: it is no usable file of weights, or there is no room.
    """
    suffix = path.suffix.lower()
    if suffix not in (*TORCH_SUFFIXES, NUMPY_SUFFIX):
        raise InputError(f"{path} is no promptable model: give a .pth, .pt or .npz file, a folder or a .zip of one")
    weights = staged / f"weights{suffix}"
    sums = _copy(path, weights, part_of(progress, 0.0, _COPYING))
    known = recognise(sums)
    progress(_COPYING, "checking the weights")
    if known is not None and not installed("torch"):  # its checksum says that it is good
        architecture = known.architecture
    else:
        values = load_weights(path)
        architecture = detect_architecture(values, path)
        _check_shapes(values, architecture, path)
    card = known.card() if known is not None else _plain_card(path, architecture, weights.name)
    weights = weights.replace(staged / card["weights"])
    card |= {"sha256": {weights.name: sums["sha256"]}, "bytes": {weights.name: weights.stat().st_size}}
    progress(1.0, "done")
    return card, known.name if known is not None else ""


def stage_folder(source: Path, staged: Path, folder: Path, progress: Progress) -> tuple[dict[str, Any], str]:
    """Copy the files that a model needs into the folder `staged` and check them.

    Args:
        source: holds card.json, itself or in its one subfolder.
        staged: an empty folder.
        folder: the user's models, among which a fine-tuned decoder's base is looked for.
        progress: may raise `Cancelled`.

    Returns:
        The card with checksums and sizes of all files, and the name under which the weights are published, or "".

    Raises:
        InputError: the model cannot be used, its base is missing, or there is no room.
    """
    if not (source / CARD_NAME).is_file():
        inner = [path.parent for path in source.glob(f"*/{CARD_NAME}")]
        source = inner[0] if len(inner) == 1 else source
    model = open_in_catalogue(source, folder)
    files = [file for file in model.files if file.name != CARD_NAME]
    sums: dict[str, dict[str, str]] = {}
    for count, file in enumerate(files):
        if file.is_symlink():
            raise InputError(f"{file} is a link; a model must hold its own files")
        done, end = (_COPYING * step / len(files) for step in (count, count + 1))
        sums[file.name] = _copy(file, staged / file.name, part_of(progress, done, end))
        if model.card.get("sha256", {}).get(file.name, sums[file.name]["sha256"]) != sums[file.name]["sha256"]:
            raise InputError(f"{file} is damaged: its checksum is not the one on the model's card")
    known = recognise(sums[model.weights_file.name])
    progress(_COPYING, "checking the weights")
    if known is None or installed("torch"):
        _check_shapes(read_model_weights(model), model.architecture, model.weights_file)
    card = {
        **model.card,
        "name": model.name,
        "sha256": {name: found["sha256"] for name, found in sums.items()},
        "bytes": {name: (staged / name).stat().st_size for name in sums},
    }
    progress(1.0, "done")
    return card, known.name if known is not None else ""


def _check_shapes(weights: dict[str, Any], architecture: str, path: Path) -> None:
    """Compare with the network where it can be built; opening the model does so otherwise."""
    if installed("torch") and installed("segment_anything"):
        check_shapes(weights, architecture, path)


def _plain_card(path: Path, architecture: str, weights: str) -> dict[str, Any]:
    """The card of a file of which nothing is known but its weights."""
    return {
        "kind": PROMPTABLE,
        "name": path.stem,
        "title": f"{path.stem[:100]} (imported, {architecture})",
        "architecture": architecture,
        "image_size": IMAGE_SIZES[architecture],
        "view": "",
        "structures": [],
        "data": "unknown",
        "licence": "unknown",
        "citation": "",
        "weights": weights,
    }


def _copy(path: Path, target: Path, progress: Progress) -> dict[str, str]:
    """Copy a file and return its checksums by algorithm."""
    sums, done = Checksums(), 0
    try:
        source = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    with source, target.open("xb") as stream:
        size = path.stat().st_size
        check_space(target.parent, size)
        while block := source.read(_BLOCK):
            stream.write(block)
            sums.add(block)
            done += len(block)
            progress(min(1.0, done / max(size, 1)), f"copying {path.name}")
    return sums.result()
