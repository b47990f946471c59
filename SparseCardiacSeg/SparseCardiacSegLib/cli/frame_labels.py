"""`--labels`: a file with labels of all frames, or files of single frames as FRAME:FILE."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..anatomy import LabelScheme
    from ..segmentation import Segmentation
    from ..stack import Stack

_FRAME = re.compile(r"(\d{1,5}):(.+)", re.DOTALL)


def add_labels_option(parser: argparse.ArgumentParser) -> None:
    """`--labels`, for commands that read a cine."""
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="FILE|FRAME:FILE",
        help="labels of every frame in one file, or FRAME:FILE for single frames, counted from 0",
    )


def read_labels(given: Sequence[str], cine: Stack, scheme: LabelScheme | None) -> dict[int, Segmentation]:
    """Labels by frame, each on the grid of one frame of `cine`; frames without a label are left out.

    Args:
        given: one file, or FRAME:FILE for each of several frames.
        cine: the image; a single stack is frame 0.
        scheme: of the numbers in the files; None as the files tell, or guessed.

    Raises:
        InputError: a file cannot be read, does not fit the image or holds no label, a frame is named twice or does not
            exist, or a file of a single frame does not say which.
    """
    named = [_named(text) for text in given]
    if len(named) > 1 and any(frame is None for frame, _ in named):
        raise InputError("of several --labels, each must be FRAME:FILE, such as 0:ed.nii.gz 9:es.nii.gz")
    found: dict[int, Segmentation] = {}
    for frame, path in named:
        labels = _on_grid(path, cine, scheme)
        if frame is None and labels.labels.n_frames != cine.n_frames:
            raise InputError(
                f"{path} holds {labels.labels.n_frames} frame(s), {cine.source} {cine.n_frames}; for the labels of one "
                "frame give FRAME:FILE"
            )
        if frame is not None and labels.labels.is_cine:
            raise InputError(f"{path} holds {labels.labels.n_frames} frames; give it without a frame's number")
        if frame is not None and frame >= cine.n_frames:
            raise InputError(f"{cine.source} has frames 0 to {cine.n_frames - 1}; labels were given for {frame}")
        if frame in found:
            raise InputError(f"frame {frame} has two label files")
        parts = {index: labels.frame(index) for index in range(labels.labels.n_frames)} if frame is None else {}
        found.update({index: one for index, one in parts.items() if one.labels.array.any()})
        if frame is not None:
            if not labels.labels.array.any():
                raise InputError(f"{path} holds no labelled voxel")
            found[frame] = labels
    if given and not found:
        raise InputError(f"{given[0]} holds no labelled voxel")
    first = next(iter(found.values()), None)
    return {} if first is None else {index: found[index].in_scheme(first.scheme) for index in sorted(found)}


def _named(text: str) -> tuple[int | None, Path]:
    """Frame and path of one value; a file whose own name looks like that is taken as a file."""
    match = _FRAME.fullmatch(text)
    if match is None or Path(text).exists():
        return None, Path(text)
    return int(match[1]), Path(match[2])


def _on_grid(path: Path, cine: Stack, scheme: LabelScheme | None) -> Segmentation:
    """Labels of a file on the grid of the image, whose slices run along the axis that the image's do."""
    from ..io import read_segmentation
    from ..segmentation import Segmentation

    read = read_segmentation(path, scheme)
    if read.labels.shape != cine.shape:
        raise InputError(f"{path} has shape {read.labels.shape}, {cine.source} {cine.shape}: not the same grid")
    if read.labels.spacing_known and not read.labels.same_grid(cine, 0.5 * min(cine.spacing)):
        raise InputError(f"{path} lies at another place than {cine.source}: was it drawn on another image?")
    return Segmentation(cine.with_array(read.labels.array), read.scheme, read.warnings)
