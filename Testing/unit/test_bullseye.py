"""The bullseye: which segment lies where, and what is shown of one that is unknown."""

from __future__ import annotations

import io
from dataclasses import replace

import anatomical_heart
import matplotlib.image
import numpy as np
import pytest
from SparseCardiacSegLib.figures import bullseye_figure, bullseye_of_record
from SparseCardiacSegLib.measures.wall_thickness import WallThickness, thickness_record, wall_thickness

NAN = float("nan")

DIRECTIONS = {  # (rightwards, upwards) from the centre, in radii of the bullseye
    1: (0.0, 0.93),
    2: (-0.81, 0.40),
    3: (-0.81, -0.55),
    4: (0.0, -0.93),
    5: (0.81, -0.55),
    6: (0.81, 0.40),
    7: (0.10, 0.68),
    9: (-0.53, -0.38),
    13: (0.14, 0.42),
    14: (-0.44, 0.10),
    16: (0.44, 0.10),
}


@pytest.fixture(scope="module")
def wall() -> WallThickness:
    return wall_thickness(anatomical_heart.heart())


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def only(wall: WallThickness, number: int) -> WallThickness:
    """The same wall with one thick segment, all others thin."""
    values = [4.0] * 17
    values[number - 1] = 16.0
    return replace(wall, mean=tuple(values))


def bounds(picture: np.ndarray) -> tuple[float, float, float]:
    """Centre and radius of the bullseye in pixels: the dark violet of 4 mm fills it."""
    dark = np.abs(picture - np.array([0.267, 0.005, 0.329])).max(axis=-1) < 0.05
    rows, columns = np.nonzero(dark[:, : int(picture.shape[1] * 0.84)])
    return (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2, (rows.max() - rows.min()) / 2


@pytest.mark.parametrize("number", DIRECTIONS)
def test_every_segment_lies_where_a_radiologist_looks_for_it(wall, number):
    x, y, radius = bounds(pixels(bullseye_figure(replace(wall, mean=(4.0,) * 17))))
    picture = pixels(bullseye_figure(only(wall, number)))
    right, up = DIRECTIONS[number]
    colour = picture[round(y - up * radius), round(x + right * radius)]
    assert np.abs(colour - np.array([0.993, 0.906, 0.144])).max() < 0.05  # the yellow of 16 mm


def test_thickening_is_drawn_beside_where_both_frames_are_known(wall):
    one = pixels(bullseye_figure(wall))
    two = pixels(bullseye_figure(wall, wall_thickness(anatomical_heart.heart(extra_mm=4.0))))
    assert one.shape == (720, 780, 3)
    assert two.shape == (720, 1560, 3)


def test_a_thinning_segment_is_red_and_a_thickening_one_blue(wall):
    es = replace(wall, mean=tuple(0.6 * value if n == 0 else 1.6 * value for n, value in enumerate(wall.mean)))
    picture = pixels(bullseye_figure(wall, es))[:, 780:]
    x, y, radius = bounds(pixels(bullseye_figure(replace(wall, mean=(4.0,) * 17))))
    red = picture[round(y - 0.93 * radius), round(x)]
    blue = picture[round(y + 0.93 * radius), round(x)]
    assert red[0] > red[2] + 0.2
    assert blue[2] > blue[0] + 0.2


def test_an_unknown_segment_is_grey_and_hatched_and_has_no_number_for_a_value(wall):
    x, y, radius = bounds(pixels(bullseye_figure(replace(wall, mean=(4.0,) * 17))))
    picture = pixels(bullseye_figure(replace(wall, mean=(NAN, *(4.0,) * 16))))
    patch = picture[round(y - 0.97 * radius) : round(y - 0.90 * radius), round(x - 40) : round(x + 40)]
    assert np.ptp(patch, axis=-1).max() < 0.15  # no hue
    assert patch.mean(axis=-1).std() > 0.02  # stripes


def test_the_record_of_the_clinical_measures_draws_the_same(wall):
    es = wall_thickness(anatomical_heart.heart(extra_mm=2.0))
    assert bullseye_of_record(thickness_record(wall, es)) == bullseye_figure(wall, es)
    assert bullseye_of_record(thickness_record(wall, es), title="A case") != bullseye_figure(wall, es)


def test_end_systole_alone_and_nothing_at_all_are_drawn_too(wall):
    assert bullseye_of_record(thickness_record(None, wall)) != bullseye_figure(wall)
    assert pixels(bullseye_of_record(thickness_record(None, None))).shape == (720, 780, 3)
