"""Tiny DICOM series of an oblique short-axis cine, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from io_grids import matrix_of
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

ROWS, COLUMNS = 6, 7
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
DIRECTION = (LPS @ matrix_of("oblique"))[:3, :3] / np.linalg.norm(matrix_of("oblique")[:3, :3], axis=0)
ORIGIN = np.array([12.5, -40.25, 7.75])
DISTANCE = 9.5


def pixels(k: float, frame: int) -> np.ndarray:
    return np.arange(ROWS * COLUMNS, dtype=np.int16).reshape(ROWS, COLUMNS) + np.int16(100 * k + 1000 * frame)


def save(path: Path, dataset: Dataset, sop_class: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.update(dataset)
    file.SOPClassUID, file.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    file.Modality = "MR"
    file.Rows, file.Columns = ROWS, COLUMNS
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 1
    path.parent.mkdir(exist_ok=True, parents=True)
    file.save_as(path, enforce_file_format=True)


def image(k: float, frame: int, series: str = "1.2.3", **changes: object) -> Dataset:
    dataset = Dataset()
    dataset.SeriesInstanceUID = series
    dataset.SeriesDescription = f"cine {series}"
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in (*DIRECTION[:, 0], *DIRECTION[:, 1])]
    normal = np.cross(DIRECTION[:, 0], DIRECTION[:, 1])
    dataset.ImagePositionPatient = [f"{value:.10g}" for value in ORIGIN + k * DISTANCE * normal]
    dataset.PixelSpacing = [1.41, 1.3671875]
    dataset.SliceThickness = 6
    dataset.TriggerTime = 12 + 31 * frame
    dataset.InstanceNumber = int(1 + frame + 10 * (9 - k))
    dataset.PixelData = pixels(k, frame).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def series(folder: Path, slices=range(4), frames=range(3), uid: str = "1.2.3", **changes: object) -> Path:
    """Write a series whose file names are in no useful order."""
    for k in slices:
        for frame in frames:
            name = f"{(int(k) * 7 + frame * 5) % 11:02d}-{k}-{frame}-{uid}.dcm"
            save(folder / name, image(k, frame, uid, **changes), MRImageStorage)
    return folder
