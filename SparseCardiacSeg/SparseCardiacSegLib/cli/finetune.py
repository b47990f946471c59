"""`finetune DATASET --out MODEL`: a promptable model's mask decoder on few annotated volumes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .console import progress_bar, say, warn

if TYPE_CHECKING:
    from ..training.finetune.settings import FinetuneSettings
    from ..training.labelled_cases import LabelledCase


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command; the defaults are the thesis's."""
    parser = subparsers.add_parser(
        "finetune",
        help="fine-tune a promptable model on few patients; run it again to resume",
        description="Fine-tune the mask decoder of a promptable model. A stopped run goes on where it was when the "
        "same command is given again; Ctrl+C keeps what has been learned as a usable model.",
    )
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET", help="<case>.nii.gz with <case>_gt.nii.gz, or an nnU-Net raw data set"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="folder for the fine-tuned model")
    parser.add_argument("--model", default="sax-prompt", help="what to start from: a name, folder or file")
    parser.add_argument("--name", help="name of the fine-tuned model (default: the folder's)")
    _add_data_options(parser)
    _add_training_options(parser)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="folder of the run (default: MODEL.run)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with a stopped run; an error if there is none")
    again.add_argument("--restart", action="store_true", help="forget a stopped run")
    parser.set_defaults(run=run)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    number = group.add_mutually_exclusive_group()
    number.add_argument("--volumes", type=int, help="volumes to use, whole patients, drawn by --seed (default: all)")
    number.add_argument("--patients", nargs="+", metavar="NAME", help="these patients instead")
    group.add_argument(
        "--split", help="value of cases.csv's split column, or 'all' (default: train where the data set has splits)"
    )
    group.add_argument("--scheme", help="label numbers: acdc, mnms, la or all (default: told or guessed)")
    group.add_argument(
        "--structures", nargs="+", choices=("RV", "MYO", "LV", "LA"), help="what to prompt for (default: all there are)"
    )


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("prompts and training")
    group.add_argument("--positive", type=int, default=2, help="points in each structure (default: 2)")
    group.add_argument("--negative", type=int, default=1, help="points of every other structure (default: 1)")
    group.add_argument("--box", action=argparse.BooleanOptionalAction, default=True, help="give boxes")
    group.add_argument("--box-jitter", type=int, default=0, metavar="PIXELS", help="move the edges of boxes by up to")
    group.add_argument("--off-centre", action="store_true", help="draw the first point like the others")
    group.add_argument("--epochs", type=int, default=100)
    group.add_argument("--learning-rate", type=float, default=1e-4, help="of Adam (default: 1e-4)")
    group.add_argument("--batch", type=int, default=1, help="slices a step (default: 1)")
    group.add_argument("--augmented-copies", type=int, default=4, help="variants of each slice (default: 4)")
    group.add_argument(
        "--structures-per-slice", type=int, metavar="N", help="prompt for N structures, drawn at each visit, not all"
    )
    group.add_argument("--score-weight", type=float, default=0.0, help="also train the predicted IoU (default: 0)")
    group.add_argument("--bfloat16", action="store_true", help="half precision in the decoder")
    group.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    """Choose patients, fine-tune, write the model."""
    from ..errors import InputError
    from ..prompting.catalogue import find_prompt_model
    from ..training.finetune.run import default_workspace, finetune

    settings = _settings(options)
    cases, split = _cases(options)
    workspace = options.workspace or default_workspace(options.out)
    if options.resume and not (workspace / "state.pt").is_file():
        raise InputError(f"there is no stopped run in {workspace} to go on with")
    model = find_prompt_model(options.model)
    facts = {"dataset": options.dataset.resolve().name, "split": split or "all"}
    with progress_bar("finetune") as progress:
        result = finetune(
            cases,
            options.out,
            model,
            settings,
            workspace=workspace,
            device=options.device,
            name=options.name,
            facts=facts,
            restart=options.restart,
            progress=progress,
        )
    for warning in result.warnings:
        warn(warning)
    say(
        f"{result.data.n_volumes} volumes of {len(result.data.patients)} patients, {len(result.data.slices)} slices, "
        f"{result.epochs} epochs: loss {result.final_loss:.4f}, Dice {result.final_dice:.3f} on the training prompts"
    )
    say(str(result.folder))
    if not result.finished:
        warn(f"stopped after {result.epochs} of {settings.epochs} epochs; give the same command again to go on")
        raise SystemExit(130)


def _cases(options: argparse.Namespace) -> tuple[list[LabelledCase], str | None]:
    """The volumes to learn from and the split they are of."""
    from ..anatomy import scheme_named
    from ..training.labelled_cases import choose_patients, has_split, read_cases

    split = options.split
    if split is None and has_split(options.dataset, "train"):
        split = "train"
    split = None if split == "all" else split
    cases = read_cases(options.dataset, scheme_named(options.scheme) if options.scheme else None, split)
    return choose_patients(cases, n_volumes=options.volumes, seed=options.seed, patients=options.patients), split


def _settings(options: argparse.Namespace) -> FinetuneSettings:
    """The settings that the options ask for."""
    from ..anatomy import Structure
    from ..training.finetune.settings import FinetuneSettings

    return FinetuneSettings(
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        batch=options.batch,
        positive=options.positive,
        negative=options.negative,
        box=options.box,
        box_jitter=options.box_jitter,
        off_centre=options.off_centre,
        structures=tuple(Structure(name) for name in options.structures) if options.structures else None,
        structures_per_slice=options.structures_per_slice,
        augmented_copies=options.augmented_copies,
        score_weight=options.score_weight,
        bfloat16=options.bfloat16,
        seed=options.seed,
    )
