"""Prompts carried to the next slice or frame: where they lie, and when there are none."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SparseCardiacSegLib.anatomy import ACDC, ALL, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.prompting.carry import VANISHING_PIXELS, carry_prompts, prompts_from_masks

RV, MYO, LV, LA = Structure


def disc(row, col, radius, shape=(60, 80)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - row, x - col) < radius


def single(masks, **options):
    (prompt,) = prompts_from_masks(masks, 3, **options)
    return prompt


def test_a_solid_structure_gets_its_centre_and_a_box_with_the_margin():
    prompt = single({LV: disc(20, 50, 8)}, frame=2)
    assert prompt.key == (2, 3, LV)
    assert prompt.positive == ((50, 20),)
    assert prompt.negative == ()
    assert prompt.box == (38, 8, 62, 32)


def test_the_margin_can_be_set_and_the_box_ends_with_the_slice():
    assert single({LV: disc(4, 76, 6)}, margin=9).box == (62, 0, 79, 18)
    with pytest.raises(InputError, match="margin must not be negative"):
        prompts_from_masks({LV: disc(20, 50, 8)}, 0, margin=-1)


def test_a_ring_gets_two_points_in_the_middle_of_the_wall_on_opposite_sides():
    ring = disc(30, 40, 18) & ~disc(30, 40, 10)
    first, second = single({MYO: ring}).positive
    for col, row in (first, second):
        assert ring[row, col]
        assert 12 <= np.hypot(row - 30, col - 40) <= 16
    a, b = np.subtract(first, (40, 30)), np.subtract(second, (40, 30))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) < -0.9


def test_an_open_ring_gets_points_in_its_wall():
    ring = disc(30, 40, 18) & ~disc(30, 40, 10)
    ring[:, 48:] = False
    points = single({MYO: ring}).positive
    assert len(points) == 2
    assert all(ring[row, col] for col, row in points)


def test_the_closed_cap_of_the_apex_gets_one_point_in_its_middle():
    assert single({MYO: disc(30, 40, 9)}).positive == ((40, 30),)


def test_a_crescent_gets_the_point_deepest_inside():
    crescent = disc(30, 30, 20) & ~disc(30, 40, 20)
    ((col, row),) = single({RV: crescent}).positive
    assert crescent[row - 3 : row + 4, col - 3 : col + 4].all()
    thin = disc(30, 30, 20) & ~disc(30, 32, 20)
    ((col, row),) = single({RV: thin}).positive
    assert thin[row, col]


def test_the_edge_of_the_slice_counts_as_an_edge_of_the_structure():
    half = disc(30, -2, 20) & ~disc(30, -2, 12)
    ((col, row),) = single({RV: half}).positive
    assert half[row, col]
    assert 3 <= col <= 15


def test_an_empty_mask_gives_no_prompt():
    empty = np.zeros((60, 80), bool)
    assert prompts_from_masks({RV: empty, MYO: empty}, 0) == ()
    assert prompts_from_masks({}, 0) == ()
    assert single({RV: empty, LV: disc(20, 50, 8)}).structure == LV


def test_prompts_come_in_the_order_of_the_structures():
    masks = {LA: disc(10, 10, 6), LV: disc(20, 50, 8), RV: disc(40, 20, 8)}
    assert [prompt.structure for prompt in prompts_from_masks(masks, 0)] == [RV, LV, LA]


@pytest.mark.parametrize("structure", [RV, LV])
def test_a_ventricle_about_to_end_is_not_carried_towards_the_apex(structure):
    small = disc(20, 50, 3)
    assert 0 < small.sum() < VANISHING_PIXELS
    assert prompts_from_masks({structure: small}, 0, towards_apex=True) == ()
    assert len(prompts_from_masks({structure: small}, 0)) == 1
    assert len(prompts_from_masks({structure: disc(20, 50, 5)}, 0, towards_apex=True)) == 1
    assert len(prompts_from_masks({MYO: small}, 0, towards_apex=True)) == 1


def test_a_stray_pixel_far_away_does_not_stretch_the_box():
    mask = disc(20, 50, 8)
    clean = single({LV: mask})
    mask[58, 2] = True
    assert single({LV: mask}) == clean
    # Two pieces of a like size both belong to it.
    assert single({LV: disc(20, 50, 8) | disc(45, 15, 6)}).box == (5, 8, 62, 55)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0.05, 0.4, 0.9]), st.integers(0, 9999))
def test_whatever_the_mask_its_prompt_can_be_used_and_its_points_lie_inside(rows, cols, share, seed):
    mask = np.random.default_rng(seed).random((rows, cols)) < share
    for structure in (MYO, RV):
        prompts = prompts_from_masks({structure: mask}, 2, 1, margin=seed % 6)
        assert len(prompts) == mask.any()
        for prompt in prompts:
            prompt.check(2, 3, rows, cols)
            assert 1 <= len(prompt.positive) == len(set(prompt.positive)) <= (2 if structure == MYO else 1)
            assert all(mask[row, col] for col, row in prompt.positive)
            assert all(isinstance(number, int) for point in prompt.positive for number in point)


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
@pytest.mark.parametrize("through_plane", [0, 1, 2])
@pytest.mark.parametrize("oblique", [False, True])
def test_a_slice_is_carried_in_the_slices_first_view_of_any_grid(through_plane, oblique, scheme):
    shape, spacing = [80, 96], [1.5, 1.5]
    shape.insert(through_plane, 10)
    spacing.insert(through_plane, 10.0)
    grid = phantom.grid(tuple(shape), tuple(spacing), oblique=oblique, through_plane=through_plane, left_handed=True)
    segmentation = phantom.heart(0.0, grid, scheme=scheme)[1]
    prompts = carry_prompts(segmentation, (0, 3), (0, 4))
    assert [prompt.key for prompt in prompts] == [(0, 4, RV), (0, 4, MYO), (0, 4, LV)]
    for prompt in prompts:
        prompt.check(1, 10, *segmentation.labels.slices_first().shape[1:])
        mask = segmentation.slices_first_mask(prompt.structure)[3]
        assert all(mask[row, col] for col, row in prompt.positive)
        rows, cols = np.nonzero(mask)
        assert prompt.box[:2] == (max(0, cols.min() - 5), max(0, rows.min() - 5))


def test_a_frame_of_a_cine_is_carried_to_the_next_one():
    cine = phantom.cine(4)[1]
    prompts = carry_prompts(cine, (1, 4), (2, 4), margin=3)
    assert [prompt.key for prompt in prompts] == [(2, 4, RV), (2, 4, MYO), (2, 4, LV)]
    rows, cols = np.nonzero(cine.mask(LV)[1, 4])
    assert prompts[2].box == (cols.min() - 3, rows.min() - 3, cols.max() + 3, rows.max() + 3)
    assert prompts[2].box != carry_prompts(cine, (0, 4), (2, 4), margin=3)[2].box


def test_only_what_the_slice_holds_is_carried():
    segmentation = phantom.all_structures()[1]
    assert segmentation.scheme == ALL
    atrium = int(np.flatnonzero(segmentation.mask(LA).any((1, 2)))[0])
    assert [prompt.structure for prompt in carry_prompts(segmentation, (0, atrium), (0, atrium + 1))] == [LA]


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ((0, 10), (0, 9), "slices 0 to 9; 10 was asked for"),
        ((0, 9), (0, 10), "slices 0 to 9; 10 was asked for"),
        ((0, 0), (0, -1), "slices 0 to 9; -1 was asked for"),
        ((0, 3), (1, 3), "frames 0 to 0; 1 was asked for"),
        ((-1, 3), (0, 3), "frames 0 to 0; -1 was asked for"),
    ],
)
def test_a_slice_or_frame_that_does_not_exist_is_named(source, target, said):
    with pytest.raises(InputError) as refused:
        carry_prompts(phantom.heart()[1], source, target)
    assert said in str(refused.value)


@pytest.mark.shared
def test_on_a_real_stack_most_carried_points_still_lie_inside(shared_data):
    inside = {RV: [], MYO: [], LV: []}
    for case in ("patient006_frame01", "patient006_frame16", "patient004_frame01", "patient004_frame15"):
        reference = read_segmentation(shared_data / "acdc" / f"{case}_gt.nii.gz", ACDC)
        last = reference.labels.n_slices - 1
        for index in range(last):
            for source, target in ((index, index + 1), (index + 1, index)):
                for prompt in carry_prompts(reference, (0, source), (0, target)):
                    prompt.check(1, last + 1, *reference.labels.shape[1:])
                    mask = reference.mask(prompt.structure)[target]
                    if mask.any():
                        inside[prompt.structure] += [bool(mask[row, col]) for col, row in prompt.positive]
    shares = {structure: np.mean(hits) for structure, hits in inside.items()}
    assert shares[LV] > 0.95
    assert shares[RV] > 0.75
    assert shares[MYO] > 0.55
