"""`sparsify DATASET --out DIR`: keep annotations of some volumes, slices and regions only."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from ..progress import part_of
from .console import add_scheme_option, progress_bar, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "sparsify",
        help="an nnU-Net data set in which only some volumes, slices and regions are annotated",
        description="Draws volumes (by patient) and slices of an annotated data set with a seed and writes them as an "
        "nnU-Net v2 raw data set; sparsity.json tells exactly what was kept. DATASET: an nnU-Net raw data set, the "
        "folders of ACDC, M&Ms or M&Ms-2, or <case>.nii.gz with <case>_gt.nii.gz. Without options, all is kept.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of annotated volumes")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder, nnUNet_raw/DatasetNNN_Name")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--volumes", type=int, metavar="N", help="how many volumes to draw (default: all)")
    which.add_argument("--patients", nargs="+", metavar="NAME", help="these patients or cases instead of a draw")
    parser.add_argument("--slices", type=int, metavar="N", help="annotated slices a volume (default, and 0: all)")
    parser.add_argument(
        "--total", type=int, metavar="N", help="annotated slices in all (V x S), with either --slices or --volumes"
    )
    parser.add_argument(
        "--regions", default="AMB", help="letters of A (apical), M (mid-ventricular), B (basal) thirds (default: AMB)"
    )
    parser.add_argument(
        "--spread", default="random", choices=("random", "even"), help="of the slices (default: random)"
    )
    parser.add_argument(
        "--mode",
        default="ignore",
        choices=("ignore", "zero"),
        help="other slices get nnU-Net's ignore label, or image and label become 0 (default: ignore)",
    )
    parser.add_argument(
        "--unlabelled", action="store_true", help="also write the images of all other volumes, without annotation"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--split", help="of the data set, or 'all' (default: train where it has splits)")
    parser.add_argument("--view", default="sa", choices=("sa", "la", "both"), help="of M&Ms-2 (default: sa)")
    parser.add_argument(
        "--base",
        default="auto",
        choices=("auto", "first", "last"),
        help="end of the stacks (default: found from labels)",
    )
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw what was kept")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Plan, draw the picture, write, and print what was kept."""
    from ..anatomy import scheme_named
    from ..errors import InputError
    from ..files import write_atomically
    from ..training.sparsity.picture import plan_picture, plan_title
    from ..training.sparsity.plan import make_plan
    from ..training.sparsity.settings import SparsitySettings
    from ..training.sparsity.sources import read_source
    from ..training.sparsity.write import check_new_folder, write_sparse_dataset

    settings = SparsitySettings(
        volumes=tuple(options.patients) if options.patients else options.volumes,
        slices=options.slices,
        regions=options.regions,
        spread=options.spread,
        total=options.total,
        mode=options.mode,
        seed=options.seed,
        unlabelled=options.unlabelled,
        base=options.base,
    )
    if options.picture is not None and options.picture.suffix.lower() != ".png":
        raise InputError(f"{options.picture}: the picture is a PNG; give it the suffix .png")
    check_new_folder(options.out)
    scheme = scheme_named(options.scheme) if options.scheme else None
    source = read_source(options.dataset, scheme, options.split, options.view)
    with progress_bar("sparsify") as progress, ExitStack() as files:
        plan = make_plan(source, settings, part_of(progress, 0.0, 0.4))
        if options.picture is not None:
            # Entered first, so that the picture appears only with the data set.
            files.enter_context(write_atomically(options.picture)).write_bytes(plan_picture(plan))
        write_sparse_dataset(plan, options.out, part_of(progress, 0.4, 1.0))
    for warning in plan.warnings:
        warn(warning)
    say(plan_title(plan))
    say(str(options.out / "sparsity.json"))
    if options.picture is not None:
        say(str(options.picture))
