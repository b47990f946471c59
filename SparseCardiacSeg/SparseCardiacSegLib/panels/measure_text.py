"""The figures of a comparison in sentences."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from slicer.i18n import tr as _

from .parameters import DifferenceView

if TYPE_CHECKING:
    from ..measures.comparison import MetricRow
    from ..measures.frames import FrameComparison


def summaryText(found: FrameComparison) -> str:
    """Dice and HD95 of every structure over the whole stack, a line each; of several frames the mean."""
    from ..anatomy import DESCRIPTIONS, Structure
    from ..measures.comparison import ALL

    lines = []
    for structure in Structure:
        rows = [row for row in found.rows if row.structure == structure and row.region == ALL]
        if rows:
            lines.append(
                _("{structure}: Dice {dice}, HD95 {distance} mm, volume {difference} mL").format(
                    structure=DESCRIPTIONS[structure].name,
                    dice=_figure([row.dice for row in rows], "{:.3f}"),
                    distance=_figure([row.hd95_mm for row in rows], "{:.1f}"),
                    difference=_figure([row.volume_diff_ml for row in rows], "{:+.1f}"),
                )
            )
    return "\n".join(lines)


def flagsText(rows: Sequence[MetricRow]) -> str:
    """What the flags mean that occur in the table; empty where none does."""
    from ..measures.comparison import NO_SLICES
    from ..measures.surface import BOTH_EMPTY, MISSING

    meanings = {
        MISSING: _("missing: one of the two is empty there, so Dice is 0 and distances are undefined (nan)"),
        BOTH_EMPTY: _("both empty: neither holds anything there, so they agree: Dice 1, distances 0"),
        NO_SLICES: _("no slices: the stack has no slice of that region, so there is nothing to measure"),
    }
    occurring = {row.flag for row in rows}
    return "\n".join(meaning for flag, meaning in meanings.items() if flag in occurring)


def legendText(shown: DifferenceView) -> str:
    """What the colours on the slices mean."""
    return {
        DifferenceView.NONE: "",
        DifferenceView.CONTOURS: _("Green: segmentation. Red: reference."),
        DifferenceView.COLOURS: _(
            "Yellow: both agree. Green: segmentation only. Red: reference only. Violet: different structures."
        ),
    }[shown]


def _figure(values: Sequence[float], form: str) -> str:
    """A number, mean ± standard deviation of several, or a dash where none is known."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "-"
    if len(values) == 1:
        return form.format(known[0])
    text = "{mean} ± {deviation}".format(
        mean=form.format(np.mean(known)), deviation=form.format(np.std(known)).lstrip("+")
    )
    return (
        text
        if len(known) == len(values)
        else _("{text} ({n} of {all})").format(text=text, n=len(known), all=len(values))
    )
