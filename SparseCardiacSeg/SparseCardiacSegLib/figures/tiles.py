"""Slices of a stack as tiles in millimetres: order, crop, grey window, orientation letters and scale bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack
from .style import DARK, REGION_COLOURS, new_figure

if TYPE_CHECKING:
    from ..regions import SliceRegions

WIDTH = 1600
"""Width of a picture in pixels."""

HEADER = 46
FOOTER = 46
_GAP = 6
MOST_TILES = 30
"""A stack of more slices (an atrium has some 90) is drawn with this many, evenly spread over what is segmented."""

MARGIN_MM = 15.0
"""Left around the heart when a tile is cropped to it."""


@dataclass(frozen=True)
class _Turn:
    """How stored rows and columns become a picture: exchanged or not, then turned around or not."""

    transpose: bool
    flip_down: bool
    flip_right: bool

    def apply(self, array: np.ndarray) -> np.ndarray:
        turned = array.swapaxes(-1, -2) if self.transpose else array
        return turned[..., :: -1 if self.flip_down else 1, :: -1 if self.flip_right else 1]


@dataclass(frozen=True, eq=False)
class Tiles:
    """A stack prepared for drawing: display axes point right and down.

    Attributes:
        image: [slice, row, col] grey values, slices base first where that is known.
        slices: stack index of each slice of `image`.
        pixel: size of a pixel (down, right) in mm (or pixels, where the spacing is unknown).
        window: grey values drawn black and white.
        n_slices: slices of the stack, of which only some are drawn where there are very many.
        letters: patient directions of the picture's (left, right, top, bottom), or None where the file tells none.
        unit: "mm", or "px" where the spacing is unknown.
    """

    image: np.ndarray
    slices: tuple[int, ...]
    pixel: tuple[float, float]
    window: tuple[float, float]
    letters: tuple[str, str, str, str] | None
    unit: str
    n_slices: int
    _crop: tuple[slice, slice]
    _turn: _Turn
    _axis: int

    def prepare(self, array: np.ndarray) -> np.ndarray:
        """Bring another array of the stack's grid into the tiles' order, orientation and crop."""
        return self._turn.apply(np.moveaxis(array, self._axis, 0)[list(self.slices)][:, *self._crop])

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(left, right, bottom, top) in mm; pixel centres lie at (index + 0.5) x pixel."""
        rows, cols = self.image.shape[1:]
        return 0.0, cols * self.pixel[1], rows * self.pixel[0], 0.0


def make_tiles(
    stack: Stack,
    segmentations: Iterable[Segmentation | None],
    regions: SliceRegions | None = None,
    base_first: bool | None = None,
) -> Tiles:
    """Order the slices from base to apex, turn them as a viewer would, and crop them to what is segmented.

    Args:
        stack: one frame.
        segmentations: what must be visible; on the stack's grid.
        regions: tells which end is the base.
        base_first: the same where there are no regions; None keeps the order of the file.

    Raises:
        InputError: the stack is a cine, or a segmentation lies on another grid.
    """
    given = [segmentation for segmentation in segmentations if segmentation is not None]
    for one in (stack, *(segmentation.labels for segmentation in given)):
        if one.is_cine:
            raise InputError(f"{one.source or 'the image'} is a cine; choose one frame for a picture")
        if one.shape != stack.shape:
            raise InputError(
                f"{one.source or 'the segmentation'} has shape {one.shape}, the image {stack.shape}: not the same grid"
            )
    axis = stack.through_plane
    first = regions.base_first if regions is not None else base_first is not False
    pixel = stack.slices_first_spacing[1:] if stack.spacing_known else (1.0, 1.0)
    labelled = np.zeros(stack.shape, bool)
    for segmentation in given:
        labelled |= segmentation.labels.array > 0
    labelled = np.moveaxis(labelled, axis, 0)
    order = _shown(labelled.any(axis=(1, 2)), MOST_TILES)
    turn, letters = _orientation(stack)
    tiles = Tiles(
        image=np.empty(0),
        slices=tuple(order if first else order[::-1]),
        pixel=pixel[::-1] if turn.transpose else pixel,
        window=(0.0, 1.0),
        letters=letters,
        unit="mm" if stack.spacing_known else "px",
        n_slices=stack.n_slices,
        _crop=_heart_box(labelled.any(axis=0), pixel),
        _turn=turn,
        _axis=axis,
    )
    image = tiles.prepare(stack.array)
    return replace(tiles, image=image, window=robust_window(image))


def tile_figure(
    tiles: Tiles, title: str, regions: SliceRegions | None, *, width: int = WIDTH, below: int = 0
) -> tuple[Figure, list[Axes]]:
    """A dark figure with one axes a slice: grey image, slice number, region, scale bar.

    `width` is that of the figure in pixels; `below` are pixels left free between the tiles and the footer.
    """
    left, right, bottom, top = tiles.extent
    n = len(tiles.slices)
    columns = _columns(n, (right - left) / (bottom - top))
    rows = -(-n // columns)
    tile_width = (width - _GAP * (columns + 1)) / columns
    tile_height = tile_width * (bottom - top) / (right - left)
    height = HEADER + FOOTER + below + rows * tile_height + (rows + 1) * _GAP
    figure = new_figure(width, height, DARK)
    figure.text(12 / width, 1 - HEADER / 2 / height, title, color="white", fontsize=16, va="center", parse_math=False)
    drawn, size = [], min(12.0, max(7.0, tile_width / 20))
    for place, index in enumerate(tiles.slices):
        row, column = divmod(place, columns)
        x = _GAP + column * (tile_width + _GAP)
        y = HEADER + _GAP + row * (tile_height + _GAP)
        axes = figure.add_axes((x / width, 1 - (y + tile_height) / height, tile_width / width, tile_height / height))
        show_tile(axes, tiles, place)
        _label(axes, index, regions, size)
        drawn.append(axes)
    _scale_bar(drawn[0], tiles, min(10.0, size))
    if tiles.letters is not None:
        places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"))
        places += ((0.5, 0.98, "center", "top"), (0.5, 0.02, "center", "bottom"))
        for letter, (x, y, across, along) in zip(tiles.letters, places, strict=True):
            _outlined(drawn[0], x, y, letter, ha=across, va=along, color="#cfd6df", fontsize=min(10.0, size))
    return figure, drawn


def show_tile(axes: Axes, tiles: Tiles, place: int) -> None:
    """Fill axes with the grey picture of one slice, in mm."""
    left, right, bottom, top = tiles.extent
    axes.imshow(
        tiles.image[place],
        cmap="gray",
        vmin=tiles.window[0],
        vmax=tiles.window[1],
        extent=tiles.extent,
        interpolation="bilinear",
        aspect="auto",
    )
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(bottom, top))


def footer(figure: Figure, entries: Sequence[tuple[str, str, str]], note: str) -> None:
    """Legend along the bottom: entries of (text, colour, "line", "dash" or "fill"), and a note at the right."""
    width, height = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes((0, 0, 1, FOOTER / height))
    axes.set(xlim=(0, width), ylim=(0, FOOTER))
    axes.set_axis_off()
    x = 14.0
    middle = FOOTER / 2
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for text, colour, kind in entries:
        if kind == "fill":
            axes.fill_between([x, x + 26], middle - 8, middle + 8, color=colour, linewidth=0)
        else:
            axes.plot(
                [x, x + 30],
                [middle, middle],
                color=colour,
                linewidth=2.4,
                linestyle="-" if kind == "line" else (0, (3, 1.6)),
            )
        drawn = axes.text(x + 38, middle, text, color="white", fontsize=12, va="center", parse_math=False)
        x += 38 + drawn.get_window_extent(renderer).width + 26
    axes.text(width - 14, middle, note, color="#aab4c0", fontsize=11, va="center", ha="right", parse_math=False)


def _label(axes: Axes, index: int, regions: SliceRegions | None, size: float) -> None:
    """Slice number (as Slicer and the tables count: from 0) and region name in the tile's upper left corner."""
    region = regions.regions[index] if regions is not None else None
    _outlined(axes, 0.025, 0.975, f"slice {index}", ha="left", va="top", color="white", fontsize=size)
    if region is not None:
        name = str(region)
        _outlined(
            axes, 0.975, 0.975, name, ha="right", va="top", color=REGION_COLOURS.get(name, "white"), fontsize=size
        )


def _outlined(axes: Axes, x: float, y: float, text: str, **look: object) -> None:
    """Text in axes coordinates on a translucent dark plate, readable on any grey."""
    plate = {"facecolor": "black", "alpha": 0.45, "linewidth": 0, "pad": 2.0}
    axes.text(x, y, text, transform=axes.transAxes, bbox=plate, parse_math=False, **look)


def _scale_bar(axes: Axes, tiles: Tiles, size: float) -> None:
    """A bar of a round length in the tile's lower left corner."""
    left, right, bottom, top = tiles.extent
    length = max(value for value in (1, 2, 5, 10, 20, 50, 100) if value <= max(1.0, 0.35 * (right - left)))
    x, y = left + 0.05 * (right - left), bottom - 0.05 * (bottom - top)
    axes.plot([x, x + length], [y, y], color="black", linewidth=6, alpha=0.6, solid_capstyle="projecting")
    axes.plot([x, x + length], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    text = f"{length} mm" if tiles.unit == "mm" else f"{length} px (spacing unknown)"
    _outlined(axes, 0.05, 0.085, text, color="white", fontsize=size, va="bottom", ha="left")


def _columns(n: int, aspect: float) -> int:
    """Columns of a grid of `n` tiles (width / height = `aspect`) that is about twice as wide as high, without a
    nearly empty last row."""
    wide = [columns for columns in range(1, n + 1) if columns * aspect / -(-n // columns) <= 3.2]
    return min(
        wide or [1],
        key=lambda columns: abs(np.log(columns * aspect / -(-n // columns) / 1.9)) + 0.35 * (-n % columns) / columns,
    )


def _heart_box(labelled: np.ndarray, pixel: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns to show: all that is labelled in any slice plus a margin; everything if nothing is."""
    if not labelled.any():
        return slice(None), slice(None)
    box = []
    for axis in (0, 1):
        found = np.flatnonzero(labelled.any(axis=1 - axis))
        margin = int(np.ceil(MARGIN_MM / pixel[axis]))
        box.append(slice(max(0, int(found[0]) - margin), min(labelled.shape[axis], int(found[-1]) + margin + 1)))
    return box[0], box[1]


def robust_window(image: np.ndarray) -> tuple[float, float]:
    """1st and 99th percentile of what is shown; a constant image gets a window of 1."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


def _shown(labelled: np.ndarray, most: int) -> list[int]:
    """All slices, or `most` of them evenly spread from one before the first labelled one to one after the last."""
    n = len(labelled)
    if n <= most:
        return list(range(n))
    found = np.flatnonzero(labelled)
    first, last = (max(0, found[0] - 1), min(n - 1, found[-1] + 1)) if len(found) else (0, n - 1)
    return sorted({round(index) for index in np.linspace(first, last, most)})


def _orientation(stack: Stack) -> tuple[_Turn, tuple[str, str, str, str] | None]:
    """How to turn the slices so that they look as in a viewer, and the letters of the picture's edges.

    Down on the picture are the feet, or the back where no axis runs along the body; right is the patient's left or
    back.
    A matrix without rotation and origin tells nothing about the patient: the slices stay as stored, unlettered.
    """
    axes = [axis for axis in range(3) if axis != stack.through_plane]
    matrix = stack.ijk_to_ras[:3, :3] / np.linalg.norm(stack.ijk_to_ras[:3, :3], axis=0)
    down, right = (matrix[:, 2 - axis] for axis in axes)
    if np.allclose(np.abs(matrix), np.eye(3), atol=1e-6) and np.allclose(stack.ijk_to_ras[:3, 3], 0):
        return _Turn(False, False, False), None
    transpose = bool(np.abs(right) @ [0.0, 0.5, 1.0] > np.abs(down) @ [0.0, 0.5, 1.0] + 0.1)
    if transpose:
        down, right = right, down
    turn = _Turn(transpose, bool(down @ [0.0, -1.0, -1.0] < -0.1), bool(right @ [-1.0, -1.0, 0.0] < -0.1))
    down, right = (-down if turn.flip_down else down), (-right if turn.flip_right else right)
    return turn, (_letter(-right), _letter(right), _letter(-down), _letter(down))


def _letter(direction: np.ndarray) -> str:
    """The patient direction (R, L, A, P, S or I) that a RAS vector points to most; two where it lies between."""
    order = np.argsort(-np.abs(direction))
    names = [("RL", "AP", "SI")[axis][0 if direction[axis] > 0 else 1] for axis in order]
    return names[0] + (names[1] if abs(direction[order[1]]) > 0.5 else "")
