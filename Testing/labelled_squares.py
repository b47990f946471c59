"""A small labelled data set of squares whose images show their labels, and a model that reads them off the image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel
import numpy as np
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.prompting.backend import EMBEDDING_TYPE, Decoded, Embedding
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore
from SparseCardiacSegLib.training.labelled_cases import LabelledCase, read_cases

SHAPE = (64, 80)
SPACING = (1.5, 2.0)
"""mm between rows and between columns."""

N_COMPLETE = 5
"""Slices of a case with all three structures; one more has no right ventricle."""

MARGIN = 5


def labels() -> np.ndarray:
    """uint8 [slice, row, col]: a right ventricle of 20 x 20 pixels, a ring of 24 x 24 around a cavity of 12 x 12.

    They get one pixel smaller on all sides from slice to slice. The last slice lacks the right ventricle, the one
    before it holds nothing.
    """
    volume = np.zeros((N_COMPLETE + 2, *SHAPE), np.uint8)
    for index in (*range(N_COMPLETE), N_COMPLETE + 1):
        inset = index % N_COMPLETE
        for structure, (row, col, size) in {
            Structure.RV: (22, 8, 20),
            Structure.MYO: (20, 40, 24),
            Structure.LV: (26, 46, 12),
        }.items():
            if index > N_COMPLETE and structure is Structure.RV:
                continue
            rows, cols = (slice(start + inset, start + size - inset) for start in (row, col))
            volume[index, rows, cols] = ACDC.numbers[structure]
    return volume


def write_dataset(folder: Path, cases: tuple[str, ...] = ("case1_frame01", "case2_frame01"), frames: int = 0) -> Path:
    """Images and labels of some cases, and a cases.csv that calls the first patient `train` and the others `val`."""
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([SPACING[1], SPACING[0], 8.0, 1.0])
    volume = labels() if not frames else np.stack([labels()] * frames)
    for number, case in enumerate(cases):
        # Cases must not share their embeddings: each has its own brightest corner.
        image = volume.astype(np.int16) * 100
        image[..., 0, number] = 350
        for ending, array in (("", image), ("_gt", volume)):
            nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.T), affine), folder / f"{case}{ending}.nii.gz")
    patients = dict.fromkeys(case.split("_")[0] for case in cases)
    lines = [f"{patient},{'val' if number else 'train'}" for number, patient in enumerate(patients)]
    (folder / "cases.csv").write_text("\n".join(["patient,split", *lines]) + "\n", encoding="utf-8")
    return folder


def cases_in(folder: Path, **options: object) -> list[LabelledCase]:
    """The data set's cases, all of them."""
    return read_cases(write_dataset(folder, **options), ACDC)


@dataclass
class ReadingBackend:
    """Finds the label under the first positive point, or in the box that fits it, and moves it to the right.

    Attributes:
        shift: columns.
        blind: this structure is never found.
        encoded: how often `encode` was called.
        calls: (positive points, negative points, box) of every prompt.
    """

    shift: int = 0
    blind: Structure | None = None
    model_id: str = "e" * 64
    name: str = "reading"
    device: str = "cpu"
    encoded: int = 0
    calls: list[tuple[list, list, tuple | None]] = field(default_factory=list)

    def encode(self, image: np.ndarray) -> Embedding:
        self.encoded += 1
        # Labels 1, 2 and 3 were made 100, 200 and 300 of 350 at most, and the window lies at 0 to 300.
        numbers = np.where(np.arange(image.size).reshape(image.shape) < image.shape[1], 0, np.rint(image / 85))
        return Embedding(numbers[None].astype(EMBEDDING_TYPE), image.shape, image.shape)

    def decode(self, embedding: Embedding, points: np.ndarray, signs: np.ndarray, box: np.ndarray | None) -> Decoded:
        positive, negative = (points[signs == sign].tolist() for sign in (1, 0))
        self.calls.append((positive, negative, None if box is None else tuple(box.tolist())))
        numbers = embedding.features[0].astype(int)
        if positive:
            col, row = positive[0]
            number = numbers[int(row), int(col)]
        else:
            number = min((1, 2, 3), key=lambda one: np.abs(_box(numbers == one) - box).sum())
        mask = np.roll(numbers == number, self.shift, 1)
        if self.blind is not None and number == ACDC.numbers[self.blind]:
            mask = np.zeros_like(mask)
        return Decoded(np.where(mask, 1.0, -1.0).astype(np.float32), 0.9)


@dataclass(frozen=True)
class OpenReading:
    """Opens a store of a `ReadingBackend`, in any process."""

    shift: int = 0

    def __call__(self) -> EmbeddingStore:
        return EmbeddingStore(replace(ReadingBackend(), shift=self.shift))


def _box(mask: np.ndarray) -> np.ndarray:
    rows, cols = np.nonzero(mask)
    return np.array([cols.min() - MARGIN, rows.min() - MARGIN, cols.max() + MARGIN, rows.max() + MARGIN])
