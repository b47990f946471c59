"""Tables of an evaluation: CSV for machines, Markdown for people."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...automatic.region_order import CLASS_NAMES
from ...regions import Region
from .classification import ClassFigures, ClassifiedSlice
from .comparison import Change, DiceRow

SLICES_NAME, CONFUSION_NAME, DICE_NAME, CHANGE_NAME = "slices.csv", "confusion.csv", "dice.csv", "change.csv"
REPORT_NAME = "region-models.md"
CHANGE_COLUMNS = (
    "method",
    "structure",
    "region",
    "volumes",
    "baseline_mean",
    "baseline_sd",
    "mean",
    "sd",
    "mean_gain",
    "sd_gain",
    "patients",
    "t",
    "t_p",
    "wilcoxon",
    "wilcoxon_p",
)
_WAYS = (("alone", "each slice by itself"), ("in_order", "with the order of the stack"))


def write_classification(slices: Sequence[ClassifiedSlice], figures: dict[str, ClassFigures], folder: Path) -> None:
    """Write `slices.csv` (every slice) and `confusion.csv` (both ways to classify)."""
    with (folder / SLICES_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "slice", "reference", "alone", "in_order", *(f"p_{name}" for name in CLASS_NAMES)])
        for one in slices:
            shares = [f"{value:.4f}" for value in one.probabilities]
            writer.writerow([one.case, one.slice, one.reference, one.alone, one.in_order, *shares])
    with (folder / CONFUSION_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["way", "reference", *CLASS_NAMES, "precision", "recall"])
        for way, found in figures.items():
            for index, name in enumerate(CLASS_NAMES):
                both = (f"{part[index]:.4f}" for part in (found.precision, found.recall))
                writer.writerow([way, name, *found.confusion[index].tolist(), *both])


def write_comparison(rows: Sequence[DiceRow], found: Sequence[Change], folder: Path) -> None:
    """Write `dice.csv` (every case) and `change.csv` (against the baseline, with tests)."""
    with (folder / DICE_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "patient", "method", "structure", "region", "dice"])
        for row in rows:
            writer.writerow([row.case, row.patient, row.method, row.structure, row.region, f"{row.dice:.6f}"])
    with (folder / CHANGE_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "method",
                "structure",
                "region",
                "volumes",
                "baseline_mean",
                "baseline_sd",
                "mean",
                "sd",
                "mean_gain",
                "sd_gain",
                "patients",
                "t",
                "t_p",
                "wilcoxon",
                "wilcoxon_p",
            ]
        )
        for one in found:
            numbers = (one.baseline_mean, one.baseline_sd, one.mean, one.sd, one.mean_gain, one.sd_gain)
            tests = one.tests
            writer.writerow(
                [one.method, one.structure, one.region, one.n, *(f"{number:.6f}" for number in numbers), tests.n]
                + [f"{number:.6g}" for number in (tests.t, tests.t_p, tests.wilcoxon, tests.wilcoxon_p)]
            )


def heading_text(command: Sequence[str], classifier: Mapping[str, Any], routed: Mapping[str, Any] | None) -> str:
    """What was evaluated and how it was trained, as the cards say, before the tables.

    Args:
        command: the command line's arguments.
        classifier: card of the classifier.
        routed: card of the routed model; None where only a classifier was evaluated.
    """
    lines = [
        "# Region classifier" + ("" if routed is None else " and region models"),
        "",
        "After Mariscal-Harana et al.: a classifier sends each slice to the segmentation model of its region, and "
        "non-cardiac slices to the baseline. Written by",
        "",
        "```bash",
        "sparsecardiacseg " + " ".join(command),
        "```",
        "",
        f"- Classifier: {_trained(classifier, ('backbone', 'regions', 'steps', 'batch_size', 'seed'))}",
    ]
    if routed is not None:
        wanted = ("epochs", "iterations_per_epoch", "batch_size", "initial_learning_rate", "seed")
        lines.append(f"- Region models: start from {routed.get('start', 'unknown')}; {_trained(routed, wanted)}")
    return "\n".join([*lines, ""]) + "\n"


def _trained(card: Mapping[str, Any], wanted: Sequence[str]) -> str:
    """Patients, settings and hardware of a training, in one line."""
    patients, settings = card.get("patients"), card.get("training")
    parts = [f"{len(patients)} patients" if isinstance(patients, list) else "unknown patients"]
    if isinstance(settings, dict):
        parts += [f"{name.replace('_', ' ')} {settings[name]}" for name in wanted if name in settings]
    if card.get("hardware"):
        parts.append(str(card["hardware"]))
    return ", ".join(parts) + "."


def classification_text(figures: dict[str, ClassFigures], stacks: int, turned: int) -> str:
    """Precision, recall and confusion as Markdown."""
    total = int(next(iter(figures.values())).confusion.sum())
    lines = [f"{total} slices of {stacks} volumes; base found at the wrong end in {turned} of them.", ""]
    for way, words in _WAYS:
        found = figures[way]
        lines += [
            f"{words[0].upper()}{words[1:]}: accuracy {found.accuracy:.3f}, weighted precision "
            f"{found.weighted(found.precision):.3f}, weighted recall {found.weighted(found.recall):.3f}.",
            "",
            f"| reference | {' | '.join(f'called {name}' for name in CLASS_NAMES)} | precision | recall |",
            "|---|" + "---|" * (len(CLASS_NAMES) + 2),
        ]
        for index, name in enumerate(CLASS_NAMES):
            counts = " | ".join(str(count) for count in found.confusion[index])
            lines.append(f"| {name} | {counts} | {_share(found.precision[index])} | {_share(found.recall[index])} |")
        lines.append("")
    return "\n".join(lines)


def comparison_text(found: Iterable[Change], method: str) -> str:
    """The change against the baseline as Markdown, in hundredths of Dice as the paper prints it."""
    lines = [
        f"Dice in %, regions {method} of the reference. Mean (SD) over volumes; gain: change of the mean, and (in "
        "brackets) how much smaller the SD became. p: two-sided, on patients (the mean of their volumes).",
        "",
        "| method | structure | region | volumes | baseline | method's | gain | Wilcoxon p | t-test p |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = {region: index for index, region in enumerate(("all", *(region.value for region in Region)))}
    for one in sorted(found, key=lambda change: (change.method != "routed", change.structure, order[change.region])):
        lines.append(
            f"| {one.method} | {one.structure} | {one.region} | {one.n} | "
            f"{100 * one.baseline_mean:.2f} ({100 * one.baseline_sd:.2f}) | {100 * one.mean:.2f} ({100 * one.sd:.2f}) "
            f"| {100 * one.mean_gain:+.2f} ({100 * one.sd_gain:+.2f}) | {one.tests.wilcoxon_p:.3g} "
            f"| {one.tests.t_p:.3g} |"
        )
    return "\n".join([*lines, ""])


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
