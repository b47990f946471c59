"""Volumes over the heart beat, with end diastole, end systole and the peak rates."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..anatomy import DESCRIPTIONS, Structure
from ..measures.volume_curve import VolumeCurve
from .style import INK, MUTED, new_figure, plain_axes, png_bytes, structure_colour

_MARKERS = {Structure.RV: "s", Structure.MYO: "^", Structure.LV: "o", Structure.LA: "D"}
"""So that the structures are told apart in black and white."""


def volume_curve_figure(curve: VolumeCurve, *, title: str = "Volumes over the heart beat", unit: str = "mL") -> bytes:
    """Volume of each structure in every labelled frame, as PNG of 1600 x 720 px.

    The line through the LV is the fitted series that the rates are read from; the other structures are joined by thin
    lines, broken where a frame is not labelled.

    Args:
        curve: what was measured.
        title: above the plot.
        unit: "mL", or another where the spacing is unknown.
    """
    figure = new_figure(1600, 720)
    axes = figure.add_axes((0.055, 0.115, 0.73, 0.775))
    plain_axes(axes)
    scale, label, place = _axis(curve)
    for structure, values in curve.volumes_ml.items():
        colour = structure_colour(structure)
        fitted = structure is Structure.LV and bool(curve.fit_ml)
        style = {"linestyle": "none" if fitted else "-", "linewidth": 1.4, "markersize": 6}
        name = DESCRIPTIONS[structure].name
        axes.plot(place, values, color=colour, marker=_MARKERS[structure], label=name, **style)
    if curve.fit_ml:
        axes.plot(
            np.array(curve.fit_position) * scale,
            curve.fit_ml,
            color=structure_colour(Structure.LV),
            linewidth=2.6,
            label=f"LV, Fourier series of {curve.harmonics} harmonics",
        )
    axes.set_ylim(0, max(np.nanmax(values) for values in curve.volumes_ml.values()) * 1.12)
    axes.set_xlim(min(0.0, *place) - 0.01 * scale, max(place[-1], scale if curve.fit_ml else 0.0) + 0.01 * scale)
    _mark_phases(axes, curve, place, unit)
    _mark_rates(axes, curve, scale)
    if curve.times_s is None and not curve.fit_ml:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label)
    axes.set_ylabel(f"volume ({unit})")
    axes.set_title(title, loc="left", pad=26, parse_math=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.015, 1.0), fontsize=11, frameon=False, labelcolor=INK)
    figure.text(0.797, 0.13, _figures(curve, unit), color=INK, fontsize=11.5, va="bottom", linespacing=1.6)
    return png_bytes(figure)


def _axis(curve: VolumeCurve) -> tuple[float, str, np.ndarray]:
    """Length of the beat on the axis, the axis's label, and where the frames lie."""
    n_frames = len(curve.frames)
    if curve.times_s is not None and curve.cycle_s is not None:
        return curve.cycle_s * 1000, "time from the first frame (ms)", np.array(curve.times_s) * 1000
    if curve.fit_ml:
        place = np.arange(n_frames) * 100 / n_frames
        return 100.0, "part of the heart beat from the first frame (%); times are unknown", place
    return float(n_frames), "frame; times are unknown", np.arange(n_frames, dtype=float)


def _mark_phases(axes: Axes, curve: VolumeCurve, place: np.ndarray, unit: str) -> None:
    """Dashed lines at ED and ES with their volumes."""
    volumes = curve.volumes_ml.get(Structure.LV)
    for name, frame in (("ED", curve.ed), ("ES", curve.es)):
        if frame is None or volumes is None:
            continue
        axes.axvline(place[frame], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        first = place[frame] <= place[0]
        axes.text(
            place[frame],
            1.012,
            f"{name}: frame {frame}, LV {volumes[frame]:.0f} {unit}",
            transform=axes.get_xaxis_transform(),
            ha="left" if first else "right" if place[frame] >= place[-1] else "center",
            color=INK,
            fontsize=11,
        )


def _mark_rates(axes: Axes, curve: VolumeCurve, scale: float) -> None:
    """Tangents at the peak rates."""
    if curve.rates_position is None or curve.cycle_s is None:
        return
    for where, rate, name in (
        (curve.rates_position[0], -(curve.peak_ejection_rate_ml_s or 0.0), "peak ejection"),
        (curve.rates_position[1], curve.peak_filling_rate_ml_s or 0.0, "peak filling"),
    ):
        volume = float(np.interp(where, curve.fit_position, curve.fit_ml))
        reach = min(0.06, 0.22 * float(np.ptp(curve.fit_ml)) / max(abs(rate) * curve.cycle_s, 1e-9))
        x = np.array([where - reach, where + reach])
        axes.plot(x * scale, volume + rate * (x - where) * curve.cycle_s, color=INK, linewidth=3.0, zorder=5)
        axes.annotate(
            f"{name}\n{abs(rate):.0f} mL/s",
            (where * scale, volume),
            xytext=(14, 10 if rate < 0 else -30),
            textcoords="offset points",
            color=INK,
            fontsize=10.5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            zorder=6,
        )


def _figures(curve: VolumeCurve, unit: str) -> str:
    """The curve's figures in lines."""
    lines = []
    if curve.peak_ejection_rate_ml_s is not None and curve.peak_filling_rate_ml_s is not None:
        for name, rate in (
            ("peak ejection rate", curve.peak_ejection_rate_ml_s),
            ("peak filling rate", curve.peak_filling_rate_ml_s),
        ):
            lines.append(f"{name}\n  {rate:.0f} mL/s, {curve.per_edv(rate):.2f} EDV/s")
        lines.append(f"ES to peak filling\n  {1000 * (curve.time_to_peak_filling_s or 0.0):.0f} ms")
    if np.isfinite(curve.largest_jump_ml):
        frame = curve.largest_jump_frame
        lines.append(f"largest step between frames\n  {curve.largest_jump_ml:.0f} {unit} after frame {frame}")
    return "\n".join(lines)
