"""Draws of volumes and slices: exact, nested, reproducible, and for every slice count the thesis's thirds."""

from __future__ import annotations

import itertools
import math

import pytest
import sparse_sources
from hypothesis import given
from hypothesis import strategies as st
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.regions import Region
from SparseCardiacSegLib.training.labelled_cases import choose_patients
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.selection import choose_slices, draw_order, share_out
from SparseCardiacSegLib.training.sparsity.settings import REGIONS, SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import read_source, source_of

SEEDS = st.integers(0, 10_000)
SLICES = st.lists(st.integers(0, 40), min_size=1, max_size=25, unique=True)


@given(SLICES, st.integers(1, 30), st.sampled_from(("random", "even")), SEEDS)
def test_exactly_the_number_of_slices_asked_for_is_chosen_from_the_candidates(candidates, number, spread, seed):
    chosen = choose_slices(candidates, number, spread, seed, "case")
    assert len(chosen) == len(set(chosen)) == min(number, len(candidates))
    assert set(chosen) <= set(candidates)
    assert chosen == sorted(chosen)
    assert chosen == choose_slices(candidates, number, spread, seed, "case")
    assert choose_slices(candidates, None, spread, seed, "case") == sorted(candidates)


@given(SLICES, st.integers(1, 24), SEEDS)
def test_more_random_slices_contain_fewer_whatever_the_order_of_the_candidates(candidates, number, seed):
    fewer = choose_slices(candidates, number, "random", seed, "case")
    more = choose_slices(candidates[::-1], number + 1, "random", seed, "case")
    assert set(fewer) <= set(more)


def test_another_seed_and_another_volume_draw_other_slices():
    draws = {tuple(choose_slices(range(12), 4, "random", seed, "case")) for seed in range(20)}
    volumes = {tuple(choose_slices(range(12), 4, "random", 0, f"case{number}")) for number in range(20)}
    assert len(draws) > 10
    assert len(volumes) > 10


@given(st.integers(1, 25), st.integers(1, 25))
def test_evenly_spread_slices_lie_in_as_many_equal_stretches(number, count):
    number = min(number, count)
    chosen = choose_slices(range(count), number, "even", 0, "case")
    gaps = [after - before for before, after in itertools.pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    for turn, index in enumerate(chosen):
        assert turn * count / number <= index + 0.5 <= (turn + 1) * count / number


@given(st.integers(1, 40), st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_a_total_is_shared_exactly_and_evenly(total, capacities):
    if total > sum(capacities):
        with pytest.raises(ValueError, match="do not fit"):
            share_out(total, capacities)
        return
    parts = share_out(total, capacities)
    assert sum(parts) == total
    assert all(part <= capacity for part, capacity in zip(parts, capacities, strict=True))
    unfilled = [part for part, capacity in zip(parts, capacities, strict=True) if part < capacity]
    assert not unfilled or max(parts) - min(unfilled) <= 1


@given(st.integers(1, 12), st.integers(1, 3), SEEDS)
def test_the_draw_keeps_the_volumes_of_a_patient_together_and_depends_on_the_seed_alone(patients, frames, seed):
    volumes = {f"P{number:02d}": [f"P{number:02d}_{frame}" for frame in range(frames)] for number in range(patients)}
    groups = {patient: "AB"[index % 2] for index, patient in enumerate(volumes)}
    order = draw_order(volumes, groups, seed)
    assert sorted(order) == sorted(name for names in volumes.values() for name in names)
    for start in range(0, len(order), frames):
        assert len({name[:3] for name in order[start : start + frames]}) == 1
    turned = {patient: names[::-1] for patient, names in reversed(volumes.items())}
    assert draw_order(turned, groups, seed) == order


def test_another_seed_draws_other_patients_and_groups_take_turns():
    volumes = {f"P{number:02d}": [f"P{number:02d}"] for number in range(12)}
    groups = {patient: "AB"[index % 2] for index, patient in enumerate(volumes)}
    assert len({tuple(draw_order(volumes, groups, seed)[:4]) for seed in range(20)}) > 10
    for seed in range(5):
        assert sorted(groups[name] for name in draw_order(volumes, groups, seed)[:4]) == ["A", "A", "B", "B"]


def test_one_of_two_patients_with_the_same_images_comes_last():
    volumes = {f"P{number}": [f"P{number}_a", f"P{number}_b"] for number in range(6)}
    for seed in range(10):
        order = draw_order(volumes, {}, seed, {"P1": "P4", "P4": "P1"})
        assert {name[:2] for name in order[-2:]} in ({"P1"}, {"P4"})
        assert len(order) == 12


@pytest.mark.parametrize("count", range(1, 26))
def test_regions_are_the_thirds_of_the_stack_for_every_slice_count(count):
    size = math.ceil(count / 3)
    expected = {"B": range(size), "M": range(size, min(2 * size, count)), "A": range(min(2 * size, count), count)}
    source = source_of(sparse_sources.stacks(1, count))
    for letters in ("A", "M", "B", "AM", "MB", "AB", "AMB"):
        wanted = sorted(index for letter in letters for index in expected[letter])
        settings = SparsitySettings(regions=letters, base="first")
        if not wanted:
            with pytest.raises(InputError, match=f"no volume .* in regions {letters}"):
                make_plan(source, settings)
            continue
        for planned in make_plan(source, settings).volumes:
            assert list(planned.kept) == wanted
            assert {planned.seen.regions[index] for index in planned.kept} <= {REGIONS[letter] for letter in letters}
    last = make_plan(source, SparsitySettings(regions="B", base="last")).volumes[0]
    assert list(last.kept) == [count - 1 - index for index in reversed(expected["B"])]


@pytest.mark.parametrize("base_first", [True, False])
def test_the_base_end_is_found_from_the_labels(base_first):
    source = source_of(sparse_sources.stacks(1, 9, base_first=base_first))
    planned = make_plan(source, SparsitySettings(regions="B")).volumes[0]
    assert planned.kept == ((0, 1, 2) if base_first else (6, 7, 8))
    assert planned.seen.base_first is base_first
    assert planned.seen.regions[planned.kept[0]] is Region.BASE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sparse_sources.write_folder(tmp_path_factory.mktemp("plain"), n_patients=6)


@pytest.mark.parametrize("seed", range(3))
def test_a_larger_draw_contains_a_smaller_one_in_volumes_and_in_slices(folder, seed):
    source = read_source(folder)
    kept = [
        {one.name: set(one.kept) for one in make_plan(source, SparsitySettings(volumes, slices, seed=seed)).volumes}
        for volumes, slices in ((1, 1), (2, 2), (3, 2), (6, 5), (10, 6))
    ]
    assert [len(one) for one in kept] == [1, 2, 3, 6, 10]
    for small, large in itertools.pairwise(kept):
        assert all(small[name] <= large[name] for name in small)


def test_whole_patients_are_drawn_as_every_other_training_draws_them(folder):
    source = read_source(folder)
    for seed in range(5):
        plan = make_plan(source, SparsitySettings(volumes=4, seed=seed))
        cases = choose_patients([volume.case for volume in source.volumes], n_volumes=4, seed=seed)
        assert [one.name for one in plan.volumes] == [case.name for case in cases]
        assert plan.unused == ()


def test_an_odd_draw_names_the_frame_of_the_last_patient_that_it_leaves_out(folder):
    plan = make_plan(read_source(folder), SparsitySettings(volumes=3))
    assert len(plan.patients) == 2
    assert [volume.patient in plan.patients for volume in plan.unused] == [True]


def test_patients_and_cases_can_be_named(folder):
    plan = make_plan(read_source(folder), SparsitySettings(volumes=["patient001", "patient003_frame01"]))
    assert [one.name for one in plan.volumes] == ["patient001_frame01", "patient001_frame09", "patient003_frame01"]


@pytest.mark.parametrize(("fixed", "volumes"), [({"slices": 4}, 4), ({"volumes": 5}, 5), ({"slices": 6}, 3)])
def test_a_total_of_slices_is_met_exactly(folder, fixed, volumes):
    plan = make_plan(read_source(folder), SparsitySettings(total=14, **fixed))
    assert plan.n_kept == 14
    assert len(plan.volumes) == volumes


def test_volumes_with_fewer_slices_than_asked_for_are_named():
    stacks = [*sparse_sources.stacks(1, 4), *sparse_sources.stacks(2, 9)[2:]]
    plan = make_plan(source_of(stacks), SparsitySettings(slices=6))
    assert sorted(len(one.kept) for one in plan.volumes) == [4, 4, 6, 6]
    assert any("2 volumes have fewer than 6 slices" in warning and "P0_ED (4)" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"volumes": 11}, "11 volumes asked for, but .* has 10"),
        ({"slices": 7}, "7 slices a volume asked for, but no chosen volume has more than 6"),
        ({"slices": 3, "regions": "A"}, "no chosen volume has more than 2 in regions A"),
        ({"total": 61, "slices": 6}, "a total of 61 slices asked for, but 10 volumes have 60"),
        ({"total": 13, "volumes": 2}, "a total of 13 slices asked for, but 2 volumes have 12"),
        ({"volumes": ("patient999",)}, "no patient or case 'patient999'"),
    ],
)
def test_more_than_there_is_is_refused_with_one_sentence(folder, settings, told):
    with pytest.raises(InputError, match=told):
        make_plan(read_source(folder), SparsitySettings(**settings))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"volumes": 0}, "volumes must be a whole number from 1"),
        ({"volumes": True}, "volumes must be a whole number"),
        ({"volumes": ()}, "holds no name"),
        ({"slices": -1}, "slices must be a whole number from 0"),
        ({"slices": 2.5}, "slices must be a whole number"),
        ({"regions": "AX"}, "'AX' has 'X'"),
        ({"regions": ""}, "'' has none"),
        ({"spread": "odd"}, "spread must be random or even"),
        ({"mode": "drop"}, "mode must be ignore or zero"),
        ({"base": "top"}, "base must be auto or first or last"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"total": 10}, "needs either volumes or slices, .* neither was given"),
        ({"total": 10, "volumes": 2, "slices": 5}, "both was given"),
    ],
)
def test_settings_out_of_range_are_refused(settings, told):
    with pytest.raises(InputError, match=told):
        SparsitySettings(**settings)


def test_settings_say_the_same_in_any_spelling():
    assert SparsitySettings(regions="b,m", slices=0) == SparsitySettings(regions="MB", slices=None)
    assert SparsitySettings(volumes=["a", "a", "b"]).as_dict()["volumes"] == ["a", "b"]
