"""A plan becomes an nnU-Net raw data set."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import output_folder
from ...io import write_stack
from ...progress import Progress, no_progress
from ..labelled_cases import TABLE_NAME
from ..raw_dataset import dataset_content, ignore_number
from .plan import PlannedVolume, SparsePlan
from .record import record_text
from .sources import RECORD_NAME


def check_new_folder(folder: Path | str) -> None:
    """Refuse a folder that holds something: files of another draw would become cases of this one.

    Raises:
        InputError: it is no folder, or not an empty one.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write into {folder}: it is a file, not a folder")
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(f"{folder} is not empty; a sparse data set is written into a new folder")


def write_sparse_dataset(plan: SparsePlan, folder: Path | str, progress: Progress = no_progress) -> Path:
    """Write `imagesTr`, `labelsTr`, `dataset.json`, `sparsity.json` and `cases.csv`, all or nothing.

    Images and labels keep the grid of their source bit by bit where that is NIfTI (other formats are rounded as
    `write_stack` says); an image none of whose slices is blanked is copied voxel for voxel.

    Args:
        plan: what to write.
        folder: `nnUNet_raw/DatasetNNN_Name`; new or empty.
        progress: told of every volume.

    Raises:
        InputError: the folder is not empty, a source has gone, or the disk refused.
    """
    folder = Path(folder)
    check_new_folder(folder)
    everything = (*plan.volumes, *plan.carried, *plan.unlabelled)
    with output_folder(folder) as staged:
        for part in ("imagesTr", "labelsTr"):
            (staged / part).mkdir()
        for done, one in enumerate(everything):
            progress(done / len(everything), one.name)
            _write_case(one, plan, staged)
        content = dataset_content(plan.scheme, len(everything), plan.ignoring)
        (staged / "dataset.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (staged / RECORD_NAME).write_text(record_text(plan), encoding="utf-8")
        with (staged / TABLE_NAME).open("w", newline="", encoding="utf-8") as file:
            groups = {one.seen.volume.patient: one.seen.volume.group for one in everything}
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["patient", "group", "split"])
            writer.writerows([patient, groups[patient], "train"] for patient in sorted(groups))
    return folder


def _write_case(one: PlannedVolume, plan: SparsePlan, staged: Path) -> None:
    volume = one.seen.volume
    image, segmentation, _ = volume.load()
    dropped = list(one.dropped)
    labels = segmentation.scheme.convert(segmentation.labels.slices_first(), plan.scheme)
    zero = plan.settings.mode == "zero"
    labels[dropped] = 0 if zero else ignore_number(plan.scheme)
    # The image's meta holds the geometry fields of its NIfTI header, which the labels then share bit by bit.
    write_stack(image.with_array(image.from_slices_first(labels)), staged / "labelsTr" / f"{one.name}.nii.gz")
    target = staged / "imagesTr" / f"{one.name}_0000.nii.gz"
    blanked = zero and bool(dropped)
    path = volume.image_path
    if path is not None and path.name.endswith(".nii.gz") and volume.frame is None and not blanked:
        shutil.copyfile(path, target)
        return
    if blanked:
        voxels = np.array(image.slices_first())
        voxels[dropped] = 0
        image = image.with_array(image.from_slices_first(voxels))
    write_stack(image, target)
