"""`train-regions DATASET --workspace DIR`: a classifier of slices and a segmentation model a region."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..progress import Progress, part_of
from .console import progress_bar, say, warn

if TYPE_CHECKING:
    from ..automatic.model_folder import ModelFolder
    from ..training.region_models.settings import ClassifierSettings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "train-regions",
        help="train a region classifier and a segmentation model a region; run it again to resume",
        description="After Mariscal-Harana et al. 2023: a classifier tells non-cardiac, basal, mid-ventricular and "
        "apical slices apart, and each goes to the model of its region, non-cardiac ones to the baseline model. "
        "--out becomes a model folder for `segment --model` and `evaluate-regions`.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="annotated volumes, as for `sparsify`")
    parser.add_argument("--workspace", type=Path, required=True, help="folder for everything that resuming needs")
    parser.add_argument("--out", type=Path, metavar="MODEL", help="folder for the finished model")
    parser.add_argument("--name", help="of the finished model (default: the folder's)")
    parser.add_argument(
        "--classifier-only", action="store_true", help="no segmentation models; --out is the classifier"
    )
    parser.add_argument("--classifier", type=Path, metavar="FOLDER", help="use this classifier instead of training one")
    parser.add_argument("--split", help="of the data set, or 'all' (default: train where it has splits)")
    parser.add_argument("--scheme", help="label numbers: acdc, mnms or all (default: told by the data set, or guessed)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--card", type=Path, help="JSON with what else the model's card says: data, licence, citation")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    classifier = parser.add_argument_group("classifier")
    classifier.add_argument(
        "--backbone",
        default="small",
        help="small, densenet121 (the paper's best), alexnet, mobilenetv2, resnet18, shufflenetv2, squeezenet, vgg11",
    )
    classifier.add_argument("--steps", type=int, help="optimiser steps (default: 600)")
    classifier.add_argument("--slices", type=int, metavar="N", help="slices a step (default: 32)")
    classifier.add_argument("--classifier-rate", type=float, metavar="RATE", help="learning rate (default: 0.002)")
    classifier.add_argument("--balance", type=float, help="0: slices as they come; 1: all classes equally often")
    classifier.add_argument(
        "--regions", default="thirds", choices=("thirds", "20/60/20"), help="what base, middle and apex mean"
    )
    models = parser.add_argument_group("segmentation models")
    models.add_argument("--baseline", default="sax-acdc-24", help="name of a model, or a folder (default: sax-acdc-24)")
    models.add_argument("--from-scratch", action="store_true", help="do not start from the baseline's weights")
    models.add_argument(
        "--patients", nargs="+", metavar="NAME", help="to learn from (default: the baseline's, or all of the split)"
    )
    models.add_argument("--epochs", type=int, default=20, help="of each model (default: 20)")
    models.add_argument("--iterations", type=int, default=50, help="an epoch (default: 50)")
    models.add_argument("--batch-size", type=int, default=10)
    models.add_argument("--learning-rate", type=float, default=1e-3, help="at the start (default: 0.001)")
    models.add_argument("--no-bfloat16", action="store_true", help="full precision on the CPU")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train or go on, and write the finished model."""
    from ..automatic.packages import require
    from ..automatic.plans import read_json
    from ..training.region_models.settings import ClassifierSettings

    require(("torch", "onnx", "onnxscript", "onnxruntime"), "train", "training region models")
    given = {
        "backbone": options.backbone,
        "regions": options.regions,
        "steps": options.steps,
        "batch_size": options.slices,
        "learning_rate": options.classifier_rate,
        "balance": options.balance,
        "seed": options.seed,
    }
    settings = ClassifierSettings(**{name: value for name, value in given.items() if value is not None})
    if not options.classifier_only and settings.regions != "thirds":
        raise InputError("segmentation models learn thirds of the stack; --regions 20/60/20 needs --classifier-only")
    card = {} if options.card is None else read_json(options.card)
    card = {"hardware": f"{options.device}, {platform.machine()}", **card}
    with progress_bar("train regions") as progress:
        if options.classifier is None:
            share = progress if options.classifier_only else part_of(progress, 0.0, 0.3)
            classifier = _classifier(options, settings, card, share)
        else:
            from ..automatic.region_classifier import RegionClassifier

            classifier = RegionClassifier(options.classifier).folder
        if not options.classifier_only:
            _segmentation_models(options, classifier, card, part_of(progress, 0.3, 1.0))


def _classifier(
    options: argparse.Namespace, settings: ClassifierSettings, card: dict[str, Any], progress: Progress
) -> Path:
    """Train the classifier and export it, to the workspace or to where a classifier alone was asked for."""
    from ..training.region_models.export import export_classifier
    from ..training.region_models.fit import fit_classifier
    from ..training.region_models.slices import class_counts, read_slices

    cases = _cases(options)
    slices = read_slices(cases, settings.regions, part_of(progress, 0.0, 0.05))
    counts = class_counts(slices)
    if not all(counts[1:]):
        raise InputError(f"{options.dataset} has no slice of some region: it has {counts[1:]} of base, middle and apex")
    if counts[0] < sum(counts) / 50:
        warn(f"only {counts[0]} of {sum(counts)} slices are non-cardiac: the classifier will hardly know them")
    network = fit_classifier(
        slices, options.workspace / "classifier", settings, part_of(progress, 0.05, 0.98), options.device
    )
    alone = options.classifier_only and options.out is not None
    out = options.out if alone else options.workspace / "classifier" / "model"
    facts = {
        "title": "Short axis: non-cardiac, base, middle, apex (by slice)",
        "patients": sorted({one.patient for one in slices}),
        "volumes": len(slices),
        "slices": dict(zip(("non-cardiac", "base", "middle", "apex"), counts, strict=True)),
        "regions": settings.regions,
        "epochs": round(settings.steps * settings.batch_size / sum(counts), 1),
        "training": settings.as_dict(),
        "seed": settings.seed,
        **card,
    }
    name = options.name or out.name
    difference = export_classifier(network, out, name if alone else "regions", facts)
    say(f"classifier: {out} (probabilities within {difference:.1g} of torch's)")
    return out


def _segmentation_models(
    options: argparse.Namespace, classifier: Path, card: dict[str, Any], progress: Progress
) -> None:
    """Train a model a region and write the routed model."""
    from ..anatomy import scheme_named
    from ..automatic.catalogue import find_model
    from ..automatic.packages import require
    from ..automatic.region_routing import RoutedModel
    from ..training import run as training
    from ..training.settings import TrainingSettings
    from ..training.sparsity.sources import read_source

    require(("nnunetv2",), "train", "training segmentation models")
    baseline = find_model(options.baseline)
    if isinstance(baseline, RoutedModel):
        raise InputError(f"{options.baseline} is a routed model; the baseline must be a single one")
    scheme = scheme_named(options.scheme) if options.scheme else None
    source = read_source(options.dataset, scheme, options.split)
    patients = options.patients or _patients(baseline, {volume.patient for volume in source.volumes})
    try:
        settings = TrainingSettings(
            epochs=options.epochs,
            iterations_per_epoch=options.iterations,
            batch_size=options.batch_size,
            initial_learning_rate=options.learning_rate,
            foreground_oversampling=0.0,
            seed=options.seed,
            bfloat16=not options.no_bfloat16,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    training.set_environment(options.workspace)
    from ..training.region_models.routed import write_routed_model
    from ..training.region_models.segmentation import train_region_models

    start = None if options.from_scratch else baseline
    models = train_region_models(source, options.workspace, settings, patients, start, options.device, progress)
    for model in models:
        say(f"{model.region.value}: {model.slices} slices of {model.volumes} volumes, {model.folder}")
    if options.out is None:
        return
    facts = {
        "title": "Short axis: a model for base, middle and apex",
        "view": "short-axis",
        "baseline": baseline.name,
        "start": "random weights" if options.from_scratch else f"weights of {baseline.name}",
        "patients": sorted(patients),
        "training": settings.as_dict(),
        "seed": settings.seed,
        **card,
    }
    write_routed_model(classifier, baseline, models, options.out, options.name or options.out.name, facts)
    say(f"finished model: {options.out}")


def _patients(baseline: ModelFolder, known: set[str]) -> list[str]:
    """The baseline's patients where they are all there, so that the comparison is of the same annotations; else all."""
    listed = baseline.card.get("patients")
    if isinstance(listed, list) and listed and set(listed) <= known:
        return sorted(listed)
    return sorted(known)


def _cases(options: argparse.Namespace) -> list:
    """Annotated single frames of the split."""
    from ..anatomy import scheme_named
    from ..training.labelled_cases import has_split, read_cases

    split = options.split
    if split is None and has_split(options.dataset, "train"):
        split = "train"
    scheme = scheme_named(options.scheme) if options.scheme else None
    return read_cases(options.dataset, scheme, None if split == "all" else split)
