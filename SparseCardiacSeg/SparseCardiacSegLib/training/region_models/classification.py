"""How well a classifier tells regions: precision, recall and the confusion of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...automatic.region_classifier import RegionClassifier
from ...automatic.region_order import CLASS_NAMES, CLASSES, SliceClasses
from ...progress import Progress, no_progress
from .slices import LabelledSlices


@dataclass(frozen=True)
class ClassifiedSlice:
    """One slice: what the reference says of it, and what the classifier.

    Attributes:
        case: name of the stack.
        slice: index along the through-plane axis.
        reference: class name, as are `alone` (the slice by itself) and `in_order` (with the order of the stack).
        probabilities: of the classes, in the order of `region_order.CLASSES`.
    """

    case: str
    slice: int
    reference: str
    alone: str
    in_order: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Figures of one way to classify.

    Attributes:
        confusion: [reference class, predicted class] numbers of slices.
        precision, recall: by class; NaN for a class that was never predicted, or does not occur.
    """

    confusion: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of slices whose class is right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def weighted(self, figures: np.ndarray) -> float:
        """Mean of figures by class, weighted by how often each class occurs (Mariscal-Harana et al. 2023, table 2)."""
        counts = self.confusion.sum(1)
        known = ~np.isnan(figures) & (counts > 0)
        return float((figures[known] * counts[known]).sum() / counts[known].sum())


def classify_cases(
    classifier: RegionClassifier, slices: Sequence[LabelledSlices], progress: Progress = no_progress
) -> tuple[list[ClassifiedSlice], int]:
    """Classify annotated stacks.

    Returns:
        Every slice, and in how many stacks the classifier finds the base at the wrong end.
    """
    found: list[ClassifiedSlice] = []
    turned = 0
    for number, one in enumerate(slices):
        progress(number / len(slices), f"classifying {one.case}")
        result = SliceClasses(classifier.probabilities(one.inputs()))
        ordered = result.in_order()
        turned += ordered.base_first != one.base_first
        for index, (alone, region) in enumerate(zip(result.alone(), ordered.regions, strict=True)):
            found.append(
                ClassifiedSlice(
                    one.case,
                    index,
                    CLASS_NAMES[one.classes[index]],
                    CLASS_NAMES[CLASSES.index(alone)],
                    CLASS_NAMES[CLASSES.index(region)],
                    tuple(float(value) for value in result.probabilities[index]),
                )
            )
    return found, turned


def class_figures(reference: Sequence[str], predicted: Sequence[str]) -> ClassFigures:
    """Confusion, precision and recall of class names.

    Raises:
        ValueError: the lengths differ, or a name is no class.
    """
    confusion = np.zeros((len(CLASS_NAMES),) * 2, int)
    for wanted, got in zip(reference, predicted, strict=True):
        confusion[CLASS_NAMES.index(wanted), CLASS_NAMES.index(got)] += 1
    right = np.diag(confusion).astype(float)
    return ClassFigures(confusion, _share(right, confusion.sum(0)), _share(right, confusion.sum(1)))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
