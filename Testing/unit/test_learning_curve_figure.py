"""The picture of learning curves shows points, curves, targets and what others found."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.figures.learning_curve import LearningCurve, learning_curve_figure
from SparseCardiacSegLib.figures.style import structure_colour

N = np.array([1.0, 8.0, 48.0])
DICE = np.array([0.4, 0.7, 0.85])


def curve(structure=None, **fit):
    return LearningCurve("points", structure, N, DICE, DICE - 0.02, DICE + 0.02, **fit)


def drawn(curves, **more):
    picture = learning_curve_figure(curves, xlabel="volumes", title="Title", **more)
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    assert image.size == (1600, 760)
    return np.asarray(image).astype(int)


def amount(image, rgb, tolerance=12):
    """Pixels of a colour in the plot, without the legend."""
    colour = np.round(np.array(rgb) * 255)
    return int((np.abs(image[:, :1200] - colour).max(-1) <= tolerance).sum())


def fit(last):
    n = np.geomspace(1, last, 50)
    dice = 0.9 - 0.5 * n**-0.6
    return {"fit_n": n, "fit": dice, "fit_low": dice - 0.01, "fit_high": dice + 0.01}


def test_every_structure_has_its_colour_and_a_curve_where_one_was_fitted():
    mean = LearningCurve("mean", None, N, DICE - 0.2, DICE - 0.22, DICE - 0.18)
    points = drawn([mean, curve(Structure.LV)])
    fitted = drawn([mean, curve(Structure.LV, **fit(48))])
    red = structure_colour(Structure.LV)
    assert amount(points, red) > 50
    assert amount(fitted, red) > amount(points, red) + 1000
    assert amount(points, structure_colour(Structure.RV)) == 0


def test_the_curve_is_dashed_beyond_the_measured_amounts():
    image = drawn([curve(**fit(48 * 40))])
    rows = np.abs(image[:, :1200] - np.array([29, 39, 51])).max(-1) < 40
    inside, beyond = rows[:, 300:560].any(0).mean(), rows[150:600, 880:1180].any(0).mean()
    assert inside > 0.99
    assert 0.3 < beyond < 0.85


def test_targets_and_other_peoples_points_are_in_the_picture():
    plain = drawn([curve()])
    assert (drawn([curve()], targets=(0.8,)) != plain).any(-1).sum() > 300
    others = drawn([curve()], others=[("Thesis", np.array([1.0, 48.0]), np.array([0.3, 0.8]))])
    assert amount(others, (0x9A / 255, 0xA5 / 255, 0xB1 / 255)) > 50


def test_a_name_that_looks_like_mathematics_is_printed_as_it_is():
    learning_curve_figure([curve()], xlabel="n", title="a$b_{", note="$")
