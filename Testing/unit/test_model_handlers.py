"""Fetching, importing and removing models through a real worker process, and how a worker's end is explained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import model_shelf
import numpy as np
import pytest
import tiny_models
from file_server import serve
from SparseCardiacSegLib.automatic.catalogue import EMBEDDED
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.embedding_cache import EmbeddingCache
from SparseCardiacSegLib.worker import processes
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.environment import worker_environment
from SparseCardiacSegLib.worker.events import EventKind, WorkerError
from SparseCardiacSegLib.worker.model_handlers import remove_abandoned
from worker_clients import POSIX_ONLY, gone, wait_for

TESTING = Path(__file__).resolve().parents[1]
DATA = model_shelf.weights()


@pytest.fixture
def models(tmp_path):
    """The folder of the user's models, not made yet."""
    return tmp_path / "models"


def client_of(shelf, tmp_path):
    def environment():
        found = worker_environment({**os.environ, model_shelf.VARIABLE: str(shelf), "no_proxy": "127.0.0.1"})
        return {**found, "PYTHONPATH": os.pathsep.join([found["PYTHONPATH"], str(TESTING)])}

    command = [sys.executable, TESTING / "shelf_worker.py"]
    return WorkerClient(command=command, environment=environment, temporary=tmp_path)


@pytest.fixture
def server():
    with serve(DATA) as running:
        yield running


@pytest.fixture
def client(tmp_path, server):
    with client_of(model_shelf.make_shelf(tmp_path, server.url, DATA), tmp_path) as made:
        yield made


def fetch(client, models, **options):
    return client.run("fetch_model", {"name": "clicker", "folder": str(models)}, **options)


def test_a_model_is_fetched_with_progress_and_its_card_tells_licence_and_citation(client, models):
    seen = []
    values = fetch(client, models, progress=lambda fraction, message: seen.append((fraction, message))).values
    assert values["name"] == "clicker"
    assert (models / "clicker" / "clicker.npz").read_bytes() == DATA
    card = json.loads((models / "clicker" / "card.json").read_text())
    assert (card["licence"], card["citation"]) == ("CC0-1.0", model_shelf.CITATION)
    assert any("MB" in message for _fraction, message in seen)


def test_a_stalled_download_is_cancelled_within_a_second_and_goes_on_later(tmp_path, models, server):
    half = len(DATA) // 2
    with model_shelf.stalling_server(DATA, half) as url:
        shelf = model_shelf.make_shelf(tmp_path, url, DATA)
        with client_of(shelf, tmp_path) as client:
            request = client.submit("fetch_model", {"name": "clicker", "folder": str(models)})
            part = models / ".fetch-clicker" / "clicker.npz.part"
            end = time.monotonic() + 20
            while not (part.is_file() and part.stat().st_size == half):
                assert time.monotonic() < end
                client.poll()
                time.sleep(0.02)
            pid = client.pid
            started = time.monotonic()
            client.cancel(request=request)
            assert wait_for(client, request).kind is EventKind.CANCELLED
            assert time.monotonic() - started < 1.0
            assert gone(pid)
    assert part.stat().st_size == half
    shutil.rmtree(shelf)
    notes = part.with_name(part.name + ".json")
    notes.write_text(notes.read_text().replace(url, server.url))
    server.tag = '"one"'
    with client_of(model_shelf.make_shelf(tmp_path, server.url, DATA), tmp_path) as client:
        fetch(client, models)
    assert server.ranges_asked == [f"bytes={half}-"]
    assert (models / "clicker" / "clicker.npz").read_bytes() == DATA


def test_a_wrong_checksum_is_a_sentence_and_leaves_nothing(tmp_path, models, server):
    with (
        client_of(model_shelf.make_shelf(tmp_path, server.url, DATA, sha256="0" * 64), tmp_path) as client,
        pytest.raises(InputError, match="damaged or not the published file and was removed"),
    ):
        fetch(client, models)
    assert not (models / "clicker").exists()
    assert list(models.glob("**/*.part")) == []


@pytest.mark.parametrize(("status", "words"), [(404, "no longer has"), (407, "a proxy refuses"), (403, "refuses")])
def test_a_server_that_refuses_is_a_sentence_that_says_what_to_do(client, server, models, status, words):
    server.status = status
    with pytest.raises(InputError, match=words) as caught:
        fetch(client, models)
    assert "import it" in str(caught.value)


def test_no_room_on_the_disk_is_a_sentence_and_nothing_is_fetched(tmp_path, models, server, monkeypatch):
    monkeypatch.setenv(model_shelf.FREE_VARIABLE, "5000000")
    with (
        client_of(model_shelf.make_shelf(tmp_path, server.url, DATA), tmp_path) as client,
        pytest.raises(InputError, match=r"not enough room in .*: 8 MB are needed, 5 MB are free"),
    ):
        fetch(client, models)
    assert list(models.glob("**/*.npz*")) == []


def test_models_of_both_kinds_are_imported_and_removed(client, models, tmp_path):
    automatic = tiny_models.write_folder(tmp_path / "mine")
    promptable = tmp_path / "prompt"
    promptable.mkdir()
    for name in ("card.json", "weights.npz"):
        shutil.copyfile(EMBEDDED / "sax-prompt" / name, promptable / name)
    kinds = {}
    for path, name in ((automatic, "one"), (promptable, "two")):
        values = client.run("import_model", {"path": str(path), "name": name, "folder": str(models)}).values
        kinds[values["name"]] = values["kind"]
    assert kinds == {"one": "automatic", "two": "promptable"}
    for name in kinds:
        client.run("remove_model", {"name": name, "folder": str(models)})
    assert [path.name for path in models.iterdir() if not path.name.startswith(".")] == []


def test_what_is_no_model_and_what_cannot_be_removed_are_sentences(client, models, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"plans\.json"):
        client.run("import_model", {"path": str(empty), "folder": str(models)})
    with pytest.raises(InputError, match="came with the extension"):
        client.run("remove_model", {"name": "sax-prompt", "folder": str(models)})
    with pytest.raises(InputError, match="path must be a text"):
        client.run("import_model", {"folder": str(models)})


def test_what_a_killed_import_left_is_removed_by_a_later_one_but_a_running_ones_is_not(tmp_path):
    old, new = tmp_path / ".import-old", tmp_path / ".import-new"
    for folder in (old, new):
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "weights.npz").write_bytes(b"x")
    for path in (old, old / "model", old / "model" / "weights.npz"):
        os.utime(path, (1, 1))
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".import-new"]


def test_clearing_the_cache_removes_embeddings_only(client, tmp_path):
    folder = tmp_path / "embeddings"
    folder.mkdir()
    (folder / f"{'0' * 64}.embedding").write_bytes(bytes(1000))
    (folder / "mine.txt").write_text("keep")
    assert EmbeddingCache(folder).size() == 1000
    assert client.run("clear_cache", {"folder": str(folder)}).values["freed"] == 1000
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


@POSIX_ONLY
def test_a_worker_killed_in_the_middle_is_told_with_its_last_words_and_starts_again(client):
    with pytest.raises(WorkerError, match="signal 9") as caught:
        client.run("die", {"words": "the last words", "signal": int(signal.SIGKILL)})
    assert "the last words" in caught.value.event.detail
    assert "Close other programs" in caught.value.event.remedy
    assert client.run("ping", arrays={"a": np.zeros(2)}).values["pid"] == client.pid


ENDINGS = [
    (-9, "", "killed from outside, often because memory ran out", "Close other programs"),
    (137, "", "signal 9", "Close other programs"),
    (-4, "", "an instruction that this processor lacks", "fit this processor"),
    (-11, "Fatal Python error: Segmentation fault", "a segmentation fault", "choose device CPU"),
    (1, "error: [/opt/Slicer/bin/python-real] exit abnormally - Report the problem.", "often because memory", "Close"),
    (
        1,
        "Fatal Python error: Illegal instruction\nerror: [python-real] exit abnormally - Report the problem.",
        "it crashed",
        "fit this processor",
    ),
    (1, "ModuleNotFoundError: No module named 'blosc2.core'", "exit code 1", "Install the Python package 'blosc2'"),
    (1, "ImportError: DLL load failed while importing onnxruntime_pybind11_state", "exit code 1", "does not fit"),
    (1, "ImportError: numpy.core.multiarray failed to import", "exit code 1", "does not fit"),
    (1, "OSError: [Errno 28] No space left on device", "exit code 1", "Free some space"),
    (1, "RuntimeError: CUDA error: no kernel image is available", "exit code 1", "Choose device CPU"),
    (3, "who knows", "exit code 3", "Try again"),
]


@pytest.mark.parametrize(("code", "log", "said", "remedy"), ENDINGS)
@POSIX_ONLY
def test_every_kind_of_end_has_its_words_and_its_remedy(code, log, said, remedy):
    assert said in f"it {processes.exit_in_words(code, log)}"
    assert remedy in processes.remedy_for(code, log)


@pytest.mark.parametrize(
    ("code", "said", "remedy"),
    [
        (0xC0000005, "access violation", "Try again"),
        (-1073741801, "memory ran out", "Close other programs"),
        (0xC000001D, "processor lacks", "fit this processor"),
        (0xC0000135, "a DLL was not found", "program library is missing"),
        (1, "exit code 1", "Try again"),
    ],
)
def test_windows_codes_have_their_words_and_remedies(monkeypatch, code, said, remedy):
    monkeypatch.setattr(processes, "WINDOWS", True)
    assert said in processes.exit_in_words(code)
    assert remedy in processes.remedy_for(code, "")
