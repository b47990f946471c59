"""Points and boxes on slices beside the masks they gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..anatomy import DESCRIPTIONS, Structure
from ..errors import InputError
from ..prompting.prompts import Point, Prompt, PromptSet
from ..segmentation import Segmentation
from ..stack import Stack
from .montages import contours
from .prompt_legend import (
    BOX_DASHES,
    LINE_HEIGHT,
    NEGATIVE,
    POSITIVE,
    REFERENCE,
    REFERENCE_DASHES,
    WIDTH,
    Entry,
    draw_legend,
    draw_marks,
    legend_lines,
)
from .style import DARK, new_figure, png_bytes, structure_colour
from .tiles import Tiles, make_tiles, show_tile

MOST_SLICES = 3
"""Drawn unless the caller chooses, evenly spread over those with prompts."""

_GAP = 6
_HEADER = 34
_SCALE_LENGTHS = (1, 2, 5, 10, 20, 50, 100)


def prompt_figure(
    stack: Stack,
    prompts: PromptSet,
    segmentation: Segmentation,
    reference: Segmentation | None = None,
    slices: Sequence[int] | None = None,
    *,
    frame: int | None = None,
    title: str = "",
    base_first: bool | None = None,
) -> bytes:
    """One row a slice, cropped to the heart: the prompts, the masks, and the masks under a reference, as PNG.

    Positive points are green crosses, negative ones red, both edged in the colour of the structure they are for; boxes
    are dashed. A negative point that is also a positive one of another structure is drawn as that one alone. Masks are
    outlined at the level 0.5, between pixel centres, and not smoothed; the reference is dashed in white.

    Args:
        stack: the image, or a cine.
        prompts: of the image; those of other slices and frames do not show.
        segmentation: on the image's grid, all frames of a cine or the one that is drawn.
        reference: the same; None leaves its panel out.
        slices: indices along the through-plane axis; by default `MOST_SLICES` of those with prompts.
        frame: of a cine; by default the first one with prompts.
        title: above the pictures.
        base_first: whether slice 0 is the base, so that rows run from base to apex; None keeps the order of the file.

    Raises:
        InputError: there is no prompt, no such slice or frame, or a segmentation lies on another grid.
    """
    frame = _frame(prompts) if frame is None else frame
    stack, segmentation = stack.frame(frame), _one_frame(segmentation, frame)
    reference = None if reference is None else _one_frame(reference, frame)
    chosen = _chosen(stack, prompts, frame, slices)
    shown = [prompt for prompt in prompts if prompt.frame == frame and prompt.slice in chosen]
    tiles = _tiles(stack, shown, segmentation, reference, chosen, base_first)
    names = ["Prompts", "Masks"] if reference is None else ["Prompts", "Masks", "Masks and reference"]
    legend = _legend(shown, segmentation, reference is not None)
    figure, rows = _grid(tiles, names, title, legend)
    place = _to_picture(tiles, stack)
    for number, index in enumerate(tiles.slices):
        own = [prompt for prompt in shown if prompt.slice == index]
        _draw_prompts(rows[number][0], own, place)
        for axes in rows[number][1:]:
            _draw_masks(axes, tiles, segmentation, number, fill=axes is rows[number][1])
        if reference is not None:
            _draw_reference(rows[number][2], tiles, reference, number)
    return png_bytes(figure)


def _frame(prompts: PromptSet) -> int:
    if not len(prompts):
        raise InputError("there are no prompts to draw")
    return min(prompt.frame for prompt in prompts)


def _one_frame(segmentation: Segmentation, frame: int) -> Segmentation:
    """The frame of a labelled cine; a single stack of labels is taken to be of that frame."""
    return segmentation.frame(frame) if segmentation.labels.is_cine else segmentation


def _chosen(stack: Stack, prompts: PromptSet, frame: int, slices: Sequence[int] | None) -> list[int]:
    """The slices to draw, in the order of the file."""
    if slices is not None:
        wrong = [index for index in slices if not 0 <= index < stack.n_slices]
        if wrong or not slices:
            raise InputError(f"the image has slices 0 to {stack.n_slices - 1}; choose some of them, not {list(slices)}")
        return sorted(set(slices))
    prompted = sorted({prompt.slice for prompt in prompts if prompt.frame == frame})
    if not prompted:
        raise InputError(f"there are no prompts on frame {frame}")
    picks = np.linspace(0, len(prompted) - 1, min(MOST_SLICES, len(prompted)))
    return [prompted[round(pick)] for pick in picks]


def _tiles(
    stack: Stack,
    prompts: Iterable[Prompt],
    segmentation: Segmentation,
    reference: Segmentation | None,
    chosen: Sequence[int],
    base_first: bool | None,
) -> Tiles:
    """Tiles of the chosen slices, cropped to what is marked, segmented or referred to on them."""
    marked = np.zeros(stack.slices_first().shape, np.uint8)
    rows, cols = marked.shape[1:]
    for prompt in prompts:
        corners = [*prompt.positive, *prompt.negative, *((prompt.box[:2], prompt.box[2:]) if prompt.box else ())]
        for col, row in corners:
            marked[prompt.slice, min(max(round(row), 0), rows - 1), min(max(round(col), 0), cols - 1)] = 1
    for one in (segmentation, reference):
        if one is not None:
            if one.labels.shape != stack.shape:
                raise InputError(
                    f"{one.labels.source or 'the segmentation'} has shape {one.labels.shape}, the image {stack.shape}"
                )
            marked[chosen] |= (one.labels.slices_first()[chosen] > 0).astype(np.uint8)
    number = min(segmentation.scheme.numbers.values())
    heart = Segmentation(stack.with_array(stack.from_slices_first(marked * np.uint8(number))), segmentation.scheme)
    tiles = make_tiles(stack, (heart,), base_first=base_first)
    order = tuple(chosen[::-1] if base_first is False else chosen)
    tiles = replace(tiles, slices=order)
    return replace(tiles, image=tiles.prepare(stack.array))


def _to_picture(tiles: Tiles, stack: Stack) -> np.ndarray:
    """3 x 2 matrix from (col, row, 1) of a slice to (x, y) in mm of its tile."""
    # What the tiles did to rows and columns shows in a picture of their own numbers.
    numbers = np.indices(stack.slices_first().shape[1:])
    row, col = (
        tiles.prepare(stack.from_slices_first(np.broadcast_to(one, stack.slices_first().shape)))[0] for one in numbers
    )
    down, across = (min(1, size - 1) for size in row.shape)
    first = np.array([col[0, 0], row[0, 0]])
    steps = np.array([[col[0, across], row[0, across]], [col[down, 0], row[down, 0]]]) - first
    pixel = np.array(tiles.pixel[::-1])
    return np.vstack([steps.T, 0.5 - steps @ first]) * pixel


def _grid(tiles: Tiles, names: Sequence[str], title: str, legend: Sequence[Entry]) -> tuple[Figure, list[list[Axes]]]:
    """A dark figure with a row of grey tiles a slice, the panels' names above and the legend below."""
    left, right, bottom, top = tiles.extent
    width = (WIDTH - _GAP * (len(names) + 1)) / len(names)
    height = width * (bottom - top) / (right - left)
    lines = legend_lines(legend)
    head = _HEADER * (2 if title else 1)
    total = head + len(tiles.slices) * (height + _GAP) + len(lines) * LINE_HEIGHT + _GAP
    figure = new_figure(WIDTH, total, DARK)
    white = {"color": "white", "va": "center", "parse_math": False}
    if title:
        figure.text(10 / WIDTH, 1 - _HEADER / 2 / total, title, fontsize=13, **white)
    rows = []
    for place, index in enumerate(tiles.slices):
        y = 1 - (head + (place + 1) * height + place * _GAP) / total
        rows.append([])
        for column, name in enumerate(names):
            x = (_GAP + column * (width + _GAP)) / WIDTH
            axes = figure.add_axes((x, y, width / WIDTH, height / total))
            show_tile(axes, tiles, place)
            rows[-1].append(axes)
            if place == 0:
                figure.text(x + 4 / WIDTH, 1 - (head - _HEADER / 2) / total, name, fontsize=12, **white)
        _text(rows[-1][0], 0.03, 0.97, f"slice {index}", va="top", ha="left")
    _scale_bar(rows[0][0], tiles)
    draw_legend(figure, lines, total)
    return figure, rows


def _draw_prompts(axes: Axes, prompts: Sequence[Prompt], place: np.ndarray) -> None:
    """Boxes first, then the points, so that none is hidden behind a line."""
    for prompt in prompts:
        if prompt.box is not None:
            col0, row0, col1, row1 = prompt.box
            corners = [(col0, row0), (col1, row0), (col1, row1), (col0, row1), (col0, row0)]
            line = LineCollection(
                [_placed(corners, place)],
                colors=[structure_colour(prompt.structure)],
                linewidths=1.8,
                linestyles=[BOX_DASHES],
                path_effects=[withStroke(linewidth=3.2, foreground="black", alpha=0.55)],
            )
            axes.add_collection(line, autolim=False)
    positive = {point for prompt in prompts for point in prompt.positive}
    for prompt in prompts:
        own = [point for point in prompt.negative if point not in positive]
        for points, marker, colour in ((own, "X", NEGATIVE), (prompt.positive, "P", POSITIVE)):
            if points:
                draw_marks(axes, _placed(points, place), marker, colour, structure_colour(prompt.structure))


def _draw_masks(axes: Axes, tiles: Tiles, segmentation: Segmentation, number: int, fill: bool) -> None:
    for structure in segmentation.structures:
        mask = tiles.prepare(segmentation.mask(structure))[number]
        if not mask.any():
            continue
        colour = structure_colour(structure)
        if fill:
            rgba = np.zeros((*mask.shape, 4))
            rgba[mask] = (*colour, 0.22)
            axes.imshow(rgba, extent=tiles.extent, interpolation="nearest", aspect="auto")
        lines = LineCollection(contours(mask, tiles.pixel), colors=[colour], linewidths=2.2)
        axes.add_collection(lines, autolim=False)


def _draw_reference(axes: Axes, tiles: Tiles, reference: Segmentation, number: int) -> None:
    """Dashed outlines; a border that two structures share is drawn once, else two rows of dashes fill the gaps."""
    drawn: set[frozenset[tuple[float, ...]]] = set()
    parts = []
    for structure in reference.structures:
        for line in contours(tiles.prepare(reference.mask(structure))[number], tiles.pixel):
            ends = [tuple(point) for point in np.round(line, 3).tolist()]
            steps = [frozenset(pair) for pair in pairwise(ends)]
            isnew = [step not in drawn for step in steps]
            drawn.update(steps)
            starts = np.flatnonzero(np.diff([False, *isnew, False]))
            parts += [line[first : last + 1] for first, last in starts.reshape(-1, 2)]
    lines = LineCollection(parts, colors=[REFERENCE], linewidths=1.3, linestyles=[REFERENCE_DASHES])
    axes.add_collection(lines, autolim=False)


def _placed(points: Iterable[Point], place: np.ndarray) -> np.ndarray:
    """Points (col, row) of the slice as (x, y) of the picture, in mm."""
    array = np.array(list(points), float)
    return np.column_stack([array, np.ones(len(array))]) @ place


def _text(axes: Axes, x: float, y: float, text: str, **look: str) -> None:
    """White text in axes coordinates, outlined in black."""
    outline = [withStroke(linewidth=2.5, foreground="black", alpha=0.8)]
    axes.text(
        x, y, text, transform=axes.transAxes, color="white", fontsize=11, path_effects=outline, parse_math=False, **look
    )


def _scale_bar(axes: Axes, tiles: Tiles) -> None:
    left, right, bottom, top = tiles.extent
    length = max(value for value in _SCALE_LENGTHS if value <= max(1.0, 0.3 * (right - left)))
    x, y = left + 0.04 * (right - left), bottom - 0.05 * (bottom - top)
    axes.plot([x, x + length], [y, y], color="black", linewidth=6, alpha=0.6, solid_capstyle="projecting")
    axes.plot([x, x + length], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    _text(axes, 0.04, 0.075, f"{length} {tiles.unit}", va="bottom", ha="left")


def _legend(prompts: Sequence[Prompt], segmentation: Segmentation, has_reference: bool) -> list[Entry]:
    """What occurs in the picture."""
    structures = [one for one in Structure if any(prompt.structure == one for prompt in prompts)]
    structures += [one for one in segmentation.structures if one not in structures and segmentation.mask(one).any()]
    entries: list[Entry] = [(DESCRIPTIONS[one].name, "line", structure_colour(one)) for one in structures]
    positive = {point for prompt in prompts for point in prompt.positive}
    if positive:
        entries.append(("inside", "positive", POSITIVE))
    if any(point not in positive for prompt in prompts for point in prompt.negative):
        entries.append(("outside", "negative", NEGATIVE))
    if any(prompt.box is not None for prompt in prompts):
        entries.append(("box", "box", "#c8d0da"))
    if has_reference:
        entries.append(("reference", "reference", REFERENCE))
    return entries
