"""`evaluate-propagation DATASET --out DIR`: how well registration engines carry labels from one frame to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .console import add_scheme_option, progress_bar, say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    from ..propagation.carry import STRATEGIES
    from ..propagation.engine import DEFAULT_ENGINE, ENGINES

    parser = subparsers.add_parser(
        "evaluate-propagation",
        help="measure how well labels are carried between two annotated frames",
        description="Carries the labels of each patient's first annotated frame (ED in ACDC) to the second (ES) and "
        "compares them with those drawn there: Dice and HD95 by structure, engine and strategy. DATASET may also be a "
        "folder of annotated cines: <patient>_4d….nii.gz with <…>_frameNN_gt.nii.gz, NN from 1.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="<case>.nii.gz with <case>_gt.nii.gz, or nnU-Net")
    parser.add_argument("--out", type=Path, required=True, help="folder for propagation.csv and summary.json")
    parser.add_argument("--split", help="of DATASET's cases.csv (default: all)")
    parser.add_argument(
        "--engine",
        nargs="+",
        default=["identity", DEFAULT_ENGINE],
        choices=tuple(ENGINES),
        metavar="NAME",
        help=f"any of {', '.join(ENGINES)} (default: identity {DEFAULT_ENGINE})",
    )
    parser.add_argument("--strategy", nargs="+", default=["direct"], choices=STRATEGIES, help="default: direct")
    parser.add_argument("--in-plane", action="store_true", help="do not allow for motion out of the slices")
    parser.add_argument("--patients", type=int, metavar="N", help="only the first N, for slow engines")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, write and print one line for each engine."""
    from ..anatomy import scheme_named
    from ..training.annotated_cines import has_annotated_cines, read_annotated_cines
    from ..training.propagation_evaluation import evaluate_propagation, read_pairs

    if options.patients is not None and options.patients < 1:
        raise InputError(f"--patients must be 1 or more, not {options.patients}")
    scheme = scheme_named(options.scheme) if options.scheme else None
    if has_annotated_cines(options.dataset):
        if options.split is not None:
            raise InputError(f"{options.dataset} is a folder of annotated cines and has no splits: leave out --split")
        pairs = read_annotated_cines(options.dataset, scheme)
    else:
        pairs = read_pairs(options.dataset, options.split, scheme)
    pairs = pairs[: options.patients]
    with progress_bar("evaluate-propagation") as progress:
        summary = evaluate_propagation(
            pairs, options.engine, options.out, options.strategy, not options.in_plane, progress
        )
    for name, found in summary["engines"].items():
        structures = " ".join(f"{key} {one['dice']:.3f}" for key, one in found["structures"].items())
        jumps = [
            f"{key} {one['median_jump']:.3f} to {one['largest_jump']:.3f}"
            for key, one in found["structures"].items()
            if one["largest_jump"] is not None
        ]
        smooth = f", volume jumps, median to largest: {', '.join(jumps)}" if jumps else ""
        say(f"{name}: Dice {found['dice']:.3f} ({structures}), folding {100 * found['folding']:.2f} %{smooth}")
    say(str(options.out / "propagation.csv"))
    say(str(options.out / "summary.json"))
