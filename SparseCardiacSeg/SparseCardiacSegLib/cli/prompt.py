"""`prompt IMAGE PROMPTS.json --out FILE`: points and boxes become labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .console import DEVICES, progress_bar, say, warn

if TYPE_CHECKING:
    from ..prompter import PromptSettings
    from ..prompting.prompts import PromptSet
    from ..segmentation import Segmentation
    from ..stack import Stack


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("prompt", help="segment what points and boxes on slices mark")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="NIfTI, NRRD, MHA or a DICOM folder")
    parser.add_argument("prompts", nargs="?", type=Path, metavar="PROMPTS.json", help="not with --everything")
    parser.add_argument("--out", type=Path, required=True, help="label volume: .nii.gz, .nrrd, .mha or .seg.nrrd")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also draw the prompts and what they gave")
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="with --picture: labels to draw beside, of the image's grid"
    )
    parser.add_argument("--model", default="sax-prompt", help="name of a model, its folder, or a checkpoint file")
    parser.add_argument("--scheme", help="label numbers: acdc, mnms, la or all (default: the first that fits)")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--backend", default="auto", choices=("auto", "onnx", "torch"))
    parser.add_argument(
        "--myocardium",
        choices=("ring", "difference"),
        help="the mask of the ring itself, or what the prompts enclose less the cavity",
    )
    parser.add_argument("--overlap", choices=("order", "score"), help="LV over MYO over RV, or the better score")
    parser.add_argument(
        "--no-shared-negatives",
        action="store_true",
        help="do not take the points in one structure as points outside the others",
    )
    parser.add_argument(
        "--keep-islands", action="store_true", help="keep small pieces of a mask that hold no point of its prompt"
    )
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache of encoded slices")
    parser.add_argument(
        "--everything", action="store_true", help="no prompts: number every mask that the model finds, to compare"
    )
    parser.add_argument(
        "--slice", type=int, action="append", metavar="K", help="with --everything: slices (default: the middle one)"
    )
    parser.add_argument("--frame", type=int, metavar="N", help="with --everything: frame of a cine (default: 0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write one label volume on the grid of the image, or nothing."""
    from ..io import read_stack
    from ..prompter import PromptSettings

    _check_options(options)
    stack = read_stack(options.image)
    check_output(options.out, stack, numbered=options.everything)
    for warning in stack.meta.get("warnings", ()):
        warn(warning)
    settings = PromptSettings(options.device, options.backend, cache=not options.no_cache)
    if options.everything:
        _everything(options, stack, settings)
    else:
        _prompt(options, stack, settings)
    say(str(options.out))


def check_output(path: Path, stack: Stack, numbered: bool = False) -> None:
    """See before any work whether labels of `stack` can be written to `path`.

    Args:
        path: the file to write.
        stack: whose grid it will have.
        numbered: whether masks are numbered rather than named.

    Raises:
        InputError: the suffix is none that can be written, or not with these labels.
    """
    from ..io.formats import suffix_of

    suffix = suffix_of(path)
    if suffix not in (".nii.gz", ".nii", ".nrrd", ".seq.nrrd", ".mha", ".seg.nrrd"):
        raise InputError(f"cannot write {path}: use the suffix .nii.gz, .nii, .nrrd, .mha or .seg.nrrd")
    if suffix == ".seg.nrrd" and numbered:
        raise InputError(f"cannot write {path}: numbered masks are no segments; use .nii.gz, .nrrd or .mha")
    if suffix == ".seg.nrrd" and stack.is_cine:
        raise InputError(f"cannot write {path}: a .seg.nrrd holds one frame; use .nii.gz, .nrrd or .mha for a cine")


def _check_options(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if options.reference is not None and options.picture is None:
        raise InputError("--reference goes with --picture")
    if options.picture is not None and options.picture.suffix.lower() != ".png":
        raise InputError(f"cannot write {options.picture}: use the suffix .png")
    if options.everything:
        if options.prompts is not None:
            raise InputError(f"--everything takes no prompts; leave {options.prompts} out")
        given = ("scheme", "myocardium", "overlap")
        useless = [f"--{name}" for name in given if getattr(options, name) is not None]
        useless += ["--picture"] if options.picture is not None else []
        useless += ["--no-shared-negatives"] if options.no_shared_negatives else []
        useless += ["--keep-islands"] if options.keep_islands else []
        useless += ["--backend onnx"] if options.backend == "onnx" else []
        if useless:
            raise InputError(f"{', '.join(useless)} cannot be used with --everything")
    else:
        if options.prompts is None:
            raise InputError("give a prompts file, or --everything to find masks without prompts")
        if options.slice is not None or options.frame is not None:
            raise InputError("--slice and --frame go with --everything; prompts name their own slices and frames")


def _prompt(options: argparse.Namespace, stack: Stack, settings: PromptSettings) -> None:
    """Labels by prompts."""
    from ..anatomy import scheme_named
    from ..files import write_atomically
    from ..io import write_segmentation
    from ..prompter import prompt_stack
    from ..prompting.predictor import PromptOptions
    from ..prompting.prompt_file import read_prompts
    from ..worker.client import WorkerClient

    prompts = read_prompts(options.prompts)
    if not len(prompts):
        raise InputError(f"{options.prompts} holds no prompts")
    scheme = None if options.scheme is None else scheme_named(options.scheme)
    given = {name: getattr(options, name) for name in ("myocardium", "overlap") if getattr(options, name) is not None}
    prompt_options = PromptOptions(
        shared_negatives=not options.no_shared_negatives, drop_islands=not options.keep_islands, **given
    )
    with WorkerClient() as client, progress_bar("prompt") as progress:
        result = prompt_stack(client, stack, prompts, options.model, prompt_options, settings, scheme, progress)
    picture = None if options.picture is None else _picture(options, stack, prompts, result.segmentation)
    write_segmentation(result.segmentation, options.out)
    if picture is not None:
        with write_atomically(options.picture) as temporary:
            temporary.write_bytes(picture)
    for warning in result.warnings:
        warn(warning)


def _picture(options: argparse.Namespace, stack: Stack, prompts: PromptSet, segmentation: Segmentation) -> bytes:
    """The prompts and masks on up to three slices, as PNG."""
    from ..figures import prompt_figure
    from ..io import read_segmentation

    reference = None
    if options.reference is not None:
        reference = read_segmentation(options.reference)
        if not reference.labels.same_grid(stack):
            raise InputError(f"{options.reference} and {options.image} do not lie on the same grid")
    return prompt_figure(stack, prompts, segmentation, reference)


def _everything(options: argparse.Namespace, stack: Stack, settings: PromptSettings) -> None:
    """Numbered masks without prompts."""
    from ..io import write_stack
    from ..prompter import everything_stack
    from ..worker.client import WorkerClient

    slices = options.slice or [stack.n_slices // 2]
    with WorkerClient() as client, progress_bar("everything") as progress:
        labels, counts = everything_stack(client, stack, slices, options.model, options.frame or 0, settings, progress)
    write_stack(labels, options.out)
    for index, count in counts.items():
        say(f"slice {index}: {count} masks")
