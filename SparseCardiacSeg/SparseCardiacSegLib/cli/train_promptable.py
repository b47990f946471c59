"""`train-promptable DATASET --workspace DIR`: the small network behind the embedded SAM-style model."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from .console import progress_bar, say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "train-promptable", help="train the small promptable model; run it again to resume, or to export it"
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="<case>.nii.gz, <case>_gt.nii.gz and cases.csv")
    parser.add_argument("--workspace", type=Path, required=True, help="folder for the state that resuming needs")
    parser.add_argument("--out", type=Path, help="folder for the finished model")
    parser.add_argument("--name", default="sax-prompt", help="name of the finished model (default: sax-prompt)")
    parser.add_argument(
        "--start-from",
        default="sax-acdc-24",
        help="2d nnU-Net that lends its stages, or promptable model (default: %(default)s)",
    )
    parser.add_argument("--split", default="train", help="value of cases.csv's split column (default: train)")
    parser.add_argument("--scheme", default="acdc", help="label numbers of DATASET (default: acdc)")
    parser.add_argument("--steps", type=int, help="training steps (default: 9000)")
    parser.add_argument("--warm-up-steps", type=int, help="of these, steps of the encoder alone (default: 600)")
    parser.add_argument("--frozen-steps", type=int, help="steps after these of the decoder alone (default: 800)")
    parser.add_argument("--calm-steps", type=int, help="last steps, on whole slices (default: 1500)")
    parser.add_argument("--window", type=int, help="pixels of the windows before these, of 256 (default: 160)")
    parser.add_argument("--learning-rate", type=float, help="peak learning rate (default: 0.0008)")
    parser.add_argument("--card", type=Path, help="JSON with what else the model's card says: data, licence, citation")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the slices, train or go on, export."""
    from ..automatic.packages import require
    from ..automatic.plans import read_json

    require(("torch", "torchvision", "segment_anything"), "torch", "training a promptable model")
    from ..training.promptable.fit import FitSettings, fit
    from ..training.promptable.slices import read_slices
    from ..training.promptable.start import starting_point

    names = ("steps", "warm_up_steps", "frozen_steps", "calm_steps", "window", "learning_rate", "seed")
    given = {name: getattr(options, name) for name in names}
    settings = FitSettings(**{name: value for name, value in given.items() if value is not None})
    card = {} if options.card is None else read_json(options.card)
    slices = read_slices(options.dataset, options.split, options.scheme)
    start = starting_point(options.start_from)
    with progress_bar("train") as progress:
        sam = fit(slices, options.workspace, settings, start, progress)
    say(f"trained for {settings.steps} steps on {len(slices)} slices")
    if options.out is None:
        return
    from ..training.promptable.export import export_promptable

    facts = {"hardware": f"cpu, {platform.machine()}", "started_from": options.start_from, **card}
    export_promptable(sam, options.out, options.name, settings, slices, facts)
    say(f"finished model: {options.out}")
