"""The Models panel: what is told before a download, and fetching, importing and removing by its buttons."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import model_shelf
import pytest
from file_server import serve

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_shims
from driving import wait_until
from SparseCardiacSegLib.automatic import catalogue

TESTING = Path(__file__).resolve().parents[1]
DATA = model_shelf.weights()


@pytest.fixture
def server():
    with serve(DATA) as running:
        yield running


def open_panel(app, monkeypatch, tmp_path, url, **changes):
    """The module with the Models panel alone, unfolded, and a published model at `url`."""
    from SparseCardiacSegLib.panels import workbench, worker_process

    shelf = model_shelf.make_shelf(tmp_path, url, DATA, **changes)
    monkeypatch.setattr(catalogue, "EMBEDDED", shelf)
    monkeypatch.setenv(model_shelf.VARIABLE, str(shelf))
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", str(TESTING))
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(TESTING / "shelf_worker.py")])
    monkeypatch.setattr(workbench, "PANELS", {**workbench.PANELS, "models": "ModelsPanel"})
    module = slicer_shims.OpenModule(app, only=["models"])
    module.open("models")
    return module


@pytest.fixture
def module(app, monkeypatch, tmp_path, server):
    opened = open_panel(app, monkeypatch, tmp_path, server.url)
    yield opened
    opened.close()


@pytest.fixture
def panel(module):
    return module.panels["models"]


def lines(panel):
    return [panel.ui.modelList.item(row).text() for row in range(panel.ui.modelList.count)]


def finished(panel):
    return lambda: panel.job is None


def test_every_model_is_listed_with_where_it_is(panel):
    assert lines(panel) == [
        "Short axis: RV, MYO, LV (24 patients) [included]",
        "Short axis: RV, MYO, LV (8 volumes of 4 patients, self-taught) [included]",
        "Short axis: RV, MYO, LV (24 patients, mid and basal slices only) [included]",
        "Left atrium: cavity in late-gadolinium MR (12 volumes) [included]",
        "Points and boxes on short-axis slices: RV, MYO, LV [included]",
        "Points and boxes on axial slices: left atrium [included]",
        "Clicker (for tests) [to download]",
    ]


def test_title_architecture_size_licence_and_citation_are_told_before_anything_is_downloaded(panel, server):
    panel.select("clicker")
    card = panel.ui.modelCardLabel.text
    for fact in ("slice-256", "8.0 MB", "Trained on: nothing", "Licence: CC0-1.0", model_shelf.CITATION, server.url):
        assert fact in card
    assert panel.ui.fetchButton.text == "Download (8.0 MB)"
    assert panel.ui.fetchButton.enabled
    assert not panel.ui.removeButton.enabled
    assert server.ranges_asked == []
    panel.select("sax-acdc-24")
    assert "nnU-Net 2d" in panel.ui.modelCardLabel.text
    assert "CC BY-NC-SA" in panel.ui.modelCardLabel.text
    assert not panel.ui.fetchButton.enabled


def test_the_download_button_brings_the_model_and_remove_deletes_it_after_a_question(app, module, panel, tmp_path):
    told = []
    module.session.changed.connect(told.append)
    panel.select("clicker")
    panel.ui.fetchButton.click()
    assert panel.ui.cancelButton.isVisibleTo(module.frame) or not panel.ui.cancelButton.isHidden()
    wait_until(finished(panel))
    assert panel.ui.statusLabel.text == "Clicker (for tests) is ready to be used."
    assert panel.selected().here
    assert "models" in told
    assert (tmp_path / "models" / "clicker" / "clicker.npz").read_bytes() == DATA
    app.windows.answer("confirmOkCancelDisplay", False, True)
    panel.ui.removeButton.click()
    assert panel.job is None
    panel.ui.removeButton.click()
    wait_until(finished(panel))
    assert not (tmp_path / "models" / "clicker").exists()
    assert not panel.selected().here


def test_a_stalled_download_is_cancelled_within_a_second_and_what_arrived_is_kept(app, monkeypatch, tmp_path):
    half = len(DATA) // 2
    with model_shelf.stalling_server(DATA, half) as url:
        module = open_panel(app, monkeypatch, tmp_path, url)
        panel = module.panels["models"]
        panel.select("clicker")
        panel.ui.fetchButton.click()
        part = tmp_path / "models" / ".fetch-clicker" / "clicker.npz.part"
        wait_until(lambda: part.is_file() and part.stat().st_size == half)
        started = time.monotonic()
        panel.ui.cancelButton.click()
        wait_until(finished(panel))
        assert time.monotonic() - started < 1.0
        module.close()
    assert panel.ui.statusLabel.text == "Cancelled; what has arrived is kept."
    panel.refresh()
    assert panel.ui.fetchButton.text == "Download the rest (4.0 MB)"
    assert panel.ui.removeButton.enabled


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [({"sha256": "0" * 64}, 0, "damaged or not the published file"), ({}, 404, "no longer has")],
)
def test_a_failed_download_is_a_sentence(app, monkeypatch, tmp_path, server, changes, status, words):
    server.status = status
    module = open_panel(app, monkeypatch, tmp_path, server.url, **changes)
    panel = module.panels["models"]
    panel.select("clicker")
    panel.ui.fetchButton.click()
    wait_until(finished(panel))
    assert words in panel.ui.statusLabel.text
    assert not panel.selected().here
    module.close()


def test_a_file_and_a_folder_of_ones_own_are_copied(app, panel, tmp_path):
    weights = tmp_path / "downloaded elsewhere.npz"
    weights.write_bytes(DATA)
    app.windows.answer("getOpenFileName", str(weights))
    panel.ui.importFileButton.click()
    wait_until(finished(panel))
    assert panel.selected().name == "clicker"  # recognised by its checksum
    assert panel.selected().licence == "CC0-1.0"
    folder = shutil.copytree(model_shelf.EMBEDDED / "sax-acdc-24", tmp_path / "mine")
    (folder / "card.json").write_text(json.dumps({"name": "mine", "title": "Mine", "licence": "secret"}))
    app.windows.answer("getExistingDirectory", str(folder))
    panel.ui.importFolderButton.click()
    wait_until(finished(panel))
    assert panel.ui.statusLabel.text == "Mine is ready to be used."
    assert "Licence: secret" in panel.ui.modelCardLabel.text
    app.windows.answer("getExistingDirectory", str(folder), str(folder))
    panel.ui.importFolderButton.click()
    wait_until(finished(panel))
    assert "exists already" in panel.ui.statusLabel.text
    panel.ui.importNameEdit.text = "second"
    panel.ui.importFolderButton.click()
    wait_until(finished(panel))
    assert panel.selected().name == "second"
    assert panel.ui.importNameEdit.text == ""


def test_a_folder_that_is_no_model_is_explained(app, panel, tmp_path):
    (tmp_path / "empty").mkdir()
    app.windows.answer("getExistingDirectory", str(tmp_path / "empty"))
    panel.ui.importFolderButton.click()
    wait_until(finished(panel))
    assert "plans.json" in panel.ui.statusLabel.text


def test_a_model_that_is_being_used_is_not_removed_and_a_chosen_one_only_after_it_was_said(app, module, panel):
    panel.select("clicker")
    panel.ui.fetchButton.click()
    wait_until(finished(panel))
    module.session.parameters.model = "clicker"
    client = module.session.workers.client("segment")
    request = client.submit("sleep", {"seconds": 60})
    panel.ui.removeButton.click()
    assert "is being used" in panel.ui.statusLabel.text
    assert app.windows.texts("confirmOkCancelDisplay") == []
    client.abandon(request)
    app.windows.answer("confirmOkCancelDisplay", False)
    panel.ui.removeButton.click()
    assert "chosen in this study" in app.windows.texts("confirmOkCancelDisplay")[0]
    assert panel.selected().here


def test_a_worker_killed_in_the_middle_is_explained_and_the_next_press_works(app, monkeypatch, tmp_path, server):
    import psutil

    with model_shelf.stalling_server(DATA, 100) as url:
        module = open_panel(app, monkeypatch, tmp_path, url)
        panel = module.panels["models"]
        panel.select("clicker")
        panel.ui.fetchButton.click()
        client = module.session.workers.client("job")
        wait_until(lambda: (tmp_path / "models" / ".fetch-clicker" / "clicker.npz.part").is_file())
        psutil.Process(client.pid).kill()
        wait_until(finished(panel))
    assert "ended unexpectedly" in panel.ui.statusLabel.text
    assert "Close other programs" in panel.ui.statusLabel.text
    shutil.rmtree(tmp_path / "models")
    shutil.rmtree(tmp_path / "shelf")
    model_shelf.make_shelf(tmp_path, server.url, DATA)
    panel.refresh()
    panel.select("clicker")
    panel.ui.fetchButton.click()
    wait_until(finished(panel))
    assert panel.selected().here
    module.close()


def test_a_model_that_cannot_be_used_is_listed_with_its_problem_and_can_be_removed(panel, tmp_path):
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "card.json").write_text('{"kind": "promptable"}')
    panel.refresh()
    panel.select("broken")
    assert "[cannot be used]" in lines(panel)[panel.ui.modelList.currentRow]
    assert "Problem:" in panel.ui.modelCardLabel.text
    assert panel.ui.removeButton.enabled
