"""Learning curves of finished runs, and how much annotation a target needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...anatomy import Structure
from ...figures.learning_curve import LearningCurve, learning_curve_figure, structure_label
from .lines import Line, dataset_of, resampled_dice, slices_lines, volumes_lines
from .power_law import Needed, PowerLaw, fit_power_law, needed_amount
from .results import Result
from .thesis import slices_per_volume, thesis_tables

MEAN = "mean"
_RESAMPLES = 500
_MIN_POINTS = 3
_BEYOND = 3.0
"""How far beyond the largest amount the curve is drawn."""


@dataclass(frozen=True, eq=False)
class Study:
    """A line of results as curves.

    Attributes:
        key: for file names, such as `volumes-1`.
        title: of the figure.
        unit: what is counted, such as `volumes`.
        amounts: measured.
        laws: fitted, by structure and for the `mean`.
        needed: of every target, by structure and for the `mean`.
        n_seeds: of the point with the fewest.
        n_patients: that were measured.
        png: the figure.
    """

    key: str
    title: str
    unit: str
    amounts: tuple[float, ...]
    laws: dict[str, PowerLaw]
    needed: dict[str, tuple[Needed, ...]]
    n_seeds: int
    n_patients: int
    png: bytes


def studies_of(results: Sequence[Result], targets: Sequence[float]) -> list[Study]:
    """A study for every line of three points or more along volumes, and along slices a volume."""
    found = []
    for number, line in enumerate(_long(volumes_lines(results)), 1):
        found.append(_study(line, f"volumes-{number}", "volumes", lambda one: float(one.volumes), targets, None))
    for number, line in enumerate(_long(slices_lines(results)), 1):
        depth = float(np.mean([_depth(result) for _, results in line.points for result in results]))
        found.append(
            _study(line, f"slices-{number}", "slices a volume", lambda one: one.slices / one.volumes, targets, depth)
        )
    return found


def _long(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if len(line.points) >= _MIN_POINTS]


def _study(
    line: Line,
    key: str,
    unit: str,
    amount: Callable[[Result], float],
    targets: Sequence[float],
    limit: float | None,
) -> Study:
    """Fit, resample and draw one line; `limit` is the largest amount there can be."""
    points = [results for _, results in line.points]
    amounts = np.array([np.mean([amount(result) for result in results]) for results in points])
    structures = points[0][0].structures
    resampled = resampled_dice(points, times=_RESAMPLES)
    dice = np.array([np.mean([result.dice() for result in results], 0) for results in points])
    drawn_n = np.geomspace(amounts.min(), max(amounts.max(), limit or amounts.max() * _BEYOND), 120)
    rng = np.random.default_rng(0)
    curves, laws, needed = [], {}, {}
    for column, name in enumerate((*structures, MEAN)):
        error, se = 1.0 - dice[:, column], resampled[:, :, column].std(0)
        law = fit_power_law(amounts, error, se)
        # Patients say how sure a point is; how far the points lie about the curve says what else chance does to them:
        # the draw of the annotations, the training, and that the curve is a model.
        chance = rng.normal(0.0, law.noise, (len(resampled), len(amounts)))
        again = [fit_power_law(amounts, 1.0 - one, se) for one in resampled[:, :, column] + chance]
        drawn = np.array([1.0 - one.error(drawn_n) for one in again])
        structure = None if name == MEAN else Structure(name)
        laws[name] = law
        needed[name] = tuple(needed_amount(target, law, again, amounts.tolist(), limit) for target in targets)
        low, high = np.percentile(resampled[:, :, column], (2.5, 97.5), axis=0)
        fit_low, fit_high = np.percentile(drawn, (2.5, 97.5), axis=0)
        label = "Mean of the structures" if structure is None else structure_label(structure)
        curves.append(
            LearningCurve(
                label, structure, amounts, dice[:, column], low, high, drawn_n, 1.0 - law.error(drawn_n), fit_low,
                fit_high,
            )
        )  # fmt: skip
    n_patients = len(points[0][0].patients)
    n_seeds = min(len(results) for results in points)
    title = f"Dice by annotated {unit} ({line.name})"
    png = learning_curve_figure(
        curves,
        xlabel=f"annotated {unit}",
        title=title,
        note=f"bars: 95 % by bootstrap over {n_patients} validation patients"
        + (f" and {n_seeds} seeds" if n_seeds > 1 else " (one seed)")
        + "; band: with the points' scatter about the curve as well"
        + ("; dashed: beyond the measured amounts" if drawn_n.max() > amounts.max() else ""),
        targets=targets,
        others=_theirs(points[0][0], unit),
    )
    return Study(key, title, unit, tuple(amounts.tolist()), laws, needed, n_seeds, n_patients, png)


def _theirs(result: Result, unit: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The thesis's curve of the same data set; slices at the same share of this data set's stacks."""
    table = thesis_tables()["5.1" if unit == "volumes" else "5.3"]
    name = dataset_of(result)
    row = next((row for row in table.rows if row.dataset == name), None)
    if row is None:
        return []
    scale = 1.0
    if unit != "volumes":
        scale = _depth(result) / slices_per_volume()[row.dataset]
    known = [(column * scale, value) for column, value in zip(table.columns, row.values["dice"], strict=True)
             if value is not None]  # fmt: skip
    n, dice = np.array(known).T
    share = "" if unit == "volumes" else ", same share"
    return [(f"Thesis, {row.dataset} {row.network}{share}", n, dice)]


def _depth(result: Result) -> float:
    """Mean number of slices of the annotated volumes, annotated or not."""
    return result.slices / result.share / result.volumes
