"""A folder of annotated stacks becomes an nnU-Net raw data set, patients chosen by a seeded draw."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..anatomy import ACDC, LabelScheme
from ..files import output_folder


@dataclass(frozen=True)
class AnnotatedVolume:
    """One image with its reference labels.

    Attributes:
        patient: identifier that decides the split; two frames of a patient never part.
        case: file stem of the image.
        image: path of the image.
        labels: path of the label volume on the same grid.
    """

    patient: str
    case: str
    image: Path
    labels: Path


def find_volumes(folder: Path, patients: list[str] | None = None) -> list[AnnotatedVolume]:
    """Every `<patient>_frameNN.nii.gz` or `<patient>.nii.gz` in `folder` with its `_gt` partner, in order of name.

    Raises:
        FileNotFoundError: no annotated volume was found, or a patient asked for has none.
    """
    volumes = []
    for labels in sorted(folder.glob("*_gt.nii.gz")):
        case = labels.name.removesuffix("_gt.nii.gz")
        image = labels.with_name(case + ".nii.gz")
        patient = re.sub(r"_frame\d+$", "", case)
        if image.is_file() and (patients is None or patient in patients):
            volumes.append(AnnotatedVolume(patient, case, image, labels))
    missing = set(patients or []) - {volume.patient for volume in volumes}
    if missing:
        raise FileNotFoundError(f"no annotated volume in {folder} for {', '.join(sorted(missing))}")
    if not volumes:
        raise FileNotFoundError(f"no '<case>.nii.gz' with '<case>_gt.nii.gz' in {folder}")
    return volumes


def draw_patients(cases_csv: Path, number: int, seed: int, split: str = "train") -> list[str]:
    """Draw `number` patients of `split` from `cases.csv`, spread evenly over its `group` column.

    Even spreading keeps every disease group in a small training set: of 2000 plain draws of 24 from 50 ACDC
    patients, 24 % left some group with two or fewer. A patient whose `note` names a twin (ACDC's 074 and 076 are one
    scan with two label sets) is drawn at most once per pair. A table with a column `case` instead of `patient` lists
    one volume a patient; it needs no groups.

    Raises:
        ValueError: a column is missing, or the split holds fewer patients than asked for.
    """
    with cases_csv.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns = set(reader.fieldnames or ())
        by_case = "case" in columns and "patient" not in columns
        lacking = ({"split"} if by_case else {"patient", "group", "split"}) - columns
        if lacking:
            raise ValueError(f"{cases_csv} lacks the column {', '.join(sorted(lacking))}")
        rows = [row for row in reader if row["split"] == split]
    if by_case:
        rows = [{"patient": row["case"], "group": "", "note": row.get("note", "")} for row in rows]
    rng = random.Random(seed)
    groups: dict[str, list[str]] = defaultdict(list)
    twins: set[str] = set()
    for row in rows:
        if "identical" in row.get("note", ""):
            twins.add(row["patient"])
        groups[row["group"]].append(row["patient"])
    for name in sorted(groups):
        groups[name].sort()
        rng.shuffle(groups[name])
    order = sorted(groups)
    rng.shuffle(order)
    chosen: list[str] = []
    while len(chosen) < number and any(groups.values()):
        for name in order:
            if groups[name] and len(chosen) < number:
                patient = groups[name].pop()
                if patient in twins and twins & set(chosen):
                    continue
                chosen.append(patient)
    if len(chosen) < number:
        raise ValueError(f"{number} patients asked for, but split '{split}' of {cases_csv} holds {len(chosen)}")
    return sorted(chosen)


def write_raw_dataset(
    volumes: list[AnnotatedVolume], folder: Path, provenance: dict[str, object], scheme: LabelScheme = ACDC
) -> Path:
    """Write `imagesTr`, `labelsTr`, `dataset.json` and `sparsity.json` in nnU-Net v2's raw format.

    Args:
        volumes: what to copy.
        folder: `nnUNet_raw/DatasetNNN_Name`; made anew, and there only when it is complete.
        provenance: written to `sparsity.json` beside the list of cases.
        scheme: numbers of the labels, which dataset.json records by name.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with output_folder(folder) as staged:
        (staged / "imagesTr").mkdir()
        (staged / "labelsTr").mkdir()
        for volume in volumes:
            shutil.copyfile(volume.image, staged / "imagesTr" / f"{volume.case}_0000.nii.gz")
            shutil.copyfile(volume.labels, staged / "labelsTr" / f"{volume.case}.nii.gz")
        dataset = dataset_content(scheme, len(volumes))
        (staged / "dataset.json").write_text(json.dumps(dataset, indent=2), encoding="utf-8")
        record = {**provenance, "cases": [volume.case for volume in volumes]}
        (staged / "sparsity.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    return folder


def dataset_content(scheme: LabelScheme, number: int, ignoring: bool = False) -> dict[str, Any]:
    """The content of nnU-Net v2's `dataset.json`.

    Args:
        scheme: numbers of the labels, which are recorded by name.
        number: of training cases.
        ignoring: whether voxels with the number after the highest are those that nobody annotated; nnU-Net leaves them
            out of the loss, and demands this very number.
    """
    labels = {"background": 0, **{str(structure): number for structure, number in scheme.numbers.items()}}
    if ignoring:
        labels["ignore"] = ignore_number(scheme)
    return {
        # nnU-Net normalises by the channel's name; any but "CT" and a few more means z-scores.
        "channel_names": {"0": "MR" if scheme.numbers != ACDC.numbers else "cine MR"},
        "labels": labels,
        "numTraining": number,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }


def ignore_number(scheme: LabelScheme) -> int:
    """The label number of voxels that nobody annotated."""
    return max(scheme.numbers.values()) + 1
