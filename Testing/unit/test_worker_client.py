"""Requests, replies, faults and cancellation, with a real worker process."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time

import numpy as np
import psutil
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.worker.events import EventKind, WorkerError
from SparseCardiacSegLib.worker.protocol import ErrorKind
from worker_clients import POSIX_ONLY, gone, make_client, wait_for


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One client for all tests that leave the worker alive, so that it is not started each time."""
    with make_client(tmp_path_factory.mktemp("shared")) as client:
        yield client


@pytest.fixture
def own_client(tmp_path):
    with make_client(tmp_path) as client:
        yield client


def test_a_ping_is_answered_by_another_process(client):
    reply = client.run("ping", {"echo": "äöü\n"})
    assert reply.values["echo"] == "äöü\n"
    assert reply.values["pid"] == client.pid != os.getpid()


def test_arrays_go_there_and_back_and_leave_no_file(client, tmp_path_factory):
    arrays = {
        "image": np.random.default_rng(0).normal(size=(4, 30, 20)).astype(np.float32),
        "labels": np.zeros((2, 3, 4, 5), np.uint8),
        "view": np.arange(60).reshape(3, 4, 5).transpose(2, 0, 1)[::-1],
        "number": np.float64(3.5),
    }
    reply = client.run("ping", arrays=arrays)
    assert set(reply.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(reply.arrays[name], array)
        assert reply.arrays[name].dtype == array.dtype
    reply.arrays["image"][0] = 0  # the caller's own: not a read-only view of a file
    assert list(tmp_path_factory.getbasetemp().glob("shared*/*/*.npy")) == []


def test_the_folder_is_private_and_gone_after_close(tmp_path):
    with make_client(tmp_path) as client:
        client.run("ping")
        folders = list(tmp_path.iterdir())
        assert len(folders) == 1
        assert os.name == "nt" or stat.S_IMODE(folders[0].stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_progress_reaches_the_caller_in_order(client):
    seen = []
    reply = client.run("steps", {"count": 4}, progress=lambda fraction, message: seen.append((fraction, message)))
    assert reply.values == {"steps": 4}
    assert seen == [(0.0, "step 0"), (0.25, "step 1"), (0.5, "step 2"), (0.75, "step 3")]


def test_requests_are_answered_in_turn_and_each_caller_gets_its_own_events(client):
    first = client.submit("steps", {"count": 2})
    second = client.submit("ping", {"echo": 2})
    assert wait_for(client, second).values["echo"] == 2
    assert wait_for(client, first).values == {"steps": 2}
    assert client.poll() == []
    assert not client.is_busy


@POSIX_ONLY
def test_what_a_handler_prints_does_not_spoil_the_pipe(client):
    reply = client.run("pollute", arrays={"a": np.arange(3)})
    assert reply.values == {"fine": True}
    np.testing.assert_array_equal(reply.arrays["a"], np.arange(3))
    written = ("from Python", "from the descriptor", "from C", "from a child")
    end = time.monotonic() + 5
    while not all(words in client.log_tail() for words in written) and time.monotonic() < end:
        time.sleep(0.01)
    assert [words for words in written if words not in client.log_tail()] == []


def test_a_handler_cannot_take_requests_from_the_pipe(client):
    assert client.run("read_stdin").values == {"read": ""}
    assert client.run("ping", {"echo": 1}).values["echo"] == 1


def test_bad_input_is_an_input_error_with_just_the_sentence(client):
    with pytest.raises(InputError, match=r"^the image is upside down$"):
        client.run("fail", {"kind": "input"})


@pytest.mark.parametrize(
    ("kind", "expected", "said"),
    [
        ("fault", ErrorKind.INTERNAL, "ZeroDivisionError: deep inside"),
        ("exit", ErrorKind.INTERNAL, "SystemExit"),
    ],
)
def test_a_fault_comes_with_the_traceback_and_the_worker_lives_on(client, kind, expected, said):
    client.run("ping")
    pid = client.pid
    event = wait_for(client, client.submit("fail", {"kind": kind}))
    assert (event.kind, event.error_kind) == (EventKind.ERROR, expected)
    assert said in event.message
    assert "worker_for_tests.py" in event.detail
    assert "report" in event.remedy
    assert client.run("ping").values["pid"] == pid


@pytest.mark.parametrize("kind", ["memory", "torch"])
def test_memory_that_ran_out_is_named_and_a_new_worker_begins_afresh(client, kind):
    client.run("ping")
    pid = client.pid
    with pytest.raises(WorkerError, match="memory ran out during 'fail'") as caught:
        client.run("fail", {"kind": kind})
    assert caught.value.event.error_kind is ErrorKind.MEMORY
    assert "smaller model" in str(caught.value)
    assert gone(pid)
    assert client.run("ping").values["pid"] != pid


@pytest.mark.parametrize("kind", ["values", "arrays"])
def test_a_reply_that_cannot_be_sent_is_reported(client, kind):
    with pytest.raises(WorkerError, match="'wrong' failed: TypeError"):
        client.run("wrong", {"kind": kind})
    assert client.run("ping", {"echo": 1}).values["echo"] == 1


def test_an_unknown_command_is_refused_with_those_that_exist(client):
    with pytest.raises(WorkerError, match="no command 'fly'; it knows ping, load, segment"):
        client.run("fly")


def test_what_cannot_be_sent_is_refused_before_anything_is_written(client, tmp_path_factory):
    with pytest.raises(TypeError, match="no JSON form"):
        client.submit("ping", {"echo": object()}, {"a": np.zeros(3)})
    with pytest.raises(TypeError, match="Python objects"):
        client.submit("ping", arrays={"b": np.zeros(3), "a": np.array([None])})
    client.run("ping")
    assert not client.is_busy
    assert list(tmp_path_factory.getbasetemp().glob("shared*/*/*.npy")) == []


@pytest.mark.parametrize("code", [3, 0])
def test_a_worker_that_ends_is_reported_and_started_again(own_client, code):
    event = wait_for(own_client, own_client.submit("leave", {"code": code}))
    assert event.kind is EventKind.DIED
    assert event.exit_code == code
    assert f"during 'leave': it ended with exit code {code}" in event.message
    assert event.detail.splitlines()[-1] == "the last words"
    assert len(event.detail.splitlines()) == 20
    assert "Try again" in event.remedy
    assert own_client.run("ping", {"echo": 5}).values["echo"] == 5


@POSIX_ONLY
def test_a_crash_in_a_library_is_reported_with_the_python_stack(own_client):
    with pytest.raises(WorkerError, match=r"signal 11 \(SIGSEGV: a segmentation fault in a library\)") as caught:
        own_client.run("crash")
    assert "worker_for_tests.py" in caught.value.event.detail
    assert "in crash" in caught.value.event.detail


@POSIX_ONLY
def test_a_worker_killed_from_outside_is_reported_to_every_request(own_client):
    requests = [own_client.submit("steps", {"count": 1000, "pause": 0.02}), own_client.submit("ping")]
    wait_for(own_client, requests[0], EventKind.PROGRESS)
    os.kill(own_client.pid, signal.SIGKILL)
    for request in requests:
        event = wait_for(own_client, request)
        assert event.kind is EventKind.DIED
        assert "signal 9 (SIGKILL: killed from outside, often because memory ran out)" in event.message
        assert "Close other programs" in event.remedy
    assert own_client.run("ping", {"echo": 5}).values["echo"] == 5


@POSIX_ONLY
def test_an_idle_worker_that_is_killed_is_replaced_without_fuss(own_client):
    own_client.run("ping")
    os.kill(own_client.pid, signal.SIGKILL)
    while own_client.is_running:
        time.sleep(0.01)
    assert own_client.run("ping", {"echo": 5}).values["echo"] == 5


def test_a_dead_worker_leaves_no_children_and_no_files(own_client, tmp_path):
    request = own_client.submit("leave", {"child": True}, {"a": np.zeros(9)})
    child = int(wait_for(own_client, request, EventKind.PROGRESS).message)
    assert list(tmp_path.glob("*/*.npy")) == []  # the disk is free again as soon as the worker has read them
    assert wait_for(own_client, request).kind is EventKind.DIED
    assert os.name == "nt" or gone(child)
    own_client.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_request_stops_at_the_next_step_and_the_worker_stays(client):
    client.run("ping")
    pid = client.pid
    request = client.submit("steps", {"count": 1000, "pause": 0.02})
    waiting = client.submit("steps", {"count": 1000, "pause": 0.02})
    wait_for(client, request, EventKind.PROGRESS)
    started = time.monotonic()
    client.cancel()
    assert wait_for(client, request).kind is EventKind.CANCELLED
    assert wait_for(client, waiting).kind is EventKind.CANCELLED
    assert time.monotonic() - started < 1
    assert client.run("ping").values["pid"] == pid


def test_only_the_named_request_is_cancelled(client):
    first = client.submit("steps", {"count": 1000, "pause": 0.02})
    second = client.submit("ping", {"echo": 3})
    client.cancel(request=first)
    assert wait_for(client, first).kind is EventKind.CANCELLED
    assert wait_for(client, second).values["echo"] == 3


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_an_error_raised_while_progress_is_shown_stops_the_work(client, error):
    client.run("ping")
    pid = client.pid
    seen = []

    def progress(fraction, message):
        seen.append((fraction, message))
        raise error

    with pytest.raises(error):
        client.run("steps", {"count": 1000, "pause": 0.02}, progress=progress)
    assert len(seen) == 1
    assert not client.is_busy
    assert client.run("ping").values["pid"] == pid


def test_work_that_ignores_cancellation_is_killed_with_its_whole_tree(own_client):
    pids = []

    def progress(_fraction, message):
        pids.extend([own_client.pid, *map(int, message.split(","))])
        raise Cancelled

    own_client.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        own_client.run("stuck", progress=progress)
    assert len(pids) == 3
    assert all(gone(pid, 1) for pid in pids)
    assert time.monotonic() - started < 15
    assert own_client.run("ping", {"echo": 5}).values["echo"] == 5


def test_a_polled_cancellation_kills_after_the_grace_and_no_later_than_asked(own_client):
    request = own_client.submit("stuck")
    other = own_client.submit("ping")
    pids = [own_client.pid, *map(int, wait_for(own_client, request, EventKind.PROGRESS).message.split(","))]
    started = time.monotonic()
    own_client.cancel(grace_s=0.3, request=request)
    event = wait_for(own_client, request)
    assert 0.3 <= time.monotonic() - started < 1.0
    assert event.kind is EventKind.CANCELLED
    assert "did not stop" in event.message
    assert wait_for(own_client, other).kind is EventKind.DIED
    assert all(gone(pid) for pid in pids)


def test_without_psutil_the_tree_is_killed_by_its_group(own_client, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    request = own_client.submit("stuck")
    in_group, apart = map(int, wait_for(own_client, request, EventKind.PROGRESS).message.split(","))
    pid = own_client.pid
    own_client.kill()
    monkeypatch.undo()
    assert gone(pid)
    assert gone(in_group)
    psutil.Process(apart).kill()


def test_polling_never_waits(own_client):
    slowest = {}

    def timed(name, action):
        started = time.perf_counter()
        result = action()
        slowest[name] = max(slowest.get(name, 0), time.perf_counter() - started)
        return result

    request = own_client.submit("stuck")
    own_client.submit("ping", {"echo": "x" * 1_000_000})  # more than a pipe holds, to a worker that is not done
    end = time.monotonic() + 10
    while time.monotonic() < end and not timed("poll", lambda: own_client.poll(request)):
        time.sleep(0.005)
    timed("cancel", lambda: own_client.cancel(grace_s=1.0))
    while own_client.is_busy:
        timed("poll", own_client.poll)
        time.sleep(0.005)
    # A hundredth of a second was the slowest seen on a busy machine; waiting for anything would take far longer.
    assert max(slowest.values()) < 0.5, slowest
