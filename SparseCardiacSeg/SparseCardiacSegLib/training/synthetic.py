"""Frames of a cine with carried labels, added to an nnU-Net raw data set as cases that are marked synthetic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..anatomy import LabelScheme, Structure
from ..errors import InputError
from ..files import output_folder
from ..io import write_segmentation, write_stack
from ..propagation.carry import PropagationResult, PropagationSettings, blend_weights
from ..segmentation import Segmentation
from ..stack import Stack

DATASET = "dataset.json"
PROVENANCE = "sparsity.json"


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
        InputError: the folder holds other structures or an annotated case of the same name, or the disk refused.
    """
    folder = Path(folder)
    if not name or "/" in name or "\\" in name:
        raise InputError(f"'{name}' cannot be the name of a patient: it becomes part of file names")
    segmentation = result.segmentation
    occurring = [structure for structure in Structure if segmentation.mask(structure).any()]
    scheme = LabelScheme("dataset", {structure: number for number, structure in enumerate(occurring, 1)})
    dataset, provenance = _existing(folder, scheme)
    annotated = [frame for frame, used in enumerate(result.sources) if used == (frame,)]
    frames = [frame for frame in range(cine.n_frames) if frame in annotated or frame % every == 0]
    records = dict(provenance.get("propagated", {}))
    cases = list(provenance.get("cases", []))
    with output_folder(folder) as staged:
        (staged / "imagesTr").mkdir()
        (staged / "labelsTr").mkdir()
        for frame in frames:
            case = f"{name}_frame{frame:02d}"
            if (folder / "labelsTr" / f"{case}.nii.gz").exists() and case not in records:
                raise InputError(
                    f"{folder} already holds the case '{case}', which was not propagated; give another name"
                )
            write_stack(cine.frame(frame), staged / "imagesTr" / f"{case}_0000.nii.gz")
            one = Segmentation(segmentation.labels.frame(frame), segmentation.scheme).in_scheme(scheme)
            write_segmentation(one, staged / "labelsTr" / f"{case}.nii.gz")
            records[case] = _record(frame, annotated, cine, result, settings)
            if case not in cases:
                cases.append(case)
        held = {path.name for path in (folder / "labelsTr").glob("*.nii.gz")} if folder.is_dir() else set()
        held |= {path.name for path in (staged / "labelsTr").iterdir()}
        dataset["numTraining"] = len(held)
        provenance = {**provenance, "cases": cases, "propagated": records}
        for file, content in ((DATASET, dataset), (PROVENANCE, provenance)):
            (staged / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return folder


def synthetic_cases(folder: Path | str) -> frozenset[str]:
    """Names of the cases of a raw data set whose labels were carried, not drawn; none where nothing tells."""
    provenance = _read(Path(folder) / PROVENANCE)
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


def _existing(folder: Path, scheme: LabelScheme) -> tuple[dict[str, Any], dict[str, Any]]:
    """dataset.json and sparsity.json of the folder, or new ones."""
    labels = {"background": 0, **{str(structure): number for structure, number in scheme.numbers.items()}}
    dataset: dict[str, Any] = {
        "channel_names": {"0": "cine MR"},
        "labels": labels,
        "numTraining": 0,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    if (folder / DATASET).is_file():
        dataset = dict(_read(folder / DATASET))
        if dataset.get("labels") != labels or dataset.get("file_ending") != ".nii.gz":
            raise InputError(
                f"{folder} holds a data set with labels {dataset.get('labels')} in {dataset.get('file_ending')} "
                f"files; those of the cine are {labels} in .nii.gz: write into another folder"
            )
    return dataset, dict(_read(folder / PROVENANCE))


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no JSON object")
    return content
