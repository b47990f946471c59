"""`train DATASET --workspace DIR`: nnU-Net's planner and trainer on a patient-wise choice of annotated volumes."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from ..anatomy import scheme_named
from ..errors import InputError
from .console import progress_bar, say

if TYPE_CHECKING:
    from ..training.settings import TrainingSettings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("train", help="train a nnU-Net on few patients; run it again to resume")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="<case>.nii.gz, <case>_gt.nii.gz and cases.csv")
    parser.add_argument("--workspace", type=Path, required=True, help="nnU-Net's raw, preprocessed and results folders")
    parser.add_argument("--out", type=Path, help="folder for the finished model, stripped to what prediction needs")
    parser.add_argument("--name", default="sax-acdc-24", help="name of the finished model")
    parser.add_argument("--patients", type=int, default=24, help="patients to draw from the split (default: 24)")
    parser.add_argument("--split", default="train", help="value of cases.csv's split column (default: train)")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--iterations", type=int, default=100, help="iterations an epoch (default: 100)")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--configuration", default="2d", choices=("2d", "3d_fullres"), help="default: 2d")
    parser.add_argument("--scheme", default="acdc", choices=("acdc", "la"), help="label numbers (default: acdc)")
    parser.add_argument(
        "--target-spacing", type=float, nargs=3, metavar=("Z", "Y", "X"), help="mm to resample to (default: the median)"
    )
    parser.add_argument("--max-features", type=int, default=256, help="features of the deepest stages (default: 256)")
    parser.add_argument("--no-mirroring", action="store_true", help="never mirror: images come in one orientation")
    parser.add_argument(
        "--orientation", help="how the images' axes (slice, row, col) run, such as SPL; predictions turn images to it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-bfloat16", action="store_true", help="full precision on the CPU")
    parser.add_argument("--card", type=Path, help="JSON with what else the model's card says: data, licence, citation")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw patients, write the raw data set, plan, preprocess, train, export."""
    from ..automatic.orientation import check_orientation
    from ..automatic.plans import read_json
    from ..training import raw_dataset
    from ..training import run as training
    from ..training.settings import TrainingSettings

    more = {} if options.card is None else read_json(options.card)
    if options.orientation is not None:
        check_orientation(options.orientation, "--orientation")
    try:
        settings = TrainingSettings(
            configuration=options.configuration,
            target_spacing=options.target_spacing,
            max_features=options.max_features,
            mirroring=not options.no_mirroring,
            epochs=options.epochs,
            iterations_per_epoch=options.iterations,
            batch_size=options.batch_size,
            seed=options.seed,
            bfloat16=not options.no_bfloat16,
        )
        patients = raw_dataset.draw_patients(
            options.dataset / "cases.csv", options.patients, options.seed, options.split
        )
        volumes = raw_dataset.find_volumes(options.dataset, patients)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(str(error)) from error
    logging.getLogger(__name__).info("training on %d volumes of %d patients", len(volumes), len(patients))
    dataset = f"Dataset101_Patients{options.patients}"
    training.set_environment(options.workspace)
    provenance = {"patients": patients, "seed": options.seed, "split": options.split, "slices": "all"}
    if options.scheme == "acdc":
        provenance["regions"] = "AMB"
    planned = training.planned_settings(dataset, options.workspace)
    if planned is not None and planned != settings:
        raise InputError(
            f"{options.workspace} holds a training with other settings ({_differences(planned, settings)}); "
            "repeat those to resume it, or choose another workspace"
        )
    if planned is None:
        raw_folder = options.workspace / "nnUNet_raw" / dataset
        raw_dataset.write_raw_dataset(volumes, raw_folder, provenance, scheme_named(options.scheme))
        training.plan_and_preprocess(dataset, settings)
    with progress_bar("train") as progress:
        folder = training.train(
            dataset,
            options.workspace,
            options.device,
            lambda done, total: progress(done / total, f"epoch {done} of {total}"),
            settings.configuration,
        )
    say(f"trained model: {folder}")
    if options.out is not None:
        from ..training.export import export_model

        card = {
            **provenance,
            **({"orientation": options.orientation} if options.orientation else {}),
            "volumes": len(volumes),
            "training": dataclasses.asdict(settings),
            "hardware": f"{options.device}, {platform.machine()}",
            **more,
        }
        export_model(folder, options.out, options.name, card)
        say(f"finished model: {options.out}")


def _differences(planned: TrainingSettings, asked: TrainingSettings) -> str:
    """Names and values of the settings that differ."""
    before, now = planned.as_dict(), asked.as_dict()
    return ", ".join(f"{name} {before[name]}, not {now[name]}" for name in before if before[name] != now[name])
