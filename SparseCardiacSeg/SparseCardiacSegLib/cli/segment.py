"""`segment IMAGE… --out DIR`: labels for stacks and cines."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import part_of
from .console import add_model_options, add_scheme_option, progress_bar, say, warn

if TYPE_CHECKING:
    from ..segmentation import Segmentation
    from ..segmenter import SegmentResult


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("segment", help="segment short-axis stacks or cines automatically")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="NIfTI, NRRD, MHA or a DICOM folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for <stem>_seg.nii.gz and <stem>.seg.nrrd")
    add_model_options(parser)
    add_scheme_option(parser, "acdc")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment every image; the output folder gets the files of all of them or of none."""
    from ..anatomy import scheme_named
    from ..files import output_folder
    from ..io import file_stem, read_stack
    from ..segmenter import segment_stack
    from ..worker.client import WorkerClient

    scheme = scheme_named(options.scheme)
    stems = [file_stem(path) for path in options.images]
    repeated = {name for name in stems if stems.count(name) > 1}
    if repeated:
        raise InputError(f"several images would write the same files: {', '.join(sorted(repeated))}")
    stacks = [read_stack(path) for path in options.images]
    settings, postprocess = model_settings(options)
    with ExitStack() as open_things:
        folder = open_things.enter_context(output_folder(options.out))
        client = open_things.enter_context(WorkerClient())
        progress = open_things.enter_context(progress_bar("segment"))
        for number, (name, stack) in enumerate(zip(stems, stacks, strict=True)):
            share = part_of(progress, number / len(stacks), (number + 1) / len(stacks))
            result = segment_stack(client, stack, options.model, settings, postprocess, share)
            write_result(result, folder, name, scheme_name=scheme.name)
            for warning in (*stack.meta.get("warnings", ()), *result.warnings):
                warn(f"{name}: {warning}")
    for name in stems:
        say(f"{options.out / (name + '_seg.nii.gz')}")


def model_settings(options: argparse.Namespace) -> tuple:
    """The prediction and post-processing settings that the options ask for."""
    from ..automatic.postprocess import PostprocessSettings
    from ..automatic.predictor import PredictionSettings

    settings = PredictionSettings(device=options.device, mirroring=not options.no_mirroring, backend=options.backend)
    return settings, None if options.no_postprocess else PostprocessSettings()


def write_result(result: SegmentResult, folder: Path, name: str, scheme_name: str) -> None:
    """Write the labels, Slicer's segmentation file (one a frame of a cine) and the raw labels if they differ."""
    from ..anatomy import scheme_named
    from ..io import write_segmentation

    scheme = scheme_named(scheme_name)
    segmentation = result.segmentation.in_scheme(scheme)
    write_segmentation(segmentation, folder / f"{name}_seg.nii.gz")
    for path, frame in slicer_files(segmentation, name):
        write_segmentation(frame, folder / path)
    raw = result.raw.in_scheme(scheme)
    if (raw.labels.array != segmentation.labels.array).any():
        (folder / "raw").mkdir(exist_ok=True)
        write_segmentation(raw, folder / "raw" / f"{name}_seg.nii.gz")


def slicer_files(segmentation: Segmentation, name: str) -> list[tuple[str, Segmentation]]:
    """File names and contents for `.seg.nrrd`, which holds one frame."""
    if not segmentation.labels.is_cine:
        return [(f"{name}.seg.nrrd", segmentation)]
    frames = range(segmentation.labels.n_frames)
    return [(f"{name}_frame{index:02d}.seg.nrrd", segmentation.frame(index)) for index in frames]
