"""Label schemes in the form in which they go through the pipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..anatomy import LabelScheme, Structure


def write_scheme(scheme: LabelScheme) -> dict[str, Any]:
    """A label scheme in the form that goes through the pipe."""
    return {"name": scheme.name, "numbers": {str(structure): n for structure, n in scheme.numbers.items()}}


def read_scheme(value: Mapping[str, Any]) -> LabelScheme:
    """The label scheme that `write_scheme` wrote."""
    return LabelScheme(value["name"], {Structure(name): number for name, number in value["numbers"].items()})
