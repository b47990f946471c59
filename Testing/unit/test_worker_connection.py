"""What goes wrong between client and worker: garbage, launchers, hostile files, parents that die, leaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker import environment, exchange, protocol
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.events import EventKind, WorkerError
from SparseCardiacSegLib.worker.protocol import ErrorKind
from worker_clients import POSIX_ONLY, SCRIPT, gone, make_client, wait_for


@pytest.fixture
def own_client(tmp_path):
    with make_client(tmp_path) as client:
        yield client


GARBAGE = {
    "text": b"Downloading weights: 12%\n",
    "binary": bytes(range(256)) * 20 + b"\n",
    "other version": b'{"version": 99, "type": "result", "id": 1}\n',
    "other direction": b'{"version": 1, "type": "cancel", "id": 1}\n',
    "endless line": b"x" * 20_000_000 + b"\n",
    "array elsewhere": b'{"version": 1, "type": "result", "id": 1, "values": {}, "arrays": {"a": "../x"}, "seconds": 1}\n',  # noqa: E501
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_from_the_worker_is_reported_and_nothing_hangs(tmp_path, name):
    code = (
        "import sys, time; out = sys.stdout.buffer\n"
        'out.write(b\'{"version": 1, "type": "ready", "pid": 1, "commands": []}\\n\'); out.flush()\n'
        "sys.stdin.readline(); sys.stdin.readline()\n"
        f"out.write({GARBAGE[name][:1]!r} * 20_000_000 if {name == 'endless line'} else {GARBAGE[name][:5200]!r})\n"
        "out.write(b'\\n'); out.flush(); time.sleep(60)"
    )
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path) as client:
        event = wait_for(client, client.submit("ping"))
    assert (event.kind, event.error_kind) == (EventKind.ERROR, ErrorKind.PROTOCOL)
    assert "he worker sent" in event.message or "outside the exchange folder" in event.message
    assert len(event.message) < 700
    assert list(tmp_path.iterdir()) == []


def test_a_worker_of_another_version_is_refused_at_its_first_word(tmp_path):
    code = 'print(\'{"version": 2, "type": "ready"}\', flush=True); import time; time.sleep(60)'
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path) as client:
        event = wait_for(client, client.submit("ping"))
    assert "version 2 instead of 1" in event.message


def test_what_start_up_files_print_before_the_worker_listens_does_no_harm(tmp_path):
    code = f"print('conda activated', flush=True); import runpy, sys; sys.argv = ['worker', *sys.argv[1:]]; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"  # noqa: E501
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path) as client:
        assert client.run("ping", {"echo": 5}).values["echo"] == 5
        assert "conda activated" in client.log_tail()


def test_a_program_that_never_answers_is_given_up(tmp_path):
    code = "print('hello?', flush=True); import time; time.sleep(60)"
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path, start_timeout_s=0.5) as client:
        event = wait_for(client, client.submit("ping"))
        assert event.error_kind is ErrorKind.PROTOCOL
        assert "did not answer within 0.5 s" in event.message
        assert "hello?" in event.detail


def test_a_launcher_that_keeps_stdin_to_itself_is_found_out(tmp_path):
    code = (
        "import subprocess, sys\n"
        f"worker = subprocess.Popen([sys.executable, {str(SCRIPT)!r}, *sys.argv[1:]], stdin=subprocess.PIPE)\n"
        "worker.wait()"
    )
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path, start_timeout_s=2) as client:
        request = client.submit("ping")
        launcher = psutil.Process(client.pid)
        while not (workers := launcher.children()):
            time.sleep(0.01)
        event = wait_for(client, request)
    assert "did not answer within 2 s" in event.message
    assert all(gone(process.pid) for process in (launcher, *workers))


@POSIX_ONLY
def test_a_launcher_between_client_and_worker_changes_nothing(tmp_path):
    code = (
        f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, {str(SCRIPT)!r}, *sys.argv[1:]]).returncode)"
    )
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path) as client:
        pid = client.run("ping").values["pid"]
        assert pid != client.pid
        os.kill(pid, signal.SIGKILL)
        event = wait_for(client, client.submit("ping"))
        assert event.kind is EventKind.DIED
        request = client.submit("stuck")
        pids = list(map(int, wait_for(client, request, EventKind.PROGRESS).message.split(",")))
        pids.append(client.pid)
        client.kill()
        assert all(gone(pid) for pid in pids)


def test_an_interpreter_without_the_library_is_reported_with_what_to_install(tmp_path):
    def bare():
        return {name: value for name, value in environment.worker_environment().items() if name != "PYTHONPATH"}

    command = [sys.executable, "-S", "-m", "SparseCardiacSegLib.worker"]
    with WorkerClient(command=command, environment=bare, temporary=tmp_path) as client:
        event = wait_for(client, client.submit("ping"))
    assert event.kind is EventKind.DIED
    assert "Install the Python package 'SparseCardiacSegLib'" in event.remedy


def test_an_interpreter_that_does_not_exist_is_bad_input(tmp_path):
    client = WorkerClient(tmp_path / "PythonSlicer", temporary=tmp_path)
    with pytest.raises(InputError, match=r"cannot be started with .*PythonSlicer: No such file"):
        client.run("ping")
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_temporary_files_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        make_client(tmp_path / "missing").run("ping")


@pytest.mark.parametrize(
    "line",
    [b"rubbish\n", b'{"version": 7, "type": "request", "id": 1}\n', b"\x00\xff" * 5000 + b"\n"],
    ids=["text", "version", "binary"],
)
def test_garbage_from_the_client_is_answered_and_the_worker_goes_on(tmp_path, line):
    folder = exchange.make_folder(tmp_path)
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), "--parent", str(os.getpid())]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment.worker_environment()
    )
    with worker:
        worker.stdin.write(protocol.encode(protocol.Hello()) + line)
        worker.stdin.write(protocol.encode(protocol.Request(2, "ping", {"echo": 5})))
        worker.stdin.flush()
        replies = [protocol.decode(worker.stdout.readline()) for _ in range(3)]
        worker.stdin.close()
        assert worker.wait(10) == 0
    failure = next(reply for reply in replies if isinstance(reply, protocol.Failure))
    assert failure.kind is ErrorKind.PROTOCOL
    assert failure.message.startswith("the worker received")
    assert len(failure.message) < 700
    assert failure.id == (1 if b"version" in line else None)
    assert next(reply for reply in replies if isinstance(reply, protocol.Result)).values["echo"] == 5


def test_a_hostile_array_file_is_refused_by_the_worker_and_never_unpickled(own_client, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "unpickled",))

    own_client.run("ping")
    (folder,) = tmp_path.iterdir()
    real = exchange.write_arrays

    def forged(where, request, side, arrays):
        files = real(where, request, side, arrays)
        np.save(folder / files["image"], np.array([Hostile()], dtype=object), allow_pickle=True)
        return files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "write_arrays", forged)
        with pytest.raises(WorkerError, match="array 'image' cannot be read: it holds Python objects") as caught:
            own_client.run("ping", arrays={"image": np.zeros(3)})
    assert caught.value.event.error_kind is ErrorKind.PROTOCOL
    assert not (tmp_path / "unpickled").exists()


@POSIX_ONLY
@pytest.mark.parametrize(("busy", "with_psutil"), [(False, True), (True, True), (True, False)])
def test_the_worker_ends_when_its_parent_is_killed(tmp_path, busy, with_psutil):
    code = (
        f"import sys, time; from pathlib import Path; from SparseCardiacSegLib.worker.client import WorkerClient\n"
        f"client = WorkerClient(command=[sys.executable, {str(SCRIPT)!r}], temporary=Path({str(tmp_path)!r}))\n"
        "pid = client.run('ping').values['pid']\n"
        f"request = client.submit('stuck') if {busy} else None\n"
        "children = ''\n"
        "while request and not children:\n"
        "    children = ','.join(event.message for event in client.poll(request))\n"
        "print(pid, *children.split(','), flush=True); time.sleep(60)"
    )
    variables = environment.worker_environment() | ({} if with_psutil else {"WORKER_TEST_NO_PSUTIL": "1"})
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=variables)
    with parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == (3 if busy else 1)
        assert psutil.pid_exists(pids[0])
        parent.kill()
        if not with_psutil:  # the child in a session of its own cannot be found then
            psutil.Process(pids.pop()).kill()
        assert all(gone(pid, 6) for pid in pids)
    end = time.monotonic() + 2
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


@POSIX_ONLY
def test_the_worker_ends_when_its_parent_is_gone_although_the_pipe_is_open(tmp_path):
    folder = exchange.make_folder(tmp_path)
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), "--parent", str(parent.pid)]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        env=environment.worker_environment(),
    )  # fmt: skip
    with worker, parent:
        worker.stdin.write(protocol.encode(protocol.Hello()))
        worker.stdin.flush()
        assert b"ready" in worker.stdout.readline()
        parent.kill()
        parent.wait()
        assert gone(worker.pid, 6)
        assert not folder.exists()


def test_a_client_that_is_forgotten_takes_its_worker_along(tmp_path):
    code = (
        f"import sys; from pathlib import Path; from SparseCardiacSegLib.worker.client import WorkerClient\n"
        f"client = WorkerClient(command=[sys.executable, {str(SCRIPT)!r}], temporary=Path({str(tmp_path)!r}))\n"
        "print(client.run('ping').values['pid'], flush=True); client.submit('stuck')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30,
        env=environment.worker_environment(), check=True,
    )  # fmt: skip
    assert gone(int(done.stdout))
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors through /proc")
def test_neither_threads_nor_descriptors_leak(tmp_path):
    def count():
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    client = make_client(tmp_path)
    before = count()
    for _ in range(2):
        client.run("ping", arrays={"a": np.zeros(3)})
        with pytest.raises(WorkerError):
            client.run("leave")
        client.run("ping")
        client.close()
    assert count() == before
    assert psutil.Process().children() == [] or client.pid is None
    assert list(tmp_path.iterdir()) == []


def test_the_client_loads_nothing_heavy():
    code = (
        "import sys; import SparseCardiacSegLib.worker.client, SparseCardiacSegLib.segmenter\n"
        "print(sorted({'torch', 'nnunetv2', 'onnxruntime', 'SimpleITK', 'nibabel', 'segment_anything', 'psutil'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment.worker_environment(), check=True
    )
    assert done.stdout.strip() == "[]"
