"""`evaluate-regions DATASET --model FOLDER --out DIR`: a region classifier, and a routed model beside its baseline."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from ..progress import part_of
from .console import add_region_option, progress_bar, say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "evaluate-regions",
        help="precision and recall of a region classifier, and what region models change against their baseline",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="annotated single frames")
    parser.add_argument(
        "--model", type=Path, help="folder of a routed model or of a classifier (default: the embedded classifier)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for CSV tables and region-models.md")
    parser.add_argument("--split", default="val", help="of the data set, or 'all' (default: val)")
    parser.add_argument("--scheme", help="label numbers: acdc, mnms or all (default: told by the data set, or guessed)")
    add_region_option(parser, "--regions", "20/60/20")
    parser.add_argument("--no-mirroring", action="store_true", help="4 times sooner, slightly less accurate")
    parser.add_argument("--backend", default="auto", choices=("auto", "onnx", "torch"))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluate, write the tables, print the Markdown."""
    from ..anatomy import scheme_named
    from ..automatic.model_folder import open_model_folder
    from ..automatic.packages import require
    from ..automatic.predictor import PredictionSettings

    require(("onnxruntime",), "onnx", "the region classifier")
    from ..automatic.region_classifier import EMBEDDED_CLASSIFIER, RegionClassifier
    from ..automatic.region_routing import RoutedModel, routed_folder
    from ..files import output_folder
    from ..training.labelled_cases import read_cases
    from ..training.region_models import report
    from ..training.region_models.classification import class_figures, classify_cases
    from ..training.region_models.comparison import changes, compare_with_baseline
    from ..training.region_models.settings import REGION_METHODS
    from ..training.region_models.slices import read_slices

    folder = options.model or EMBEDDED_CLASSIFIER
    routed = None
    if routed_folder(folder) is not None:
        routed = open_model_folder(folder)
        assert isinstance(routed, RoutedModel)
    classifier = RegionClassifier(folder if routed is None else routed.classifier)
    trained = classifier.card.get("regions", REGION_METHODS[0])
    if trained not in REGION_METHODS:
        raise InputError(f"the card of classifier '{classifier.name}' names unknown regions '{str(trained)[:60]}'")
    scheme = scheme_named(options.scheme) if options.scheme else None
    cases = read_cases(options.dataset, scheme, None if options.split == "all" else options.split)
    settings = PredictionSettings(device=options.device, mirroring=not options.no_mirroring, backend=options.backend)
    with output_folder(options.out) as out, progress_bar("evaluate") as progress:
        end = 1.0 if routed is None else 0.1
        stacks = read_slices(cases, trained, part_of(progress, 0.0, end / 2))
        slices, turned = classify_cases(classifier, stacks, part_of(progress, end / 2, end))
        reference = [one.reference for one in slices]
        figures = {
            "alone": class_figures(reference, [one.alone for one in slices]),
            "in_order": class_figures(reference, [one.in_order for one in slices]),
        }
        report.write_classification(slices, figures, out)
        text = report.heading_text(_command(options), classifier.card, None if routed is None else routed.card)
        text += f"## Classifier '{classifier.name}' (regions: {trained})\n\n"
        text += report.classification_text(figures, len(stacks), turned)
        if routed is not None:
            rows = compare_with_baseline(routed, cases, settings, options.regions, trained, part_of(progress, end, 1.0))
            found = changes(rows)
            report.write_comparison(rows, found, out)
            text += f"\n## Region models of '{routed.name}' against '{routed.models['non-cardiac'].name}'\n\n"
            text += report.comparison_text(found, options.regions)
        (out / report.REPORT_NAME).write_text(text, encoding="utf-8")
    say(text)
    say(str(options.out / report.REPORT_NAME))


def _command(options: argparse.Namespace) -> list[str]:
    """The command line as anyone would repeat it: names of folders, not where they lie here."""
    command = ["evaluate-regions", options.dataset.name, "--split", options.split, "--regions", options.regions]
    command += ["--scheme", options.scheme] if options.scheme else []
    command += ["--model", options.model.name] if options.model else []
    return [*command, *(["--no-mirroring"] if options.no_mirroring else []), "--out", options.out.name]
