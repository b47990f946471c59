"""What of a sparse data set is annotated: volumes in rows, slices from base to apex in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch, Rectangle

from ..regions import Region
from .style import DPI, INK, MUTED, REGION_COLOURS, new_figure, png_bytes

NOT_ANNOTATED = "#f7f8fa"
OUTLINE = "#d3d9e0"
"""Unannotated slices are blank with an outline: plain grey would be taken for the colour of the middle."""

NO_REGION = "#9d8fc4"
"""Slices of a long-axis view or an atrium, without a ventricular base and apex."""

_WIDEST_CELL, _NARROWEST_CELL = 34, 14
_TALLEST_ROW, _ROWS_HEIGHT = 24, 2600
_TITLES = {Region.BASE: "basal", Region.MIDDLE: "mid-ventricular", Region.APEX: "apical"}


@dataclass(frozen=True)
class SparsityRow:
    """One volume of the picture.

    Attributes:
        name: of the case.
        slices: for each slice, base first: its index in the file, its region (None: none), whether it is annotated.
        synthetic: labels were carried over from another frame.
    """

    name: str
    slices: Sequence[tuple[int, Region | None, bool]]
    synthetic: bool = False


def sparsity_figure(rows: Sequence[SparsityRow], *, title: str = "", note: str = "") -> bytes:
    """Draw what is annotated, after figure 4.3 of Stein (TUM 2023).

    Annotated slices have the colour of their region, all others are blank; each carries its index in the file. Stacks
    begin at the base; columns are slices, not millimetres.

    Args:
        rows: volumes from top to bottom.
        title: one line above.
        note: one line below: the settings.

    Returns:
        A PNG, 2600 pixels of rows high at most.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise ValueError("a picture of a sparse data set needs a volume")
    columns = max(len(row.slices) for row in rows)
    height = max(4.0, min(_TALLEST_ROW, _ROWS_HEIGHT / len(rows)))
    cell = max(_NARROWEST_CELL, min(_WIDEST_CELL, 1000 // columns))
    names = [f"{row.name} (carried)" if row.synthetic else row.name for row in rows]
    left = 24 + 7 * max(len(name) for name in names) if height >= 9 else 60
    top, bottom = 78, 62
    # 6.6 and 9.4 pixels are the widest mean widths of a letter in the two sizes of print.
    width = max(left + cell * columns + 90, 640, round(32 + 6.6 * len(note)), round(32 + 9.4 * len(title)))
    total = top + height * len(rows) + bottom
    figure = new_figure(width, total)
    axes = figure.add_axes(
        (left / width, bottom / total, cell * columns / width, height * len(rows) / total), facecolor="none"
    )
    _cells(axes, rows, columns, numbered=height >= 15)
    _sides(axes, rows, names, height)
    axes.set_xlabel("slice, from base to apex", color=MUTED, fontsize=10)
    figure.text(16 / width, 1 - 24 / total, title, color=INK, fontsize=13, va="center")
    used = {region for row in rows for _, region, kept in row.slices if kept}
    entries = [Patch(color=REGION_COLOURS[region.value], label=_TITLES[region]) for region in Region if region in used]
    if None in used:
        entries.append(Patch(color=NO_REGION, label="without a region"))
    if any(not kept for row in rows for _, _, kept in row.slices):
        entries.append(Patch(facecolor=NOT_ANNOTATED, edgecolor=OUTLINE, label="not annotated"))
    figure.legend(
        handles=entries, loc="center left", bbox_to_anchor=(10 / width, 1 - 52 / total), ncols=4, frameon=False,
        fontsize=10, labelcolor=INK, handlelength=1.0, handleheight=1.0, columnspacing=1.4, borderpad=0.2,
    )  # fmt: skip
    figure.text(16 / width, 16 / total, note, color=MUTED, fontsize=9, va="center")
    return png_bytes(figure)


def _cells(axes: Axes, rows: Sequence[SparsityRow], columns: int, numbered: bool) -> None:
    """One coloured cell a slice; nothing where a stack has ended."""
    colours = np.zeros((len(rows), columns, 4))
    blank: list[Rectangle] = []
    for line, row in enumerate(rows):
        for column, (index, region, kept) in enumerate(row.slices):
            colour = NOT_ANNOTATED if not kept else NO_REGION if region is None else REGION_COLOURS[region.value]
            colours[line, column] = to_rgba(colour)
            if numbered:
                ink = INK if kept else "#a9b2bd"
                axes.text(column, line, str(index), ha="center", va="center", fontsize=7.5, color=ink)
            if not kept:
                blank.append(Rectangle((column - 0.44, line - 0.4), 0.88, 0.8))
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    axes.add_collection(PatchCollection(blank, facecolor="none", edgecolor=OUTLINE, linewidth=1.0))
    gap = 2.0 if numbered else 0.6
    for edge in range(columns + 1):
        axes.axvline(edge - 0.5, color="white", linewidth=gap * 72 / DPI)
    for edge in range(len(rows) + 1):
        axes.axhline(edge - 0.5, color="white", linewidth=gap * 72 / DPI)


def _sides(axes: Axes, rows: Sequence[SparsityRow], names: Sequence[str], height: float) -> None:
    """Names on the left, annotated slices of each volume on the right."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, colors=MUTED, labelsize=9)
    axes.set_xticks([])
    if height < 9:
        axes.set_yticks([0, len(rows) - 1], ["1", str(len(rows))])
        return
    axes.set_yticks(range(len(rows)), names)
    columns = max(len(row.slices) for row in rows)
    size = 9 if height >= 13 else 7
    axes.tick_params(axis="y", labelsize=size)
    for line, row in enumerate(rows):
        kept = sum(annotated for _, _, annotated in row.slices)
        text = f"{kept} of {len(row.slices)}"
        axes.text(columns - 0.2, line, text, ha="left", va="center", fontsize=size, color=MUTED)
