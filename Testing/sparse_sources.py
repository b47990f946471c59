"""Small annotated data sets in the layouts that `sparsify` reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import phantom
from SparseCardiacSegLib.anatomy import ACDC, MNMS, LabelScheme
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.training.sparsity.volumes import LabelledStack

GROUPS = "AB"


def heart(n_slices: int = 6, phase: float = 0.0, scheme: LabelScheme = ACDC, **grid) -> tuple[Stack, Segmentation]:
    """A heart whose base is the first slice unless `grid` says otherwise; it fills the stack."""
    shape = [24, 24]
    shape.insert(grid.get("through_plane", 0), n_slices)
    spacing = [5.0, 5.0]
    spacing.insert(grid.get("through_plane", 0), max(85.0 / n_slices, 5.5))
    return phantom.heart(phase, phantom.grid(tuple(shape), tuple(spacing), **grid), scheme=scheme)


def stacks(n_patients: int = 3, n_slices: int = 6, **grid) -> list[LabelledStack]:
    """Two frames of each patient in memory."""
    frames = {"ED": heart(n_slices, 0.0, **grid), "ES": heart(n_slices, 1.0, **grid)}
    return [
        LabelledStack(f"P{number}", image, labels, name)
        for number in range(n_patients)
        for name, (image, labels) in frames.items()
    ]


def write_case(folder: Path, name: str, image: Stack, labels: Segmentation) -> None:
    """`<name>.nii.gz` and `<name>_gt.nii.gz`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_stack(image, folder / f"{name}.nii.gz")
    write_segmentation(labels, folder / f"{name}_gt.nii.gz")


def write_folder(folder: Path, n_patients: int = 4, n_slices: int = 6, scheme: LabelScheme = ACDC, **grid) -> Path:
    """A plain folder with `cases.csv`; the last patient is of split `val`."""
    rows = ["patient,group,split"]
    for number in range(n_patients):
        patient = f"patient{number:03d}"
        rows.append(f"{patient},{GROUPS[number % 2]},{'val' if number == n_patients - 1 else 'train'}")
        for frame, phase in (("frame01", 0.0), ("frame09", 1.0)):
            write_case(folder, f"{patient}_{frame}", *heart(n_slices, phase, scheme, **grid))
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_acdc(folder: Path, n_patients: int = 2) -> Path:
    """The challenge's folders, as it distributes them."""
    for part, first in (("training", 1), ("testing", 101)):
        for number in range(first, first + n_patients):
            patient = f"patient{number:03d}"
            for frame, phase in (("frame01", 0.0), ("frame12", 1.0)):
                write_case(folder / part / patient, f"{patient}_{frame}", *heart(5, phase))
            image, _ = heart(5)
            write_stack(image, folder / part / patient / f"{patient}_4d.nii.gz")
            (folder / part / patient / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\nHeight: 180.0\nNbFrame: 30\n")
    return folder


def write_mnms(folder: Path, table: bool = True) -> Path:
    """M&Ms: cines of which two frames are labelled, with the challenge's numbers."""
    frames = [heart(5, phase, MNMS) for phase in (0.0, 0.3, 1.0, 0.4)]
    rows = [",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology"]
    for part, code in (("Training/Labeled", "A0S9V9"), ("Training/Labeled", "B1K2L3"), ("Testing", "C4M5N6")):
        labels = np.stack([found.labels.array * (index in (0, 2)) for index, (_, found) in enumerate(frames)])
        cine = replace(frames[0][0], array=np.stack([image.array for image, _ in frames]))
        write_case(folder / part / code, f"{code}_sa", cine, Segmentation(replace(cine, array=labels), MNMS))
        rows.append(f"0,{code},Siemens,A,1,0,2,50,HCM")
    if table:
        (folder / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_mnms2(folder: Path) -> Path:
    """M&Ms-2: single frames of the short axis and of the four-chamber view."""
    for code in ("001", "002"):
        for phase, amount in (("ED", 0.0), ("ES", 1.0)):
            write_case(folder / "dataset" / code, f"{code}_SA_{phase}", *heart(5, amount, MNMS))
            image, labels = phantom.heart(amount, phantom.grid((1, 40, 24), (1.0, 5.0, 5.0)), scheme=MNMS)
            write_case(folder / "dataset" / code, f"{code}_LA_{phase}", image, labels)
    (folder / "dataset_information.csv").write_text("SUBJECT_CODE,DISEASE,VENDOR\n1,NOR,Siemens\n2,TOF,GE\n")
    return folder
