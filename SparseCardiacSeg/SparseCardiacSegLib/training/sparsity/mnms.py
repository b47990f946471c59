"""The folders of the M&Ms and M&Ms-2 challenges as they are distributed."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from ...anatomy import MNMS, LabelScheme
from ...errors import InputError
from ...io import IMAGE_SUFFIXES, file_stem, read_stack
from ..labelled_cases import LabelledCase
from .volumes import SourceVolume

_SPLITS = {
    "training": "train", "train": "train", "validation": "val", "val": "val", "testing": "test", "test": "test",
}  # fmt: skip
_LABELS = re.compile(r"(?P<code>.+)_(?P<view>sa|la)(?:_(?P<phase>ed|es))?_gt", re.IGNORECASE)
_CODES = ("external code", "external_code", "subject_code", "subject code")
_GROUPS = ("pathology", "disease")


def mnms_volumes(dataset: Path, scheme: LabelScheme | None = None, view: str = "sa") -> dict[str, list[SourceVolume]]:
    """Volumes by split (the folder Training, Validation or Testing; "" without); none where the layout is another.

    M&Ms: `CODE_sa.nii.gz` and `CODE_sa_gt.nii.gz` are cines; the columns ED and ES (from 0) of the table beside them
    name the labelled frames, otherwise the labels themselves do. M&Ms-2: `NNN_SA_ED.nii.gz` and the like are single
    frames, `LA` is the four-chamber view. Labels follow M&Ms (1 LV, 2 MYO, 3 RV) unless `scheme` says otherwise.

    Args:
        dataset: the folder; images may lie at any depth.
        scheme: label numbers that differ from the challenge's.
        view: `sa`, `la` or `both`.

    Raises:
        InputError: an image is missing, a table cannot be read, or the folder has the other view only.
    """
    labelled = []
    for path in sorted(dataset.rglob("*_gt.*")):
        match = _LABELS.fullmatch(file_stem(path))
        if match is not None and path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES):
            labelled.append((path, match))
    if not labelled:
        return {}
    wanted = [(path, match) for path, match in labelled if view in ("both", match["view"].lower())]
    if not wanted:
        other = "long-axis" if view == "sa" else "short-axis"
        raise InputError(f"{dataset} holds {other} labels only; choose the other view")
    table = _read_tables(dataset)
    found: dict[str, list[SourceVolume]] = {}
    for labels, match in wanted:
        folders = [part.lower() for part in labels.relative_to(dataset).parts[:-1]]
        split = next((_SPLITS[part] for part in folders if part in _SPLITS), "")
        row = table.get(match["code"], table.get(match["code"].lstrip("0"), {}))
        found.setdefault(split, []).extend(_frames(labels, match, row, scheme or MNMS))
    return found


def _frames(labels: Path, match: re.Match[str], row: dict[str, str], scheme: LabelScheme) -> list[SourceVolume]:
    """The labelled frames of one file."""
    stem = file_stem(labels).removesuffix("_gt")
    image = next((path for suffix in IMAGE_SUFFIXES if (path := labels.with_name(f"{stem}{suffix}")).is_file()), None)
    if image is None:
        raise InputError(f"{labels} has no image '{stem}' beside it")
    code, long_axis = match["code"], match["view"].lower() == "la"
    group = next((row[name] for name in _GROUPS if row.get(name)), "")
    case = LabelledCase(code, image, labels, stem, scheme, group)
    if match["phase"]:
        return [SourceVolume(stem, code, case, group=group, phase=match["phase"].upper(), long_axis=long_axis)]
    frames = {phase: int(row[phase.lower()]) for phase in ("ED", "ES") if row.get(phase.lower(), "").isdigit()}
    if not frames:
        numbers = read_stack(labels).array
        if numbers.ndim == 3:
            return [SourceVolume(stem, code, case, group=group, long_axis=long_axis)]
        frames = {f"frame{index:02d}": int(index) for index in np.flatnonzero(numbers.any((1, 2, 3)))}
    return [
        SourceVolume(
            f"{code}_{match['view'].upper()}_{phase}" if long_axis else f"{code}_{phase}",
            code,
            case,
            frame=index,
            group=group,
            phase=phase if phase in ("ED", "ES") else "",
            long_axis=long_axis,
        )
        for phase, index in frames.items()
    ]


def _read_tables(dataset: Path) -> dict[str, dict[str, str]]:
    """Rows of the challenge's tables by code, column names in lower case."""
    rows: dict[str, dict[str, str]] = {}
    for path in sorted([*dataset.glob("*.csv"), *dataset.glob("*/*.csv")]):
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                content = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path} cannot be read as a table: {error}") from error
        for line in content:
            row = {str(key).strip().lower(): str(value or "").strip() for key, value in line.items()}
            code = next((row[name] for name in _CODES if row.get(name)), None)
            if code is not None:
                rows[code] = row
    return rows
