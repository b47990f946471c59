"""Pictures: contours in the right colour at the right pixels, the right order, size and labels."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import phantom
import pytest
from matplotlib.image import imread
from SparseCardiacSegLib.anatomy import ACDC, DESCRIPTIONS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures import (
    base_direction,
    contours,
    dice_curve_figure,
    difference_montage,
    montage,
    region_bands,
    slice_volumes,
    surfaces_picture,
    volumes_figure,
)
from SparseCardiacSegLib.figures.tiles import FOOTER, HEADER, WIDTH, make_tiles
from SparseCardiacSegLib.measures.difference import difference_classes
from SparseCardiacSegLib.meshes import surfaces
from SparseCardiacSegLib.regions import Region, SliceRegions
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

GAP = 6


def pixels(png: bytes) -> np.ndarray:
    """RGB, 0 to 1: [row, col, channel]."""
    return imread(io.BytesIO(png), format="png")[..., :3]


def green(rgb: np.ndarray) -> np.ndarray:
    return (rgb[..., 1] > 0.6) & (rgb[..., 0] < 0.45) & (rgb[..., 2] < 0.55)


def red(rgb: np.ndarray) -> np.ndarray:
    return (rgb[..., 0] > 0.6) & (rgb[..., 1] < 0.45) & (rgb[..., 2] < 0.45)


def square_case(offset: int = 0, n_slices: int = 1, spacing: tuple[float, float, float] = (10.0, 2.0, 2.0)):
    """A dark image whose LV is a square of 20 x 20 pixels (rows 20 to 39, columns 30 to 49, moved by `offset`)."""
    labels = np.zeros((n_slices, 60, 80), np.uint8)
    labels[:, 20:40, 30 + offset : 50 + offset] = ACDC.numbers[Structure.LV]
    stack = Stack(np.zeros(labels.shape, np.int16), np.diag([*spacing[::-1], 1.0]))
    return stack, Segmentation(stack.with_array(labels), ACDC)


def outline_box(marked: np.ndarray) -> tuple[float, float, float, float]:
    """First and last row and column of the marked pixels."""
    rows, cols = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    return float(rows[0]), float(rows[-1]), float(cols[0]), float(cols[-1])


def expected_box(offset: int = 0) -> tuple[float, float, float, float]:
    """Where the square's outline lies in a montage of one tile that shows the whole width of the picture."""
    margin = 8  # ceil(15 mm / 2 mm)
    scale = (WIDTH - 2 * GAP) / (20 + 2 * margin + abs(offset))
    top, left = HEADER + GAP + margin * scale, GAP + (margin + max(0, offset)) * scale
    return top, top + 20 * scale, left, left + 20 * scale


def test_the_predictions_contour_is_green_on_the_square_it_outlines():
    stack, segmentation = square_case()
    picture = pixels(
        montage(stack, segmentation, Segmentation(stack.with_array(np.zeros((1, 60, 80), np.uint8)), ACDC))
    )
    assert picture.shape[1] == WIDTH
    tile = picture[HEADER + GAP : -FOOTER - GAP]
    found = outline_box(green(tile))
    top, bottom, left, right = expected_box()
    assert found == pytest.approx((top - HEADER - GAP, bottom - HEADER - GAP, left, right), abs=4)
    assert not red(tile).any()


def test_the_references_contour_is_red_where_it_differs_from_the_prediction():
    stack, prediction = square_case()
    _, reference = square_case(offset=8)
    tile = pixels(montage(stack, prediction, reference))[HEADER + GAP : -FOOTER - GAP]
    assert outline_box(red(tile))[3] == pytest.approx(expected_box(8)[3], abs=4)
    assert outline_box(green(tile))[2] == pytest.approx(expected_box(-8)[2], abs=4)


def test_where_both_agree_both_colours_show():
    stack, segmentation = square_case()
    tile = pixels(montage(stack, segmentation, segmentation))[HEADER + GAP : -FOOTER - GAP]
    assert outline_box(red(tile)) == pytest.approx(outline_box(green(tile)), abs=12)
    share = red(tile).sum() / (red(tile).sum() + green(tile).sum())
    assert 0.3 < share < 0.8


def test_without_a_reference_each_structure_has_its_own_colour():
    image, segmentation = phantom.heart()
    picture = pixels(montage(image, segmentation))
    for structure in segmentation.structures:
        colour = np.array(DESCRIPTIONS[structure].colour) / 255
        assert (np.abs(picture[HEADER:-FOOTER] - colour).max(axis=-1) < 0.06).sum() > 300, structure


def test_contours_run_halfway_between_pixel_centres_in_millimetres():
    mask = np.zeros((6, 9), bool)
    mask[2:4, 3:8] = True
    (line,) = contours(mask, (3.0, 2.0))
    assert np.array_equal(line[0], line[-1]), "closed"
    assert (line[:, 0].min(), line[:, 0].max()) == (6.0, 16.0)
    assert (line[:, 1].min(), line[:, 1].max()) == (6.0, 12.0)


def test_contours_of_a_structure_at_the_images_edge_are_closed():
    (line,) = contours(np.ones((4, 5), bool), (1.0, 1.0))
    assert np.array_equal(line[0], line[-1])
    assert (line.min(), line[:, 0].max(), line[:, 1].max()) == (0.0, 5.0, 4.0)


def test_tiles_go_from_base_to_apex_whatever_the_order_of_the_file():
    regions = SliceRegions("thirds", (Region.APEX, Region.MIDDLE, Region.BASE), base_first=False)
    stack, segmentation = square_case(n_slices=3)
    assert make_tiles(stack, (segmentation,), regions).slices == (2, 1, 0)
    assert make_tiles(stack, (segmentation,), None, base_first=True).slices == (0, 1, 2)


def test_a_long_stack_is_thinned_to_readable_tiles_around_what_is_segmented():
    labels = np.zeros((90, 12, 12), np.uint8)
    labels[20:70, 4:8, 4:8] = 3
    stack = Stack(np.zeros(labels.shape, np.int16), np.eye(4))
    slices = make_tiles(stack, (Segmentation(stack.with_array(labels), ACDC),)).slices
    assert len(slices) == 30
    assert (slices[0], slices[-1]) == (19, 70)


def test_pixels_keep_their_true_shape_on_the_tile():
    stack, segmentation = square_case(spacing=(10.0, 1.0, 2.0))
    tile = pixels(montage(stack, segmentation, segmentation))[HEADER + GAP : -FOOTER - GAP]
    top, bottom, left, right = outline_box(red(tile) | green(tile))
    assert (right - left) / (bottom - top) == pytest.approx(2.0, rel=0.02)


def test_an_upside_down_or_exchanged_stack_is_shown_upright_with_letters():
    upright = np.array([[-1.0, 0, 0, 40], [0, 0, 8, 7], [0, -1.0, 0, 30], [0, 0, 0, 1]])
    values = np.arange(3 * 20 * 24, dtype=np.int16).reshape(3, 20, 24)
    stack = Stack(values, upright)
    tiles = make_tiles(stack, ())
    assert tiles.letters == ("R", "L", "S", "I")
    assert np.array_equal(tiles.image, values)

    flipped = upright @ np.array([[1.0, 0, 0, 0], [0, -1, 0, 19], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert np.array_equal(make_tiles(Stack(values[:, ::-1], flipped), ()).image, values)

    exchanged = upright[:, [1, 0, 2, 3]]
    turned = make_tiles(Stack(values.swapaxes(1, 2), exchanged), ())
    assert np.array_equal(turned.image, values)
    assert turned.letters == ("R", "L", "S", "I")


def test_a_file_that_tells_no_orientation_gets_no_letters():
    assert make_tiles(square_case()[0], ()).letters is None


def test_a_cine_or_a_segmentation_of_another_grid_is_refused():
    stack, segmentation = square_case()
    with pytest.raises(InputError, match="cine"):
        montage(stack.with_array(np.zeros((2, 1, 60, 80), np.int16)), segmentation)
    other = Stack(np.zeros((1, 60, 81), np.int16), np.eye(4))
    with pytest.raises(InputError, match="not the same grid"):
        montage(other, segmentation)


@pytest.mark.parametrize("values", [np.zeros((2, 9, 9), np.int16), np.full((2, 9, 9), np.nan, np.float32)])
def test_a_constant_or_empty_image_still_gives_a_picture(values: np.ndarray):
    assert montage(Stack(values, np.eye(4)), None).startswith(b"\x89PNG")


def test_unknown_spacing_is_said_and_not_measured_in_millimetres():
    stack, segmentation = square_case()
    unknown = replace(stack, spacing_known=False)
    assert make_tiles(unknown, ()).unit == "px"
    assert montage(unknown, segmentation) != montage(stack, segmentation)


def test_dollar_signs_in_a_title_are_text():
    stack, segmentation = square_case()
    assert montage(stack, segmentation, title=r"case $\frac{a}$ _x^").startswith(b"\x89PNG")


def test_the_same_data_give_the_same_bytes():
    stack, segmentation = square_case()
    assert montage(stack, segmentation) == montage(stack, segmentation)


def test_difference_classes_tell_agreement_false_voxels_and_confused_structures():
    stack = Stack(np.zeros((1, 1, 5), np.int16), np.eye(4))
    prediction = Segmentation(stack.with_array(np.array([[[0, 3, 3, 0, 2]]], np.uint8)), ACDC)
    reference = Segmentation(stack.with_array(np.array([[[0, 3, 0, 3, 3]]], np.uint8)), ACDC)
    assert difference_classes(prediction, reference).ravel().tolist() == [0, 1, 2, 3, 4]
    assert difference_classes(prediction, reference, Structure.LV).ravel().tolist() == [0, 1, 2, 3, 3]


def test_the_difference_picture_is_green_left_and_red_right_of_a_moved_square():
    stack, prediction = square_case()
    _, reference = square_case(offset=8)
    tile = pixels(difference_montage(stack, prediction, reference))[HEADER + GAP : -FOOTER - GAP]
    scale = (WIDTH - 2 * GAP) / 44
    assert outline_box(green(tile))[2:] == pytest.approx((GAP + 8 * scale, GAP + 16 * scale), abs=3)
    assert outline_box(red(tile))[2:] == pytest.approx((GAP + 28 * scale, GAP + 36 * scale), abs=3)


def test_region_bands_begin_halfway_between_slices_and_fill_the_axis():
    b, m, a = Region.BASE, Region.MIDDLE, Region.APEX
    regions = SliceRegions("thirds", (None, a, m, m, b, b), base_first=False)
    assert region_bands(regions) == [("base", 0.0, 37.5), ("middle", 37.5, 87.5), ("apex", 87.5, 100.0)]
    assert region_bands(regions, [3, 4]) == [("base", 0.0, 50.0), ("middle", 50.0, 100.0)]


def test_a_dice_curve_is_drawn_in_the_structures_colour_and_leaves_gaps_for_nan():
    values = np.full(101, 0.9)
    whole = pixels(dice_curve_figure({Structure.LV: values}))
    values = values.copy()
    values[50:] = np.nan
    half = pixels(dice_curve_figure({Structure.LV: values}))
    colour = np.array(DESCRIPTIONS[Structure.LV].colour) / 255

    def drawn(picture: np.ndarray) -> np.ndarray:
        plot = (np.abs(picture - colour).max(axis=-1) < 0.08)[150:]
        return np.flatnonzero(plot.any(axis=0))

    assert whole.shape == (720, 1600, 3)
    assert np.ptp(drawn(whole)) == pytest.approx(0.915 * 1600, abs=8)
    assert np.ptp(drawn(half)) == pytest.approx(0.915 * 1600 * 0.49, abs=8)


def test_a_curve_without_any_value_is_still_a_picture():
    assert dice_curve_figure({Structure.RV: np.full(101, np.nan)}).startswith(b"\x89PNG")


def test_slice_volumes_run_from_the_base_and_add_up_to_the_volume():
    on = phantom.grid(base_first=False)
    segmentation = phantom.heart(0.0, on)[1]
    volumes = slice_volumes(segmentation, Structure.LV, base_first=False)
    assert volumes.sum() == pytest.approx(segmentation.volume_ml(Structure.LV))
    held = volumes[volumes > 0]
    assert held[0] > 2 * held[-1]


def test_volume_plots_are_drawn_for_one_frame_and_for_two():
    ed, es = phantom.heart(0.0)[1], phantom.heart(1.0)[1]
    two = pixels(volumes_figure({"ED": ed, "ES": es}, base_first=True))
    assert two.shape == (640, 1600, 3)
    assert not np.array_equal(two, pixels(volumes_figure({"ED": ed}, base_first=True)))


def test_the_picture_of_surfaces_shows_all_three_structures_in_two_views():
    image, segmentation = phantom.heart(0.0, phantom.grid((8, 48, 48), (12.0, 3.0, 3.0), oblique=True))
    picture = pixels(surfaces_picture(surfaces(segmentation), base_direction(image, True), (640, 320)))
    assert picture.shape == (320, 640, 3)
    for half in (picture[:, :320], picture[:, 320:]):
        strongest = half.argmax(axis=-1)
        vivid = half.max(axis=-1) - half.min(axis=-1) > 0.08
        for channel in range(3):
            assert ((strongest == channel) & vivid).mean() > 0.015, "red LV, green MYO, blue RV"
        right_ventricle, left_ventricle = (np.nonzero((strongest == channel) & vivid)[1] for channel in (2, 0))
        assert right_ventricle.mean() < left_ventricle.mean(), "the RV lies on the picture's left"


def test_the_base_is_up_in_the_first_view_for_either_slice_order():
    for base_first in (True, False):
        on = phantom.grid((8, 48, 48), (12.0, 3.0, 3.0), oblique=True, base_first=base_first)
        found = surfaces(phantom.heart(0.0, on)[1])
        lv = {Structure.LV: found[Structure.LV]}
        picture = pixels(surfaces_picture(lv, base_direction(on, base_first), (640, 320)))[40:250, 60:320]
        red_pixels = picture[..., 0] - picture[..., 2] > 0.15
        width = red_pixels.sum(axis=1)
        held = width[width > 0]
        assert held[: len(held) // 3].mean() > 1.2 * held[-len(held) // 3 :].mean(), (
            "wide base above, narrow apex below"
        )


def test_the_3d_picture_needs_no_matplotlib_and_plots_need_no_vtk():
    code = (
        "import sys\n"
        "from SparseCardiacSegLib.figures import {0}\n"
        "assert not any(name.split('.')[0] == '{1}' for name in sys.modules), '{1} was imported'\n"
    )
    for name, foreign in (("surfaces_picture", "matplotlib"), ("montage", "vtkmodules")):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code.format(name, foreign)], check=True, env=environment)
