"""A routed model beside its baseline: Dice by structure and region, and whether the change is more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...automatic.predictor import PredictionSettings, open_predictor
from ...automatic.region_order import CLASS_NAMES
from ...automatic.region_predictor import RoutedPredictor
from ...automatic.region_routing import RoutedModel
from ...errors import InputError
from ...measures.overlap import overlap
from ...measures.statistics import PairedTests, mean_sd, paired_tests
from ...progress import Progress, no_progress, part_of
from ...regions import Region, label_regions
from ...segmentation import Segmentation
from ...stack import Stack
from ..labelled_cases import LabelledCase
from .slices import slice_classes

BASELINE, ROUTED, KNOWN = "baseline", "routed", "known regions"
"""The model for non-cardiac slices alone; the routed model; the region models with the reference's regions in place of
the classifier's, which is as good as routing can get (the paper's upper bound)."""

ALL = "all"


@dataclass(frozen=True)
class DiceRow:
    """Dice of one structure of one case within a region's slices, as one method labelled it."""

    case: str
    patient: str
    method: str
    structure: str
    region: str
    dice: float


@dataclass(frozen=True)
class Change:
    """What a method changes against the baseline (Mariscal-Harana et al. 2023, table 3).

    Attributes:
        method, structure, region: of the comparison.
        n: volumes that have slices of the region.
        mean, sd: Dice of the method over these volumes.
        baseline_mean, baseline_sd: of the baseline.
        tests: on patients, whose volumes are averaged first, because two frames of a heart are not independent.
    """

    method: str
    structure: str
    region: str
    n: int
    mean: float
    sd: float
    baseline_mean: float
    baseline_sd: float
    tests: PairedTests

    @property
    def mean_gain(self) -> float:
        """Positive where the method's mean is higher."""
        return self.mean - self.baseline_mean

    @property
    def sd_gain(self) -> float:
        """Positive where the method's standard deviation is lower, as in the paper."""
        return self.baseline_sd - self.sd


def compare_with_baseline(
    model: RoutedModel,
    cases: Sequence[LabelledCase],
    settings: PredictionSettings | None = None,
    method: str = "20/60/20",
    trained_method: str = "thirds",
    progress: Progress = no_progress,
) -> list[DiceRow]:
    """Label every case three times (`BASELINE`, `ROUTED`, `KNOWN`) and measure it, without post-processing.

    Args:
        model: the routed model.
        cases: annotated single frames.
        settings: how the networks are run.
        method: how regions are told in the tables.
        trained_method: how they were told in training, for `KNOWN`.
        progress: told of every case.

    Raises:
        InputError: a case cannot be read or has no labels, or the model cannot be used.
    """
    if not cases:
        raise InputError("there is no annotated volume to compare models on")
    predictor = open_predictor(model, settings)
    if not isinstance(predictor, RoutedPredictor):
        raise InputError(f"{model.path} is no routed model")
    baseline = open_predictor(model.models[CLASS_NAMES[0]], settings)
    rows: list[DiceRow] = []
    for number, case in enumerate(cases):
        share = part_of(progress, number / len(cases), (number + 1) / len(cases))
        share(0.0, case.name)
        stack, reference = case.load()
        known, _ = slice_classes(reference, trained_method)
        image, spacing = stack.slices_first(), stack.slices_first_spacing
        alone = baseline.predict(image, spacing, part_of(share, 0.0, 0.45))
        told = predictor.regions(image, spacing)
        # A slice that the classifier sends to the right model need not be labelled twice.
        differing = [index for index, (a, b) in enumerate(zip(told, known, strict=True)) if a != b]
        routed = predictor.predict_routed(image, spacing, told, part_of(share, 0.45, 0.9)).labels
        best = routed.copy()
        if differing:
            corrected = predictor.predict_routed(image, spacing, known, part_of(share, 0.9, 1.0), differing).labels
            best[differing] = corrected[differing]
        for name, labels in ((BASELINE, alone), (ROUTED, routed), (KNOWN, best)):
            found = _segmentation(model, stack, labels)
            rows += dice_rows(case, name, found, reference, method)
    return rows


def dice_rows(
    case: LabelledCase, name: str, found: Segmentation, reference: Segmentation, method: str
) -> list[DiceRow]:
    """Dice of every structure in the whole stack and in each region of the reference."""
    regions = label_regions(reference, method)
    parts: list[tuple[str, list[int]]] = [(ALL, list(range(reference.labels.n_slices)))]
    parts += [(region.value, regions.slices(region)) for region in Region if regions.slices(region)]
    return [
        DiceRow(
            case.name,
            case.patient,
            name,
            structure.value,
            part,
            overlap(found.slices_first_mask(structure)[slices], reference.slices_first_mask(structure)[slices]).dice,
        )
        for structure in reference.structures
        for part, slices in parts
    ]


def changes(rows: Iterable[DiceRow]) -> list[Change]:
    """What `ROUTED` and `KNOWN` change, by structure and region.

    Raises:
        InputError: fewer than two patients have a region.
    """
    values: dict[tuple[str, str], dict[str, dict[tuple[str, str], float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        values[row.structure, row.region][row.method][row.patient, row.case] = row.dice
    found = []
    for (structure, region), methods in values.items():
        before = methods[BASELINE]
        for name in (ROUTED, KNOWN):
            after = methods[name]
            first, second = mean_sd(before.values()), mean_sd(after.values())
            tests = paired_tests(_by_patient(after), _by_patient(before))
            found.append(Change(name, structure, region, first.n, second.mean, second.sd, first.mean, first.sd, tests))
    return found


def _by_patient(values: dict[tuple[str, str], float]) -> list[float]:
    """Means over the volumes of each patient, patients in sorted order."""
    patients = sorted({patient for patient, _ in values})
    return [float(np.mean([value for (owner, _), value in values.items() if owner == one])) for one in patients]


def _segmentation(model: RoutedModel, stack: Stack, labels: np.ndarray) -> Segmentation:
    known = model.keep_known(labels)
    return Segmentation(stack.with_array(np.ascontiguousarray(stack.from_slices_first(known))), model.scheme)
