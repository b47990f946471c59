"""The raw data set of a training, in its workspace: copied or made sparse, once; a second run finds it again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import output_folder
from ..progress import Progress, no_progress
from .checkpointing import remove_leftovers
from .sparse_record import read_record
from .sparsity.plan import SparsePlan
from .sparsity.record import plan_record
from .sparsity.write import write_sparse_dataset

NUMBER = 101
"""Of data sets that have no number yet; a workspace holds one training, so it need not differ."""

_COPIED = ("dataset.json", "sparsity.json", "cases.csv", "splits_final.json", "imagesTr", "labelsTr")
_NUMBERED = re.compile(r"Dataset\d{3}_\w+")


def dataset_name(title: str) -> str:
    """`DatasetNNN_Name` as nnU-Net wants it; a title that is one already stays."""
    if _NUMBERED.fullmatch(title):
        return title
    return f"Dataset{NUMBER}_" + (re.sub(r"\W+", "", title.title(), flags=re.ASCII) or "Data")


def check_alone(workspace: Path, dataset: str) -> None:
    """Refuse a workspace that holds another data set with the same number: nnU-Net could not tell them apart.

    Raises:
        InputError: it does.
    """
    for part in ("raw", "preprocessed", "results"):
        for found in sorted((workspace / f"nnUNet_{part}").glob(f"{dataset[:10]}_*")):
            if found.name != dataset:
                raise InputError(
                    f"{workspace} holds another training already, on {found.name}; choose another workspace"
                )


def check_raw_dataset(folder: Path) -> None:
    """Check what nnU-Net would tell late or at length: labels, and an image for each of them.

    Raises:
        InputError: something is missing.
    """
    try:
        content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'dataset.json'} cannot be read: {error}") from error
    for key in ("labels", "channel_names", "file_ending"):
        if not isinstance(content, Mapping) or not content.get(key):
            raise InputError(f"{folder / 'dataset.json'} lacks '{key}': it is not of an nnU-Net v2 raw data set")
    ending = content["file_ending"]
    labels = sorted((folder / "labelsTr").glob(f"*{ending}"))
    if not labels:
        raise InputError(f"{folder / 'labelsTr'} holds no file ending in {ending}: there is nothing to train on")
    for label in labels:
        name = label.name.removesuffix(ending)
        if not (folder / "imagesTr" / f"{name}_0000{ending}").is_file():
            raise InputError(f"{folder / 'imagesTr'} has no image {name}_0000{ending} for {label.name}")


def place_raw_dataset(source: Path, workspace: Path) -> str:
    """Copy an nnU-Net raw data set into a workspace, all or nothing; one that lies there already stays.

    Returns:
        `DatasetNNN_Name`.

    Raises:
        InputError: it is no raw data set, the workspace holds another one, or the disk refused.
    """
    check_raw_dataset(source)
    dataset = dataset_name(source.resolve().name)
    check_alone(workspace, dataset)
    target = workspace / "nnUNet_raw" / dataset
    if target.resolve() == source.resolve():
        return dataset
    remove_leftovers(target.parent, dataset)
    if target.is_dir():
        if _files(source) != _files(target):
            raise InputError(
                f"{target} is not the data set that {source} is now; choose another workspace, or remove that folder "
                "to train anew"
            )
        return dataset
    with output_folder(target) as staged:
        for name in _COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, staged / name)
            elif (source / name).is_file():
                shutil.copy2(source / name, staged / name)
    return dataset


def place_sparse_dataset(plan: SparsePlan, dataset: str, workspace: Path, progress: Progress = no_progress) -> None:
    """Write a sparse data set into a workspace; one that was written there by the same plan stays.

    Raises:
        InputError: the workspace holds the data set of another plan, or the disk refused.
    """
    check_alone(workspace, dataset)
    target = workspace / "nnUNet_raw" / dataset
    remove_leftovers(target.parent, dataset)
    if not target.is_dir():
        write_sparse_dataset(plan, target, progress)
    elif _essence(read_record(target)) != _essence(plan_record(plan)):
        raise InputError(
            f"{target} holds another choice of volumes and slices than was asked for now; repeat the former options to "
            "resume that training, or choose another workspace"
        )


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time (s) of every file that a training needs."""
    found = {}
    for name in _COPIED:
        for path in [folder / name, *sorted((folder / name).rglob("*"))]:
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = (path.stat().st_size, int(path.stat().st_mtime))
    return found


def _essence(record: Mapping[str, Any]) -> Any:
    """The record as JSON values, without what may differ between two runs of the same plan."""
    kept = {name: value for name, value in record.items() if name not in ("written_by", "warnings")}
    kept["source"] = {name: value for name, value in kept.get("source", {}).items() if name != "dataset"}
    return json.loads(json.dumps(kept))
