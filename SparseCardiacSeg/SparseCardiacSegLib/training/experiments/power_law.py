"""Error against the amount of annotation as a power law, and the amount that a target needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar, nnls

FAR = 10.0
"""Up to how many times the largest measured amount a needed amount is told; beyond, a curve through few points knows
nothing."""
_EXPONENTS = (0.05, 3.0)
_MIN_POINTS = 4
"""From which on a floor is fitted; three points would be met exactly by any noise."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a * n ** -b + c, with a, c >= 0 and b > 0: never rising.

    Attributes:
        a: error beyond the floor at n = 1.
        b: exponent.
        c: floor that no amount gets below.
        residual: root of the mean squared difference from the points.
        noise: standard deviation of a point about the curve, the fitted parameters allowed for; 0 where there are no
            more points than parameters.
    """

    a: float
    b: float
    c: float
    residual: float
    noise: float = 0.0

    def error(self, n: np.ndarray | float) -> np.ndarray:
        """The error at an amount of annotation."""
        return self.a * np.asarray(n, np.float64) ** -self.b + self.c

    def needed(self, error: float) -> float:
        """The amount at which the error falls to `error`; infinite where it never does."""
        if error <= self.c or not self.a:
            return 0.0 if error >= self.a + self.c else math.inf
        return (self.a / (error - self.c)) ** (1.0 / self.b)


def fit_power_law(n: Sequence[float], error: Sequence[float], se: Sequence[float] | None = None) -> PowerLaw:
    """Fit by weighted least squares.

    For a given exponent the two other parameters are a non-negative linear problem with one solution, so only the
    exponent is searched, over a grid and then closer: no start values, no local minimum to be caught in.

    Args:
        n: amounts, above 0.
        error: 1 - Dice, at each.
        se: standard error of each; None weighs all alike. Small ones are raised to a fifth of the median, so that one
            point that happens to vary little does not decide alone.

    Raises:
        ValueError: fewer than two different amounts, or an amount of 0 or less.
    """
    amounts, errors = np.asarray(n, np.float64), np.asarray(error, np.float64)
    if len(set(amounts.tolist())) < 2 or amounts.min() <= 0:
        raise ValueError("a curve needs two different amounts above 0")
    weights = np.ones_like(errors)
    if se is not None and np.median(se) > 0:
        weights = 1.0 / np.maximum(se, 0.2 * np.median(se))
    floor = len(set(amounts.tolist())) >= _MIN_POINTS

    def solve(exponent: float) -> tuple[np.ndarray, float]:
        powers = amounts**-exponent
        columns = np.stack([powers, np.ones_like(powers)], 1) if floor else powers[:, None]
        return nnls(columns * weights[:, None], errors * weights)

    grid = np.geomspace(*_EXPONENTS, 24)
    best = int(np.argmin([solve(exponent)[1] for exponent in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    exponent = float(minimize_scalar(lambda b: solve(b)[1], bounds=bounds, method="bounded").x)
    parameters, _ = solve(exponent)
    a, c = float(parameters[0]), float(parameters[1]) if floor else 0.0
    squares = float(np.sum((a * amounts**-exponent + c - errors) ** 2))
    free = len(amounts) - (3 if floor else 2)
    noise = math.sqrt(squares / free) if free > 0 else 0.0
    return PowerLaw(a, exponent, c, math.sqrt(squares / len(amounts)), noise)


@dataclass(frozen=True)
class Needed:
    """The amount of annotation that a target needs.

    Attributes:
        target: Dice.
        n: estimate; infinite where the curve levels off below the target, or only gets there far beyond the data.
        low, high: 95 % interval; infinite likewise.
        unreached: share of the resampled curves that never get there, or only far beyond the data.
        smallest, largest: measured amounts.
        limit: up to which amounts are told.
    """

    target: float
    n: float
    low: float
    high: float
    unreached: float
    smallest: float
    largest: float
    limit: float

    @property
    def extrapolated(self) -> bool:
        """Whether the estimate lies beyond what was measured."""
        return math.isfinite(self.n) and self.n > self.largest

    def text(self, unit: str) -> str:
        """One sentence, which says where it goes beyond the data."""
        start = f"Dice {self.target:g}: "
        if not math.isfinite(self.n):
            chance = f" ({1 - self.unreached:.0%} of the resampled curves get there)" if self.unreached < 1 else ""
            # Slices end with the stack; volumes could be more than were measured.
            far = f"even with all {unit}" if self.limit <= self.largest else f"up to {self.limit:.0f} {unit}"
            return start + f"out of reach of this network and training {far}, as far as the curve can tell{chance}"
        if self.high < self.smallest:
            return start + f"reached with the smallest amount measured ({self.smallest:g} {unit})"
        number = f"about {_round_up(max(self.n, self.smallest)):g} {unit}"
        if self.n < self.smallest:
            number = f"at most {self.smallest:g} {unit}"
        upper = f"{_round_up(self.high):g}" if math.isfinite(self.high) else "never"
        text = f"{number} (95 % interval {_round_up(max(self.low, self.smallest)):g} to {upper})"
        if self.extrapolated:
            text += f"; extrapolated beyond the {self.largest:g} measured, so a guess"
        elif math.isfinite(self.high) and self.high > self.largest:
            text += "; the upper end is extrapolated"
        if self.unreached > 0.025:
            text += f"; {self.unreached:.0%} of the resampled curves never get there"
        return start + text

    def short(self) -> str:
        """The same for a cell of a table: `*` marks what lies beyond the measured amounts."""
        if not math.isfinite(self.n):
            return "not reached"
        upper = f"{_round_up(self.high):g}" if math.isfinite(self.high) else "never"
        low, number = _round_up(max(self.low, self.smallest)), _round_up(max(self.n, self.smallest))
        return f"{number:g}{'*' if self.extrapolated else ''} ({low:g} to {upper})"


def needed_amount(
    target: float, fitted: PowerLaw, resampled: Sequence[PowerLaw], n: Sequence[float], limit: float | None = None
) -> Needed:
    """How much annotation a target Dice needs.

    Args:
        target: Dice, 0 to 1.
        fitted: to the data.
        resampled: fits to bootstrap resamples, of which the interval is made.
        n: measured amounts.
        limit: the largest amount there can be; by default `FAR` times the largest measured one.
    """
    largest = float(max(n))
    most = FAR * largest if limit is None else limit

    def told(law: PowerLaw) -> float:
        amount = law.needed(1.0 - target)
        return amount if amount <= most else math.inf

    amounts = np.sort([told(law) for law in resampled]) if resampled else np.array([told(fitted)])
    last = len(amounts) - 1
    # By rank, not interpolated: infinity has no middle.
    low, high = float(amounts[math.floor(0.025 * last)]), float(amounts[math.ceil(0.975 * last)])
    unreached = float(np.mean(~np.isfinite(amounts)))
    return Needed(target, told(fitted), low, high, unreached, float(min(n)), largest, most)


def _round_up(n: float) -> float:
    """Whole volumes or slices: nobody annotates a part of one."""
    return float(math.ceil(n - 1e-9))
