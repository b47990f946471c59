"""Frames of a cine with carried labels, added to an nnU-Net raw data set as cases that are marked synthetic."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import LabelScheme, Structure
from ..errors import InputError
from ..files import output_folder
from ..io import read_stack, write_stack
from ..propagation.carry import PropagationResult, PropagationSettings, blend_weights
from ..segmentation import Segmentation
from ..stack import Stack
from .labelled_cases import TABLE_NAME
from .sparse_record import read_object

DATASET = "dataset.json"
PROVENANCE = "sparsity.json"
IGNORE = "ignore"
"""nnU-Net's name of the label that no loss looks at."""


def write_synthetic_dataset(
    cine: Stack,
    result: PropagationResult,
    folder: Path | str,
    name: str,
    settings: PropagationSettings | None = None,
    every: int = 1,
) -> Path:
    """Write the annotated and the carried frames of a cine as training cases `<name>_frameNN` (NN from 0).

    The layout is that of nnU-Net v2 (imagesTr, labelsTr, dataset.json), which `read_cases` understands. A folder that
    holds such a data set already keeps its cases. `sparsity.json` tells for each case under "propagated" whether it is
    synthetic, its frame, the annotated frames with their weights, the engine and the share of folded pixels: a training
    can leave synthetic cases out, and validation must.

    To a sparse data set (with an ignore label) only what its annotated slices tell is added. A frame whose image the
    data set holds already is not written again; the slices that are annotated there count, and frames are numbered as
    its cases are. Of other annotated frames the slices with a label count. A slice of a carried frame is ignored unless
    it is annotated in all frames that it was carried from; where motion out of the slices was allowed for, so must be
    its neighbours. Frames of which nothing remains are left out.

    Args:
        cine: the images.
        result: what was carried over `cine`.
        folder: `nnUNet_raw/DatasetNNN_Name`.
        name: of the patient; the part before the frame decides the split.
        settings: how labels were carried, for the record.
        every: write every so many frames; annotated ones are always written.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds other structures or an annotated case of the same name, nothing would remain of any
            carried frame, or the disk refused.
    """
    folder = Path(folder)
    if not name or "/" in name or "\\" in name:
        raise InputError(f"'{name}' cannot be the name of a patient: it becomes part of file names")
    segmentation = result.segmentation
    occurring = [structure for structure in Structure if segmentation.mask(structure).any()]
    dataset, provenance, scheme = _existing(folder, occurring)
    ignored = dataset["labels"].get(IGNORE)
    annotated = [frame for frame, used in enumerate(result.sources) if used == (frame,)]
    records = dict(provenance.get("propagated", {}))
    held = held_frames(folder, name, cine, annotated, records) if ignored is not None else {}
    kept = _annotated_slices(segmentation, annotated, held, folder, ignored)
    first = _first_number(held, name)
    frames = [frame for frame in range(cine.n_frames) if frame in annotated or frame % every == 0]
    cases = list(provenance.get("cases", []))
    with output_folder(folder) as staged:
        (staged / "imagesTr").mkdir()
        (staged / "labelsTr").mkdir()
        for frame in frames:
            case = held.get(frame, f"{name}_frame{frame + first:02d}")
            record = _record(frame, annotated, cine, result, settings)
            if frame not in held:
                told = kept[frame] if frame in kept else carried_slices(record, kept, cine.n_slices)
                if not told:
                    continue
                if (folder / "labelsTr" / f"{case}.nii.gz").exists() and case not in records:
                    raise InputError(
                        f"{folder} already holds the case '{case}', which was not propagated; give another name"
                    )
                write_stack(cine.frame(frame), staged / "imagesTr" / f"{case}_0000.nii.gz")
                one = Segmentation(segmentation.labels.frame(frame), segmentation.scheme).in_scheme(scheme)
                write_stack(_ignoring(one.labels, told, ignored), staged / "labelsTr" / f"{case}.nii.gz")
                if ignored is not None:
                    record["kept"] = sorted(told)
            records[case] = record
            if case not in cases:
                cases.append(case)
        if not any((staged / "labelsTr").iterdir()):
            raise InputError(
                f"nothing of '{name}' can be added to {folder}: no slice of a carried frame comes from annotated "
                "slices alone"
            )
        held_files = {path.name for path in (folder / "labelsTr").glob("*.nii.gz")} if folder.is_dir() else set()
        held_files |= {path.name for path in (staged / "labelsTr").iterdir()}
        dataset["numTraining"] = len(held_files)
        provenance = {**provenance, "cases": cases, "propagated": records}
        if "totals" in provenance:
            synthetic = sum(bool(record.get("synthetic")) for record in records.values())
            provenance["totals"] = {**provenance["totals"], "synthetic_volumes": synthetic}
        for file, content in ((DATASET, dataset), (PROVENANCE, provenance)):
            (staged / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        _add_to_table(folder / TABLE_NAME, staged / TABLE_NAME, name)
    return folder


def held_frames(
    folder: Path, name: str, cine: Stack, frames: Sequence[int], records: Mapping[str, Any]
) -> dict[int, str]:
    """Cases of a data set that hold the very image of a frame, by frame.

    Args:
        folder: the raw data set.
        name: of the patient; only cases called so are looked at.
        cine: its frames are compared voxel by voxel.
        frames: to look for.
        records: of propagated cases; synthetic ones are none of the annotated frames.
    """
    found: dict[int, str] = {}
    for path in sorted((folder / "imagesTr").glob("*_0000.nii.gz")):
        case = path.name.removesuffix("_0000.nii.gz")
        if (case != name and not re.match(rf"{re.escape(name)}[_-]", case)) or records.get(case, {}).get("synthetic"):
            continue
        image = read_stack(path).array
        for frame in frames:
            if frame not in found and np.array_equal(image, cine.frame(frame).array):
                found[frame] = case
                break
    return found


def carried_slices(record: Mapping[str, Any], kept: Mapping[int, frozenset[int]], n_slices: int) -> frozenset[int]:
    """Slices of a carried frame that annotated slices alone tell of.

    Args:
        record: of the frame: `sources`, and how labels were carried (unknown counts as out of the slices).
        kept: annotated slices of every annotated frame.
        n_slices: of the stack.
    """
    common = frozenset.intersection(*(kept[source["frame"]] for source in record["sources"]))
    if record.get("dimension") == 2 and record.get("through_plane") is False:
        return common
    last = n_slices - 1
    return frozenset(index for index in common if {max(index - 1, 0), min(index + 1, last)} <= common)


def synthetic_cases(folder: Path | str) -> frozenset[str]:
    """Names of the cases of a raw data set whose labels were carried, not drawn; none where nothing tells."""
    provenance = read_object(Path(folder) / PROVENANCE)
    return frozenset(case for case, record in provenance.get("propagated", {}).items() if record.get("synthetic"))


def _record(
    frame: int, annotated: list[int], cine: Stack, result: PropagationResult, settings: PropagationSettings | None
) -> dict[str, Any]:
    synthetic = frame not in annotated
    weights = blend_weights(frame, annotated, cine.n_frames) if synthetic else {frame: 1.0}
    record: dict[str, Any] = {
        "synthetic": synthetic,
        "frame": frame,
        "n_frames": cine.n_frames,
        "sources": [{"frame": source, "weight": round(weight, 4)} for source, weight in weights.items()],
        "image": cine.source,
    }
    if synthetic:
        record |= {"engine": result.engine, "folding": round(result.folding[frame], 5)}
        if settings is not None:
            record |= {"strategy": settings.strategy, "dimension": settings.dimension}
            record |= {"through_plane": settings.through_plane}
    return record


def _annotated_slices(
    segmentation: Segmentation, annotated: Sequence[int], held: Mapping[int, str], folder: Path, ignored: int | None
) -> dict[int, frozenset[int]]:
    """Slices of every annotated frame that somebody looked at; all of them in a data set without ignore label."""
    kept = {}
    for frame in annotated:
        stack = segmentation.labels.frame(frame)
        told = np.ones(stack.n_slices, bool)
        if frame in held:
            drawn = replace(
                read_stack(folder / "labelsTr" / f"{held[frame]}.nii.gz"), through_plane=stack.through_plane
            )
            told = ~(drawn.slices_first() == ignored).any((-2, -1))
        elif ignored is not None:
            told = (stack.slices_first() > 0).any((-2, -1))
        kept[frame] = frozenset(np.flatnonzero(told).tolist())
    return kept


def _ignoring(labels: Stack, told: frozenset[int], ignored: int | None) -> Stack:
    """Labels with the ignore label in all slices but those."""
    if ignored is None:
        return labels
    numbers = np.array(labels.slices_first(), np.uint8)
    numbers[[index for index in range(labels.n_slices) if index not in told]] = ignored
    return labels.with_array(labels.from_slices_first(numbers))


def _first_number(held: Mapping[int, str], name: str) -> int:
    """What frame 0 is called: 0, unless cases that are there count otherwise (ACDC from 1)."""
    numbers = set()
    for frame, case in held.items():
        match = re.fullmatch(rf"{re.escape(name)}[_-]frame[_-]?(\d+)", case)
        if match:
            numbers.add(int(match[1]) - frame)
    return numbers.pop() if len(numbers) == 1 else 0


def _add_to_table(table: Path, target: Path, patient: str) -> None:
    """Name the patient in the `cases.csv` of the data set, where it has one: cases that it does not name are lost."""
    if not table.is_file():
        return
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or []), list(reader)
    if "patient" not in columns or any(row["patient"] == patient for row in rows):
        return
    rows.append({"patient": patient, **({"split": "train"} if "split" in columns else {})})
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _existing(folder: Path, occurring: Sequence[Structure]) -> tuple[dict[str, Any], dict[str, Any], LabelScheme]:
    """dataset.json and sparsity.json of the folder, or new ones, and the numbers of the labels."""
    scheme = LabelScheme("dataset", {structure: number for number, structure in enumerate(occurring, 1)})
    labels = {"background": 0, **{str(structure): number for structure, number in scheme.numbers.items()}}
    dataset: dict[str, Any] = {
        "channel_names": {"0": "cine MR"},
        "labels": labels,
        "numTraining": 0,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    if not (folder / DATASET).is_file():
        return dataset, dict(read_object(folder / PROVENANCE)), scheme
    dataset = dict(read_object(folder / DATASET))
    known = dataset.get("labels")
    known = dict(known) if isinstance(known, Mapping) else {}
    held = {one: known[str(one)] for one in Structure if isinstance(known.get(str(one)), int)}
    # Annotated slices of a sparse data set need not show all of its structures.
    fits = set(occurring) <= set(held) if IGNORE in known else set(occurring) == set(held)
    if not fits or len(known) != len(held) + 1 + (IGNORE in known) or dataset.get("file_ending") != ".nii.gz":
        raise InputError(
            f"{folder} holds a data set with labels {dataset.get('labels')} in {dataset.get('file_ending')} "
            f"files; those of the cine are {labels} in .nii.gz: write into another folder"
        )
    return dataset, dict(read_object(folder / PROVENANCE)), LabelScheme("dataset", held)
