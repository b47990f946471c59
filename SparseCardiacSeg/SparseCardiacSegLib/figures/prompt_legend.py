"""How prompts are drawn, and the legend that explains it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import new_figure

WIDTH = 1000
"""Pixels: what a page of documentation shows without scaling it down."""

LINE_HEIGHT = 30
"""Of the legend, in pixels."""

POSITIVE = "#2bff62"
NEGATIVE = "#ff2d2d"
REFERENCE = "white"
BOX_DASHES = (0, (4.0, 2.4))
REFERENCE_DASHES = (0, (3.0, 2.0))

Colour = str | tuple[float, float, float]
Entry = tuple[str, str, Colour]
"""Of the legend: text, kind of mark ("line", "positive", "negative", "box" or "reference"), colour."""


def draw_marks(axes: Axes, points: np.ndarray, marker: str, colour: str, edge: Colour) -> None:
    """Filled marks with a thick edge, and black around it: they stand out on blood, muscle and lung."""
    look = {"marker": marker, "linestyle": "none", "clip_on": True}
    x, y = points.T
    axes.plot(x, y, markersize=15.5, color="black", alpha=0.75, markeredgewidth=0, **look)
    axes.plot(x, y, markersize=12.5, markerfacecolor=colour, markeredgecolor=edge, markeredgewidth=1.6, **look)


def legend_lines(entries: Sequence[Entry]) -> list[list[tuple[float, Entry]]]:
    """The entries with their places (x in pixels), broken into lines that fit the picture."""
    measure = new_figure(WIDTH, LINE_HEIGHT)
    renderer = measure.canvas.get_renderer()  # type: ignore[attr-defined]
    lines: list[list[tuple[float, Entry]]] = [[]]
    x = 12.0
    for entry in entries:
        text = measure.text(0, 0, entry[0], fontsize=11, parse_math=False)
        width = 38 + text.get_window_extent(renderer).width
        if lines[-1] and x + width > WIDTH - 8:
            lines.append([])
            x = 12.0
        lines[-1].append((x, entry))
        x += width + 22
    return lines


def draw_legend(figure: Figure, lines: Sequence[Sequence[tuple[float, Entry]]], total: float) -> None:
    """Along the bottom of a figure `total` pixels high."""
    height = len(lines) * LINE_HEIGHT
    axes = figure.add_axes((0, 0, 1, height / total))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    styles = {"line": "-", "box": BOX_DASHES, "reference": REFERENCE_DASHES}
    for number, line in enumerate(lines):
        y = (number + 0.5) * LINE_HEIGHT
        for x, (text, kind, colour) in line:
            if kind in styles:
                axes.plot([x, x + 28], [y, y], color=colour, linewidth=2.4, linestyle=styles[kind])
            else:
                draw_marks(axes, np.array([[x + 15, y]]), "P" if kind == "positive" else "X", str(colour), "white")
            axes.text(x + 36, y, text, color="white", fontsize=11, va="center", parse_math=False)
