"""The 17 segments of the left ventricle as a bullseye: the heart seen from the apex, anterior at the top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from ..measures.aha_segments import APEX
from ..measures.wall_thickness import WallThickness, segment_values, thickness_record
from .style import INK, MUTED, new_figure, png_bytes

THICKNESS_MM = (4.0, 16.0)
"""Colours of wall thickness: the same in every patient, so that two pictures can be compared; beyond, they stay."""

THICKENING_PCT = (-50.0, 100.0)
"""Colours of systolic thickening: white at 0, red where the wall gets thinner."""

_RINGS = (((1, 2, 3, 4, 5, 6), 0.75, 1.0), ((7, 8, 9, 10, 11, 12), 0.5, 0.75), ((13, 14, 15, 16), 0.25, 0.5))
"""Segments from the anterior one on, counter-clockwise, with the inner and outer radius of their ring."""


@dataclass(frozen=True)
class _Plot:
    """One bullseye: heading, values of segments 1 to 17, unit, colours, decimals."""

    title: str
    values: Sequence[float]
    unit: str
    norm: Normalize
    colours: str
    digits: int
    note: str


def bullseye_figure(ed: WallThickness, es: WallThickness | None = None, *, title: str = "") -> bytes:
    """Wall thickness at ED and, with `es`, systolic thickening, as PNG of 1560 x 720 px (780 x 720 px for one).

    Args:
        ed: wall thickness at end diastole.
        es: at end systole.
        title: above the plots, such as the case.
    """
    return bullseye_of_record(thickness_record(ed, es), title=title)


def bullseye_of_record(walls: Mapping[str, Any], *, title: str = "") -> bytes:
    """The same of a record: `measures.clinical.clinical_measures(..., wall=True)["wall_thickness"]`.

    ED is drawn, and ES in its place where ED was not measured; thickening where both were.

    Args:
        walls: what `measures.wall_thickness.thickness_record` returned.
        title: above the plots.
    """
    plots = []
    phase = "ed" if walls["ed"] is not None else "es"
    found = walls[phase]
    if found is not None:
        note = "mean of the segment"
        if found["apex_slices"]:
            note += f"; segment 17 along the long axis, known only to {found['apex_known_to_mm']:.0f} mm"
        name = f"Wall thickness at {'end diastole' if phase == 'ed' else 'end systole'}"
        norm = Normalize(*THICKNESS_MM)
        plots.append(_Plot(name, segment_values(found["mean_mm"]), "mm", norm, "viridis", 1, note))
    if walls["thickening_pct"] is not None:
        norm = TwoSlopeNorm(0.0, *THICKENING_PCT)
        note = "(ES - ED) / ED of the segment's mean"
        values = segment_values(walls["thickening_pct"])
        plots.append(_Plot("Systolic wall thickening", values, "%", norm, "RdBu", 0, note))
    figure = new_figure(1560 if len(plots) > 1 else 780, 720)
    for number, plot in enumerate(plots):
        _draw(figure, plot, number / len(plots), 1 / len(plots))
    if not plots:
        figure.text(0.5, 0.5, "wall thickness was not measured", ha="center", color=MUTED, fontsize=14)
    if title:
        figure.text(0.012, 0.962, title, color=INK, fontsize=14, parse_math=False)
    return png_bytes(figure)


def _draw(figure: Figure, plot: _Plot, left: float, width: float) -> None:
    """One bullseye with its colour bar in the share of the figure that begins at `left`."""
    axes = figure.add_axes((left + 0.01 * width, 0.01, 0.84 * width, 0.90))
    axes.set(xlim=(-1.32, 1.22), ylim=(-1.27, 1.18), aspect="equal")
    axes.axis("off")
    axes.set_title(plot.title, color=INK, fontsize=14, pad=6)
    palette = matplotlib.colormaps[plot.colours]
    for segments, inner, outer in _RINGS:
        span = 360 / len(segments)
        for place, number in enumerate(segments):
            middle = 90 + place * span
            wedge = Wedge((0, 0), outer, middle - span / 2, middle + span / 2, width=outer - inner)
            radius, angle = (inner + outer) / 2, np.deg2rad(middle)
            _segment(axes, plot, palette, number, wedge, (radius * np.cos(angle), radius * np.sin(angle)))
    _segment(axes, plot, palette, APEX, Wedge((0, 0), 0.25, 0, 360), (0.0, 0.0))
    for text, x, y, turned in (
        ("anterior", 0, 1.09, 0),
        ("septal", -1.09, 0, 90),
        ("inferior", 0, -1.09, 0),
        ("lateral", 1.09, 0, -90),
    ):
        axes.text(x, y, text, ha="center", va="center", rotation=turned, color=MUTED, fontsize=13)
    _insertions(axes)
    axes.text(0, -1.23, plot.note, ha="center", va="center", color=MUTED, fontsize=10.5)
    bar_axes = figure.add_axes((left + 0.865 * width, 0.16, 0.024 * width, 0.62))
    bar = figure.colorbar(ScalarMappable(plot.norm, palette), cax=bar_axes, extend="both")
    if plot.unit == "%":
        bar.set_ticks([-50, -25, 0, 25, 50, 75, 100])
    bar.set_label(f"{'thickness' if plot.unit == 'mm' else 'thickening'} ({plot.unit})", color=INK, fontsize=12)
    bar.ax.tick_params(colors=MUTED, labelsize=11)
    bar.outline.set_edgecolor(MUTED)


def _segment(
    axes: Axes, plot: _Plot, palette: matplotlib.colors.Colormap, number: int, wedge: Wedge, place: tuple[float, float]
) -> None:
    """One segment with its number and value; hatched grey where it is unknown."""
    value = plot.values[number - 1]
    known = math.isfinite(value)
    colour = palette(plot.norm(value)) if known else (0.88, 0.89, 0.91, 1.0)
    wedge.set(facecolor=colour, edgecolor="white" if known else "#a9b1bb", linewidth=0 if not known else 2)
    if not known:
        wedge.set_hatch("////")
    axes.add_patch(wedge)
    outline = Wedge((0, 0), wedge.r, wedge.theta1, wedge.theta2, width=wedge.width, fill=False)
    outline.set(edgecolor="white", linewidth=2.5)
    axes.add_patch(outline)
    red, green, blue = colour[:3]
    ink = "white" if known and 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK
    x, y = place
    shown = f"{value:.{plot.digits}f}".replace("-", "\N{MINUS SIGN}") if known else "unknown"
    axes.text(
        *(x, y - 0.022),
        shown,
        ha="center",
        va="center",
        color=ink if known else MUTED,
        fontsize=15 if known else 9.5,
        fontweight="bold" if known else "normal",
    )
    axes.text(x, y + 0.07, str(number), ha="center", va="center", color=ink if known else MUTED, fontsize=9.5)


def _insertions(axes: Axes) -> None:
    """Where the right ventricle joins: the anterior insertion is measured, the inferior one 120 degrees on."""
    for angle, text, side in (
        (120, "anterior\nRV insertion", "bottom"),
        (240, "inferior\nRV insertion\n(nominal)", "top"),
    ):
        x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        axes.plot([x * 1.0, x * 1.06], [y * 1.0, y * 1.06], color=INK, linewidth=2.5, solid_capstyle="butt")
        axes.text(x * 1.09, y * 1.09, text, ha="right", va=side, color=MUTED, fontsize=10)
