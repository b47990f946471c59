"""The picture of a cine video: everything that stands still is drawn once, what moves frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..anatomy import DESCRIPTIONS, Structure
from .montages import contours
from .style import structure_colour
from .tiles import FOOTER, HEADER, Tiles, footer, tile_figure

CURVE_HEIGHT = 150
"""Pixels of the strip with the curve."""

_CLOCK_WIDTH = 300
"""Pixels that frame number, time and phase need at the right of the header."""

_BADGES = {"ED": "#2f6fdb", "ES": "#c2571a"}
_PALE = "#aab4c0"


@dataclass(frozen=True, eq=False)
class Curve:
    """A figure that is followed through the video.

    Attributes:
        places: one value a frame of the video, for the axis across.
        values: the figure; NaN where it is not known, which leaves a gap.
        structure: gives the colour.
        title: what is drawn, with its unit.
        across: what the axis across shows, with its unit.
        marks: frames to mark by name, such as {"ED": 0, "ES": 9}.
    """

    places: Sequence[float]
    values: Sequence[float]
    structure: Structure
    title: str
    across: str
    marks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """What is told of one frame.

    Attributes:
        index: position on the curve.
        name: such as "frame 7" or "slice 12".
        time: such as "217 ms" or "35 %".
        phase: "ED", "ES" or "".
        tile: text in the tile's corner, where it changes.
    """

    index: int
    name: str
    time: str = ""
    phase: str = ""
    tile: str = ""


class VideoScene:
    """Draws the frames of one video, all of one size with even numbers of rows and columns.

    Drawing a montage of ten slices anew takes about a second a frame; only tiles, clock and curve's dot are drawn here.
    """

    def __init__(
        self,
        tiles: Tiles,
        structures: Sequence[Structure],
        *,
        width: int,
        title: str = "",
        note: str = "",
        line_width: float = 1.6,
        curve: Curve | None = None,
    ) -> None:
        """Draw what stands still.

        Args:
            tiles: the slices of the first frame.
            structures: whose contours are drawn, in drawing order.
            width: of the video in pixels.
            title: in the header; cut where it is too long.
            note: at the right of the footer.
            line_width: of the contours in points.
            curve: drawn below the tiles.
        """
        below = CURVE_HEIGHT if curve is not None else 0
        self.figure, self._tiles_axes = tile_figure(tiles, "", None, width=width, below=below)
        self._width, self._height = self.figure.canvas.get_width_height()
        self._pixel = tiles.pixel
        self._lines = [
            {structure: _contour_artist(axes, structure, line_width) for structure in structures}
            for axes in self._tiles_axes
        ]
        for axes in self._tiles_axes:
            axes.set_animated(True)
        footer(self.figure, [(_short(one, width), structure_colour(one), "line") for one in structures], note)
        _title(self.figure, title, width - _CLOCK_WIDTH)
        self._clock = self._clock_texts()
        self._dot: list = [] if curve is None else self._draw_curve(curve)
        self._curve = curve
        self.figure.canvas.draw()
        self._still = self.figure.canvas.copy_from_bbox(self.figure.bbox)  # type: ignore[attr-defined]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a frame, both even, as H.264's halved colour planes need."""
        return self._height + self._height % 2, self._width + self._width % 2

    def draw(self, image: np.ndarray, masks: Mapping[Structure, np.ndarray], moment: Moment) -> np.ndarray:
        """One frame.

        Args:
            image: [tile, row, col] as `Tiles.prepare` gives it.
            masks: bool arrays of the same shape.
            moment: what the header and the curve tell.

        Returns:
            uint8 [row, col, 3] of `size`.
        """
        canvas = self.figure.canvas
        renderer = canvas.get_renderer()  # type: ignore[attr-defined]
        canvas.restore_region(self._still)  # type: ignore[attr-defined]
        for place, (axes, lines) in enumerate(zip(self._tiles_axes, self._lines, strict=True)):
            axes.images[0].set_data(image[place])
            for structure, artist in lines.items():
                mask = masks[structure][place]
                artist.set_segments(contours(mask, self._pixel) if mask.any() else [])
            if moment.tile:
                axes.texts[0].set_text(moment.tile)
            axes.draw(renderer)
        self._tell(moment, renderer)
        frame = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        rows, columns = self.size
        padding = ((0, rows - frame.shape[0]), (0, columns - frame.shape[1]), (0, 0))
        return np.ascontiguousarray(np.pad(frame, padding, mode="edge"))

    def _tell(self, moment: Moment, renderer: object) -> None:
        """Clock, phase and the place on the curve."""
        name, time, phase = self._clock
        name.set_text(moment.name)
        time.set_text(moment.time)
        phase.set_text(moment.phase)
        phase.set_bbox({"facecolor": _BADGES.get(moment.phase, "none"), "linewidth": 0, "pad": 4.0})
        drawn = [name, time, *([phase] if moment.phase else [])]
        if self._curve is not None and self._dot:
            line, done, dot = self._dot
            x, y = self._curve.places[moment.index], self._curve.values[moment.index]
            line.set_xdata([x, x])
            done.set_data(self._curve.places[: moment.index + 1], self._curve.values[: moment.index + 1])
            dot.set_data([x], [y])
            drawn += [line, done, dot] if np.isfinite(y) else [line, done]
        for artist in drawn:
            artist.draw(renderer)

    def _clock_texts(self) -> list:
        """Frame, time and phase, each at a place of its own: they would jump about with every digit in one text."""
        height = 1 - HEADER / 2 / self._height
        look = {"va": "center", "parse_math": False, "animated": True}
        return [
            self.figure.text(1 - 190 / self._width, height, "", color="white", fontsize=15, ha="right", **look),
            self.figure.text(1 - 80 / self._width, height, "", color=_PALE, fontsize=15, ha="right", **look),
            self.figure.text(
                1 - 38 / self._width, height, "", color="white", fontsize=15, weight="bold", ha="center", **look
            ),
        ]

    def _draw_curve(self, curve: Curve) -> list:
        """The strip with the curve; the parts that move."""
        left, right = 62, 22
        axes = self.figure.add_axes(
            (
                left / self._width,
                (FOOTER + 36) / self._height,
                1 - (left + right) / self._width,
                (CURVE_HEIGHT - 68) / self._height,
            ),
            facecolor="none",
        )
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color("#5b6776")
        axes.tick_params(colors=_PALE, labelsize=10)
        axes.set_title(curve.title, loc="left", color="white", fontsize=11, pad=5, parse_math=False)
        axes.set_xlabel(curve.across, color=_PALE, fontsize=10, labelpad=1)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        known = np.asarray(curve.values, np.float64)
        highest = float(np.nanmax(known)) if np.isfinite(known).any() else 1.0
        axes.set_ylim(0, 1.12 * highest if highest > 0 else 1.0)
        # The whole beat, also where only a part of it is labelled.
        margin = 0.015 * (curve.places[-1] - curve.places[0]) or 0.5
        axes.set_xlim(curve.places[0] - margin, curve.places[-1] + margin)
        colour = structure_colour(curve.structure)
        look = {"color": colour, "marker": "o"}
        axes.plot(curve.places, curve.values, linewidth=1.6, alpha=0.45, markersize=3, **look)
        for name, index in curve.marks.items():
            _mark(axes, curve, name, index)
        moving = [
            axes.axvline(curve.places[0], color="white", linewidth=1.0, alpha=0.7),
            axes.plot([], [], linewidth=2.4, markersize=3.5, **look)[0],
            axes.plot([], [], markersize=8, markeredgecolor="white", linestyle="none", **look)[0],
        ]
        for artist in moving:
            artist.set_animated(True)
        return moving


def _mark(axes: Axes, curve: Curve, name: str, index: int) -> None:
    """A dashed line at one frame, with its name and value at the foot, where no volume curve comes down to."""
    place, value = curve.places[index], curve.values[index]
    axes.axvline(place, color=_BADGES.get(name, _PALE), linewidth=1.4, linestyle=(0, (4, 3)))
    late = index > 0.85 * len(curve.places)
    text = f"{name} {value:.0f}" if np.isfinite(value) else name
    axes.annotate(
        text,
        (place, 0.05),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-5 if late else 5, 0),
        textcoords="offset points",
        color="white",
        fontsize=10,
        ha="right" if late else "left",
        va="bottom",
        parse_math=False,
    )


def _contour_artist(axes: Axes, structure: Structure, width: float) -> LineCollection:
    """Empty lines in the structure's colour."""
    lines = LineCollection([], colors=[structure_colour(structure)], linewidths=width, capstyle="butt")
    axes.add_collection(lines, autolim=False)
    return lines


def _short(structure: Structure, width: int) -> str:
    """The structure's name in the legend; abbreviated in a narrow video."""
    return DESCRIPTIONS[structure].name if width >= 900 else str(structure)


def _title(figure: Figure, title: str, room: float) -> None:
    """The title at the left of the header, cut with an ellipsis where it needs more than `room` pixels."""
    width, height = figure.canvas.get_width_height()
    place = 12 / width, 1 - HEADER / 2 / height
    text = figure.text(*place, title, color="white", fontsize=16, va="center", parse_math=False)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    shown = title
    while shown and text.get_window_extent(renderer).width > room:
        shown = shown[:-1]
        text.set_text(shown.rstrip() + "\N{HORIZONTAL ELLIPSIS}")
