"""Motion through the slices: how much comes from the neighbour, judged over the whole beat and not frame by frame."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from propagation_cines import dice
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.propagation.carry import PropagationSettings, propagate
from SparseCardiacSegLib.propagation.through_plane import LEAST_CONTRACTION, Descent, descent_at, weights_over_time
from SparseCardiacSegLib.propagation.warp import REACH_MM
from SparseCardiacSegLib.training.annotated_cines import read_annotated_cines
from SparseCardiacSegLib.training.propagation_evaluation import evaluate_pair, largest_jump

SLICES = 4
NUMBERS = {Structure.RV: 1, Structure.MYO: 2, Structure.LV: 3}
RV = 1 + list(NUMBERS).index(Structure.RV)
SOURCE = np.full((4, SLICES, 3, 3), 5.0, np.float32)


def descent(contraction, better=0.0, residual=0.2, outside=()):
    mark = np.isin(np.arange(SLICES), outside)
    shape = (len(NUMBERS), SLICES)
    evidence = np.where(mark, 0.0, np.full(shape, better))
    return Descent(np.full_like(SOURCE, -5.0, np.float16), contraction, evidence, np.full(shape, residual), mark)


def weights(descents):
    return weights_over_time(descents, SOURCE, NUMBERS, True, 10.0)


def test_weights_follow_the_contraction_whatever_single_frames_suggest():
    contractions = [0.1, 0.25, 0.4, 0.5, 0.4, 0.25, 0.1]
    noisy = [0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.5]
    found = weights({n: descent(c, b) for n, (c, b) in enumerate(zip(contractions, noisy, strict=True))})
    of_rv = np.array([found[n][RV, 1] for n in range(7)])
    expected = (np.array(contractions) - LEAST_CONTRACTION) / (0.5 - LEAST_CONTRACTION)
    np.testing.assert_allclose(of_rv, of_rv.max() * expected, rtol=1e-5)
    assert of_rv.max() > 0.05


def test_frames_in_which_the_heart_is_larger_are_judged_apart_from_those_in_which_it_is_smaller():
    found = weights({1: descent(0.4, 1.0), 2: descent(-0.4, -1.0)})
    assert found[1][RV, 1] > 0.99
    assert found[2][RV, 1] < 0.01


def test_a_heart_that_hardly_contracts_is_hardly_corrected():
    full, little = (weights({1: descent(one, 2.0)})[1][RV, 0] for one in (0.3, 0.05))
    assert full > 0.99
    assert 0.2 < little < 0.35


def test_at_the_end_of_the_stack_a_structure_goes_only_if_the_slice_looks_quite_different():
    similar, different = (weights({1: descent(0.5, residual=one, outside=(0,))})[1][RV, 0] for one in (0.09, 0.2))
    assert similar == 0
    assert different > 0.9
    assert weights({1: descent(0.5, residual=0.09)})[1][RV, 0] > 0.9


def test_the_base_moves_more_than_the_apex():
    of_rv = weights({1: descent(0.3)})[1][RV]
    assert (np.diff(of_rv) < 0).all()
    assert of_rv[0] > 0.6
    assert of_rv[-1] < 0.1


def test_the_union_of_structures_that_must_not_part_is_weighed_as_they_are():
    found = weights({1: descent(0.4, 0.1)})[1]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[2], found[3])
    assert (found[0] != found[RV]).any()


def test_nothing_is_looked_for_in_neighbours_while_the_heart_stands_still():
    image = np.zeros((SLICES, 3, 3), np.float32)
    field = np.zeros((SLICES, 2, 3, 3), np.float32)

    def register(_fixed, _moving):
        raise AssertionError("no registration is needed")

    assert descent_at(image, image, SOURCE, SOURCE, field, register, NUMBERS, True) is None


@pytest.mark.parametrize(("base_first", "smaller", "end"), [(True, True, 0), (True, False, 3), (False, True, 3)])
def test_tissue_comes_from_the_side_of_the_base_while_the_heart_contracts(base_first, smaller, end):
    image = np.arange(SLICES, dtype=np.float32)[:, None, None] * np.ones((SLICES, 3, 3), np.float32)
    field = np.zeros((SLICES, 2, 3, 3), np.float32)
    half = SOURCE.copy()
    half[:, :, :, 1:] = -5.0
    source, carried = (SOURCE, half) if smaller else (half, SOURCE)
    asked = []

    def register(_fixed, moving):
        asked.append(moving)
        return field

    found = descent_at(image, image, source, carried, field, register, NUMBERS, base_first)
    step = -1 if end == 0 else 1
    np.testing.assert_array_equal(asked[0], image[(np.arange(SLICES) + step).clip(0, SLICES - 1)])
    assert found.outside.tolist() == [n == end for n in range(SLICES)]
    assert (found.levels[:, end] == -REACH_MM).all()
    assert (found.better[:, end] == 0).all()
    assert (found.contraction > 0) == smaller


def test_the_volume_runs_more_smoothly_with_than_without_regard_to_a_base_that_leaves_its_slice():
    cine, labels = phantom.cine(8)
    es = phantom.es_frame(8)
    within, allowed = (
        propagate(cine, {0: labels.frame(0)}, PropagationSettings("dis", through_plane=one)).segmentation
        for one in (False, True)
    )
    jumps = [largest_jump(one.mask(Structure.RV)) for one in (within, allowed)]
    assert jumps[1] < 0.85 * jumps[0]
    assert min(dice(allowed, labels, es).values()) >= 0.95


@pytest.mark.shared
@pytest.mark.slow
def test_the_right_ventricle_does_not_leap_over_real_cines_and_is_not_lost_where_stacks_are_cut(shared_data):
    pairs = read_annotated_cines(shared_data / "acdc_cine", ACDC)
    chosen = [pair for pair in pairs if pair.patient in ("patient048", "patient077")]
    rows = [row for pair in chosen for row in evaluate_pair(pair, PropagationSettings()) if row.structure == "RV"]
    assert len(rows) == 2
    # Frame by frame, and with the bounds of the other slices at the end: jumps 0.162 and 0.210, Dice 0.501 and 0.653.
    assert max(row.jump for row in rows) < 0.12
    assert min(row.dice for row in rows) > 0.7
