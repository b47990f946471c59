"""A long-running program ends with its starter, and is not disturbed by the watch as long as that lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
BEGIN = "from SparseCardiacSegLib.worker.lifeline import end_with_starter; end_with_starter()\n"
WITH_CHILD = (
    BEGIN + "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\ntime.sleep(600)\n"
)
FORKING = (
    BEGIN + "import multiprocessing\n"
    "method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'\n"
    "process = multiprocessing.get_context(method).Process(target=print, args=('from the child',))\n"
    "process.start()\nprocess.join(60)\nassert process.exitcode == 0, process.exitcode\n"
)


@pytest.fixture
def environment():
    return {**os.environ, "PYTHONPATH": str(LIBRARY)}


def start(code, environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=sys.platform != "win32",
    )


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(*pids, seconds=20.0):
    end = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.02)


def test_it_ends_with_its_children_when_the_starter_lets_go_of_the_pipe(environment):
    process = start(WITH_CHILD, environment)
    child = int(process.stdout.readline())
    assert is_alive(child)
    process.stdin.close()
    process.wait(timeout=20)
    wait_until_gone(child)
    assert process.returncode != 0


def test_it_ends_with_a_starter_that_is_killed(environment):
    code = (
        "import subprocess, sys, time\n"
        f"inner = subprocess.Popen([sys.executable, '-c', {WITH_CHILD!r}], stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE, text=True, start_new_session=True)\n"
        "print(inner.pid, inner.stdout.readline().strip(), flush=True)\ntime.sleep(600)\n"
    )
    starter = start(code, environment)
    pids = [int(text) for text in starter.stdout.readline().split()]
    assert all(is_alive(pid) for pid in pids)
    starter.kill()
    starter.wait()
    wait_until_gone(*pids)


def test_a_program_that_ends_by_itself_ends_in_order(environment):
    process = start(BEGIN + "print('done')", environment)
    assert process.wait(timeout=60) == 0
    assert process.stdout.read() == "done\n"


def test_processes_that_the_program_forks_close_their_stdin_without_waiting(environment):
    process = start(FORKING, environment)
    assert process.wait(timeout=120) == 0, process.stderr.read()
    assert process.stdout.read() == "from the child\n"
