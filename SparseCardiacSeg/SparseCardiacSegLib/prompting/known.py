"""The published promptable models, as listed in `Resources/Models/promptable.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..automatic import catalogue as automatic_catalogue
from ..automatic.plans import read_json


@dataclass(frozen=True)
class KnownModel:
    """A model that can be fetched.

    Attributes:
        name, title: as in the catalogue.
        architecture: one of `weights.IMAGE_SIZES`.
        image_size: longest side of the image that its encoder takes, in pixels.
        url, file: where it is published, and the name of its file there.
        size: in bytes, or None where it is not known to the byte.
        checksums: of the file, by algorithm: `sha256`, or `md5` where there is no other.
        data: what it was trained on.
        licence, citation: of the weights.
        approximate_size: in bytes, to show where `size` is None.
    """

    name: str
    title: str
    architecture: str
    image_size: int
    url: str
    file: str
    size: int | None
    checksums: dict[str, str]
    data: str
    licence: str
    citation: str
    approximate_size: int | None = None

    @property
    def shown_size(self) -> int | None:
        """In bytes, for people."""
        return self.size or self.approximate_size

    def card(self) -> dict[str, Any]:
        """The card of its folder, without the checksums of what lies there."""
        return {
            "kind": "promptable",
            "name": self.name,
            "title": self.title,
            "architecture": self.architecture,
            "image_size": self.image_size,
            "view": "",
            "structures": [],
            "data": self.data,
            "licence": self.licence,
            "citation": self.citation,
            "url": self.url,
            "weights": self.file,
        }


def known_models() -> list[KnownModel]:
    """The models of the list, in its order."""
    listed = read_json(automatic_catalogue.EMBEDDED / automatic_catalogue.PROMPTABLE_LIST)["models"]
    return [
        KnownModel(
            checksums={kind: item[kind] for kind in ("sha256", "md5") if kind in item},
            **{key: value for key, value in item.items() if key not in ("sha256", "md5")},
        )
        for item in listed
    ]


def recognise(checksums: Mapping[str, str]) -> KnownModel | None:
    """The published model whose file has one of these checksums (by algorithm), or None."""
    for known in known_models():
        if any(checksums.get(kind) == value for kind, value in known.checksums.items()):
            return known
    return None


class Checksums:
    """SHA-256 and MD5 of what is added."""

    def __init__(self) -> None:
        self._sums = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}

    def add(self, block: bytes) -> None:
        """Go on with the next bytes."""
        for value in self._sums.values():
            value.update(block)

    def result(self) -> dict[str, str]:
        """By name of the algorithm, in lower-case hexadecimal."""
        return {kind: value.hexdigest() for kind, value in self._sums.items()}
