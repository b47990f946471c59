"""`evaluate PREDICTION REFERENCE --out DIR`: metrics by structure and region."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import add_region_option, add_scheme_option, progress_bar, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("evaluate", help="Dice, HD, HD95 and MAD against a reference, files or folders")
    parser.add_argument("prediction", type=Path, metavar="PREDICTION")
    parser.add_argument("reference", type=Path, metavar="REFERENCE")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.csv and summary.json")
    add_scheme_option(parser)
    parser.add_argument("--reference-scheme", help="label numbers of the references, where they differ")
    parser.add_argument("--structures", nargs="+", choices=("RV", "MYO", "LV", "LA"), help="default: all in both")
    add_region_option(parser, "--regions", "20/60/20")
    parser.add_argument("--surface", default="voxel", choices=("voxel", "surfel"), help="surface definition")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare and print where the result lies."""
    from ..anatomy import Structure, scheme_named
    from ..measures.evaluation import evaluate

    with progress_bar("evaluate") as progress:
        found = evaluate(
            options.prediction,
            options.reference,
            options.out,
            scheme=scheme_named(options.scheme) if options.scheme else None,
            regions_method=options.regions,
            definition=options.surface,
            progress=progress,
            reference_scheme=scheme_named(options.reference_scheme) if options.reference_scheme else None,
            structures=[Structure(name) for name in options.structures] if options.structures else None,
        )
    for warning in found.summary["warnings"]:
        warn(warning)
    say(str(options.out / "metrics.csv"))
    say(str(options.out / "summary.json"))
