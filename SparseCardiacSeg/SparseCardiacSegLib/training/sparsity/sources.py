"""Data sets on the disk, whatever their layout, as lists of volumes."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...anatomy import LabelScheme
from ...errors import InputError
from ..labelled_cases import TABLE_NAME, has_split, read_cases
from .acdc import acdc_volumes
from .mnms import mnms_volumes
from .volumes import LabelledStack, SourceVolume, volumes_of

ALL_SPLITS = "all"
USUAL_SPLIT = "train"
VIEWS = ("sa", "la", "both")
RECORD_NAME = "sparsity.json"
_TWIN = re.compile(r"identical to (\w+)")


@dataclass(frozen=True)
class Source:
    """Where annotated volumes come from.

    Attributes:
        name: the folder as given, or what stands for it.
        layout: `nnU-Net`, `ACDC`, `M&Ms`, `folder` or `memory`.
        split: what of it was taken; `all` where it has no splits.
        volumes: in order of patient and name.
        scheme: label numbers that were asked for, or that the layout prescribes; None where they are guessed.
    """

    name: str
    layout: str
    split: str
    volumes: tuple[SourceVolume, ...]
    scheme: LabelScheme | None = None


def read_source(
    dataset: Path | str, scheme: LabelScheme | None = None, split: str | None = None, view: str = "sa"
) -> Source:
    """Find the annotated volumes of a data set.

    Layouts: nnU-Net's raw data set (`dataset.json`; a `sparsity.json` tells of slices that were left out before and of
    carried labels); the ACDC challenge's folders (`patientNNN/patientNNN_frameFF_gt.nii.gz`, `Info.cfg`); those of M&Ms
    (`CODE_sa.nii.gz`, two frames of which are labelled) and M&Ms-2 (`NNN_SA_ED.nii.gz`, `NNN_LA_ED.nii.gz`) with
    their tables; one plain folder of `<case>.nii.gz` and `<case>_gt.nii.gz`, perhaps with a `cases.csv`.

    Args:
        dataset: the folder.
        scheme: what the labels' numbers mean; by default what the layout prescribes, else a guess for each file.
        split: only this one; `all` for all; None takes `train` where the data set knows it, else all.
        view: of M&Ms-2: short axis (`sa`), long axis (`la`) or `both`.

    Raises:
        InputError: no data set, no such split or view, or a table that cannot be read.
    """
    dataset = Path(dataset)
    if view not in VIEWS:
        raise InputError(f"view must be {' or '.join(VIEWS)}, not {view!r}")
    if not dataset.is_dir():
        raise InputError(f"{dataset} is not a folder" if dataset.exists() else f"{dataset} does not exist")
    if not (dataset / "dataset.json").is_file() and not (dataset / TABLE_NAME).is_file():
        for layout, found in (("ACDC", acdc_volumes(dataset, scheme)), ("M&Ms", mnms_volumes(dataset, scheme, view))):
            if found:
                return _of_split(dataset, layout, found, split)
    if split is None and has_split(dataset, USUAL_SPLIT):
        split = USUAL_SPLIT
    cases = read_cases(dataset, scheme, None if split == ALL_SPLITS else split)
    volumes = tuple(SourceVolume(case.name, case.patient, case, group=case.group) for case in cases)
    known = (dataset / "dataset.json").is_file()
    if known:
        volumes = _recorded(volumes, _read_record(dataset / RECORD_NAME))
    volumes = _with_twins(volumes, dataset / TABLE_NAME)
    return Source(
        str(dataset),
        "nnU-Net" if known else "folder",
        split or ALL_SPLITS,
        volumes,
        cases[0].scheme if known else scheme,
    )


def source_of(stacks: Iterable[LabelledStack], name: str = "segmentations") -> Source:
    """Volumes in memory, such as segmentations of a Slicer scene."""
    return Source(name, "memory", ALL_SPLITS, volumes_of(stacks))


def _of_split(dataset: Path, layout: str, found: Mapping[str, list[SourceVolume]], split: str | None) -> Source:
    """The volumes of one of the folders of a challenge."""
    if split is None:
        split = USUAL_SPLIT if USUAL_SPLIT in found else ALL_SPLITS
    if split != ALL_SPLITS and split not in found:
        known = ", ".join(sorted(name for name in found if name))
        raise InputError(
            f"{dataset} has no split '{split}'; "
            + (f"it has {known}" if known else "its folders tell of none: leave the split out")
        )
    chosen = [volume for name, volumes in found.items() if split in (ALL_SPLITS, name) for volume in volumes]
    volumes = tuple(sorted(chosen, key=lambda volume: (volume.patient, volume.name)))
    names = [volume.name for volume in volumes]
    twice = next((name for name, following in itertools.pairwise(names) if name == following), None)
    if twice is not None:
        raise InputError(f"{dataset} holds two volumes '{twice}'; name the folder of one of them")
    case = volumes[0].case
    return Source(str(dataset), layout, split, volumes, None if case is None else case.scheme)


def _recorded(volumes: tuple[SourceVolume, ...], record: Mapping[str, Any]) -> tuple[SourceVolume, ...]:
    """The volumes with what an earlier `sparsity.json` tells of them."""
    propagated = record.get("propagated", {})
    before = {entry["case"]: entry for entry in record.get("volumes", [])}
    return tuple(
        replace(
            volume,
            propagated=propagated.get(volume.name),
            annotated=tuple(before[volume.name]["kept"]) if volume.name in before else None,
            patient=before.get(volume.name, {}).get("patient", volume.patient),
            group=before.get(volume.name, {}).get("group", volume.group),
            phase=before.get(volume.name, {}).get("phase", ""),
        )
        for volume in volumes
    )


def _read_record(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        for entry in record.get("volumes", []):
            if not isinstance(entry["case"], str) or not all(isinstance(index, int) for index in entry["kept"]):
                raise InputError(f"{path} is damaged: it does not tell the slices of every volume")
        if not all(isinstance(entry, dict) for entry in record.get("propagated", {}).values()):
            raise InputError(f"{path} is damaged: it does not tell how labels were carried")
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as the record of a sparse data set") from error
    return record


def _with_twins(volumes: tuple[SourceVolume, ...], table: Path) -> tuple[SourceVolume, ...]:
    """The volumes with the twin that the note of a `cases.csv` names."""
    if not table.is_file():
        return volumes
    twins = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            match = _TWIN.search(row.get("note") or "")
            if match:
                twins[row.get("patient") or row.get("case") or ""] = match.group(1)
    return tuple(replace(volume, twin=twins.get(volume.patient, "")) for volume in volumes)
