"""`train DATASET --workspace DIR`: nnU-Net's planner and trainer on annotated volumes, all or few of them."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import Progress, part_of
from .console import progress_bar, say
from .train_data import add_data_options, raw_data

if TYPE_CHECKING:
    from ..training.settings import TrainingSettings
    from ..training.state import TrainingState

LOG_NAME = "training.log"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a nnU-Net on all or few annotations; run it again to resume",
        description="DATASET is an nnU-Net v2 raw data set (such as `sparsify` writes), which is taken as it is, or a "
        "folder that `sparsify` reads; of a folder with a cases.csv, patients are drawn. With options of sparsity, "
        "either is made sparse first. The same command goes on after it was stopped. DIR/training.json and "
        "DIR/training.png tell how far it is, DIR/training.log what nnU-Net says.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="nnU-Net raw data set, or folder of volumes")
    parser.add_argument("--workspace", type=Path, required=True, help="nnU-Net's raw, preprocessed and results folders")
    parser.add_argument("--out", type=Path, help="folder for the finished model, stripped to what prediction needs")
    parser.add_argument("--name", default="sax-acdc-24", help="name of the finished model")
    parser.add_argument("--card", type=Path, help="JSON with what else the model's card says: data, licence, citation")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--seed", type=int, default=0, help="of the draws and of the training (default: 0)")
    add_data_options(parser.add_argument_group("data"))
    _add_training_options(parser.add_argument_group("training"))
    parser.set_defaults(run=run)


def _add_training_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, default=80)
    group.add_argument("--iterations", type=int, default=100, help="iterations an epoch (default: 100)")
    group.add_argument("--batch-size", type=int, default=10)
    group.add_argument("--configuration", default="2d", choices=("2d", "3d_fullres"), help="default: 2d")
    group.add_argument(
        "--target-spacing", type=float, nargs=3, metavar=("Z", "Y", "X"), help="mm to resample to (default: the median)"
    )
    group.add_argument("--max-patch", type=int, default=160, help="largest edge of a 2d patch (default: 160)")
    group.add_argument("--max-features", type=int, default=256, help="features of the deepest stages (default: 256)")
    group.add_argument("--no-mirroring", action="store_true", help="never mirror: images come in one orientation")
    group.add_argument("--no-bfloat16", action="store_true", help="full precision on the CPU")
    group.add_argument(
        "--oversampling",
        type=float,
        metavar="SHARE",
        help="of a batch that is sure to show a structure (default: nnU-Net's 0.33; 0 if regions are left out)",
    )
    group.add_argument(
        "--region-ratio",
        type=_region_ratio,
        default=1.0,
        metavar="RATIO",
        help="how many times likelier slices at base and apex are drawn than in the middle: low (4), high (20), or a "
        "number (default: 1, as nnU-Net)",
    )
    group.add_argument(
        "--synthetic-weight", type=float, default=1.0, metavar="W", help="of cases with carried labels in the draw "
        "(default: 1; 0 leaves them out)"
    )  # fmt: skip
    group.add_argument(
        "--trainer",
        default="ShortScheduleTrainer",
        help="class: ours, nnU-Net's, or one of nnUNet_extTrainer's folders",
    )
    group.add_argument(
        "--start-from", type=Path, metavar="MODEL", help="model folder whose weights the training begins with"
    )
    group.add_argument(
        "--planner",
        default="plain",
        choices=("plain", "ResEncS", "ResEncM", "ResEncL", "nnUNet"),
        help="plain and ResEncS are small; the others are nnU-Net's own, for a GPU (default: plain)",
    )


def run(options: argparse.Namespace) -> None:
    """Place the raw data set, plan, preprocess, train, export."""
    from ..automatic.model_folder import open_model_folder
    from ..automatic.orientation import check_orientation
    from ..automatic.packages import require
    from ..automatic.plans import read_json
    from ..training import run as training
    from ..training.checkpointing import remove_leftovers
    from ..training.prepare import check_alone
    from ..training.processes import stopped_by_signals
    from ..training.state import TrainingState

    require(("torch", "nnunetv2"), "all", "training")
    more = {} if options.card is None else read_json(options.card)
    if options.orientation is not None:
        check_orientation(options.orientation, "--orientation")
    settings = _settings(options)
    if options.start_from is not None:
        open_model_folder(options.start_from)
    dataset, place = raw_data(options)
    workspace = options.workspace
    check_alone(workspace, dataset)
    _check_idle(workspace)
    planned = training.planned_settings(dataset, workspace)
    if planned is not None and planned != settings:
        raise InputError(
            f"{workspace} holds a training with other settings ({_differences(planned, settings)}); "
            "repeat those to resume it, or choose another workspace"
        )
    training.set_environment(workspace)
    remove_leftovers(workspace)
    state = TrainingState.taken_up(workspace)
    with stopped_by_signals(), state.told():
        state.change("preparing", "reading the data set", epochs=settings.epochs, model=None)
        with progress_bar("train") as progress:
            place(part_of(progress, 0.0, 0.05))
            folder = _trained(dataset, settings, options, state, part_of(progress, 0.05, 1.0))
        say(f"trained model: {folder}")
        if options.out is not None:
            state.change("exporting", "writing the finished model")
            _export(folder, dataset, settings, options, more, state)
            folder = options.out
            say(f"finished model: {options.out}")
        state.change("done", f"finished model: {folder}", model=str(folder))


def _trained(
    dataset: str, settings: TrainingSettings, options: argparse.Namespace, state: TrainingState, progress: Progress
) -> Path:
    """Plan, preprocess and train; what nnU-Net prints goes to a log file."""
    from ..training import run as training

    terminal = sys.stdout
    shown = sys.stderr.isatty()

    def after_epoch(done: int, total: int) -> None:
        progress(0.1 + 0.9 * done / total, state.line())
        if not shown:
            with redirect_stdout(terminal):
                say(state.line())

    with (options.workspace / LOG_NAME).open("a", encoding="utf-8", buffering=1) as log, redirect_stdout(log):
        state.change("preparing", "planning and preprocessing")
        progress(0.0, "planning and preprocessing")
        try:
            training.plan_and_preprocess(dataset, settings)
        except (RuntimeError, AssertionError) as error:
            told = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"nnU-Net cannot plan {dataset}: {told[:300]} (more in {options.workspace / LOG_NAME})"
            ) from error
        return training.train(dataset, options.workspace, options.device, after_epoch, settings.configuration, state)


def _export(
    folder: Path,
    dataset: str,
    settings: TrainingSettings,
    options: argparse.Namespace,
    more: dict,
    state: TrainingState,
) -> None:
    """Write the finished model with its cards."""
    from ..automatic.model_folder import CARD_NAME
    from ..automatic.plans import read_json
    from ..files import write_atomically
    from ..training.card import MARKDOWN_NAME, card_text, training_facts
    from ..training.checkpointing import remove_leftovers
    from ..training.export import export_model

    remove_leftovers(options.out.parent, options.out.name)
    remove_leftovers(options.out)
    facts = training_facts(options.workspace / "nnUNet_raw" / dataset, settings, options.device, state)
    if options.orientation:
        facts["orientation"] = options.orientation
    export_model(folder, options.out, options.name, {**facts, **more})
    with write_atomically(options.out / MARKDOWN_NAME) as temporary:
        temporary.write_text(card_text(read_json(options.out / CARD_NAME)), encoding="utf-8")


def _settings(options: argparse.Namespace) -> TrainingSettings:
    """The settings of the training."""
    from ..training.settings import TrainingSettings

    try:
        return TrainingSettings(
            configuration=options.configuration,
            target_spacing=options.target_spacing,
            max_features=options.max_features,
            mirroring=not options.no_mirroring,
            epochs=options.epochs,
            iterations_per_epoch=options.iterations,
            batch_size=options.batch_size,
            seed=options.seed,
            bfloat16=not options.no_bfloat16,
            foreground_oversampling=options.oversampling,
            region_ratio=options.region_ratio,
            synthetic_weight=options.synthetic_weight,
            trainer=options.trainer,
            planner=options.planner,
            max_patch_size=options.max_patch,
            start_from="" if options.start_from is None else str(options.start_from.resolve()),
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def _check_idle(workspace: Path) -> None:
    """Refuse a workspace in which another process trains."""
    from ..automatic.packages import installed
    from ..training.state import read_state

    state = read_state(workspace) or {}
    pid = state.get("pid")
    if state.get("state") not in ("preparing", "training", "exporting") or not isinstance(pid, int):
        return
    if not installed("psutil"):  # Slicer does not ship it
        return
    import psutil

    try:
        command = " ".join(psutil.Process(pid).cmdline()).lower()
    except psutil.Error:  # it ended without telling, so the number is free or somebody else's
        return
    if pid != os.getpid() and "sparsecardiacseg" in command:
        raise InputError(f"process {pid} is training in {workspace}; wait for it or stop it first")


def _region_ratio(text: str) -> float:
    """`low`, `high` or a number."""
    from ..training.settings import REGION_RATIOS

    try:
        return REGION_RATIOS[text] if text in REGION_RATIOS else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be low, high or a number, not '{text}'") from error


def _differences(planned: TrainingSettings, asked: TrainingSettings) -> str:
    """Names and values of the settings that differ."""
    before, now = planned.as_dict(), asked.as_dict()
    return ", ".join(f"{name} {before[name]}, not {now[name]}" for name in before if before[name] != now[name])
