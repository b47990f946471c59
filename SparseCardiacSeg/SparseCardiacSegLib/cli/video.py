"""`video CINE --out FILE`: a cine with the contours of its labels as MP4 or GIF."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .console import add_scheme_option, progress_bar, say, warn
from .frame_labels import add_labels_option, read_labels

if TYPE_CHECKING:
    from ..segmentation import Segmentation
    from ..stack import Stack


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("video", help="a cine (or the slices of a stack) with contours as .mp4 or .gif")
    parser.add_argument("cine", type=Path, metavar="CINE", help="NIfTI, NRRD, MHA or a DICOM folder")
    add_labels_option(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .mp4 or .gif")
    parser.add_argument("--series", help="number or name of the series, where a DICOM folder holds several")
    parser.add_argument("--slice", type=int, metavar="N", help="only this slice, enlarged, counted from 0")
    parser.add_argument("--fps", type=float, help="frames a second (default: the heart's own rate)")
    parser.add_argument("--cycles", type=int, metavar="N", help="heart beats in an MP4 (default: 4 seconds of them)")
    parser.add_argument("--width", type=int, metavar="PIXELS")
    parser.add_argument("--title", help="default: the name of CINE")
    parser.add_argument("--ed", type=int, metavar="FRAME", help="default: the largest left ventricle")
    parser.add_argument("--es", type=int, metavar="FRAME", help="default: the smallest left ventricle")
    parser.add_argument("--no-curve", action="store_true", help="leave the volume curve out")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw and write the video."""
    from ..anatomy import scheme_named
    from ..figures.video import VideoOptions, cine_video
    from ..io import file_stem, read_stack

    chosen = VideoOptions(
        slice=options.slice,
        fps=options.fps,
        cycles=options.cycles,
        width=options.width,
        title=file_stem(options.cine.resolve()) if options.title is None else options.title,
        ed=options.ed,
        es=options.es,
        curve=not options.no_curve,
    )
    cine = read_stack(options.cine, series=options.series)
    labels = read_labels(options.labels, cine, scheme_named(options.scheme) if options.scheme else None)
    with progress_bar("video") as progress:
        info = cine_video(cine, of_all_frames(labels, cine), options.out, chosen, progress)
    told = [*cine.meta.get("warnings", ()), *(warning for one in labels.values() for warning in one.warnings)]
    for warning in dict.fromkeys([*told, *info.warnings]):
        warn(warning)
    rows, columns = info.size
    say(f"{options.out}: {info.n_frames} frames of {columns} x {rows}, {info.fps:.3g} a second")


def of_all_frames(labels: dict[int, Segmentation], cine: Stack) -> Segmentation | None:
    """Labels by frame as one segmentation of the cine, empty where a frame has none; None without any."""
    import numpy as np

    from ..segmentation import Segmentation

    if not labels:
        return None
    array = np.zeros(cine.array.shape, np.uint8)
    for frame, one in labels.items():
        array[frame if cine.is_cine else ...] = one.labels.array
    first = next(iter(labels.values()))
    return Segmentation(cine.with_array(array), first.scheme)
