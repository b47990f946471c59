"""Clicks on stacks of every geometry, with a real worker whose masks can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from disc_worker import disc_client
from prompter_sessions import OFF, SHAPE, masks_of, point_prompt, stack_of, wait
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, Structure, scheme_named
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompter import PromptNewsKind, PromptSession, PromptSettings, fitting_scheme, prompt_stack
from SparseCardiacSegLib.prompting.prompts import Prompt, PromptSet
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.worker.client import WorkerClient

RADIUS = 6


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with disc_client(tmp_path_factory.mktemp("worker")) as client:
        yield client


def place_by_hand(matrix, through_plane, slice_index, row, col):
    """RAS of a voxel of a slice, worked out from the file's axes alone: k, j and i are array axes 0, 1 and 2."""
    kji = [row, col]
    kji.insert(through_plane, slice_index)
    k, j, i = kji
    return matrix[:3, 0] * i + matrix[:3, 1] * j + matrix[:3, 2] * k + matrix[:3, 3]


def places_of(labels, number):
    """RAS of all voxels with a label, worked out from the array as it would be written."""
    ijk = np.argwhere(labels.array == number)[:, ::-1]
    matrix = labels.ijk_to_ras
    return ijk[:, :1] * matrix[:3, 0] + ijk[:, 1:2] * matrix[:3, 1] + ijk[:, 2:] * matrix[:3, 2] + matrix[:3, 3]


@pytest.mark.parametrize("kind", ["axis_aligned", "oblique", "flipped", "left_handed", "sheared"])
@pytest.mark.parametrize("through_plane", [0, 1, 2])
def test_the_clicked_voxel_and_its_disc_are_labelled_where_they_lie_in_the_patient(shared, kind, through_plane):
    stack = stack_of(kind, through_plane)
    prompts = PromptSet((point_prompt(3, 41, 12), point_prompt(1, 9, 30, Structure.RV)))
    result = prompt_stack(shared, stack, prompts, "disc", settings=OFF)
    labels = result.segmentation.labels
    assert labels.array.shape == stack.array.shape
    np.testing.assert_array_equal(labels.ijk_to_ras, stack.ijk_to_ras)
    rows, cols = np.mgrid[: SHAPE[1], : SHAPE[2]]
    for number, (slice_index, col, row) in {3: (3, 41, 12), 1: (1, 9, 30)}.items():
        disc = np.argwhere(np.hypot(rows - row, cols - col) < RADIUS + 0.5)
        expected = [place_by_hand(stack.ijk_to_ras, through_plane, slice_index, r, c) for r, c in disc]
        found = places_of(labels, number)
        assert len(found) == len(expected) > 100
        np.testing.assert_allclose(sorted(found.tolist()), sorted(np.array(expected).tolist()), atol=1e-9)
    assert {key: round(score, 6) for key, score in result.scores.items()} == {
        (0, 3, Structure.LV): 0.6,
        (0, 1, Structure.RV): 0.6,
    }


@pytest.mark.parametrize("through_plane", [0, 1, 2])
def test_a_cine_is_labelled_in_the_frame_that_was_clicked(shared, through_plane):
    stack = stack_of(through_plane=through_plane, n_frames=4)
    prompts = PromptSet((point_prompt(4, 10, 11, frame=2), point_prompt(0, 50, 35, frame=3)))
    result = prompt_stack(shared, stack, prompts, "disc", settings=OFF)
    array = result.segmentation.labels.array
    assert array.shape == stack.array.shape
    assert [int(frame.any()) for frame in array] == [0, 0, 1, 1]
    for frame, slice_index, row, col in ((2, 4, 11, 10), (3, 0, 35, 50)):
        index = [row, col]
        index.insert(through_plane, slice_index)
        assert array[frame][tuple(index)] == 3
        others = np.delete(array[frame], slice_index, axis=through_plane)
        assert not others.any()


def test_a_click_gives_masks_by_slice_and_in_the_axis_order_of_the_file(shared):
    stack = stack_of(through_plane=2)
    session = PromptSession(shared, stack, "disc", settings=OFF)
    number = session.click(0, 3, [point_prompt(3, 41, 12), point_prompt(3, 20, 12, Structure.MYO)])
    assert session.is_waiting
    news = wait(session, PromptNewsKind.MASKS)[-1]
    assert not session.is_waiting
    assert news.clicks == (number,)
    assert news.place == (0, 3) == (news.masks.frame, news.masks.slice)
    assert news.masks.masks[Structure.LV].shape == (40, 56)
    assert news.masks.masks[Structure.LV][12, 41]
    assert news.masks.labels[12, 41] == 3
    assert news.masks.labels[12, 20] == 2
    assert news.masks.seconds >= news.masks.seconds_encode + news.masks.seconds_decode
    volume = session.in_volume(3, news.masks.masks[Structure.LV])
    assert volume.shape == stack.shape
    assert volume[12, 41, 3]
    assert volume.sum() == news.masks.masks[Structure.LV].sum()
    labels = session.label_volume(ACDC).labels
    assert labels.array[12, 41, 3] == 3
    assert labels.array[12, 20, 3] == 2
    assert labels.same_grid(stack)


def test_a_later_answer_replaces_the_slice_and_clearing_empties_it(shared):
    session = PromptSession(shared, stack_of(), "disc", settings=OFF)
    for col in (10, 40):
        session.click(0, 2, [point_prompt(2, col, 20)])
        masks_of(session)
    session.click(0, 1, [point_prompt(1, 30, 30)])
    masks_of(session)
    array = session.label_volume().labels.array
    assert (array[2, 20, 10], array[2, 20, 40], array[1, 30, 30]) == (0, 3, 3)
    session.clear(0, 2)
    array = session.label_volume().labels.array
    assert not array[2].any()
    assert array[1].any()


def test_the_model_sees_one_window_for_all_frames(shared):
    stack = stack_of(n_frames=3)
    stack.array[0] //= 4
    session = PromptSession(shared, stack, "disc", settings=OFF)
    low, high = np.percentile(stack.array, (0.5, 99.5))
    expected = np.clip(np.rint((stack.array.astype(float) - low) * 255 / (high - low)), 0, 255)
    for frame in range(3):
        np.testing.assert_array_equal(session.picture(frame, 2), expected[frame, 2])


def test_the_same_slice_is_encoded_once(shared):
    session = PromptSession(shared, stack_of(seed=77), "disc", settings=OFF)
    origins = []
    for col in (10, 11, 12):
        session.click(0, 2, [point_prompt(2, col, 20)])
        origins.append(masks_of(session).origin)
    assert origins == ["encoder", "memory", "memory"]


def test_a_cache_on_disk_outlives_the_worker(tmp_path):
    settings = PromptSettings(cache_folder=tmp_path / "cache")
    origins = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with disc_client(tmp_path / name) as client:
            session = PromptSession(client, stack_of(), "disc", settings=settings)
            session.click(0, 2, [point_prompt(2, 10, 20)])
            origins.append(masks_of(session).origin)
    assert origins == ["encoder", "disk"]


def test_an_unknown_model_is_a_sentence(shared):
    with pytest.raises(InputError, match="no promptable model 'nothing'"):
        prompt_stack(shared, stack_of(), PromptSet((point_prompt(2, 20, 20),)), "nothing", settings=OFF)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (point_prompt(5, 20, 20), "slices 0 to 4"),
        (point_prompt(-1, 20, 20), "slices 0 to 4"),
        (point_prompt(2, 20, 20, frame=1), "frames 0 to 0"),
        (point_prompt(2, 56, 20), r"point \(56, 20\) lies outside the slice of 56 x 40"),
        (point_prompt(2, 20, 40), "lies outside"),
        (Prompt(2, Structure.LV, negative=((20, 20),)), "no positive point and no box"),
        (Prompt(2, Structure.LV, box=(30, 5, 20, 9)), "is turned round"),
        (Prompt(2, Structure.LV, box=(60, 5, 70, 9)), "the box lies outside"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused_before_anything_is_sent(tmp_path, prompt, said):
    nobody = WorkerClient(tmp_path / "no such interpreter", temporary=tmp_path)
    session = PromptSession(nobody, stack_of(), "disc")
    with pytest.raises(InputError, match=said):
        session.click(prompt.frame, prompt.slice, [prompt])
    with pytest.raises(InputError, match=said):
        prompt_stack(nobody, stack_of(), PromptSet((point_prompt(0, 9, 9, Structure.RV), prompt)), "disc")


def test_clicks_that_make_no_sense_are_refused(shared):
    session = PromptSession(shared, stack_of(), "disc", settings=OFF)
    with pytest.raises(InputError, match="no prompts on slice 2"):
        session.click(0, 2, [])
    with pytest.raises(InputError, match="does not belong to slice 1"):
        session.click(0, 1, [point_prompt(2, 20, 20)])
    with pytest.raises(InputError, match="two entries"):
        session.click(0, 2, [point_prompt(2, 20, 20), point_prompt(2, 21, 20)])
    with pytest.raises(InputError, match="slice 9 of frame 0 was asked for"):
        session.prepare(0, 9)
    with pytest.raises(InputError, match="there are no prompts"):
        prompt_stack(shared, stack_of(), PromptSet(), "disc")
    assert not session.is_waiting


@pytest.mark.parametrize(
    ("array", "said"),
    [(np.full(SHAPE, 7.0), "same value"), (np.full(SHAPE, np.nan), "no finite"), (np.ones(SHAPE) * 1j, "complex")],
)
def test_an_image_that_cannot_be_prompted_is_refused(shared, array, said):
    with pytest.raises(InputError, match=said):
        PromptSession(shared, Stack(array, np.eye(4)), "disc")


def test_an_empty_mask_is_a_warning(shared):
    # The negative point lies beside the positive one and takes all of its small box away.
    prompt = Prompt(2, Structure.LV, positive=((20, 20),), negative=((21, 20),), box=(19, 19, 21, 21))
    result = prompt_stack(shared, stack_of(), PromptSet((prompt,)), "disc", settings=OFF)
    assert not result.segmentation.labels.array.any()
    assert result.warnings == ("prompt for LV on slice 2 of frame 0 gave an empty mask",)
    assert result.segmentation.warnings == result.warnings


def test_a_structure_that_the_model_was_not_trained_on_is_a_warning(shared):
    result = prompt_stack(
        shared, stack_of(), PromptSet((point_prompt(2, 20, 20, Structure.LA),)), "short-axis", settings=OFF
    )
    assert "trained on RV, MYO, LV" in result.warnings[0]
    assert result.segmentation.scheme == LEFT_ATRIUM
    assert result.segmentation.labels.array[2, 20, 20] == 1


def test_the_scheme_fits_the_structures():
    assert fitting_scheme({Structure.LV, Structure.RV}) is ACDC
    assert fitting_scheme({Structure.LA}) is LEFT_ATRIUM
    assert fitting_scheme({Structure.LA, Structure.LV}) is ALL
    assert fitting_scheme({Structure.LV}, scheme_named("mnms")).name == "mnms"
    with pytest.raises(InputError, match=r"scheme 'acdc' has no number for LA, .* scheme 'la' has"):
        fitting_scheme({Structure.LA}, ACDC)
