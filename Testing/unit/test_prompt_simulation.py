"""Prompts drawn from the labels of a slice: where points and boxes lie, what is random, and what must not be."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_slices import ring_and_neighbours
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.prompting.simulation import (
    SimulationSettings,
    box_around,
    centre_of_mass,
    simulate_slice,
)

RV, MYO, LV, LA = Structure


def drawn(masks, seed=0, **settings) -> dict[Structure, Prompt]:
    return simulate_slice(masks, SimulationSettings(**settings), np.random.default_rng(seed))


@st.composite
def slices(draw) -> dict[Structure, np.ndarray]:
    """Up to three structures of any shape on a small slice; none overlaps another, some have one pixel."""
    rows, cols = draw(st.integers(1, 14)), draw(st.integers(1, 17))
    share = draw(st.sampled_from([0.02, 0.3, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = rng.integers(1, 4, (rows, cols)) * (rng.random((rows, cols)) < share)
    return {structure: labels == number for structure, number in ACDC.numbers.items()}


settings_drawn = st.builds(
    SimulationSettings,
    positive=st.integers(1, 5),
    negative=st.integers(0, 3),
    box=st.booleans(),
    margin=st.integers(0, 6),
    only_complete_slices=st.booleans(),
    negatives_from=st.sampled_from(["each", "total"]),
    box_jitter=st.sampled_from([0, 0, 3, 10]),
    off_centre=st.booleans(),
)


@given(slices(), settings_drawn, st.integers(0, 2**32))
def test_whatever_the_slice_prompts_keep_the_rules(masks, settings, seed):
    prompts = simulate_slice(masks, settings, np.random.default_rng(seed), 3, 1)
    held = {name for name, mask in masks.items() if mask.any()}
    assert set(prompts) == (held if len(held) == 3 or not settings.only_complete_slices else set())
    rows, cols = masks[RV].shape
    for name, prompt in prompts.items():
        prompt.check(2, 4, rows, cols)
        assert prompt.key == (1, 3, name)
        assert len(prompt.positive) == len(set(prompt.positive)) == min(settings.positive, masks[name].sum())
        assert all(masks[name][row, col] for col, row in prompt.positive)
        assert len(prompt.negative) == len(set(prompt.negative))
        assert not any(masks[name][row, col] for col, row in prompt.negative)
        others = [prompts[other].positive for other in held - {name}]
        counts = [sum(point in prompt.negative for point in points) for points in others]
        assert sum(counts) == len(prompt.negative)
        if settings.negatives_from == "each":
            assert counts == [min(settings.negative, len(points)) for points in others]
        else:
            assert sum(counts) == min(settings.negative, sum(map(len, others)))
        assert (prompt.box is not None) == settings.box


@given(slices(), st.integers(0, 6))
def test_the_box_holds_the_structure_with_exactly_the_margin_unless_the_slice_ends(masks, margin):
    for name, prompt in drawn(masks, margin=margin, only_complete_slices=False).items():
        rows, cols = np.nonzero(masks[name])
        first = [max(0, cols.min() - margin), max(0, rows.min() - margin)]
        last = [
            min(masks[name].shape[1] - 1, cols.max() + margin),
            min(masks[name].shape[0] - 1, rows.max() + margin),
        ]
        for side in (0, 1):
            got = prompt.box[side], prompt.box[side + 2]
            # A side without length spans its pixel: a box that is a line would be refused.
            flat = first[side] == last[side]
            assert got == ((first[side] - 0.5, last[side] + 0.5) if flat else (first[side], last[side]))


@given(slices(), st.integers(1, 12), st.integers(0, 2**32))
def test_a_jittered_box_keeps_the_middle_half_of_the_structure(masks, jitter, seed):
    exact = drawn(masks, margin=5, only_complete_slices=False)
    for name, prompt in drawn(masks, seed, box_jitter=jitter, only_complete_slices=False).items():
        rows, cols = np.nonzero(masks[name])
        for side, places in ((0, cols), (1, rows)):
            quarter = np.ptp(places) // 4
            first, last = prompt.box[side], prompt.box[side + 2]
            assert first <= places.min() + quarter
            assert last >= places.max() - quarter
            assert first < last
            assert abs(first - exact[name].box[side]) <= jitter + 0.5
            assert abs(last - exact[name].box[side + 2]) <= jitter + 0.5


@pytest.mark.parametrize("jitter", [1, 4])
def test_jitter_moves_every_edge_evenly_both_ways(jitter):
    mask = np.zeros((50, 60), bool)
    mask[10:40, 15:45] = True
    boxes = np.array([drawn({LV: mask}, seed, box_jitter=jitter, positive=0)[LV].box for seed in range(900)])
    moved = boxes - [10, 5, 49, 44]
    for edge in moved.T:
        values, counts = np.unique(edge, return_counts=True)
        assert values.tolist() == list(range(-jitter, jitter + 1))
        # Four standard deviations of a fair count
        expected = 900 / (2 * jitter + 1)
        assert np.abs(counts - expected).max() < 4 * np.sqrt(expected)
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.13


def test_the_first_point_of_a_solid_structure_is_its_centre_and_of_a_ring_is_drawn():
    masks = ring_and_neighbours()
    firsts = {name: {drawn(masks, seed)[name].positive[0] for seed in range(20)} for name in masks}
    assert firsts[LV] == {(35, 20)}
    assert len(firsts[MYO]) > 10
    assert len(firsts[RV]) > 10


def test_off_centre_the_first_point_is_drawn_as_well():
    firsts = {drawn(ring_and_neighbours(), seed, off_centre=True)[LV].positive[0] for seed in range(20)}
    assert len(firsts) > 10


@pytest.mark.parametrize("structure", [MYO, LV])
def test_further_points_are_even_over_the_remaining_pixels(structure):
    mask = ring_and_neighbours()[structure]
    counts = np.zeros(mask.shape)
    for seed in range(600):
        for col, row in drawn({structure: mask}, seed, positive=6, box=False)[structure].positive[1:]:
            counts[row, col] += 1
    pixels = mask.copy()
    if structure == LV:
        assert counts[20, 35] == 0
        pixels[20, 35] = False
    expected = 3000 / pixels.sum()
    chi2 = ((counts[pixels] - expected) ** 2 / expected).sum()
    # Mean and four standard deviations of chi-squared
    assert chi2 < pixels.sum() + 4 * np.sqrt(2 * pixels.sum())
    assert counts[~pixels].sum() == 0


def test_the_centre_of_mass_is_rounded_to_a_pixel_as_column_and_row():
    mask = np.zeros((10, 10), bool)
    mask[2, 3:7] = True
    assert centre_of_mass(mask) == (5, 2)
    mask[2, 7:10] = True
    assert centre_of_mass(mask) == (6, 2)


def test_margins_of_a_box_are_left_top_right_bottom():
    mask = np.zeros((30, 30), bool)
    mask[10:13, 14:20] = True
    assert box_around(mask, (1, 2, 3, 4)) == (13, 8, 22, 16)


def test_one_of_each_other_structure_serves_as_a_negative_by_default():
    prompts = drawn(ring_and_neighbours())
    assert len(prompts[MYO].negative) == 2
    assert sum(point in prompts[RV].positive for point in prompts[MYO].negative) == 1
    assert sum(point in prompts[LV].positive for point in prompts[MYO].negative) == 1


def test_in_total_the_negatives_come_from_any_other_structure():
    masks = ring_and_neighbours()
    sources = set()
    for seed in range(30):
        prompts = drawn(masks, seed, negatives_from="total")
        (point,) = prompts[MYO].negative
        sources.add(next(name for name in (RV, LV) if point in prompts[name].positive))
    assert sources == {RV, LV}


@pytest.mark.parametrize(
    "changes",
    [
        {"negative": 0},
        {"negative": 3},
        {"negatives_from": "total"},
        {"box": False},
        {"margin": 9},
        {"box_jitter": 7},
        {"only_complete_slices": False},
    ],
)
def test_points_stay_where_they_are_when_other_settings_change(changes):
    masks = ring_and_neighbours()
    before, after = drawn(masks), drawn(masks, **changes)
    assert {name: prompt.positive for name, prompt in after.items()} == {
        name: prompt.positive for name, prompt in before.items()
    }


def test_more_points_keep_the_first_ones():
    masks = ring_and_neighbours()
    two, five = drawn(masks, positive=2), drawn(masks, positive=5)
    assert all(five[name].positive[:2] == two[name].positive for name in masks)


def test_points_of_a_structure_do_not_depend_on_what_else_is_there():
    masks = ring_and_neighbours()
    whole = drawn(masks)
    for pair in combinations(masks, 2):
        part = drawn({name: masks[name] for name in pair})
        assert {name: part[name].positive for name in pair} == {name: whole[name].positive for name in pair}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"positive": -1}, "positive must be a whole number from 0, not -1"),
        ({"positive": 1.5}, "positive must be"),
        ({"negative": True}, "negative must be"),
        ({"margin": -5}, "margin must be"),
        ({"box_jitter": float("nan")}, "box jitter must be"),
        ({"seed": -1}, "seed must be"),
        ({"positive": 0, "box": False}, "prompts need a positive point or a box"),
        ({"negatives_from": "some"}, "negatives can be taken from each or total, not from 'some'"),
        ({"structures": ()}, "no structure is wanted; known are RV, MYO, LV, LA"),
        ({"structures": ("aorta",)}, "'aorta' is no structure"),
    ],
)
def test_settings_that_make_no_prompts_are_refused(settings, said):
    with pytest.raises(InputError) as refused:
        SimulationSettings(**settings)
    assert said in str(refused.value)


def test_structures_may_be_named_in_any_order_and_as_text():
    assert SimulationSettings(structures=("LV", "RV")) == SimulationSettings(structures=(RV, LV))
    assert replace(SimulationSettings(), structures=("LV",)).structures == (LV,)
