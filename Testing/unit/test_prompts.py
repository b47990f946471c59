"""Points and boxes: when they can be used, and how points serve several structures."""

from __future__ import annotations

import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.prompts import Prompt, PromptSet, with_shared_negatives

IMAGE = {"n_frames": 3, "n_slices": 5, "n_rows": 40, "n_cols": 60}
"""Not square, so that swapped rows and columns show."""


def lv(*positive, **fields) -> Prompt:
    return Prompt(**{"slice": 2, "structure": Structure.LV, "positive": positive, **fields})


def refusal(prompt: Prompt) -> str:
    with pytest.raises(InputError) as refused:
        prompt.check(**IMAGE)
    assert str(refused.value).startswith(prompt.describe())
    return str(refused.value)


@pytest.mark.parametrize(
    "prompt",
    [
        lv((0, 0)),
        lv((59, 39)),
        lv((-0.5, -0.5)),
        lv((59.5, 39.5)),
        lv(box=(10, 5, 20, 15)),
        lv(box=(-4, -4, 63, 43)),
        lv((3, 3), negative=((50, 30),), box=(0, 0, 9, 9), frame=2),
        lv((3, 3), slice=0),
        lv((3, 3), slice=4),
    ],
)
def test_prompts_within_the_image_can_be_used(prompt):
    prompt.check(**IMAGE)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (lv((3, 3), slice=5), "the image has slices 0 to 4"),
        (lv((3, 3), slice=-1), "the image has slices 0 to 4"),
        (lv((3, 3), frame=3), "the image has frames 0 to 2"),
        (lv((3, 3), frame=-1), "the image has frames 0 to 2"),
        (lv((60, 3)), "point (60, 3) lies outside the slice of 60 x 40 voxels"),
        (lv((3, 40)), "point (3, 40) lies outside"),
        (lv((3, 3), (-0.6, 3)), "point (-0.6, 3) lies outside"),
        (lv((3, 3), negative=((3, 39.6),)), "point (3, 39.6) lies outside"),
        (lv((float("nan"), 3)), "point (nan, 3) lies outside"),
        (lv(), "has no positive point and no box"),
        (lv(negative=((3, 3),)), "has no positive point and no box"),
        (lv(box=(10, 5, 10, 15)), "the box (10, 5) to (10, 15) is empty"),
        (lv((3, 3), box=(10, 5, 20, 5)), "is empty"),
        (lv(box=(60, 5, 70, 15)), "the box lies outside the slice of 60 x 40 voxels"),
        (lv(box=(5, 40, 15, 50)), "the box lies outside"),
        (lv(box=(-9, 5, -2, 15)), "the box lies outside"),
        (lv(box=(5, -9, 15, -2)), "the box lies outside"),
        (lv(box=(float("nan"), 5, 15, 9)), "box"),
    ],
)
def test_prompts_that_cannot_be_used_say_why(prompt, said):
    assert said in refusal(prompt)


def test_a_set_checks_every_prompt():
    prompts = PromptSet((lv((3, 3)), lv((3, 3), slice=9)))
    with pytest.raises(InputError, match="slice 9 of frame 0: the image has slices 0 to 4"):
        prompts.check(**IMAGE)


def test_a_set_refuses_two_prompts_for_one_structure_on_one_slice():
    with pytest.raises(InputError, match="two entries of a prompt for LV on slice 2 of frame 0"):
        PromptSet((lv((3, 3)), lv((4, 4))))
    assert len(PromptSet((lv((3, 3)), lv((3, 3), frame=1), lv((3, 3), structure=Structure.RV)))) == 3


def test_the_prompts_of_a_slice_are_those_of_its_frame():
    here, ring = lv((3, 3), frame=1), lv((9, 9), frame=1, structure=Structure.MYO)
    prompts = PromptSet((lv((3, 3)), here, lv((3, 3), slice=3, frame=1), ring))
    assert prompts.on(1, 2) == (here, ring)
    assert prompts.on(2, 2) == ()


def test_a_prompt_takes_the_place_of_the_one_it_replaces_and_no_other():
    other = lv((3, 3), slice=3)
    prompts = PromptSet((lv((3, 3)), other), ("a warning",)).with_prompt(lv((8, 8)))
    assert set(prompts) == {other, lv((8, 8))}
    assert prompts.warnings == ("a warning",)
    assert len(prompts.with_prompt(lv((1, 1), frame=2))) == 3


def test_positive_points_of_other_structures_on_the_slice_become_negatives():
    ring = lv((9, 9), (9, 10), structure=Structure.MYO)
    right = lv((20, 9), structure=Structure.RV, negative=((1, 1),))
    elsewhere, later = lv((5, 5), slice=3, structure=Structure.RV), lv((6, 6), frame=1, structure=Structure.RV)
    shared = with_shared_negatives([lv((3, 3)), ring, right, elsewhere, later])
    assert [prompt.key for prompt in shared] == [prompt.key for prompt in (lv(), ring, right, elsewhere, later)]
    assert [prompt.positive for prompt in shared[:3]] == [((3, 3),), ((9, 9), (9, 10)), ((20, 9),)]
    assert shared[0].negative == ((9, 9), (9, 10), (20, 9))
    assert shared[1].negative == ((3, 3), (20, 9))
    assert shared[2].negative == ((1, 1), (3, 3), (9, 9), (9, 10))
    assert shared[3].negative == shared[4].negative == ()


def test_sharing_twice_adds_nothing_and_negatives_are_never_lent():
    prompts = (lv((3, 3), negative=((7, 7),)), lv((9, 9), structure=Structure.MYO))
    once = with_shared_negatives(prompts)
    assert with_shared_negatives(once) == once
    assert once[1].negative == ((3, 3),)
