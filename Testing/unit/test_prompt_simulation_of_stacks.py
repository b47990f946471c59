"""Prompts drawn from a whole reference: which slices and frames get them, on which grids, and the same for ever."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from prompt_slices import ring_and_neighbours, stack_of
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.prompting.simulation import SimulationSettings, simulate_prompts

RV, MYO, LV, LA = Structure

GOLDEN_POSITIVE = [((5, 23), (9, 31), (6, 27)), ((39, 27), (34, 29), (27, 20)), ((35, 20), (39, 18), (36, 17))]
GOLDEN_NEGATIVE = [((39, 27), (35, 20)), ((9, 31), (35, 20)), ((9, 31), (39, 27))]
GOLDEN_BOX = [(0, 0, 18, 38), (17, 5, 46, 33), (20, 11, 47, 31)]


def test_the_same_seed_gives_the_same_numbers_everywhere():
    """The values themselves: a change of the random stream would make published figures irreproducible."""
    prompts = simulate_prompts(
        stack_of({name: np.stack([mask] * 2) for name, mask in ring_and_neighbours().items()}),
        SimulationSettings(positive=3, box_jitter=4, seed=7),
    )
    assert [prompt.positive for prompt in prompts.on(0, 1)] == GOLDEN_POSITIVE
    assert [prompt.negative for prompt in prompts.on(0, 1)] == GOLDEN_NEGATIVE
    assert [prompt.box for prompt in prompts.on(0, 1)] == GOLDEN_BOX


def test_seeds_slices_and_frames_differ():
    masks = {name: np.stack([[mask] * 2] * 2) for name, mask in ring_and_neighbours().items()}
    cine = stack_of(masks)
    rings = [
        prompt.positive
        for seed in range(3)
        for prompt in simulate_prompts(cine, SimulationSettings(seed=seed))
        if prompt.structure == MYO
    ]
    assert len(rings) == 12
    assert len(set(rings)) == 12


def test_the_prompts_of_a_slice_do_not_depend_on_other_slices():
    masks = {name: np.stack([mask] * 4) for name, mask in ring_and_neighbours().items()}
    whole = simulate_prompts(stack_of(masks))
    for mask in masks.values():
        mask[[0, 3]] = False
    part = simulate_prompts(stack_of(masks))
    assert part.on(0, 1) == whole.on(0, 1)
    assert {prompt.slice for prompt in part} == {1, 2}


def test_slices_that_lack_a_structure_are_left_out_unless_all_are_wanted():
    masks = {name: np.stack([mask] * 3) for name, mask in ring_and_neighbours().items()}
    masks[RV][2] = False
    reference = stack_of(masks)
    complete = simulate_prompts(reference)
    assert {prompt.slice for prompt in complete} == {0, 1}
    assert complete.warnings == ("1 of 3 labelled slices lacks one of RV, MYO, LV and got no prompts",)
    everywhere = simulate_prompts(reference, SimulationSettings(only_complete_slices=False))
    assert [prompt.structure for prompt in everywhere.on(0, 2)] == [MYO, LV]
    assert everywhere.on(0, 1) == complete.on(0, 1)
    assert everywhere.warnings == ()


def test_only_the_structures_that_are_wanted_are_prompted_for_and_needed():
    masks = {name: np.stack([mask] * 2) for name, mask in ring_and_neighbours().items()}
    masks[RV][1] = False
    prompts = simulate_prompts(stack_of(masks), SimulationSettings(structures=(LV, MYO)))
    assert [prompt.key for prompt in prompts] == [(0, 0, MYO), (0, 0, LV), (0, 1, MYO), (0, 1, LV)]


def test_a_reference_without_a_complete_slice_gives_nothing_and_says_what_lacks():
    masks = {name: np.stack([mask] * 3) for name, mask in ring_and_neighbours().items()}
    masks[RV][:2] = False
    masks[LV][2] = False
    prompts = simulate_prompts(stack_of(masks))
    assert len(prompts) == 0
    assert prompts.warnings == (
        "the segmentation has no slice that holds all of RV, MYO, LV (RV on 1 slice, MYO on 3 slices, LV on 2 slices)",
    )
    (warning,) = simulate_prompts(stack_of(masks), SimulationSettings(structures=(LA,))).warnings
    assert warning == "the segmentation holds no LA"


def test_an_empty_reference_gives_nothing_and_says_so():
    prompts = simulate_prompts(stack_of({LV: np.zeros((2, 8, 8), bool)}))
    assert (len(prompts), prompts.warnings) == (0, ("the segmentation holds no label",))


def test_a_structure_with_fewer_pixels_than_points_gives_all_of_them_and_a_warning():
    masks = {name: mask[None] for name, mask in ring_and_neighbours().items()}
    masks[RV] = np.zeros_like(masks[RV])
    masks[RV][0, 5, 8:10] = True
    prompts = simulate_prompts(stack_of(masks), SimulationSettings(positive=5))
    assert sorted(prompts.on(0, 0)[0].positive) == [(8, 5), (9, 5)]
    assert prompts.warnings == (
        "prompt for RV on slice 0 of frame 0: the structure has fewer pixels than the 5 points asked for; all of its "
        "pixels were taken",
    )


def test_more_negatives_than_there_are_to_lend_are_warned_about():
    masks = {name: mask[None] for name, mask in ring_and_neighbours().items()}
    prompts = simulate_prompts(stack_of(masks), SimulationSettings(positive=1, negative=2))
    assert [len(prompt.negative) for prompt in prompts] == [2, 2, 2]
    assert "it has only 1 positive ones to lend" in prompts.warnings[0]
    boxes = simulate_prompts(stack_of(masks), SimulationSettings(positive=0))
    assert all(prompt.positive == prompt.negative == () and prompt.box for prompt in boxes)
    assert "no negative point" in boxes.warnings[0]
    assert simulate_prompts(stack_of(masks), SimulationSettings(positive=0, negative=0)).warnings == ()


def test_the_left_atrium_alone_gets_prompts_with_a_word_on_negatives():
    prompts = simulate_prompts(phantom.left_atrium()[1])
    assert len(prompts) > 10
    assert {prompt.structure for prompt in prompts} == {LA}
    assert "and" in prompts.warnings[0]
    assert "no negative point" in prompts.warnings[0]


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
@pytest.mark.parametrize("through_plane", [0, 1, 2])
@pytest.mark.parametrize("oblique", [False, True])
def test_slices_rows_and_columns_are_those_of_the_slices_first_view_on_any_grid(through_plane, oblique, scheme):
    shape, spacing = [80, 96], [1.5, 1.5]
    shape.insert(through_plane, 10)
    spacing.insert(through_plane, 10.0)
    grid = phantom.grid(tuple(shape), tuple(spacing), oblique=oblique, through_plane=through_plane, left_handed=True)
    segmentation = phantom.heart(0.0, grid, scheme=scheme)[1]
    prompts = simulate_prompts(segmentation)
    assert len(prompts) >= 12
    prompts.check(1, 10, *segmentation.labels.slices_first().shape[1:])
    for prompt in prompts:
        mask = segmentation.slices_first_mask(prompt.structure)[prompt.slice]
        assert all(mask[row, col] for col, row in prompt.positive)
        assert not any(mask[row, col] for col, row in prompt.negative)
        places = np.nonzero(mask)
        first = [max(0, places[axis].min() - 5) for axis in (1, 0)]
        last = [min(mask.shape[axis] - 1, places[axis].max() + 5) for axis in (1, 0)]
        assert prompt.box == (*first, *last)


def test_a_cine_gets_the_prompts_of_each_labelled_frame():
    cine = phantom.cine(4)[1]
    cine.labels.array[[1, 3]] = 0
    prompts = simulate_prompts(cine)
    assert {prompt.frame for prompt in prompts} == {0, 2}
    prompts.check(4, 10, 96, 96)
    es = cine.slices_first_mask(LV)[2]
    assert all(es[p.slice, row, col] for p in prompts if p.key[::2] == (2, LV) for col, row in p.positive)
    first = simulate_prompts(cine.frame(0))
    assert tuple(first) == tuple(prompt for prompt in prompts if prompt.frame == 0)


@pytest.mark.shared
def test_real_references_keep_the_rules(shared_data):
    reference = read_segmentation(shared_data / "acdc" / "patient006_frame16_gt.nii.gz", ACDC)
    prompts = simulate_prompts(reference, SimulationSettings(positive=5, negative=2))
    prompts.check(1, reference.labels.n_slices, *reference.labels.shape[1:])
    masks = {name: reference.slices_first_mask(name) for name in (RV, MYO, LV)}
    complete = np.logical_and.reduce([mask.any((1, 2)) for mask in masks.values()])
    assert sorted({prompt.slice for prompt in prompts}) == np.flatnonzero(complete).tolist()
    for prompt in prompts:
        assert all(masks[prompt.structure][prompt.slice, row, col] for col, row in prompt.positive)
        assert len(prompt.negative) == 4
    atrium = read_segmentation(shared_data / "la" / "la_001_gt.nii.gz", LEFT_ATRIUM)
    assert all(prompt.structure == LA for prompt in simulate_prompts(atrium))
