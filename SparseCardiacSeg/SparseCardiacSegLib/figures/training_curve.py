"""How a training went: loss and pseudo-Dice of every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..anatomy import DESCRIPTIONS, Structure
from .style import INK, MUTED, new_figure, plain_axes, png_bytes, structure_colour

_SMOOTHED = 0.9
"""Weight of the past in the thick line, as in nnU-Net's own moving average of the pseudo-Dice."""


def training_curve_figure(
    train_loss: Sequence[float | None],
    val_loss: Sequence[float | None],
    pseudo_dice: Sequence[Sequence[float | None]],
    structures: Sequence[str],
    *,
    title: str = "Training",
) -> bytes:
    """Two plots over the epochs as PNG of 1600 x 640 px: loss, and pseudo-Dice of each structure.

    Args:
        train_loss, val_loss: one value an epoch; None leaves a gap.
        pseudo_dice: for every epoch one value a structure, on patches of the validation cases.
        structures: their names; the heart's structures get their colours.
        title: above the plots.
    """
    figure = new_figure(1600, 640)
    losses = figure.add_axes((0.06, 0.12, 0.42, 0.74))
    dice = figure.add_axes((0.55, 0.12, 0.42, 0.74))
    for axes in (losses, dice):
        plain_axes(axes)
        axes.set_xlabel("epoch")
    for values, colour, name in ((train_loss, INK, "training"), (val_loss, "#d1495b", "validation")):
        numbers = _numbers(values)
        last = numbers[np.isfinite(numbers)][-1:]
        label = name + (f": {last[0]:.3f}" if last.size else "")
        losses.plot(np.arange(1, len(numbers) + 1), numbers, color=colour, linewidth=2.2, label=label, **_dots(numbers))
    losses.set_title("loss (cross-entropy minus Dice)", loc="left")
    known = {structure.value: structure for structure in Structure}
    for index, name in enumerate(structures):
        numbers = _numbers([each[index] for each in pseudo_dice])
        structure = known.get(name)
        colour = MUTED if structure is None else structure_colour(structure)
        smooth = _moving_average(numbers)
        label = name if structure is None else DESCRIPTIONS[structure].name
        if smooth.size and np.isfinite(smooth[-1]):
            label += f": {smooth[-1]:.3f}"
        epochs = np.arange(1, len(numbers) + 1)
        dice.plot(epochs, numbers, color=colour, linewidth=1.0, alpha=0.4)
        dice.plot(epochs, smooth, color=colour, linewidth=2.6, label=label, **_dots(numbers))
    dice.set_ylim(0, 1.005)
    dice.set_title("pseudo-Dice on patches (thick: moving average)", loc="left")
    for axes in (losses, dice):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=11, labelcolor=INK)
        axes.set_xlim(0.5, max(len(train_loss), 1) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.text(0.06, 0.935, title, color=INK, fontsize=15)
    return png_bytes(figure)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _dots(numbers: np.ndarray) -> dict[str, object]:
    """Dots for so few epochs that a line would hardly show."""
    return {"marker": "o", "markersize": 5} if len(numbers) < 12 else {}


def _moving_average(numbers: np.ndarray) -> np.ndarray:
    """Exponential moving average; epochs without a value leave it as it was."""
    result = np.full(len(numbers), np.nan)
    mean = np.nan
    for index, value in enumerate(numbers):
        if np.isfinite(value):
            mean = value if np.isnan(mean) else _SMOOTHED * mean + (1 - _SMOOTHED) * value
        result[index] = mean
    return result
