"""`train-registration DATASET --workspace DIR`: the network behind the embedded registration engine."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from .console import progress_bar, say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "train-registration",
        help="train the network that carries labels from frame to frame; run it again to resume, or to export it",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="<case>.nii.gz, <case>_gt.nii.gz and cases.csv")
    parser.add_argument("--workspace", type=Path, required=True, help="folder for the state that resuming needs")
    parser.add_argument("--out", type=Path, metavar="MODEL", help="folder for the finished model")
    parser.add_argument("--name", default="sax-motion", help="name of the finished model (default: sax-motion)")
    parser.add_argument("--cines", type=Path, help="folder of 4D cines; those of the patients to learn from are used")
    parser.add_argument("--split", default="train", help="value of cases.csv's split column (default: train)")
    parser.add_argument("--scheme", default="acdc", help="label numbers of DATASET (default: acdc)")
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N", help="patients of the split to leave out, and to measure on"
    )
    parser.add_argument("--steps", type=int, help="training steps (default: 1800)")
    parser.add_argument("--learning-rate", type=float, help="peak learning rate (default: 0.001)")
    parser.add_argument("--smoothness", type=float, help="weight of the field's smoothness (default: 0.1)")
    parser.add_argument("--card", type=Path, help="JSON with what else the model's card says: data, licence, citation")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the frames, train or go on, measure on held-out patients, export."""
    from ..automatic.packages import require
    from ..automatic.plans import read_json

    require(
        ("torch", "dynamic_network_architectures", "monai", "onnx", "onnxruntime"), "train", "training registration"
    )
    from ..training.registration.fit import FitSettings, fit
    from ..training.registration.measure import carried_dice
    from ..training.registration.pairs import hold_out, read_cines, read_labelled_pairs, read_training_cases

    given = {
        "steps": options.steps,
        "learning_rate": options.learning_rate,
        "smoothness_weight": options.smoothness,
        "seed": options.seed,
    }
    settings = FitSettings(**{name: value for name, value in given.items() if value is not None})
    card = {} if options.card is None else read_json(options.card)
    cases, held = hold_out(read_training_cases(options.dataset, options.split, options.scheme), options.hold_out)
    pairs = read_labelled_pairs(cases)
    cines = read_cines(options.cines, sorted({case.patient for case in cases})) if options.cines is not None else []
    with progress_bar("train") as progress:
        net = fit(pairs, cines, options.workspace, settings, progress)
    patients = sorted({case.patient for case in held})
    say(f"trained for {settings.steps} steps on {len(pairs)} pairs of frames and {len(cines)} cines")
    if held:
        dice = carried_dice(net, read_labelled_pairs(held))
        say(f"held out {', '.join(patients)}: mean Dice {dice.carried:.3f} carried, {dice.unmoved:.3f} unmoved")
    if options.out is None:
        return
    from ..training.registration.export import export_registration

    facts = {"hardware": f"cpu, {platform.machine()}", "held_out_patients": patients, **card}
    export_registration(net, options.out, options.name, settings, pairs, [name for name, _ in cines], facts)
    say(f"finished model: {options.out}")
