"""A download is complete and right, or not there at all; what has arrived of it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SparseCardiacSegLib
from file_server import serve
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting import download as module
from SparseCardiacSegLib.prompting.download import RemoteFile, download
from SparseCardiacSegLib.prompting.locking import only_one

DATA = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """No proxy, and short waits between attempts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "WAITS", (0.01, 0.02))


@pytest.fixture
def server():
    with serve(DATA) as state:
        yield state


def remote(server, **changes):
    return RemoteFile(**{"url": server.url, "checksums": {"sha256": SHA256}, "size": len(DATA), **changes})


def left(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def cancel_at(limit):
    def progress(fraction, _message):
        if fraction >= limit:
            raise Cancelled

    return progress


def test_a_file_arrives_whole_with_progress_to_the_end(server, tmp_path):
    reports = []
    target = tmp_path / "new" / "file.pth"
    assert download(remote(server), target, lambda *report: reports.append(report)) == SHA256
    assert target.read_bytes() == DATA
    assert left(target.parent) == ["file.pth"]
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len(reports) > 5
    assert any("3 of 3 MB" in message and "MB/s" in message for _, message in reports)


def test_an_md5_is_checked_where_there_is_no_sha256(server, tmp_path):
    md5 = hashlib.md5(DATA).hexdigest()
    assert download(remote(server, checksums={"md5": md5}, size=None), tmp_path / "f") == SHA256
    with pytest.raises(InputError, match="md5"):
        download(remote(server, checksums={"md5": "0" * 32}, size=None), tmp_path / "g")


def test_a_cancelled_download_goes_on_where_it_stopped(server, tmp_path):
    target = tmp_path / "f"
    with pytest.raises(Cancelled):
        download(remote(server), target, cancel_at(0.5))
    assert not target.exists()
    kept = (tmp_path / "f.part").stat().st_size
    assert len(DATA) / 2 <= kept < len(DATA)
    assert download(remote(server), target) == SHA256
    assert target.read_bytes() == DATA
    assert server.ranges_asked == ["", f"bytes={kept}-"]
    assert left(tmp_path) == ["f"]


@pytest.mark.parametrize("with_length", [True, False])
def test_a_connection_that_breaks_is_taken_up_again_at_once(server, tmp_path, with_length):
    server.cut, server.cuts, server.with_length = 700_000, 3, with_length
    assert download(remote(server), tmp_path / "f") == SHA256
    assert server.ranges_asked == ["", "bytes=700000-", "bytes=1400000-", "bytes=2100000-"]


def test_a_connection_that_stays_broken_is_a_sentence_and_nothing_is_lost(server, tmp_path):
    server.cut, server.cuts = 0, 100
    with pytest.raises(InputError, match=r"127\.0\.0\.1 broke off.*kept"):
        download(remote(server), tmp_path / "f")
    server.cuts = 0
    assert download(remote(server), tmp_path / "f") == SHA256


def test_a_server_that_ignores_ranges_sends_all_of_it_again(server, tmp_path):
    with pytest.raises(Cancelled):
        download(remote(server), tmp_path / "f", cancel_at(0.5))
    server.ranges = False
    assert download(remote(server), tmp_path / "f") == SHA256
    assert (tmp_path / "f").read_bytes() == DATA


@pytest.mark.parametrize("tag", ['"second"', ""])
def test_parts_of_two_versions_are_never_joined(server, tmp_path, tag):
    """With an ETag the server itself starts anew; without one, the length tells."""
    server.tag = tag and '"first"'
    with pytest.raises(Cancelled):
        download(remote(server, checksums={}, size=None), tmp_path / "f", cancel_at(0.5))
    server.data, server.tag = DATA[::-1] + b"more", tag
    download(remote(server, checksums={}, size=None), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == server.data


def test_a_part_longer_than_the_servers_file_is_dropped(server, tmp_path):
    with pytest.raises(Cancelled):
        download(remote(server, checksums={}, size=None), tmp_path / "f", cancel_at(0.5))
    server.data, server.tag = b"short now", ""
    (tmp_path / "f.part.json").write_text(json.dumps({"url": server.url, "total": None, "validator": ""}))
    download(remote(server, checksums={}, size=None), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"short now"


def test_a_complete_part_is_checked_and_not_fetched_again(server, tmp_path):
    with pytest.raises(Cancelled):
        download(remote(server), tmp_path / "f", cancel_at(1))
    assert (tmp_path / "f.part").read_bytes() == DATA
    server.status = 500
    assert download(remote(server), tmp_path / "f") == SHA256
    assert len(server.ranges_asked) == 1


@pytest.mark.parametrize(
    "notes", ["", "{", "[]", '{"url": 3}', '{"url": "https://other", "total": 5, "validator": ""}']
)
def test_a_part_that_nothing_is_known_of_is_dropped(server, tmp_path, notes):
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    (tmp_path / "f.part.json").write_text(notes)
    assert download(remote(server), tmp_path / "f") == SHA256
    assert server.ranges_asked == [""]


def test_a_part_damaged_on_the_disk_is_found_out_and_removed(server, tmp_path):
    with pytest.raises(Cancelled):
        download(remote(server), tmp_path / "f", cancel_at(0.5))
    part = tmp_path / "f.part"
    part.write_bytes(b"X" + part.read_bytes()[1:])
    with pytest.raises(InputError, match="sha256"):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []
    assert download(remote(server), tmp_path / "f") == SHA256


def test_a_wrong_checksum_is_a_sentence_and_the_file_is_removed(server, tmp_path):
    server.data = b"Y" + DATA[1:]
    with pytest.raises(InputError, match=r"damaged or not the published file.*removed"):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server, tmp_path):
    server.data = DATA + b"more"
    with pytest.raises(InputError, match="3000004 bytes, not of 3000000"):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []


def test_a_web_page_instead_of_the_file_is_refused(server, tmp_path):
    server.data, server.content_type = b"<html>Please log in</html>", "text/html; charset=utf-8"
    with pytest.raises(InputError, match="web page"):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "no longer has"),
        (403, "refuses"),
        (407, "proxy"),
        (400, "answers 400"),
        (503, "503"),
        (204, "answers 204"),
    ],
)
def test_a_refusal_is_a_sentence_with_its_code(server, tmp_path, status, message):
    server.status = status
    with pytest.raises(InputError, match=message):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path, monkeypatch):
    server.status = 503

    def recover(*_):
        server.status = 0

    monkeypatch.setattr(module._Transfer, "wait", recover)
    assert download(remote(server), tmp_path / "f") == SHA256


def test_no_connection_is_a_sentence_that_says_what_else_to_do(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    with pytest.raises(InputError, match=r"cannot reach 127\.0\.0\.1 .*another computer"):
        download(RemoteFile(url, {}), tmp_path / "f")


def test_a_server_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(InputError, match="no answer"):
            download(RemoteFile(f"http://127.0.0.1:{silent.getsockname()[1]}/f", {}), tmp_path / "f")


@pytest.mark.parametrize("url", ["http://example.org/f", "ftp://127.0.0.1/f", "file:///etc/passwd", "/etc/passwd"])
def test_only_https_is_fetched(tmp_path, url):
    with pytest.raises(InputError, match="only https"):
        download(RemoteFile(url, {}), tmp_path / "f")


def test_redirects_are_followed_but_not_away_from_https(server, tmp_path):
    server.redirect = server.url.replace("/file", "/moved")
    assert download(remote(server), tmp_path / "f") == SHA256
    server.redirect = "http://example.org/file"
    with pytest.raises(InputError, match="only https"):
        download(remote(server), tmp_path / "g")


def test_too_little_room_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="3 MB are needed, 1 MB are free"):
        download(remote(server), tmp_path / "f")
    assert left(tmp_path) == []


def test_a_disk_that_fills_up_is_a_sentence(server, tmp_path):
    (tmp_path / "f.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match="disk is full"):
        download(remote(server), tmp_path / "f")


def test_a_file_in_place_of_the_folder_is_a_sentence(server, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        download(remote(server), tmp_path / "file" / "f")


def test_two_processes_never_hold_one_lock(tmp_path):
    source = (
        "import sys\nfrom pathlib import Path\nfrom SparseCardiacSegLib.prompting.locking import only_one\n"
        "with only_one(Path(sys.argv[1]), 'x'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    lock = tmp_path / "a.lock"
    command = [sys.executable, "-c", source, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_library()) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process is fetching 'x'"), only_one(lock, "fetching 'x'"):
            pass
        other.kill()
        other.wait()
    with only_one(lock, "fetching 'x'"):
        pass


def _library():
    return {**os.environ, "PYTHONPATH": str(Path(SparseCardiacSegLib.__file__).parent.parent)}
