"""The picture of prompts and masks: marks where they belong, in their colours, on any grid."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import phantom
import pytest
from matplotlib.image import imread
from SparseCardiacSegLib.anatomy import ACDC, DESCRIPTIONS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures.prompt_legend import LINE_HEIGHT, WIDTH
from SparseCardiacSegLib.figures.prompts import MOST_SLICES, prompt_figure
from SparseCardiacSegLib.prompting.prompts import Prompt, PromptSet
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

HEADER = 34
"""Pixels above the first row."""


def pixels(png: bytes) -> np.ndarray:
    """RGB [row, col, channel], 0 to 1, without the legend."""
    return imread(io.BytesIO(png), format="png")[: -LINE_HEIGHT - 6, :, :3]


def places(rgb: np.ndarray, colour: tuple[float, float, float], tolerance: float = 0.12) -> np.ndarray:
    """(n, 2) rows and columns of the pixels of a colour."""
    return np.argwhere(np.abs(rgb - np.array(colour)).max(-1) < tolerance)


GREEN = (43 / 255, 1.0, 98 / 255)
RED = (1.0, 45 / 255, 45 / 255)


def shade(structure: Structure) -> tuple[float, ...]:
    return tuple(value / 255 for value in DESCRIPTIONS[structure].colour)


def square_case(grid: Stack | None = None, n_slices: int = 4):
    """A dark image, a square left ventricle of 12 x 12 pixels off its centre, and a point in the square's middle."""
    shape = (n_slices, 70, 90) if grid is None else grid.shape
    stack = (
        Stack(np.zeros(shape, np.int16), np.diag([2.0, 1.5, 8.0, 1.0]))
        if grid is None
        else grid.with_array(np.zeros(shape, np.int16))
    )
    labels = np.zeros(stack.slices_first().shape, np.uint8)
    labels[:, 20:32, 40:52] = ACDC.numbers[Structure.LV]
    segmentation = Segmentation(stack.with_array(stack.from_slices_first(labels)), ACDC)
    prompts = PromptSet(tuple(Prompt(index, Structure.LV, positive=((45.5, 25.5),)) for index in range(stack.n_slices)))
    return stack, segmentation, prompts


GRIDS = [
    phantom.grid(),
    phantom.grid((96, 10, 96), (1.5, 10.0, 1.5), oblique=True, through_plane=1),
    phantom.grid(oblique=True, left_handed=True),
    replace(phantom.grid(), ijk_to_ras=phantom.grid().ijk_to_ras[:, [1, 0, 2, 3]]),
]


@pytest.mark.parametrize("grid", GRIDS, ids=["both axes turned", "through rows", "left-handed", "axes exchanged"])
def test_a_point_lies_where_its_mask_lies_on_any_grid(grid):
    stack, segmentation, _ = square_case(grid)
    # A second point, off the middle and outside of the square, tells a turned picture from a mirrored one.
    marked = Prompt(2, Structure.LV, positive=((45.5, 25.5),), negative=((70.0, 14.0),))
    labels = np.array(segmentation.labels.slices_first())
    labels[2, 12:17, 68:73] = ACDC.numbers[Structure.RV]
    segmentation = Segmentation(stack.with_array(stack.from_slices_first(labels)), ACDC)
    rgb = pixels(prompt_figure(stack, PromptSet((marked,)), segmentation))
    left, right = rgb[:, : WIDTH // 2], rgb[:, WIDTH // 2 :]
    offset = (WIDTH - 18) / 2 + 6 - WIDTH // 2
    for colour, structure in ((GREEN, Structure.LV), (RED, Structure.RV)):
        mark, outline = places(left, colour), places(right, shade(structure))
        assert len(mark) > 20
        middle = (outline.min(0) + outline.max(0)) / 2 - (0, offset)
        assert np.abs((mark.min(0) + mark.max(0)) / 2 - middle).max() <= 2


def test_a_box_is_dashed_in_the_colour_of_its_structure_around_its_corners():
    stack, segmentation, _ = square_case()
    prompt = Prompt(1, Structure.RV, box=(30, 15, 60, 40))
    empty = Segmentation(segmentation.labels.with_array(np.zeros_like(segmentation.labels.array)), ACDC)
    rgb = pixels(prompt_figure(stack, PromptSet((prompt,)), empty))
    found = places(rgb[HEADER:, : WIDTH // 2], shade(Structure.RV))
    (top, left), (bottom, right) = found.min(0), found.max(0)
    # 30 pixels of 2 mm against 25 of 1.5 mm.
    assert (right - left) / (bottom - top) == pytest.approx(60 / 37.5, rel=0.05)
    along = np.abs(found[:, 0] - top) < 2
    assert 0.3 < len(np.unique(found[along, 1])) / (right - left) < 0.85


def test_a_point_shared_as_a_negative_is_drawn_as_the_positive_one_it_is():
    stack, segmentation, _ = square_case()
    shared = PromptSet(
        (
            Prompt(1, Structure.LV, positive=((45, 25),)),
            Prompt(1, Structure.RV, positive=((20, 25),), negative=((45, 25),)),
        )
    )
    rgb = imread(io.BytesIO(prompt_figure(stack, shared, segmentation)), format="png")[..., :3]
    assert len(places(rgb, RED, 0.05)) == 0
    other = PromptSet((shared.prompts[0], Prompt(1, Structure.RV, positive=((20, 25),), negative=((60, 25),))))
    rgb = imread(io.BytesIO(prompt_figure(stack, other, segmentation)), format="png")[..., :3]
    assert len(places(rgb, RED, 0.05)) > 20


def test_the_reference_has_a_panel_of_its_own_with_white_dashes():
    stack, segmentation, prompts = square_case()
    labels = np.roll(segmentation.labels.array, 6, 2)
    reference = Segmentation(stack.with_array(labels), ACDC)
    rgb = pixels(prompt_figure(stack, prompts, segmentation, reference))[HEADER + 40 :]
    panels = np.array_split(rgb[:250], 3, axis=1)
    white = [len(places(panel, (1.0, 1.0, 1.0), 0.05)) for panel in panels]
    assert white[1] == 0
    assert white[2] > 100
    assert len(places(panels[2], shade(Structure.LV))) > 100
    assert len(places(panels[0], shade(Structure.LV))) < len(places(panels[1], shade(Structure.LV)))


def test_a_border_that_two_structures_share_is_one_row_of_dashes():
    stack, segmentation, prompts = square_case()
    both = np.array(segmentation.labels.array)
    both[:, 20:32, 52:64] = ACDC.numbers[Structure.MYO]
    dark = Segmentation(stack.with_array(np.zeros_like(both)), ACDC)
    shown = prompt_figure(stack, prompts, dark, Segmentation(stack.with_array(both), ACDC), slices=[1])
    rgb = pixels(shown)[HEADER + 30 :, 2 * WIDTH // 3 :]
    white = rgb.min(-1) > 0.6
    columns = np.flatnonzero(white.sum(0) > 0.2 * white.any(1).sum())
    shared = columns[np.abs(columns - (columns.min() + columns.max()) / 2) < 4]
    assert 0.35 < white[:, shared].any(1).sum() / white.any(1).sum() < 0.85


def test_slices_are_chosen_evenly_or_as_told_and_the_base_comes_first():
    stack, segmentation, prompts = square_case(n_slices=9)
    one, three = (pixels(prompt_figure(stack, prompts, segmentation, slices=chosen)).shape[0] for chosen in ([4], None))
    assert MOST_SLICES == 3
    assert three > 2.5 * (one - HEADER)
    first = prompt_figure(stack, prompts, segmentation, slices=[0, 8])
    assert first == prompt_figure(stack, prompts, segmentation, slices=[8, 0], base_first=True)
    assert first != prompt_figure(stack, prompts, segmentation, slices=[0, 8], base_first=False)


def test_the_frame_with_prompts_of_a_cine_is_drawn():
    stack, segmentation, prompts = square_case()
    cine = stack.with_array(np.stack([stack.array + 50, stack.array]))
    labels = Segmentation(stack.with_array(np.stack([segmentation.labels.array * 0, segmentation.labels.array])), ACDC)
    moved = PromptSet(tuple(Prompt(p.slice, p.structure, p.positive, frame=1) for p in prompts))
    assert prompt_figure(cine, moved, labels) == prompt_figure(stack, prompts, segmentation)


def test_the_picture_is_as_wide_as_a_page_and_names_what_it_shows():
    stack, segmentation, prompts = square_case()
    whole = imread(io.BytesIO(prompt_figure(stack, prompts, segmentation, title="one patient")), format="png")
    assert whole.shape[1] == WIDTH
    legend = whole[-LINE_HEIGHT:, :, :3]
    assert len(places(legend, shade(Structure.LV))) > 20
    assert len(places(legend, shade(Structure.RV))) == 0
    assert len(places(legend, GREEN)) > 10
    assert len(places(legend, RED, 0.05)) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompts": PromptSet()}, "there are no prompts to draw"),
        ({"slices": [7]}, "slices 0 to 3"),
        ({"slices": []}, "choose some of them"),
        ({"frame": 1}, "frames 0 to 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(change, sentence):
    stack, segmentation, prompts = square_case()
    options = {"prompts": prompts, **change}
    with pytest.raises(InputError, match=sentence):
        prompt_figure(stack, options.pop("prompts"), segmentation, **options)


def test_labels_on_another_grid_are_refused_in_a_sentence():
    stack, segmentation, prompts = square_case()
    other = Segmentation(Stack(segmentation.labels.array[:, :50], stack.ijk_to_ras), ACDC)
    with pytest.raises(InputError, match=r"has shape \(4, 50, 90\), the image \(4, 70, 90\)"):
        prompt_figure(stack, prompts, other)
