"""A promptable model on the disk: a folder with a card, or a single file of weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..anatomy import Structure
from ..automatic.catalogue import CARD_NAME, PROMPTABLE
from ..automatic.plans import read_json
from ..errors import InputError
from .weights import IMAGE_SIZES, NUMPY_SUFFIX, TORCH_SUFFIXES, detect_architecture, load_weights

CHECKED_ORIGINS = ("downloaded", "imported")
"""What import and fetch write on the card after they checked every file."""

ENCODER_NAME, DECODER_NAME = "encoder.onnx", "decoder.onnx"
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

FindBase = Callable[[str, str], "PromptModel"]
"""Finds the model of a name and the SHA-256 of its weights."""


@dataclass(frozen=True, eq=False)
class PromptModel:
    """A checked promptable model, not loaded yet.

    Attributes:
        name: how the model is called in messages and results.
        architecture: one of `weights.IMAGE_SIZES`.
        path: its folder, or the single file.
        weights_file: `.npz` or `.pth`; those of the mask decoder alone where there is a `base`.
        card: contents of card.json; empty for a single file.
        base: the model whose image and prompt encoder a fine-tuned mask decoder works with.
    """

    name: str
    architecture: str
    path: Path
    weights_file: Path
    card: Mapping[str, Any] = field(default_factory=dict)
    base: PromptModel | None = None

    @property
    def image_size(self) -> int:
        """Longest side of the image that the encoder takes, in pixels."""
        return IMAGE_SIZES[self.architecture]

    @property
    def title(self) -> str:
        """One line for people."""
        return str(self.card.get("title") or self.name)[:200]

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What the model was made for; empty where it segments whatever is prompted."""
        return tuple(Structure(value) for value in self.card.get("structures", ()))

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of `weights_file`: from the card where this program checked it on import, else computed once.

        Any other card is not relied on: weights trained anew under an old card would get the old embeddings.
        """
        listed = self.card.get("sha256", {}).get(self.weights_file.name)
        if listed and self.card.get("origin") in CHECKED_ORIGINS:
            return listed
        return _file_sha256(self.weights_file)

    @property
    def model_id(self) -> str:
        """SHA-256 of the weights that the image encoder uses: a fine-tuned decoder shares its base's embeddings."""
        return self.weights_sha256 if self.base is None else self.base.model_id

    @property
    def onnx(self) -> tuple[Path, Path] | None:
        """Encoder and decoder for ONNX Runtime, where the folder has both."""
        if not self.path.is_dir():
            return None
        encoder, decoder = self.path / ENCODER_NAME, self.path / DECODER_NAME
        return (encoder, decoder) if encoder.is_file() and decoder.is_file() else None

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that belongs to the model."""
        if not self.path.is_dir():
            return (self.path,)
        optional = (self.path / name for name in (ENCODER_NAME, DECODER_NAME, "LICENSE"))
        return (self.path / CARD_NAME, self.weights_file, *(file for file in optional if file.is_file()))


def open_prompt_folder(folder: Path, find_base: FindBase, name: str | None = None) -> PromptModel:
    """Check a model folder without reading its weights; no torch is needed.

    Args:
        folder: holds card.json and the weights.
        find_base: where a fine-tuned decoder's base comes from.
        name: what to call the model; by default the card's name, else the folder's.

    Raises:
        InputError: a file is missing, cut short or a link, the card is wrong, or the base cannot be found.
    """
    card = read_card(folder)
    weights = folder / card["weights"]
    named = card.get("name")
    name = name or (named if isinstance(named, str) and named else folder.name)
    if weights.is_symlink():
        raise InputError(f"{weights} is a link; a model must hold its own files")
    if not weights.is_file():
        raise InputError(f"model '{name}' has no weights: {weights} is missing")
    size = card.get("bytes", {}).get(weights.name)
    if size is not None and weights.stat().st_size != size:
        raise InputError(
            f"{weights} is damaged: it has {weights.stat().st_size} bytes, not {size}; remove the model and get it anew"
        )
    base = card.get("base")
    found = None if base is None else find_base(base["name"], base["weights_sha256"])
    if found is not None and found.architecture != card["architecture"]:
        raise InputError(f"model '{name}' is a {card['architecture']}, but its base '{found.name}' is not")
    return PromptModel(name, card["architecture"], folder, weights, card, found)


def open_prompt_file(path: Path) -> PromptModel:
    """A single file of weights as a model; it is read to find out what it holds.

    Raises:
        InputError: it is no file of weights, or not those of a whole SAM.
    """
    if path.suffix.lower() not in (*TORCH_SUFFIXES, NUMPY_SUFFIX):
        raise InputError(f"{path} is no promptable model: give a folder with card.json, or a .pth, .pt or .npz file")
    return PromptModel(path.stem, detect_architecture(load_weights(path), path), path, path)


def read_card(folder: Path) -> dict[str, Any]:
    """card.json of a promptable model, every entry that the program relies on checked.

    Raises:
        InputError: there is none, it is damaged, or an entry is missing or impossible.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        raise InputError(f"{folder} is no promptable model: it has no {CARD_NAME}")
    card = read_json(path)
    if card.get("kind") != PROMPTABLE:
        raise InputError(f"{path} is not the card of a promptable model: its kind is {card.get('kind')!r:.40}")
    architecture = card.get("architecture")
    if not isinstance(architecture, str) or architecture not in IMAGE_SIZES:
        known = ", ".join(IMAGE_SIZES)
        raise InputError(f"{path} names the unknown architecture {architecture!r:.40}; known are {known}")
    if card.get("image_size", IMAGE_SIZES[architecture]) != IMAGE_SIZES[architecture]:
        wanted = IMAGE_SIZES[architecture]
        raise InputError(f"{path}: the image size of {architecture} is {wanted}, not {card['image_size']!r:.20}")
    weights = card.get("weights")
    if not isinstance(weights, str) or not _FILE_NAME.fullmatch(weights):
        raise InputError(f"{path} does not name the file of its weights")
    if Path(weights).suffix.lower() not in (*TORCH_SUFFIXES, NUMPY_SUFFIX):
        raise InputError(f"{path} names weights in an unknown format ({weights:.60}); known are .npz, .pth and .pt")
    known_structures = [structure.value for structure in Structure]
    structures = card.get("structures", [])
    if not isinstance(structures, list) or any(value not in known_structures for value in structures):
        raise InputError(f"{path} names unknown structures; known are {', '.join(sorted(known_structures))}")
    _check_numbers(card, path)
    return card


def _check_numbers(card: Mapping[str, Any], path: Path) -> None:
    """Check the checksums and sizes on a card, and what it says of its base."""
    sums, sizes, base = card.get("sha256", {}), card.get("bytes", {}), card.get("base")
    if not isinstance(sums, dict) or not all(_is_checksum(value) for value in sums.values()):
        raise InputError(f"{path}: sha256 must give files and their checksums")
    if not isinstance(sizes, dict) or not all(type(value) is int and value >= 0 for value in sizes.values()):
        raise InputError(f"{path}: bytes must give files and their sizes")
    if base is not None and not (
        isinstance(base, dict) and isinstance(base.get("name"), str) and _is_checksum(base.get("weights_sha256"))
    ):
        raise InputError(f"{path}: base must give the name and the weights_sha256 of the model it was made from")


def _is_checksum(value: Any) -> bool:
    return isinstance(value, str) and bool(_CHECKSUM.fullmatch(value))


def _file_sha256(path: Path) -> str:
    """SHA-256 of a file, computed once for each state of it: SAM's largest file takes seconds."""
    try:
        state = path.stat()
        return _cached_sha256(path.resolve(), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)
def _cached_sha256(path: Path, size: int, modified: int) -> str:
    del size, modified
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
