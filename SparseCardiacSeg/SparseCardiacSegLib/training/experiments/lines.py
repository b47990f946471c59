"""Results that differ in one thing only, and how sure their mean Dice is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .results import Result

RESAMPLES = 1000
_ORDER = ("A", "M", "B", "AM", "MB", "AB", "AMB")


@dataclass(frozen=True)
class Line:
    """Results that differ in one thing (and in the seed) only.

    Attributes:
        name: what they have in common.
        points: the values of that one thing with the results of all seeds, in rising order.
    """

    name: str
    points: tuple[tuple[Any, tuple[Result, ...]], ...]


def lines_along(
    results: Sequence[Result], axis: Callable[[Result], Any], fixed: Callable[[Result], str | None]
) -> list[Line]:
    """Group results into lines.

    Args:
        results: of finished runs.
        axis: the value that differs along a line.
        fixed: what a line has in common; None leaves the result out.
    """
    groups: dict[str, dict[Any, list[Result]]] = {}
    for result in results:
        name = fixed(result)
        if name is not None:
            groups.setdefault(name, {}).setdefault(axis(result), []).append(result)
    return [
        Line(
            name, tuple((value, tuple(found)) for value, found in sorted(points.items(), key=lambda one: rank(one[0])))
        )
        for name, points in groups.items()
    ]


def volumes_lines(results: Sequence[Result]) -> list[Line]:
    """Lines along the number of volumes: all slices of all regions."""
    return lines_along(results, lambda one: one.volumes, lambda one: _common(one) if _dense(one) else None)


def slices_lines(results: Sequence[Result]) -> list[Line]:
    """Lines along the slices a volume (infinite for all), at the same volumes; only with two settings of slices."""

    def common(one: Result) -> str | None:
        sparsity = one.settings.sparsity
        if sparsity.total is not None or not sparsity.all_regions:
            return None
        return f"{_common(one)}, {one.volumes} volumes, {sparsity.spread}"

    # With all slices, random and evenly spread are the same run, which is written down as random.
    lines = lines_along(results, lambda one: one.settings.sparsity.slices or math.inf, common)
    return [line for line in lines if len(line.points) > 1]


def regions_lines(results: Sequence[Result]) -> list[Line]:
    """Lines along the regions, at the same volumes and all of their slices; only with two sets of regions."""

    def common(one: Result) -> str | None:
        sparsity = one.settings.sparsity
        if sparsity.total is not None or sparsity.slices is not None:
            return None
        return f"{_common(one)}, {one.volumes} volumes"

    lines = lines_along(results, lambda one: one.settings.sparsity.regions, common)
    return [line for line in lines if len(line.points) > 1]


def total_lines(results: Sequence[Result]) -> list[Line]:
    """Lines along (volumes, slices a volume), where the total of slices was given."""

    def common(one: Result) -> str | None:
        return None if one.settings.sparsity.total is None else f"{_common(one)}, {one.settings.sparsity.regions}"

    return lines_along(results, volumes_by_slices, common)


def volumes_by_slices(result: Result) -> tuple[int, int]:
    """Volumes, and slices a volume to the nearest whole one."""
    return result.volumes, round(result.slices / result.volumes)


def dataset_of(result: Result) -> str | None:
    """The thesis's data set that the name of a run's data folder means, if any."""
    name = result.settings.data.folder.name.lower()
    if "acdc" in name:
        return "ACDC"
    return "M&Ms" if "mnm" in name or "m&m" in name or "mms" in name else None


def interval(results: Sequence[Result], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean Dice over structures: patients, and seeds where there are several."""
    resampled = resampled_dice([results], seed)[:, 0, -1]
    return float(np.percentile(resampled, 2.5)), float(np.percentile(resampled, 97.5))


def resampled_dice(points: Sequence[Sequence[Result]], seed: int = 0, times: int = RESAMPLES) -> np.ndarray:
    """Dice of bootstrap resamples of the validation patients, the same ones at every point.

    Where a point has several seeds, these are drawn again too, each resample with its own.

    Args:
        points: results of all seeds at each point; all measured on the same patients.
        seed: of the resampling.
        times: how many.

    Returns:
        [resample, point, structure], the mean of the structures last.
    """
    rng = np.random.default_rng(seed)
    n_patients = min(len(result.patients) for point in points for result in point)
    chosen = rng.integers(0, n_patients, (times, n_patients))
    resampled = []
    for point in points:
        of_seeds = np.stack([result.dice(chosen) for result in point])
        seeds = rng.integers(0, len(point), (times, len(point)))
        resampled.append(of_seeds[seeds, np.arange(times)[:, None]].mean(1))
    return np.stack(resampled, 1)


def _common(result: Result) -> str:
    """What makes two results comparable along one axis, as a name."""
    settings = result.settings
    configuration = settings.training.configuration.split("_")[0]
    return f"{settings.network} {configuration}, {settings.sparsity.mode}"


def _dense(result: Result) -> bool:
    sparsity = result.settings.sparsity
    return sparsity.slices is None and sparsity.total is None and sparsity.all_regions


def rank(value: Any) -> Any:
    """What values of an axis are sorted by: regions as the thesis has them, all else by itself."""
    return _ORDER.index(value) if isinstance(value, str) else value
