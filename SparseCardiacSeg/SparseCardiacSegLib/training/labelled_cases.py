"""Annotated volumes on the disk, whoever laid them out, and seeded choices of patients among them."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import DESCRIPTIONS, LabelScheme, Structure
from ..errors import InputError
from ..io import IMAGE_SUFFIXES, file_stem, read_segmentation, read_stack
from ..segmentation import Segmentation
from ..stack import Stack

REFERENCE_ENDING = "_gt"
TABLE_NAME = "cases.csv"
_FRAME = re.compile(r"(.+?)[_-](?:frame[_-]?\d+|ed|es)", re.IGNORECASE)
_NAMES = {name.casefold(): s for s, text in DESCRIPTIONS.items() for name in (s.value, text.name)}


@dataclass(frozen=True)
class LabelledCase:
    """One image with its reference labels.

    Attributes:
        patient: whom it shows; the frames of a patient share it.
        image_path: the image.
        labels_path: its labels.
        name: what tells this case from the others of the data set.
        scheme: what the labels' numbers mean; None where the data set does not tell.
        group: of patients (a disease, say), where `cases.csv` tells; draws are spread over groups.
        ignored: label number of voxels that nobody looked at, or None.
    """

    patient: str
    image_path: Path
    labels_path: Path
    name: str
    scheme: LabelScheme | None = field(default=None, compare=False)
    group: str = ""
    ignored: int | None = None

    def load(self) -> tuple[Stack, Segmentation]:
        """Read image and labels, on the image's grid.

        A slice with ignored voxels comes back without labels: nobody can say what else it shows.

        Returns:
            Image and labels, both [slice, row, col] or both [frame, slice, row, col]; the segmentation's warnings tell
            of a guessed scheme and of labels whose header puts them elsewhere than the image.

        Raises:
            InputError: a file cannot be read, labels and image differ in shape, or the scheme does not fit.
        """
        stack = read_stack(self.image_path)
        segmentation = self._labels(stack)
        if segmentation.labels.array.shape != stack.array.shape:
            raise InputError(
                f"{self.labels_path} has shape {segmentation.labels.array.shape}, "
                f"its image {self.image_path} has {stack.array.shape}"
            )
        warnings = segmentation.warnings
        if not segmentation.labels.same_grid(stack, tolerance_mm=0.1):
            warnings = (
                *warnings,
                f"{self.labels_path} lies elsewhere than its image by its header; taken voxel by voxel",
            )
        labels = replace(stack.with_array(segmentation.labels.array), source=str(self.labels_path), meta={})
        return stack, Segmentation(labels, segmentation.scheme, warnings)

    def _labels(self, stack: Stack) -> Segmentation:
        if self.ignored is None:
            return read_segmentation(self.labels_path, self.scheme)
        labels = replace(read_stack(self.labels_path), through_plane=stack.through_plane)
        kept = np.array(labels.slices_first())
        kept[(kept == self.ignored).any((-2, -1))] = 0
        cleaned = labels.with_array(labels.from_slices_first(kept))
        if self.scheme is None:
            raise InputError(f"{self.labels_path} has ignored voxels, so its label scheme must be named")
        return Segmentation(cleaned.with_array(cleaned.array.astype(np.uint8)), self.scheme)


def read_cases(dataset: Path, scheme: LabelScheme | None = None, split: str | None = None) -> list[LabelledCase]:
    """The annotated volumes of a data set, patients in sorted order, cases of a patient by name.

    Two layouts are known. A plain folder: `<case>_gt.nii.gz` (or another format that can be read) beside
    `<case>.nii.gz`, and perhaps a `cases.csv` with a column `patient` (or `case`) and, perhaps, `split` and `group`.
    nnU-Net's raw data set: `dataset.json`, `imagesTr/<case>_0000.nii.gz`, `labelsTr/<case>.nii.gz`; its labels are
    understood by name, and a `cases.csv` counts there too.

    Without a `cases.csv`, the patient of `patient001_frame12` or `SC-HF-I-01_ED` is what stands before the frame.

    Args:
        dataset: the folder.
        scheme: what the labels' numbers mean; None leaves it to `dataset.json`, or to a guess for each file.
        split: only the cases of that split; None takes all. Without a `cases.csv`, an nnU-Net data set has the splits
            `train` (imagesTr) and `test` (imagesTs with labelsTs).

    Raises:
        InputError: the folder holds no annotated volume, a listed patient has none, or there is no such split.
    """
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise InputError(f"{dataset} is not a folder" if dataset.exists() else f"{dataset} does not exist")
    table = _read_table(dataset / TABLE_NAME)
    if (dataset / "dataset.json").is_file():
        cases = _nnunet_cases(dataset, scheme, split if table is None else None)
        if table is None:
            return sorted(cases, key=lambda case: (case.patient, case.name))
    else:
        cases = _plain_cases(dataset, scheme)
    if table is not None:
        cases = _listed(cases, table, dataset / TABLE_NAME, split)
    elif split is not None:
        raise InputError(f"{dataset} has no {TABLE_NAME}, so it cannot be told which cases are of split '{split}'")
    return sorted(cases, key=lambda case: (case.patient, case.name))


def has_split(dataset: Path, split: str) -> bool:
    """Whether the `cases.csv` of a data set, if it has one, tells of a split of that name."""
    table = _read_table(Path(dataset) / TABLE_NAME)
    return any(row.get("split") == split for row in table or ())


def choose_patients(
    cases: Sequence[LabelledCase],
    n_volumes: int | None = None,
    n_patients: int | None = None,
    seed: int = 0,
    patients: Sequence[str] | None = None,
) -> list[LabelledCase]:
    """All volumes of some patients, in the order of `cases`.

    Patients are drawn, never volumes: 8 volumes of ACDC are end diastole and end systole of 4 patients (thesis,
    section 4.3). A larger draw with the same seed contains a smaller one. Where cases have groups, they take turns.

    Args:
        cases: to choose from.
        n_volumes: how many volumes, made up of whole patients.
        n_patients: how many patients. With neither number, all.
        seed: of the draw.
        patients: these patients, by name, instead of a draw.

    Raises:
        InputError: there are too few, `n_volumes` cannot be had from whole patients, or a name is unknown.
    """
    volumes: dict[str, int] = defaultdict(int)
    for case in cases:
        volumes[case.patient] += 1
    if patients is not None:
        unknown = [name for name in patients if name not in volumes]
        if unknown:
            raise InputError(f"there is no annotated volume of {', '.join(unknown)}")
        return [case for case in cases if case.patient in set(patients)]
    for number, total, what in ((n_volumes, len(cases), "volumes"), (n_patients, len(volumes), "patients")):
        if number is not None and not 1 <= number <= total:
            raise InputError(f"{number} {what} asked for, but there are {total} to choose from")
    chosen: set[str] = set()
    count = 0
    for name in drawn_patients({case.patient: case.group for case in cases}, seed):
        if n_patients is not None and len(chosen) == n_patients:
            break
        if n_volumes is None or count + volumes[name] <= n_volumes:
            chosen.add(name)
            count += volumes[name]
    if n_volumes is not None and count != n_volumes:
        raise InputError(
            f"{n_volumes} volumes cannot be had from whole patients, whose volumes stay together; "
            f"{count} can, for example"
        )
    return [case for case in cases if case.patient in chosen]


def drawn_patients(groups: Mapping[str, str], seed: int) -> list[str]:
    """Every patient once, shuffled; groups (of each patient, "" where unknown) take turns."""
    members_of: dict[str, list[str]] = defaultdict(list)
    for patient in sorted(groups):
        members_of[groups[patient]].append(patient)
    rng = random.Random(seed)
    shuffled = []
    for _, members in sorted(members_of.items()):
        rng.shuffle(members)
        shuffled.append(members)
    rng.shuffle(shuffled)
    longest = max((len(members) for members in shuffled), default=0)
    return [members[turn] for turn in range(longest) for members in shuffled if turn < len(members)]


def _plain_cases(dataset: Path, scheme: LabelScheme | None) -> list[LabelledCase]:
    cases = []
    for labels in _images_in(dataset):
        stem = file_stem(labels)
        if not stem.endswith(REFERENCE_ENDING):
            continue
        name = stem.removesuffix(REFERENCE_ENDING)
        image = _image_of(dataset, name)
        if image is None:
            raise InputError(f"{labels} has no image '{name}' beside it")
        cases.append(LabelledCase(_patient_of(name), image, labels, name, scheme))
    if not cases:
        raise InputError(
            f"{dataset} holds no annotated volume: neither '<case>{REFERENCE_ENDING}.nii.gz' nor nnU-Net's dataset.json"
        )
    return cases


def _nnunet_cases(dataset: Path, scheme: LabelScheme | None, split: str | None) -> list[LabelledCase]:
    content = _read_dataset_json(dataset / "dataset.json")
    numbers = content.get("labels")
    if not isinstance(numbers, Mapping):
        raise InputError(f"{dataset / 'dataset.json'} names no labels")
    if split not in (None, "train", "test"):
        raise InputError(f"{dataset} has the splits train and test, but no {TABLE_NAME} that tells of split '{split}'")
    ignored = numbers.get("ignore")
    if scheme is None:
        scheme = _scheme_of(numbers, dataset)
    ending = "Ts" if split == "test" else "Tr"
    cases = []
    for labels in _images_in(dataset / f"labels{ending}"):
        name = file_stem(labels)
        image = _image_of(dataset / f"images{ending}", f"{name}_0000")
        if image is None:
            raise InputError(f"{labels} has no image '{name}_0000' in {dataset / f'images{ending}'}")
        if _image_of(dataset / f"images{ending}", f"{name}_0001") is not None:
            raise InputError(f"case '{name}' of {dataset} has several channels; prompts need one grey image")
        cases.append(
            LabelledCase(
                _patient_of(name), image, labels, name, scheme, ignored=ignored if isinstance(ignored, int) else None
            )
        )
    if not cases:
        raise InputError(f"{dataset} holds no labels in labels{ending}")
    return cases


def _scheme_of(numbers: Mapping[str, Any], dataset: Path) -> LabelScheme:
    """The scheme of a `dataset.json`, whose labels are known by the structures' names."""
    found = {}
    for name, number in numbers.items():
        structure = _NAMES.get(str(name).strip().casefold().replace("_", " "))
        if structure is not None and isinstance(number, int):
            found[structure] = number
        elif str(name).casefold() not in ("background", "ignore"):
            raise InputError(
                f"label '{name}' of {dataset / 'dataset.json'} is none of {', '.join(Structure)}; name a label scheme"
            )
    return LabelScheme(dataset.name, found)


def _listed(
    cases: list[LabelledCase], table: Sequence[Mapping[str, str]], path: Path, split: str | None
) -> list[LabelledCase]:
    """The cases that the table lists for `split`, with the table's patients and groups."""
    column = next((name for name in ("patient", "case") if name in table[0]), None)
    if column is None:
        raise InputError(f"{path} lacks the column patient")
    if split is not None and "split" not in table[0]:
        raise InputError(f"{path} lacks the column split, so split '{split}' cannot be taken")
    rows = [row for row in table if split is None or row["split"] == split]
    if not rows:
        known = ", ".join(sorted({row["split"] for row in table}))
        raise InputError(f"{path} lists no case of split '{split}'; it has {known}")
    found = {}
    for row in rows:
        patient = row[column] or ""
        own = [case for case in cases if case.name == patient or re.match(re.escape(patient) + r"[_-]", case.name)]
        if not own or not patient:
            raise InputError(f"{path} lists '{patient}', but there is no annotated volume of it")
        found.update({case.name: replace(case, patient=patient, group=row.get("group") or "") for case in own})
    return list(found.values())


def _read_table(path: Path) -> list[dict[str, str]] | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    if not rows:
        raise InputError(f"{path} lists no cases")
    return rows


def _read_dataset_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no JSON object")
    return content


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES))


def _image_of(folder: Path, name: str) -> Path | None:
    return next((path for suffix in IMAGE_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def _patient_of(name: str) -> str:
    """What stands before the frame in the name of a case."""
    match = _FRAME.fullmatch(name)
    return match.group(1) if match else name
