"""From what each slice looks like alone to regions of a stack, in which base, middle and apex follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..regions import Region, SliceRegions

METHOD = "classifier"
"""How `SliceRegions` calls regions that were told from the image."""

CLASSES: tuple[Region | None, ...] = (None, Region.BASE, Region.MIDDLE, Region.APEX)
"""Order of the classifier's outputs; None is a slice without heart."""

CLASS_NAMES = tuple("non-cardiac" if region is None else region.value for region in CLASSES)

_CERTAIN = float(np.log(20.0))
"""The order of a stack is certain where it is twenty times as likely as the other one."""


@dataclass(frozen=True, eq=False)
class SliceClasses:
    """What the classifier makes of the slices of one stack.

    Attributes:
        probabilities: float32 [slice, class], classes as in `CLASSES`.
    """

    probabilities: np.ndarray

    def alone(self) -> tuple[Region | None, ...]:
        """The likeliest class of every slice by itself (Mariscal-Harana et al. 2023)."""
        return tuple(CLASSES[index] for index in self.probabilities.argmax(1))

    def in_order(self, base_first: bool | None = None) -> SliceRegions:
        """The likeliest regions among those in which base, middle and apex follow each other, non-cardiac at the ends.

        Slices count as independent given their regions; the best sequence is found by dynamic programming (Viterbi).

        Args:
            base_first: whether slice 0 is nearest the base; None takes the likelier order, with a warning if unsure.
        """
        scores = np.log(np.clip(self.probabilities.astype(np.float64), 1e-6, 1.0))
        down, up = _best_sequence(scores), _best_sequence(scores[::-1])
        likelier = down[0] >= up[0]
        warnings = []
        if base_first is None:
            base_first = bool(likelier)
            if abs(down[0] - up[0]) < _CERTAIN:
                warnings.append("base and apex are uncertain (the slices look alike); check the order and flip it")
        sequence = down[1] if base_first else up[1][::-1]
        regions = tuple(CLASSES[index] for index in sequence)
        absent = [region.value for region in Region if region not in regions]
        if absent:
            warnings.append(f"the classifier finds no slice that is {' or '.join(absent)}")
        return SliceRegions(METHOD, regions, base_first, tuple(warnings))


def _best_sequence(scores: np.ndarray) -> tuple[float, list[int]]:
    """Log-likelihood and classes of the best sequence of stages: above the base, base, middle, apex, below the apex."""
    stages = [0, 1, 2, 3, 0]
    gained = scores[:, stages]
    best = gained[0].copy()
    came_from = np.zeros(gained.shape, int)
    for index in range(1, len(gained)):
        for stage in range(len(stages)):
            came_from[index, stage] = int(np.argmax(best[: stage + 1]))
        best = best[came_from[index]] + gained[index]
    stage = int(best.argmax())
    total = float(best[stage])
    path = [stage]
    for index in range(len(gained) - 1, 0, -1):
        stage = int(came_from[index, stage])
        path.append(stage)
    return total, [stages[stage] for stage in reversed(path)]
