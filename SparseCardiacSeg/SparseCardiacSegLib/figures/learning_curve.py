"""Dice against the amount of annotation, with the fitted curve and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..anatomy import DESCRIPTIONS, Structure
from .style import INK, MUTED, new_figure, plain_axes, png_bytes, structure_colour

_MARKERS = {Structure.RV: "s", Structure.MYO: "^", Structure.LV: "o", Structure.LA: "D"}


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """One curve.

    Attributes:
        label: in the legend.
        structure: gives colour and marker; None for the mean of the structures.
        n: amounts that were measured, above 0.
        dice, low, high: mean and interval at each.
        fit_n: amounts at which the fitted curve is given; empty for points without a curve.
        fit, fit_low, fit_high: the curve and its interval there.
    """

    label: str
    structure: Structure | None
    n: np.ndarray
    dice: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fit_n: np.ndarray = field(default_factory=lambda: np.empty(0))
    fit: np.ndarray = field(default_factory=lambda: np.empty(0))
    fit_low: np.ndarray = field(default_factory=lambda: np.empty(0))
    fit_high: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def colour(self) -> str | tuple[float, float, float]:
        """Of points and curve."""
        return INK if self.structure is None else structure_colour(self.structure)


def learning_curve_figure(
    curves: Sequence[LearningCurve],
    *,
    xlabel: str,
    title: str,
    note: str = "",
    targets: Sequence[float] = (),
    others: Sequence[tuple[str, np.ndarray, np.ndarray]] = (),
) -> bytes:
    """Curves over a logarithmic axis, as PNG of 1600 x 760 px; dashed where they leave what was measured.

    Args:
        curves: usually the mean and one of each structure.
        xlabel: what is counted.
        title: above the plot.
        note: below it.
        targets: Dice values to mark by a line.
        others: name, amounts and Dice of somebody else's points, drawn in grey.
    """
    figure = new_figure(1600, 760)
    axes = figure.add_axes((0.055, 0.15, 0.70, 0.75))
    plain_axes(axes)
    axes.set_xscale("log")
    for target in targets:
        axes.axhline(target, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.text(0.004, target, f" {target:g}", transform=axes.get_yaxis_transform(), va="bottom", color=MUTED)
    for name, n, dice in others:
        axes.plot(n, dice, color="#9aa5b1", marker="x", linewidth=1.0, linestyle=(0, (1, 2)), label=name, zorder=1.5)
    for curve in curves:
        _draw(axes, curve)
    amounts = np.concatenate([curve.n for curve in curves])
    shown = np.concatenate([amounts, *(curve.fit_n for curve in curves), *(n for _, n, _ in others)])
    axes.set_xlim(shown.min() * 0.9, shown.max() * 1.1)
    lowest = min([*(float(np.min(curve.low)) for curve in curves), *(float(np.min(dice)) for _, _, dice in others)])
    axes.set_ylim(max(0.0, np.floor(lowest * 10) / 10), 1.0)
    ticks = _apart(sorted({float(n) for n in shown if n in amounts or any(n in other for _, other, _ in others)}))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(xlabel)
    axes.set_ylabel("Dice")
    axes.set_title(title, loc="left", pad=18, parse_math=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.015, 1.0), fontsize=11, frameon=False, labelcolor=INK)
    if note:
        figure.text(0.055, 0.025, note, color=MUTED, fontsize=10, parse_math=False)
    return png_bytes(figure)


def structure_label(structure: Structure) -> str:
    """The name of a structure for a legend."""
    return DESCRIPTIONS[structure].name


def _draw(axes: Axes, curve: LearningCurve) -> None:
    """Points with their intervals, the curve, and its band."""
    mean = curve.structure is None
    marker = "o" if mean else _MARKERS[curve.structure]
    bars = np.maximum(0.0, [curve.dice - curve.low, curve.high - curve.dice]) if mean else None
    axes.errorbar(
        curve.n,
        curve.dice,
        yerr=bars,  # of the mean only: those of the structures would cover each other
        color=curve.colour,
        marker=marker,
        markersize=9 if mean else 6,
        linestyle="none",
        capsize=3,
        elinewidth=1.2,
        label=curve.label,
        zorder=3 if mean else 2,
    )
    if not curve.fit_n.size:
        return
    width = 2.6 if mean else 1.4
    last = float(curve.n.max())
    inside, beyond = curve.fit_n <= last, curve.fit_n >= last
    axes.plot(curve.fit_n[inside], curve.fit[inside], color=curve.colour, linewidth=width)
    axes.plot(curve.fit_n[beyond], curve.fit[beyond], color=curve.colour, linewidth=width, linestyle=(0, (5, 3)))
    if mean:
        axes.fill_between(curve.fit_n, curve.fit_low, curve.fit_high, color=curve.colour, alpha=0.12, linewidth=0)


def _apart(values: Sequence[float]) -> list[float]:
    """Those of the ticks whose labels do not run into each other on a logarithmic axis."""
    kept: list[float] = []
    for value in values:
        if not kept or np.log(value / kept[-1]) > 0.035 * np.log(max(values[-1] / values[0], 2.0)):
            kept.append(value)
    return kept
