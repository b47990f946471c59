"""`segment IMAGE… --out DIR`: labels for stacks and cines."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import part_of
from .console import add_model_options, progress_bar, say, warn

if TYPE_CHECKING:
    from ..anatomy import LabelScheme
    from ..automatic.postprocess import PostprocessSettings
    from ..automatic.predictor import PredictionSettings
    from ..automatic.roi import VoxelBox
    from ..segmentation import Segmentation
    from ..segmenter import SegmentResult
    from ..stack import Stack


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("segment", help="segment stacks or cines automatically")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="NIfTI, NRRD, MHA or a DICOM folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for <stem>_seg.nii.gz and <stem>.seg.nrrd")
    add_model_options(parser)
    parser.add_argument(
        "--roi",
        nargs="+",
        metavar="BOX",
        help="look only inside a box: R0 R1 A0 A1 S0 S1 in mm, or a JSON file ('ras' or 'voxels', or a Slicer ROI)",
    )
    parser.add_argument(
        "--scheme", help="label numbers: acdc, mnms, la or all (default: acdc, where the model fits it)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment every image; the output folder gets the files of all of them or of none."""
    from ..files import output_folder
    from ..io import file_stem, read_stack
    from ..segmenter import preload, segment_stack
    from ..worker.client import WorkerClient

    scheme = output_scheme(options.model, options.scheme)
    stems = [file_stem(path) for path in options.images]
    repeated = {name for name in stems if stems.count(name) > 1}
    if repeated:
        raise InputError(f"several images would write the same files: {', '.join(sorted(repeated))}")
    with ExitStack() as open_things:
        client = open_things.enter_context(WorkerClient())
        # Two processes load what they need side by side: SciPy and the network there, nibabel and the images here.
        preload(client, options.model, prediction_settings(options))
        stacks = [read_stack(path) for path in options.images]
        boxes = [region_of_interest(options.roi, stack) for stack in stacks]
        settings, postprocess = model_settings(options)
        folder = open_things.enter_context(output_folder(options.out))
        progress = open_things.enter_context(progress_bar("segment"))
        for number, (name, stack) in enumerate(zip(stems, stacks, strict=True)):
            share = part_of(progress, number / len(stacks), (number + 1) / len(stacks))
            result = segment_stack(client, stack, options.model, settings, postprocess, share, boxes[number])
            write_result(result, folder, name, scheme)
            for warning in (*stack.meta.get("warnings", ()), *result.warnings):
                warn(f"{name}: {warning}")
    for name in stems:
        say(f"{options.out / (name + '_seg.nii.gz')}")


def output_scheme(model: str, name: str | None) -> LabelScheme:
    """The scheme to write: the one of that name, else the first of acdc, la and all that has the model's structures.

    Raises:
        InputError: there is no such model or scheme, or the scheme lacks a structure of the model.
    """
    from ..anatomy import ACDC, ALL, LEFT_ATRIUM, scheme_named
    from ..automatic.catalogue import find_model

    structures = set(find_model(model).scheme.numbers)
    if name is None:
        return next(scheme for scheme in (ACDC, LEFT_ATRIUM, ALL) if structures <= set(scheme.numbers))
    scheme = scheme_named(name)
    lacking = sorted(structures - set(scheme.numbers))
    if lacking:
        raise InputError(
            f"scheme '{scheme.name}' has no number for {', '.join(lacking)}, which model '{model}' segments"
        )
    return scheme


def prediction_settings(options: argparse.Namespace) -> PredictionSettings:
    """The prediction settings that the options ask for."""
    from ..automatic.predictor import PredictionSettings

    return PredictionSettings(
        device=options.device,
        mirroring=not options.no_mirroring,
        backend=options.backend,
        threshold=options.threshold,
    )


def model_settings(options: argparse.Namespace) -> tuple[PredictionSettings, PostprocessSettings | None]:
    """The prediction and post-processing settings that the options ask for."""
    from ..automatic.catalogue import find_model
    from ..automatic.postprocess import recommended

    settings = prediction_settings(options)
    return settings, None if options.no_postprocess else recommended(find_model(options.model).card)


def region_of_interest(given: Sequence[str] | None, stack: Stack) -> VoxelBox | None:
    """The box that `--roi` means on `stack`.

    Raises:
        InputError: neither six numbers nor a usable file, or a box that is empty or outside.
    """
    from ..automatic.roi import box_from_ras, read_box

    if given is None:
        return None
    if len(given) == 1:
        return read_box(Path(given[0]), stack)
    try:
        r0, r1, a0, a1, s0, s1 = map(float, given)
    except ValueError:
        raise InputError(
            f"--roi needs six numbers (R0 R1 A0 A1 S0 S1, mm) or one file, not {' '.join(given)}"
        ) from None
    return box_from_ras(stack, (r0, a0, s0), (r1, a1, s1))


def write_result(result: SegmentResult, folder: Path, name: str, scheme: LabelScheme) -> None:
    """Write the labels, Slicer's segmentation file (one a frame of a cine) and the raw labels if they differ."""
    from ..io import write_segmentation

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
