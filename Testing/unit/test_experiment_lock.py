"""One process at a time works on a run; locks of the dead are taken over, by one process only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from SparseCardiacSegLib.training.experiments.lock import LOCK, STALE_SECONDS, HeldElsewhere, Lock, holder_of


def taken(folder):
    lock = Lock(folder)
    lock.acquire()
    return lock


def age(path):
    silent = time.time() - STALE_SECONDS - 10
    os.utime(path, (silent, silent))


def test_a_held_lock_is_refused_with_process_and_host(tmp_path):
    taken(tmp_path)
    with pytest.raises(HeldElsewhere, match=f"process {os.getpid()} on "):
        taken(tmp_path)


def test_a_released_lock_can_be_taken_again(tmp_path):
    taken(tmp_path).release()
    assert holder_of(tmp_path) is None
    taken(tmp_path)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    code = (
        "from pathlib import Path; from SparseCardiacSegLib.training.experiments.lock import Lock; "
        f"Lock(Path({str(tmp_path)!r})).acquire()"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert holder_of(tmp_path)["alive"] is False
    taken(tmp_path)
    assert holder_of(tmp_path)["pid"] == os.getpid()


def test_a_process_number_that_was_given_again_is_not_the_holder(tmp_path):
    taken(tmp_path)
    content = json.loads((tmp_path / LOCK).read_text())
    (tmp_path / LOCK).write_text(json.dumps({**content, "started": content["started"] - 1000}))
    taken(tmp_path)


def test_another_computers_lock_counts_while_it_is_touched(tmp_path):
    lock = taken(tmp_path)
    content = json.loads((tmp_path / LOCK).read_text())
    (tmp_path / LOCK).write_text(json.dumps({**content, "host": "elsewhere"}))
    with pytest.raises(HeldElsewhere, match="elsewhere"):
        taken(tmp_path)
    age(tmp_path / LOCK)
    lock.beat()
    with pytest.raises(HeldElsewhere):
        taken(tmp_path)
    age(tmp_path / LOCK)
    taken(tmp_path)


def test_a_damaged_lock_is_taken_over_when_it_can_no_longer_be_in_the_making(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": ')
    with pytest.raises(HeldElsewhere):
        taken(tmp_path)
    age(tmp_path / LOCK)
    taken(tmp_path)


def test_a_disk_without_hard_links_locks_as_well(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    lock = taken(tmp_path)
    with pytest.raises(HeldElsewhere):
        taken(tmp_path)
    lock.release()
    taken(tmp_path)


def test_who_has_lost_the_lock_does_not_release_another_ones(tmp_path):
    lost = taken(tmp_path)
    (tmp_path / LOCK).write_text("{}")
    age(tmp_path / LOCK)
    taken(tmp_path)
    lost.release()
    assert holder_of(tmp_path)["alive"]


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_who_try_at_once_one_gets_it(tmp_path, stale):
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if stale:
            (folder / LOCK).write_text("{}")
            age(folder / LOCK)

        def attempt_it(_, folder=folder):
            try:
                taken(folder)
            except HeldElsewhere:
                return 0
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt_it, range(8))) == 1
        assert sorted(path.name for path in folder.iterdir()) == [LOCK]
