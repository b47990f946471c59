"""Names of conditions, and clicks at the largest error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.training.prompt_evaluation.conditions import (
    EXTRAS,
    GRID,
    GROUPS,
    Condition,
    conditions_for,
    conditions_named,
)
from SparseCardiacSegLib.training.prompt_evaluation.scoring import corrected


def test_the_grid_is_that_of_the_thesis():
    assert [(c.box, c.positive, c.negative) for c in GRID] == [
        (box, positive, negative) for box in (False, True) for positive in (2, 3, 5) for negative in (0, 1, 2)
    ]
    assert not any(c.shared_negatives or c.box_jitter or c.off_centre for c in GRID)


def test_every_condition_is_found_by_its_own_name():
    every = tuple(dict.fromkeys(condition for group in GROUPS.values() for condition in group))
    assert len({condition.name for condition in every}) == len(every)
    assert conditions_named([condition.name for condition in every]) == every
    assert conditions_named(["extras", "box-2-1-jitter5"]) == EXTRAS
    assert conditions_named(["points-4-7-offcentre-total-shared-difference"]) == (
        Condition(False, 4, 7, 0, True, "total", True, "difference"),
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("box", "unknown condition 'box'"), ("points-0-1", "lacks a positive point"), ("points-2-1-jitter3", "a box to")],
)
def test_a_condition_that_cannot_be_is_refused_in_a_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence):
        conditions_named([name])


def test_a_myocardium_made_as_all_others_is_no_condition_of_its_own():
    kept, warnings = conditions_for(
        conditions_named(["box-2-1", "box-2-1-ring", "box-2-1-difference"]), SHORT_AXIS, "ring"
    )
    assert [condition.name for condition in kept] == ["box-2-1", "box-2-1-difference"]
    assert "box-2-1-ring" in warnings[0]
    kept, _ = conditions_for(conditions_named(["box-2-1", "box-2-1-ring"]), SHORT_AXIS, "difference")
    assert [condition.name for condition in kept] == ["box-2-1", "box-2-1-ring"]


@pytest.fixture
def reference():
    mask = np.zeros((40, 50), bool)
    mask[10:30, 10:40] = True
    return mask


PROMPT = Prompt(3, Structure.LV, positive=((25, 20),))


def test_what_is_missing_gets_a_positive_point_in_its_middle(reference):
    mask = reference.copy()
    mask[15:22, 30:37] = False
    mask[2:5, 2:5] = True
    assert corrected(PROMPT, mask, reference) == replace(PROMPT, positive=((25, 20), (33, 18)))


def test_what_is_too_much_gets_a_negative_point_in_its_middle(reference):
    mask = reference.copy()
    mask[33:38, 41:50] = True
    mask[10:13, 10:13] = False
    new = corrected(PROMPT, mask, reference)
    assert new.positive == PROMPT.positive
    [(col, row)] = new.negative
    assert row == 35
    assert 43 <= col <= 47


def test_two_errors_that_touch_are_two(reference):
    # 24 missing pixels beside 25 that are too much: together they would be the largest region.
    mask = reference.copy()
    mask[10:14, 34:40] = False
    mask[10:15, 40:45] = True
    mask[24:30, 10:15] = False
    assert corrected(PROMPT, mask, reference).positive[1:] == ((12, 26),)


def test_an_error_at_the_rim_of_the_slice_gets_a_point_on_the_slice(reference):
    mask = reference.copy()
    mask[:3, :] = True
    [(col, row)] = corrected(PROMPT, mask, reference).negative
    assert row == 1
    assert 0 <= col < 50


def test_nothing_wrong_needs_no_point(reference):
    assert corrected(PROMPT, reference, reference) is PROMPT
