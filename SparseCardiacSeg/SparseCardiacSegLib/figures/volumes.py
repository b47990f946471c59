"""Volumes of the structures: by frame, and slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..anatomy import DESCRIPTIONS, Structure
from ..segmentation import Segmentation
from .style import INK, new_figure, plain_axes, png_bytes, structure_colour

_HATCHES = ("", "///", "...", "xx")


def slice_volumes(segmentation: Segmentation, structure: Structure, base_first: bool) -> np.ndarray:
    """Volume of each slice (area x slice distance) in mL, base first; their sum is the summation of discs.

    Args:
        segmentation: one frame.
        structure: which.
        base_first: whether slice 0 is the base.
    """
    voxels = np.count_nonzero(segmentation.slices_first_mask(structure), axis=(1, 2))
    return (voxels if base_first else voxels[::-1]) * segmentation.labels.voxel_volume_ml


def volumes_figure(
    phases: Mapping[str, Segmentation], base_first: bool, *, title: str = "Volumes, summation of discs"
) -> bytes:
    """Volumes by structure and phase, and where along the stack they come from, as PNG of 1600 x 640 px.

    Args:
        phases: name of the frame ("ED", "ES") to its segmentation.
        base_first: whether slice 0 is the base.
        title: above the left plot.
    """
    figure = new_figure(1600, 640)
    left = figure.add_axes((0.055, 0.13, 0.40, 0.755))
    right = figure.add_axes((0.53, 0.13, 0.455, 0.755))
    structures = [structure for structure in Structure if any(one.mask(structure).any() for one in phases.values())]
    unit = _unit(phases)
    _bars(left, structures, phases)
    left.set_ylabel(f"volume ({unit})")
    left.set_title(title, loc="left", pad=10, parse_math=False)

    for structure in structures:
        for (phase, one), style in zip(phases.items(), ("-", (0, (4, 2)), (0, (1, 1)), "-."), strict=False):
            values = slice_volumes(one, structure, base_first)
            right.plot(
                np.arange(len(values)),
                values,
                color=structure_colour(structure),
                linestyle=style,
                linewidth=2.2,
                marker="o" if style == "-" else "s",
                markersize=5,
                label=f"{structure} {phase}",
            )
    right.set_ylim(0, right.get_ylim()[1] * 1.15)  # room for the legend above the lines
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("slice, counted from the base of its stack")
    right.set_ylabel(f"volume of the slice ({unit})")
    right.set_title("Slice by slice", loc="left", pad=10)
    if structures:
        right.legend(fontsize=11, frameon=False, labelcolor=INK, ncols=max(1, len(structures)))
    plain_axes(left)
    plain_axes(right)
    return png_bytes(figure)


def _bars(axes: Axes, structures: Sequence[Structure], phases: Mapping[str, Segmentation]) -> None:
    """Grouped bars with their values."""
    width = 0.8 / max(1, len(phases))
    for number, (phase, one) in enumerate(phases.items()):
        place = np.arange(len(structures)) + (number - (len(phases) - 1) / 2) * width
        volumes = [one.volume_ml(structure) for structure in structures]
        bars = axes.bar(
            place,
            volumes,
            width * 0.92,
            color=[structure_colour(structure) for structure in structures],
            alpha=1.0 if number == 0 else 0.55,
            hatch=_HATCHES[number % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        labels = [f"{phase}\n{volume:.0f}" for volume in volumes]
        axes.bar_label(bars, labels, padding=3, color=INK, fontsize=11)
    axes.set_xticks(np.arange(len(structures)), [DESCRIPTIONS[structure].name for structure in structures])
    axes.margins(y=0.16)


def _unit(phases: Mapping[str, Segmentation]) -> str:
    """The unit, with a warning where a spacing is missing."""
    known = all(one.labels.spacing_known for one in phases.values())
    return "mL" if known else "mL if voxels were 1 mm"
