"""What all pictures share: colours, fonts, and figures made without pyplot's global state."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..anatomy import DESCRIPTIONS, Structure
from ..regions import COLOURS

PREDICTION = "#19e64b"
"""Contours of the prediction: green."""

REFERENCE = "#ff3b30"
"""Contours of the reference: red."""

AGREEMENT = "#ffd60a"
"""Where both agree: yellow, what green and red light make."""

OTHER_STRUCTURE = "#c77dff"
"""Labelled in both, but as different structures."""

REGION_COLOURS: Mapping[str, str] = {
    region.value: "#{:02x}{:02x}{:02x}".format(*rgb) for region, rgb in COLOURS.items()
}
"""The colours of the regions as matplotlib takes them."""

DPI = 100
DARK = "#16191e"
INK = "#1d2733"
MUTED = "#5b6776"


def structure_colour(structure: Structure) -> tuple[float, float, float]:
    """RGB of a structure, 0 to 1."""
    red, green, blue = DESCRIPTIONS[structure].colour
    return red / 255, green / 255, blue / 255


def new_figure(width: float, height: float, background: str = "white") -> Figure:
    """A figure of `width` x `height` pixels with its own Agg canvas."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=background)
    FigureCanvasAgg(figure)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, without a time stamp, so that the same data give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return buffer.getvalue()


def plain_axes(axes: Axes) -> None:
    """Quiet axes for plots on white: no frame at the top and right, light grid, dark ink."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.grid(axis="y", color="#e3e7ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=11)
    axes.xaxis.label.set(color=INK, fontsize=12)
    axes.yaxis.label.set(color=INK, fontsize=12)
    axes.title.set(color=INK, fontsize=13)
