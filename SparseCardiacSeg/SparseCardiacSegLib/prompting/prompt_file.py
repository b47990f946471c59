"""Prompts as a JSON file: what the command line, the module and other programs exchange (design, section 10)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..anatomy import Structure
from ..automatic.plans import read_json
from ..errors import InputError
from ..files import write_atomically
from .prompts import Prompt, PromptSet

LARGEST_INDEX = 1_000_000
"""No image has as many voxels along an axis; larger numbers are refused before they overflow anything."""


def read_prompts(path: Path | str) -> PromptSet:
    """Read a prompts file.

    Points and boxes are 0-based voxel indices (col, row) of a slice; `slice` counts along the through-plane axis. Any
    of `positive`, `negative` and `box` may be missing or null, a missing `frame` is 0, other fields are ignored.
    Whether the prompts fit an image is for `PromptSet.check`.

    Raises:
        InputError: the file is missing, larger than 32 MB, damaged or no JSON, or an entry has a wrong type, a number
            that is not finite, an unknown structure, or the frame, slice and structure of another entry.
    """
    path = Path(path)
    return prompts_from_json(read_json(path), str(path))


def write_prompts(prompts: PromptSet, path: Path | str) -> None:
    """Write a prompts file, one entry a line; whole or not at all.

    Raises:
        InputError: a prompt holds a number that is not finite, or the disk refused.
    """
    entries = [json.dumps(entry, ensure_ascii=False) for entry in prompts_to_json(prompts)["prompts"]]
    body = "[\n  " + ",\n  ".join(entries) + "\n]" if entries else "[]"
    with write_atomically(path) as temporary:
        temporary.write_text(f'{{"prompts": {body}}}\n', encoding="utf-8")


def prompts_to_json(prompts: PromptSet) -> dict[str, Any]:
    """The content of a prompts file. Whole numbers are integers; a prompt without a box has no field `box`.

    Raises:
        InputError: a prompt holds a number that is not finite.
    """
    return {"prompts": [_entry_of(prompt) for prompt in prompts]}


def prompts_from_json(data: object, source: str = "the prompts") -> PromptSet:
    """Prompts from the parsed content of a prompts file.

    Args:
        data: what `json` gave.
        source: how messages name it.

    Raises:
        InputError: as for `read_prompts`.
    """
    entries = data.get("prompts") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise InputError(f'{source} is no prompts file: an object with a list "prompts" is needed')
    prompts: dict[tuple[int, int, Structure], tuple[int, Prompt]] = {}
    for number, entry in enumerate(entries):
        prompt = _prompt_of(entry, f"{source}: prompts[{number}]")
        if prompt.key in prompts:
            first = prompts[prompt.key][0]
            raise InputError(f"{source}: prompts[{first}] and prompts[{number}] are both a {prompt.describe()}")
        prompts[prompt.key] = number, prompt
    return PromptSet(tuple(prompt for _, prompt in prompts.values()))


def _prompt_of(entry: object, where: str) -> Prompt:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is {_kind(entry)}; an object with slice, structure and points or a box is needed")
    structure = _structure(entry, where)
    slice_index = _index(entry, "slice", where)
    where = f"{where} ({structure} on slice {slice_index})"
    frame = _index(entry, "frame", where) if entry.get("frame") is not None else 0
    box = entry.get("box")
    if box is not None:
        box = _numbers(box, 4, f"{where}: box", "four numbers [col0, row0, col1, row1]")
    return Prompt(
        slice_index, structure, _points(entry, "positive", where), _points(entry, "negative", where), box, frame
    )


def _structure(entry: Mapping[str, Any], where: str) -> Structure:
    name = entry.get("structure")
    known = ", ".join(Structure)
    if not isinstance(name, str):
        said = "names no structure" if name is None else f"has {_kind(name)} as structure"
        raise InputError(f"{where} {said}; known are {known}")
    try:
        return Structure(name.strip().upper())
    except ValueError:
        raise InputError(f"{where} names the unknown structure '{name[:40]}'; known are {known}") from None


def _index(entry: Mapping[str, Any], field: str, where: str) -> int:
    """A whole number from 0; 4.0 counts as 4, since some programs write every number so."""
    value = entry.get(field)
    if value is None:
        raise InputError(f"{where} has no {field}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: {field} is {_kind(value)}; a whole number is needed")
    if not (0 <= value <= LARGEST_INDEX) or value != int(value):
        raise InputError(f"{where}: {field} is {_short(value)}; a whole number from 0 is needed")
    return int(value)


def _points(entry: Mapping[str, Any], field: str, where: str) -> tuple[tuple[float, float], ...]:
    values = entry.get(field)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise InputError(f"{where}: {field} is {_kind(values)}; a list of points [[col, row], ...] is needed")
    return tuple(
        _numbers(value, 2, f"{where}: {field}[{number}]", "two numbers [col, row]")
        for number, value in enumerate(values)
    )


def _numbers(values: object, count: int, where: str, wanted: str) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise InputError(f"{where} is {_kind(values)}; {wanted} are needed")
    if len(values) != count:
        raise InputError(f"{where} has {len(values)} elements; {wanted} are needed")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{where} holds {_kind(value)}; {wanted} are needed")
        if not abs(value) <= LARGEST_INDEX:
            raise InputError(f"{where} holds {_short(value)}; {wanted} are needed")
    return tuple(float(value) for value in values)


def _kind(value: object) -> str:
    """What a JSON value is, in words for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"the text '{value[:40]}'"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def _short(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) or abs(value) < 1e300 else "a number far too large"


def _entry_of(prompt: Prompt) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "frame": int(prompt.frame),
        "slice": int(prompt.slice),
        "structure": str(prompt.structure),
        "positive": [_plain(point, prompt) for point in prompt.positive],
        "negative": [_plain(point, prompt) for point in prompt.negative],
    }
    if prompt.box is not None:
        entry["box"] = _plain(prompt.box, prompt)
    return entry


def _plain(values: tuple[float, ...], prompt: Prompt) -> list[int | float]:
    """The numbers in Python's own types, whatever type they came in."""
    numbers = [float(value) for value in values]
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{prompt.describe()} holds a number that is not finite")
    return [int(number) if number.is_integer() else number for number in numbers]
