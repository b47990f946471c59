"""Dice along the heart, from base to apex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from ..anatomy import DESCRIPTIONS, Structure
from .style import INK, MUTED, REGION_COLOURS, new_figure, plain_axes, png_bytes, structure_colour

if TYPE_CHECKING:
    from ..regions import SliceRegions

Band = tuple[str, float, float]
"""A region's name and where it begins and ends along the heart, percent from the base."""

_LINES = {Structure.RV: (0, (5, 2)), Structure.MYO: (0, (1.5, 1.2)), Structure.LV: "-", Structure.LA: "-"}
"""Line styles, so that the structures are told apart in black and white."""


def dice_curve_figure(
    curves: Mapping[Structure, np.ndarray],
    bands: Sequence[Band] = (),
    *,
    title: str = "Dice from base to apex",
    note: str = "",
) -> bytes:
    """One line a structure over 0 (base) to 100 % (apex), as PNG of 1600 x 720 px.

    Args:
        curves: values in [0, 1] evenly spaced from base to apex (101 of them in this project); NaN where there is
            nothing to compare, which leaves a gap.
        bands: regions to shade, such as those of `region_bands`.
        title: above the plot.
        note: below the plot: what was compared.
    """
    figure = new_figure(1600, 720)
    axes = figure.add_axes((0.065, 0.135, 0.915, 0.70))
    plain_axes(axes)
    for name, begin, end in bands:
        _shade(axes, name, begin, end)
    worst = 1.0
    for structure, values in curves.items():
        values = np.asarray(values, np.float64)
        place = np.linspace(0, 100, len(values))
        finite = values[np.isfinite(values)]
        label = DESCRIPTIONS[structure].name
        if finite.size:
            worst = min(worst, float(finite.min()))
            label += f": mean {finite.mean():.3f}, lowest {finite.min():.3f}"
        else:
            label += ": nothing to compare"
        axes.plot(
            place, values, color=structure_colour(structure), linewidth=2.6, linestyle=_LINES[structure], label=label
        )
    axes.set(xlim=(0, 100), ylim=(max(0.0, np.floor(worst * 10 - 0.5) / 10), 1.005))
    axes.set_xlabel("position along the structure (%): 0 = its most basal slice, 100 = its most apical slice")
    axes.set_ylabel("Dice")
    axes.set_title(title, loc="left", pad=62, parse_math=False)
    if curves:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.005, 1.045), ncols=4, fontsize=11, frameon=False, labelcolor=INK
        )
    if note:
        figure.text(0.98, 0.02, note, ha="right", color=MUTED, fontsize=10, parse_math=False)
    return png_bytes(figure)


def region_bands(regions: SliceRegions, slices: Sequence[int] | None = None) -> list[Band]:
    """Where each region lies on the axis of a Dice curve, percent from the base.

    The first slice of a curve lies at 0 %, the last at 100 %; a region begins halfway between two slices. Structures
    that do not span the same slices have their own axis each: the bands are exact for the slices given.

    Args:
        regions: region of every slice.
        slices: the slices that hold the structure; None takes all that have a region.
    """
    order = range(len(regions.regions)) if regions.base_first else range(len(regions.regions) - 1, -1, -1)
    held = [index for index in order if regions.regions[index] is not None and (slices is None or index in slices)]
    last = max(1, len(held) - 1)
    bands: list[Band] = []
    for place, index in enumerate(held):
        name = str(regions.regions[index])
        begin = 100 * max(0.0, (place - 0.5) / last)
        end = 100 * min(1.0, (place + 0.5) / last) if len(held) > 1 else 100.0
        if bands and bands[-1][0] == name:
            bands[-1] = (name, bands[-1][1], end)
        else:
            bands.append((name, begin, end))
    return bands


def _shade(axes: Axes, name: str, begin: float, end: float) -> None:
    """A region's stripe with its name at the top."""
    colour = REGION_COLOURS.get(name, "#cccccc")
    axes.axvspan(begin, end, color=colour, alpha=0.13, linewidth=0)
    axes.plot([begin, end], [1.0, 1.0], transform=axes.get_xaxis_transform(), color=colour, linewidth=5, clip_on=False)
    axes.text(
        (begin + end) / 2,
        1.015,
        name,
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="bottom",
        color=MUTED,
        fontsize=11,
        parse_math=False,
    )
