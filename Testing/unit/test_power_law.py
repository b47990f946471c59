"""Power laws of learning curves are found again, and what a target needs is told honestly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from SparseCardiacSegLib.training.experiments.power_law import PowerLaw, fit_power_law, needed_amount

VOLUMES = [1, 8, 16, 24, 48]


def noisy(law, seeds, sd=0.004):
    """Fits to the law with noise on every point."""
    return [
        fit_power_law(VOLUMES, law.error(np.array(VOLUMES)) + np.random.default_rng(seed).normal(0, sd, len(VOLUMES)))
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(("a", "b", "c"), [(0.5, 0.6, 0.1), (0.6, 0.3, 0.0), (0.3, 1.4, 0.15), (0.7, 0.9, 0.08)])
def test_a_known_curve_is_found_again(a, b, c):
    fitted = fit_power_law(VOLUMES, PowerLaw(a, b, c, 0).error(VOLUMES))
    assert fitted.a == pytest.approx(a, abs=0.01)
    assert fitted.b == pytest.approx(b, abs=0.02)
    assert fitted.c == pytest.approx(c, abs=0.01)
    assert fitted.residual < 1e-3


def test_three_points_get_no_floor_and_two_are_met():
    assert fit_power_law([1, 10, 100], [0.5, 0.2, 0.17]).c == 0
    assert fit_power_law([2, 8], [0.4, 0.2]).needed(0.1) == pytest.approx(32, rel=1e-2)


def test_an_error_that_rises_gives_a_flat_curve_not_a_rising_one():
    fitted = fit_power_law(VOLUMES, [0.2, 0.2, 0.25, 0.22, 0.3])
    assert fitted.error(1) >= fitted.error(48)
    assert fitted.error(48) == pytest.approx(0.234, abs=0.03)


def test_a_point_known_badly_bends_the_curve_less():
    errors = list(PowerLaw(0.5, 0.6, 0.1, 0).error(VOLUMES))
    errors[2] += 0.1
    trusted = fit_power_law(VOLUMES, errors, [0.01, 0.01, 0.1, 0.01, 0.01])
    assert abs(float(trusted.error(48)) - 0.149) < abs(float(fit_power_law(VOLUMES, errors).error(48)) - 0.149)
    assert float(trusted.error(48)) == pytest.approx(0.149, abs=0.005)


def test_the_noise_about_the_curve_is_estimated():
    sd = np.mean([one.noise**2 for one in noisy(PowerLaw(0.5, 0.6, 0.1, 0), 200, sd=0.01)]) ** 0.5
    assert sd == pytest.approx(0.01, rel=0.3)


def test_two_different_amounts_are_needed():
    with pytest.raises(ValueError, match="two different amounts"):
        fit_power_law([8, 8], [0.3, 0.2])


def test_the_interval_holds_the_true_amount():
    law = PowerLaw(0.5, 0.6, 0.1, 0)
    needed = needed_amount(0.8, law, noisy(law, 300), VOLUMES)
    assert needed.n == pytest.approx(law.needed(0.2))
    assert needed.low < needed.n < needed.high < 48
    assert needed.text("volumes").startswith(f"Dice 0.8: about {math.ceil(needed.n)} volumes (95 % interval")
    assert "extrapolated" not in needed.text("volumes")


def test_a_target_beyond_the_data_is_called_a_guess():
    law = PowerLaw(0.5, 0.6, 0.05, 0)
    needed = needed_amount(0.92, law, noisy(law, 100, 0.0005), VOLUMES)
    assert needed.extrapolated
    assert "so a guess" in needed.text("volumes")
    assert "*" in needed.short()


def test_a_target_below_the_floor_is_out_of_reach():
    law = PowerLaw(0.5, 0.6, 0.1, 0)
    needed = needed_amount(0.91, law, noisy(law, 100, 0.0002), VOLUMES)
    assert math.isinf(needed.n)
    assert "out of reach" in needed.text("volumes")
    assert needed.short() == "not reached"


def test_no_more_slices_are_asked_for_than_a_stack_has():
    law = PowerLaw(0.3, 0.5, 0.05, 0)
    assert law.needed(0.1) == pytest.approx(36)
    needed = needed_amount(0.9, law, [law], [1, 2, 3, 6, 9], limit=9)
    assert math.isinf(needed.n)
    assert "even with all slices a volume" in needed.text("slices a volume")


def test_an_end_that_is_never_reached_is_told():
    law = PowerLaw(0.5, 0.6, 0.1, 0)
    resampled = [law] * 80 + [PowerLaw(0.5, 0.6, 0.3, 0)] * 20
    text = needed_amount(0.8, law, resampled, VOLUMES).text("volumes")
    assert "to never)" in text
    assert "20% of the resampled curves never get there" in text


def test_a_target_reached_with_the_least_is_told_as_such():
    law = PowerLaw(0.1, 0.5, 0.05, 0)
    assert "smallest amount measured (1 volumes)" in needed_amount(0.7, law, [law] * 10, VOLUMES).text("volumes")
