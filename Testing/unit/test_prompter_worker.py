"""Sessions and their worker: newer clicks, encoding in the background, deaths, cancellation."""

from __future__ import annotations

import os
import time

import pytest
from disc_worker import disc_client
from prompter_sessions import OFF, masks_of, point_prompt, stack_of, wait
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompter import PromptNewsKind, PromptSession, PromptSettings, prompt_stack
from SparseCardiacSegLib.prompting.prompts import PromptSet
from SparseCardiacSegLib.worker.events import WorkerError
from worker_clients import POSIX_ONLY


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with disc_client(tmp_path_factory.mktemp("worker")) as client:
        yield client


@pytest.fixture
def own(tmp_path):
    with disc_client(tmp_path) as client:
        yield client


def test_a_newer_click_on_a_slice_takes_the_place_of_the_older(shared):
    session = PromptSession(shared, stack_of(seed=3), "slow to decode", settings=OFF)
    clicks = [session.click(0, 2, [point_prompt(2, col, 20)]) for col in (10, 20, 30, 40)]
    other = session.click(0, 4, [point_prompt(4, 5, 5)])
    answered = []
    while session.is_waiting:
        answered += [item for item in session.poll() if item.kind is not PromptNewsKind.WORKING]
        time.sleep(0.003)
    assert [item.clicks for item in answered] == [(clicks[-1],), (other,)]
    assert answered[0].masks.masks[Structure.LV][20, 40]
    end = time.monotonic() + 5
    while shared.is_busy and time.monotonic() < end:
        assert session.poll() == []
        time.sleep(0.01)
    assert shared.poll() == []  # nothing of the dropped clicks is left to anybody


def test_dropped_clicks_do_not_end_the_worker(shared):
    session = PromptSession(shared, stack_of(), "disc", settings=OFF)
    session.click(0, 0, [point_prompt(0, 9, 9)])
    masks_of(session)
    pid = shared.pid
    slow = PromptSession(shared, stack_of(seed=8), "slow to decode", settings=OFF)
    for col in range(8, 30):
        slow.click(0, 2, [point_prompt(2, col, 20)])
        slow.poll()
    assert masks_of(slow).masks[Structure.LV][20, 29]
    assert shared.pid == pid


def places(news):
    return [item.place for item in news if item.kind is PromptNewsKind.PREPARED]


def until_prepared(session):
    news = []
    while session.is_preparing:
        news += session.poll()
        time.sleep(0.002)
    return news


def test_slices_are_prepared_nearest_first_and_a_prepared_slice_needs_no_encoder(shared):
    session = PromptSession(shared, stack_of(seed=21), "disc", settings=OFF)
    session.prepare(0, 3)
    news = until_prepared(session)
    assert places(news) == [(0, 3), (0, 2), (0, 4), (0, 1), (0, 0)]
    assert [(item.done, item.total) for item in news] == [(n, 5) for n in range(1, 6)]
    session.click(0, 1, [point_prompt(1, 20, 20)])
    assert masks_of(session).origin == "memory"


def test_the_frames_of_a_cine_are_prepared_in_a_circle_from_the_one_shown(shared):
    session = PromptSession(shared, stack_of(n_frames=5, seed=22), "disc", settings=OFF)
    session.prepare(0, 0, all_frames=True)
    frames = [frame for frame, _ in places(until_prepared(session))]
    assert frames == [0] * 5 + [1, 4] * 5 + [2, 3] * 5


def test_moving_to_another_slice_changes_what_is_prepared_next(shared):
    session = PromptSession(shared, stack_of(seed=23), "slow", settings=OFF)
    session.prepare(0, 0)
    news = wait(session, PromptNewsKind.PREPARED)
    assert places(news) == [(0, 0)]
    session.prepare(0, 4)
    assert places(until_prepared(session)) == [(0, 1), (0, 4), (0, 3), (0, 2)]  # slice 1 had begun


def test_preparation_waits_for_clicks_and_can_be_paused_and_stopped(shared):
    session = PromptSession(shared, stack_of(seed=24), "slow", settings=OFF)
    session.prepare(0, 0)
    session.poll()
    session.click(0, 4, [point_prompt(4, 20, 20)])
    kinds = []
    while session.is_waiting:
        kinds += [item.kind for item in session.poll() if item.kind is not PromptNewsKind.WORKING]
    # The one slice that had begun, then the click: no other slice came between.
    assert kinds == [PromptNewsKind.PREPARED, PromptNewsKind.MASKS]
    session.pause()
    rest = until_prepared(session)
    assert len(places(rest)) <= 1
    assert not shared.is_busy
    session.resume()
    wait(session, PromptNewsKind.PREPARED)
    session.stop()
    assert not session.is_preparing
    time.sleep(0.4)
    assert session.poll() == []
    assert not shared.is_busy


def test_without_a_cache_no_more_is_prepared_than_memory_holds(shared):
    settings = PromptSettings(cache=False, memory_bytes=3 * 128)  # an embedding of the disc takes 128 bytes
    session = PromptSession(shared, stack_of(seed=25), "disc", settings=settings)
    session.prepare(0, 2)
    assert places(until_prepared(session)) == [(0, 2), (0, 1), (0, 3)]
    session.click(0, 3, [point_prompt(3, 20, 20)])
    assert masks_of(session).origin == "memory"


def test_a_worker_that_dies_is_reported_once_and_the_next_click_starts_another(own):
    stack = stack_of()
    session = PromptSession(own, stack, "dies", settings=OFF)
    clicks = [session.click(0, index, [point_prompt(index, 20, 20)]) for index in (1, 2)]
    session.prepare(0, 1)
    news = [item for item in wait(session, PromptNewsKind.FAILED) if item.kind is not PromptNewsKind.WORKING]
    assert [item.kind for item in news] == [PromptNewsKind.FAILED]
    assert news[0].clicks == tuple(clicks)
    assert "exit code 9" in news[0].message
    assert isinstance(news[0].error, WorkerError)
    time.sleep(0.05)
    assert session.poll() == []
    assert not session.is_preparing
    assert not session.is_waiting
    healthy = PromptSession(own, stack, "disc", settings=OFF)
    healthy.click(0, 1, [point_prompt(1, 20, 20)])
    assert masks_of(healthy).labels[20, 20] == 3


@POSIX_ONLY
def test_a_worker_killed_from_outside_loses_the_click_but_no_answer(own):
    session = PromptSession(own, stack_of(), "slow", settings=OFF)
    session.click(0, 1, [point_prompt(1, 20, 20)])
    masks_of(session)
    session.click(0, 3, [point_prompt(3, 20, 20)])
    wait(session, PromptNewsKind.WORKING)
    os.kill(own.pid, 9)
    news = [item for item in wait(session, PromptNewsKind.FAILED) if item.kind is not PromptNewsKind.WORKING]
    assert [(item.kind, item.place) for item in news] == [(PromptNewsKind.FAILED, (0, 3))]
    assert session.label_volume().labels.array[1].any()
    session.click(0, 3, [point_prompt(3, 20, 20)])
    assert masks_of(session).labels[20, 20] == 3


def test_preparation_that_fails_is_reported_once_and_not_tried_for_ever(own):
    session = PromptSession(own, stack_of(), "dies encoding", settings=OFF)
    session.prepare(0, 2)
    news = wait(session, PromptNewsKind.FAILED)
    assert [(item.kind, item.clicks) for item in news] == [(PromptNewsKind.FAILED, ())]
    for _ in range(20):
        assert session.poll() == []
        time.sleep(0.005)
    assert not own.is_busy


def test_a_fault_in_the_model_is_news_of_its_click(shared):
    session = PromptSession(shared, stack_of(), "breaks", settings=OFF)
    number = session.click(0, 2, [point_prompt(2, 20, 20)])
    news = wait(session, PromptNewsKind.FAILED)[-1]
    assert news.clicks == (number,)
    assert "deep inside" in news.message
    with pytest.raises(WorkerError, match="deep inside"):
        prompt_stack(shared, stack_of(), PromptSet((point_prompt(2, 20, 20),)), "breaks", settings=OFF)


def test_progress_can_stop_it_and_the_worker_is_free_again(shared):
    seen = []

    def progress(fraction, message):
        seen.append((fraction, message))
        if fraction >= 0.4:
            raise Cancelled

    prompts = PromptSet(tuple(point_prompt(index, 20, 20) for index in range(5)))
    with pytest.raises(Cancelled):
        prompt_stack(shared, stack_of(), prompts, "disc", settings=OFF, progress=progress)
    assert not shared.is_busy
    assert seen[0] == (0.0, "slice 0")
    assert prompt_stack(shared, stack_of(), prompts, "disc", settings=OFF).scores.keys() == {
        (0, index, Structure.LV) for index in range(5)
    }


def test_a_long_encoding_can_be_cancelled(own):
    started = time.monotonic()

    def progress(_fraction, message):
        if "encoding" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        prompt_stack(own, stack_of(), PromptSet((point_prompt(2, 20, 20),)), "stuck", settings=OFF, progress=progress)
    assert time.monotonic() - started < 20
    assert not own.is_busy
