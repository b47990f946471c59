"""A smooth curve through the volumes of one heart beat, and the rates that are read from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_FRAMES = 8
"""Labelled frames below which no rate is given: three harmonics need seven figures."""

MOST_HARMONICS = 6
"""Harmonics of the heart beat that are kept; a filling rate has its fastest part below the sixth."""

LARGEST_GAP = 0.2
"""Share of the beat without any labelled frame beyond which no rate is given."""

UNLIKE_NEIGHBOURS = 0.1
"""Share of EDV by which a frame may leave the smooth curve before a warning asks to check its labels."""

UNEVEN = 0.05
"""Root mean square distance from the smooth curve, as a share of the stroke volume, beyond which rates are unsafe."""

RATE_METHOD = (
    "steepest fall between ED and ES, steepest rise after ES, of a least-squares Fourier series through the LV volumes "
    "of all labelled frames, taken as one whole beat"
)


@dataclass(frozen=True)
class PeakRates:
    """Peak rates in mL/s, the time from ES to the filling one, and where both lie."""

    ejection: float | None = None
    filling: float | None = None
    to_filling: float | None = None
    position: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class BeatFit:
    """A Fourier series over one beat: values and slopes (per beat) on `grid` (0 to 1)."""

    harmonics: int
    grid: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    unevenness: float

    @classmethod
    def of(cls, volumes: np.ndarray, held: np.ndarray, place: np.ndarray, warnings: list[str]) -> BeatFit | None:
        """The series through the labelled frames; None, with a warning, where they are too few or too far apart."""
        gaps = np.diff(np.append(place[held], place[held[0]] + 1.0))
        if held.size < LEAST_FRAMES or gaps.max() > LARGEST_GAP:
            warnings.append(
                f"no ejection or filling rate: it needs the LV in at least {LEAST_FRAMES} frames without a gap of more "
                f"than {LARGEST_GAP:.0%} of the beat"
            )
            return None
        # About half of what the frames could carry, so that the noise of single frames is not followed.
        harmonics = min(MOST_HARMONICS, held.size // 4 + 1)
        coefficients, *_ = np.linalg.lstsq(_basis(place[held], harmonics)[0], volumes[held], rcond=None)
        residual = volumes[held] - _basis(place[held], harmonics)[0] @ coefficients
        worst = int(np.abs(residual).argmax())
        edv = float(volumes[held].max())
        if abs(residual[worst]) > UNLIKE_NEIGHBOURS * edv:
            warnings.append(
                f"the LV of frame {held[worst]} lies {abs(residual[worst]):.0f} mL off the smooth curve: "
                "check the labels of this frame"
            )
        unevenness = float(np.sqrt(np.mean(residual**2)))
        if unevenness > UNEVEN * float(np.ptp(volumes[held])):
            warnings.append(
                f"the LV volume is uneven from frame to frame ({unevenness:.1f} mL off a smooth curve): ejection and "
                "filling rates are unsafe"
            )
        grid = np.linspace(0.0, 1.0, 1001)
        values, slopes = (part @ coefficients for part in _basis(grid, harmonics))
        return cls(harmonics, grid, values, slopes, unevenness)


def _basis(place: np.ndarray, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns 1, cos, sin, ... of a series over one beat, and their slopes."""
    angle = 2 * np.pi * place[:, None] * np.arange(1, harmonics + 1)
    rate = 2 * np.pi * np.arange(1, harmonics + 1)
    columns = [np.ones((len(place), 1)), np.cos(angle), np.sin(angle)]
    slopes = [np.zeros((len(place), 1)), -rate * np.sin(angle), rate * np.cos(angle)]
    return np.hstack(columns), np.hstack(slopes)


def peak_rates(fit: BeatFit, ed: float, es: float, cycle: float | None) -> PeakRates:
    """Peak rates of the series between ED and ES and between ES and the next ED."""
    after_ed, span = (fit.grid[:-1] - ed) % 1.0, (es - ed) % 1.0
    emptying, slopes = after_ed <= span, fit.slopes[:-1]
    fall = int(np.where(emptying, slopes, np.inf).argmin())
    rise = int(np.where(~emptying, slopes, -np.inf).argmax())
    position = (float(fit.grid[fall]), float(fit.grid[rise]))
    if cycle is None or slopes[fall] >= 0 or slopes[rise] <= 0:
        return PeakRates()
    to_filling = float((position[1] - es) % 1.0) * cycle
    return PeakRates(-float(slopes[fall]) / cycle, float(slopes[rise]) / cycle, to_filling, position)
