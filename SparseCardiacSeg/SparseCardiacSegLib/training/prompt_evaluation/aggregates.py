"""Means over slices, structures and runs that never hide a missing structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...measures.statistics import mean_sd
from ...measures.surface import MISSING
from ...regions import Region
from .scoring import PromptRow

ALL = "all"
METRICS = ("dice", "hd_mm", "hd95_mm", "mad_mm")
DISTANCES = METRICS[1:]


@dataclass(frozen=True)
class Figure:
    """One metric over many rows.

    Attributes:
        mean: of all rows that have the metric, whatever their slice, structure and run.
        sd_slices: standard deviation (n - 1) of the same rows.
        sd_runs: standard deviation of the runs' means; NaN with a single run.
        mean_with_diagonal: the mean with the slice's diagonal in the place of each missing distance; equals `mean`
            for Dice, which is 0 there.
        sd_slices_with_diagonal: the same for `sd_slices`.
    """

    mean: float
    sd_slices: float
    sd_runs: float
    mean_with_diagonal: float
    sd_slices_with_diagonal: float


@dataclass(frozen=True)
class Aggregate:
    """All figures of one condition, over all rows or those of one structure or region.

    Attributes:
        condition, structure, region: which rows; "all" where all.
        box, positive, negative: of the prompts; a mean where correcting clicks made them differ.
        n: rows.
        n_missing: rows whose prediction is empty: Dice 0, no distance.
        figures: by metric (`METRICS`).
    """

    condition: str
    structure: str
    region: str
    box: float
    positive: float
    negative: float
    n: int
    n_missing: int
    figures: dict[str, Figure]


def aggregate(rows: Sequence[PromptRow], by_structure_and_region: bool) -> list[Aggregate]:
    """One aggregate a condition in order of appearance; with `by_structure_and_region`, one for each of both too."""
    groups: dict[str, list[PromptRow]] = {}
    for row in rows:
        groups.setdefault(row.condition, []).append(row)
    found = []
    for condition, own in groups.items():
        found.append(_aggregate(condition, ALL, ALL, own))
        if by_structure_and_region:
            found += [_aggregate(condition, *part) for part in _parts(own)]
    return found


def _parts(rows: Sequence[PromptRow]) -> Iterator[tuple[str, str, list[PromptRow]]]:
    structures = list(dict.fromkeys(row.structure for row in rows))
    regions = [region.value for region in Region if any(row.region == region for row in rows)]
    for structure in (ALL, *structures):
        for region in (ALL, *regions):
            if (structure, region) != (ALL, ALL):
                own = [row for row in rows if structure in (ALL, row.structure) and region in (ALL, row.region)]
                if own:
                    yield structure, region, own


def _aggregate(condition: str, structure: str, region: str, rows: Sequence[PromptRow]) -> Aggregate:
    seeds = np.array([row.seed for row in rows])
    missing = np.array([row.flag == MISSING for row in rows])
    diagonals = np.array([row.diagonal_mm for row in rows])
    figures = {}
    for metric in METRICS:
        values = np.array([getattr(row, metric) for row in rows], np.float64)
        filled = np.where(missing, diagonals, values) if metric in DISTANCES else values
        runs = [mean_sd(values[seeds == seed]).mean for seed in np.unique(seeds)]
        plain, whole = mean_sd(values), mean_sd(filled)
        figures[metric] = Figure(plain.mean, plain.sd, mean_sd(runs).sd, whole.mean, whole.sd)
    box, positive, negative = (
        float(np.mean([getattr(row, name) for row in rows])) for name in ("box", "positive", "negative")
    )
    n_missing = int(missing.sum())
    return Aggregate(condition, structure, region, box, positive, negative, len(rows), n_missing, figures)
