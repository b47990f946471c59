"""Prediction with a routed model: a classifier looks at the stack, then each model labels the slices of its region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..progress import Progress, no_progress, part_of
from ..regions import Region
from .packages import require
from .predictor import Prediction, PredictionSettings, Predictor, check_input, open_predictor
from .region_order import CLASS_NAMES
from .region_routing import RoutedModel

_CLASSIFIER_SHARE = 0.05
"""Share of the progress bar for the classifier, which takes about 4 ms a slice."""


class RoutedPredictor:
    """A `Predictor` of several models, loaded once; every slice is labelled by one of them.

    The classifier always runs on ONNX Runtime. Every model sees the whole stack while it is normalised, as in its
    training, and labels only the slices of its region, so that the work is that of one model.

    Raises:
        InputError: a model or the classifier cannot be used.
    """

    def __init__(self, model: RoutedModel, settings: PredictionSettings | None = None) -> None:
        """Load the classifier and the models."""
        require(("onnxruntime",), "onnx", "the region classifier")
        from .region_classifier import RegionClassifier

        self.model = model
        self._classifier = RegionClassifier(model.classifier)
        opened = {part.path: open_predictor(part, settings) for part in model.parts}
        self._predictors: dict[str, Predictor] = {name: opened[part.path] for name, part in model.models.items()}
        first = self._predictors[CLASS_NAMES[0]]
        self.backend, self.device = first.backend, first.device
        self.warnings = tuple(dict.fromkeys(warning for one in opened.values() for warning in one.warnings))

    def regions(self, array: np.ndarray, spacing: tuple[float, float, float]) -> tuple[Region | None, ...]:
        """Where every slice goes; None to the model for non-cardiac slices."""
        classes = self._classifier.classify(array, spacing)
        return classes.in_order().regions if self.model.in_order else classes.alone()

    def predict(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Label one stack; see `Predictor.predict`."""
        return self.predict_probabilities(array, spacing, progress, slices).labels

    def predict_probabilities(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> Prediction:
        """Label one stack and keep probabilities; see `Predictor.predict_probabilities`."""
        progress(0.0, "telling regions apart")
        regions = self.regions(array, spacing)
        return self.predict_routed(array, spacing, regions, part_of(progress, _CLASSIFIER_SHARE, 1.0), slices)

    def predict_routed(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        regions: Sequence[Region | None],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> Prediction:
        """Label a stack whose regions are known, as from a reference: what a perfect classifier would give.

        Args:
            array: numbers [slice, row, col].
            spacing: (slice, row, col) in mm.
            regions: of every slice; None for non-cardiac.
            progress: called after every tile.
            slices: label only these; None labels all.

        Raises:
            InputError: the array cannot be used, or there are not as many regions as slices.
        """
        image = check_input(array, spacing)
        if len(regions) != len(image):
            raise InputError(f"{len(regions)} regions do not fit a stack of {len(image)} slices")
        wanted = range(len(image)) if slices is None else slices
        groups: dict[int, list[int]] = defaultdict(list)
        predictors: dict[int, Predictor] = {}
        for index in wanted:
            region = regions[index]
            predictor = self._predictors[CLASS_NAMES[0] if region is None else region.value]
            predictors[id(predictor)] = predictor
            groups[id(predictor)].append(index)
        labels = np.zeros(image.shape, np.uint8)
        probabilities: np.ndarray | None = None
        done = 0
        for key, chosen in groups.items():
            share = part_of(progress, done / len(wanted), (done + len(chosen)) / len(wanted))
            found = predictors[key].predict_probabilities(image, spacing, share, chosen)
            if probabilities is None:
                probabilities = np.zeros_like(found.probabilities)
                if not self.model.has_regions:
                    probabilities[0] = 1
            labels[chosen] = found.labels[chosen]
            probabilities[:, chosen] = found.probabilities[:, chosen]
            done += len(chosen)
        if probabilities is None:
            probabilities = np.zeros((len(self.model.labels) + 1, *image.shape), np.float16)
        return Prediction(labels, probabilities)
