"""A folder of cines of which some frames are annotated: `<cine>.nii.gz` with `<cine>_frameNN_gt.nii.gz`."""

from __future__ import annotations

import re
from pathlib import Path

from ..anatomy import LabelScheme
from ..errors import InputError
from ..io import read_segmentation, read_stack
from .propagation_evaluation import FramePair

_LABELS = re.compile(r"(?P<cine>.+)_frame(?P<number>\d+)_gt\.nii(?:\.gz)?")


def has_annotated_cines(folder: Path | str) -> bool:
    """Whether a folder holds label files of frames whose cine lies beside them."""
    return bool(_found(Path(folder)))


def read_annotated_cines(folder: Path | str, scheme: LabelScheme | None = None) -> list[FramePair]:
    """The first two annotated frames of every cine; frame numbers in file names count from 1, as ACDC's do.

    Raises:
        InputError: a file cannot be read, a frame does not exist, or no cine has two annotated frames.
    """
    pairs = []
    for path, labels in sorted(_found(Path(folder)).items()):
        if len(labels) < 2:
            continue
        (first, first_path), (second, second_path) = sorted(labels.items())[:2]
        cine = read_stack(path)
        if not cine.is_cine or not 1 <= first < second <= cine.n_frames:
            raise InputError(f"{path} has {cine.n_frames} frame(s), but {second_path.name} is labels of frame {second}")
        pairs.append(
            FramePair(
                path.name.split("_")[0],
                "",
                (first_path.name, second_path.name),
                cine,
                (first - 1, second - 1),
                (read_segmentation(first_path, scheme), read_segmentation(second_path, scheme)),
            )
        )
    if not pairs:
        raise InputError(f"{folder} holds no cine with two annotated frames")
    return pairs


def _found(folder: Path) -> dict[Path, dict[int, Path]]:
    """Label files by frame number, by cine; only those whose cine is there."""
    found: dict[Path, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _LABELS.fullmatch(path.name)
        if match is None:
            continue
        cine = next((one for end in (".nii.gz", ".nii") if (one := folder / (match["cine"] + end)).is_file()), None)
        if cine is not None:
            found.setdefault(cine, {})[int(match["number"])] = path
    return found
