"""Means, tests of significance, and aggregates that never hide a missing structure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..errors import InputError
from .comparison import NO_SLICES, MetricRow
from .surface import BOTH_EMPTY, MISSING

OVERLAPS = ("dice", "iou", "precision", "recall")
DISTANCES = ("hd_mm", "hd95_mm", "mad_mm")
VOLUMES = ("volume_pred_ml", "volume_ref_ml", "volume_diff_ml", "volume_diff_pct")


@dataclass(frozen=True)
class MeanSd:
    """Mean and sample standard deviation (n - 1); NaN where there are too few values.

    Attributes:
        n: values that count.
        n_left_out: NaN values that do not.
    """

    mean: float
    sd: float
    n: int
    n_left_out: int = 0


@dataclass(frozen=True)
class WelchTest:
    """Welch's t-test of two independent samples (unequal variances), two-sided."""

    difference: float
    t: float
    df: float
    p: float
    n_a: int
    n_b: int


@dataclass(frozen=True)
class PairedTests:
    """Student's paired t-test and Wilcoxon's signed-rank test of a minus b, two-sided.

    Attributes:
        n: pairs that count.
        n_left_out: pairs left out because one of the two is NaN.
    """

    difference: float
    t: float
    t_p: float
    wilcoxon: float
    wilcoxon_p: float
    n: int
    n_left_out: int


def mean_sd(values: Iterable[float]) -> MeanSd:
    """Mean and sample SD of the values that are not NaN, with the counts of both kinds."""
    array = np.asarray(list(values), np.float64)
    kept = array[~np.isnan(array)]
    return MeanSd(
        mean=float(kept.mean()) if kept.size else np.nan,
        sd=float(kept.std(ddof=1)) if kept.size > 1 else np.nan,
        n=int(kept.size),
        n_left_out=int(array.size - kept.size),
    )


def welch_t_test(a: Sequence[float], b: Sequence[float]) -> WelchTest:
    """Welch's t-test between two groups, such as the Dice of two regions; NaN values do not count.

    Raises:
        InputError: fewer than two values in a group.
    """
    first, second = (np.asarray(values, np.float64) for values in (a, b))
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    if min(first.size, second.size) < 2:
        raise InputError(f"Welch's t-test needs two values in each group, not {first.size} and {second.size}")
    difference = float(first.mean() - second.mean())
    if _constant(first) and _constant(second):
        # No variance beyond rounding: t is 0/0 for equal means and infinite otherwise.
        t, p = (
            (0.0, 1.0)
            if math.isclose(first[0], second[0], rel_tol=1e-12)
            else (float(np.copysign(np.inf, difference)), 0.0)
        )
        return WelchTest(difference, t, np.nan, p, first.size, second.size)
    # By its formula: scipy warns of lost precision where one group is constant, such as Dice 1 in every case.
    parts = first.var(ddof=1) / first.size, second.var(ddof=1) / second.size
    t = difference / math.sqrt(sum(parts))
    df = sum(parts) ** 2 / (parts[0] ** 2 / (first.size - 1) + parts[1] ** 2 / (second.size - 1))
    return WelchTest(difference, float(t), float(df), float(2 * stats.t.sf(abs(t), df)), first.size, second.size)


def paired_tests(a: Sequence[float], b: Sequence[float]) -> PairedTests:
    """Paired t-test and Wilcoxon's test between two methods on the same cases, in the same order.

    Raises:
        InputError: the lengths differ or fewer than two complete pairs.
    """
    first, second = (np.asarray(values, np.float64) for values in (a, b))
    if first.shape != second.shape:
        raise InputError(f"paired tests need as many values in both groups, not {first.size} and {second.size}")
    complete = ~(np.isnan(first) | np.isnan(second))
    difference = (first - second)[complete]
    n, left_out = int(difference.size), int(complete.size - difference.size)
    if n < 2:
        raise InputError(f"paired tests need two complete pairs; there is {n}" if n else "there is no complete pair")
    mean = float(difference.mean())
    if not difference.any():
        return PairedTests(0.0, 0.0, 1.0, 0.0, 1.0, n, left_out)
    if _constant(difference):
        t, t_p = float(np.copysign(np.inf, mean)), 0.0
    else:
        result = stats.ttest_rel(first[complete], second[complete])
        t, t_p = float(result.statistic), float(result.pvalue)
    ranks = stats.wilcoxon(difference)
    return PairedTests(mean, t, t_p, float(ranks.statistic), float(ranks.pvalue), n, left_out)


def _constant(values: np.ndarray) -> bool:
    """Whether the values differ by no more than rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def aggregate(rows: Iterable[MetricRow]) -> dict[str, dict[str, dict[str, Any]]]:
    """Aggregate the rows of many cases by structure and region.

    Returns:
        {structure: {region: {...}}} with the counts `n` (rows measured), `n_missing` (exactly one mask empty),
        `n_empty` (both empty: Dice 1, distance 0, they count in the means), `n_no_slices` (not measured), and for
        every figure {mean, sd, n}. Overlap figures of a missing structure are 0 and count. Its distances do not
        exist: {mean, sd, n} leave them out, {mean_with_diagonal, sd_with_diagonal} put the image's diagonal in their
        place. NaN where a mean does not exist.
    """
    groups: dict[str, dict[str, list[MetricRow]]] = {}
    for row in rows:
        groups.setdefault(row.structure, {}).setdefault(row.region, []).append(row)
    return {
        structure: {region: _aggregate_group(group) for region, group in by_region.items()}
        for structure, by_region in groups.items()
    }


def _aggregate_group(group: list[MetricRow]) -> dict[str, Any]:
    measured = [row for row in group if row.flag != NO_SLICES]
    figures: dict[str, Any] = {}
    for name in (*OVERLAPS, *DISTANCES, *VOLUMES):
        summary = mean_sd(getattr(row, name) for row in measured)
        figures[name] = {"mean": summary.mean, "sd": summary.sd, "n": summary.n}
        if name in DISTANCES:
            filled = mean_sd(row.diagonal_mm if row.flag == MISSING else getattr(row, name) for row in measured)
            figures[name] |= {"mean_with_diagonal": filled.mean, "sd_with_diagonal": filled.sd}
    return {
        "n": len(measured),
        "n_missing": sum(row.flag == MISSING for row in measured),
        "n_empty": sum(row.flag == BOTH_EMPTY for row in measured),
        "n_no_slices": len(group) - len(measured),
        **figures,
    }
