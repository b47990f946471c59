"""All slices of a stack from base to apex with contours: the picture that shows a segmentation at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from ..anatomy import DESCRIPTIONS, Structure
from ..segmentation import Segmentation
from ..stack import Stack
from .style import PREDICTION, REFERENCE, png_bytes, structure_colour
from .tiles import Tiles, footer, make_tiles, tile_figure

if TYPE_CHECKING:
    from ..regions import SliceRegions

_DASHES = (0, (3.0, 2.2))


def montage(
    stack: Stack,
    prediction: Segmentation | None,
    reference: Segmentation | None = None,
    regions: SliceRegions | None = None,
    *,
    title: str = "",
    base_first: bool | None = None,
) -> bytes:
    """Every slice with the contours of the segmentation, base first, cropped to the heart, as PNG 1600 px wide.

    Contours run at the level 0.5 of each structure's mask, between pixel centres, and are not smoothed. With a
    reference the prediction is green and the reference red and dashed, so that green shows through where both agree
    and they are told apart without colour. Without one each structure has its own colour.

    Args:
        stack: image, one frame.
        prediction: on the image's grid; None for the image alone.
        reference: on the same grid.
        regions: names of base, middle and apex for the tiles, and the end where the base is.
        title: above the tiles, such as "patient 7, ED".
        base_first: whether slice 0 is the base, where there are no regions.

    Raises:
        InputError: a cine, or another grid.
    """
    tiles = make_tiles(stack, (prediction, reference), regions, base_first)
    figure, axes = tile_figure(tiles, title, regions)
    if reference is None:
        legend = [] if prediction is None else _draw_by_structure(axes, tiles, prediction)
    else:
        legend = [("reference", REFERENCE, "dash")]
        if prediction is not None:
            _draw(axes, tiles, prediction, PREDICTION, 1.9, "-")
            legend.insert(0, ("prediction", PREDICTION, "line"))
        _draw(axes, tiles, reference, REFERENCE, 1.9, _DASHES)
    order = "base to apex" if regions is not None or base_first is not None else "in the order of the file"
    method = f", regions by {regions.method}" if regions is not None else ""
    footer(figure, legend, f"{_count(tiles)}, {order}{method}")
    return png_bytes(figure)


def _count(tiles: Tiles) -> str:
    """How many slices are shown, and of how many."""
    shown = len(tiles.slices)
    return f"{shown} slices" if shown == tiles.n_slices else f"{shown} of {tiles.n_slices} slices"


def _draw_by_structure(axes: list[Axes], tiles: Tiles, segmentation: Segmentation) -> list[tuple[str, str, str]]:
    """Contours and a light fill in each structure's colour; the legend's entries."""
    legend = []
    for structure in segmentation.structures:
        mask = tiles.prepare(segmentation.mask(structure))
        if not mask.any():
            continue
        colour = structure_colour(structure)
        for one, place in zip(mask, axes, strict=True):
            if one.any():
                rgba = np.zeros((*one.shape, 4))
                rgba[one] = (*colour, 0.16)
                place.imshow(rgba, extent=tiles.extent, interpolation="nearest", aspect="auto")
        _draw(axes, tiles, segmentation, colour, 1.8, "-", (structure,))
        legend.append((DESCRIPTIONS[structure].name, colour, "line"))
    return legend


def _draw(
    axes: list[Axes],
    tiles: Tiles,
    segmentation: Segmentation,
    colour: str | tuple[float, float, float],
    width: float,
    style: str | tuple[float, tuple[float, ...]],
    structures: tuple[Structure, ...] | None = None,
) -> None:
    """Contours of the structures on every tile."""
    for structure in structures or segmentation.structures:
        mask = tiles.prepare(segmentation.mask(structure))
        for one, place in zip(mask, axes, strict=True):
            if one.any():
                lines = contours(one, tiles.pixel)
                place.add_collection(
                    LineCollection(lines, colors=[colour], linewidths=width, linestyles=[style], capstyle="butt"),
                    autolim=False,
                )


def contours(mask: np.ndarray, pixel: tuple[float, float]) -> list[np.ndarray]:
    """Closed outlines of `mask` [row, col] halfway between pixel centres.

    Args:
        mask: bool; what touches the edge of the array is closed half a pixel outside the last pixel centre.
        pixel: size of a pixel (row, col) in mm.

    Returns:
        Lines of points (x = across, y = down) in mm from the array's upper left corner.
    """
    padded = np.pad(mask.astype(np.float64), 1)
    y = (np.arange(padded.shape[0]) - 0.5) * pixel[0]
    x = (np.arange(padded.shape[1]) - 0.5) * pixel[1]
    return contour_generator(x, y, padded).lines(0.5)
