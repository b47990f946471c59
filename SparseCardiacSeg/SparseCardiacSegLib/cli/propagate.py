"""`propagate CINE --labels FRAME:FILE … --out FILE`: labels of some frames carried to all frames of a cine."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .console import add_scheme_option, progress_bar, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    from ..propagation.carry import STRATEGIES
    from ..propagation.engine import DEFAULT_ENGINE, ENGINES

    parser = subparsers.add_parser(
        "propagate",
        help="carry the labels of one or more frames to every frame of a cine",
        description="Registers every frame with the annotated ones and moves their labels along. A frame between two "
        "annotated ones gets a blend of both, by its distance in time; annotated frames stay as they are.",
    )
    parser.add_argument("cine", type=Path, metavar="CINE", help="NIfTI, NRRD, MHA or a DICOM folder with frames")
    parser.add_argument(
        "--labels",
        nargs="+",
        required=True,
        metavar="FRAME:FILE",
        help="label file of a frame; the first frame is 0, e.g. 0:ed_gt.nii.gz 11:es_gt.nii.gz",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="labels of all frames, 4D NIfTI")
    parser.add_argument(
        "--as-dataset",
        type=Path,
        metavar="DIR",
        help="write annotated and carried frames as an nnU-Net raw data set; carried ones are marked synthetic",
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="with --as-dataset: every N-th frame (default: 1)"
    )
    parser.add_argument("--name", help="with --as-dataset: name of the patient (default: name of CINE)")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, choices=tuple(ENGINES), help=f"default: {DEFAULT_ENGINE}")
    parser.add_argument("--strategy", default=STRATEGIES[0], choices=STRATEGIES, help=f"default: {STRATEGIES[0]}")
    parser.add_argument("--dimension", type=int, default=2, choices=(2, 3), help="3: demons on the whole stack")
    parser.add_argument("--in-plane", action="store_true", help="do not allow for the heart's motion out of the slices")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read, carry and write."""
    from contextlib import nullcontext
    from dataclasses import replace

    from ..anatomy import scheme_named
    from ..files import write_atomically
    from ..io import file_stem, read_segmentation, read_stack, write_segmentation
    from ..propagation.carry import PropagationSettings, propagate
    from ..training.synthetic import write_synthetic_dataset

    if options.out is None and options.as_dataset is None:
        raise InputError("there is nothing to write: give --out FILE, --as-dataset DIR, or both")
    if options.out is not None and not options.out.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"--out {options.out} must end in .nii or .nii.gz: labels of all frames are written as NIfTI")
    if options.every < 1:
        raise InputError(f"--every must be 1 or more, not {options.every}")
    settings = PropagationSettings(
        options.engine, options.strategy, options.dimension, through_plane=not options.in_plane
    )
    files = label_files(options.labels)
    cine = read_stack(options.cine)
    if not cine.is_cine:
        raise InputError(f"{options.cine} is a single stack; labels can only be carried through a cine (4D)")
    scheme = scheme_named(options.scheme) if options.scheme else None
    labels = {}
    for frame, file in files.items():
        read = read_segmentation(file, scheme)
        labels[frame] = replace(read, labels=replace(read.labels, through_plane=cine.through_plane))
    # Around the work, so that a folder that cannot be made is told before it, and so that a data set that cannot be
    # written leaves no --out either.
    with write_atomically(options.out) if options.out is not None else nullcontext() as temporary:
        with progress_bar("propagate") as progress:
            result = propagate(cine, labels, settings, progress)
        if temporary is not None:
            write_segmentation(result.segmentation, temporary)
        folder = None
        if options.as_dataset is not None:
            name = options.name or file_stem(options.cine)
            folder = write_synthetic_dataset(cine, result, options.as_dataset, name, settings, options.every)
    for warning in dict.fromkeys([*cine.meta.get("warnings", ()), *result.warnings]):
        warn(warning)
    for path in (options.out, folder):
        if path is not None:
            say(str(path))


def label_files(given: list[str]) -> dict[int, Path]:
    """Label files by frame.

    Args:
        given: FRAME:FILE each.

    Raises:
        InputError: one is not of that form, or a frame is given twice.
    """
    files: dict[int, Path] = {}
    for one in given:
        frame, colon, path = one.partition(":")
        if not colon or not path or not frame.isdecimal():
            raise InputError(f"--labels {one} is not FRAME:FILE, such as 0:ed_gt.nii.gz; the first frame is 0")
        if int(frame) in files:
            raise InputError(f"frame {int(frame)} is given twice: {files[int(frame)]} and {path}")
        files[int(frame)] = Path(path)
    return files
