"""The user's preferences: what is kept, what a broken settings file gives, and the Settings panel."""

# ruff: noqa: ARG001 (fixtures that prepare the application)

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_shims
from driving import wait_until
from SparseCardiacSegLib.prompting.embedding_cache import FOLDER_VARIABLE as CACHE_VARIABLE
from SparseCardiacSegLib.prompting.embedding_cache import cache_folder

TESTING = Path(__file__).resolve().parents[1]


class Store(dict):
    """A store in memory, with the manners of QSettings."""

    def value(self, key):
        return self.get(key)

    def setValue(self, key, value):
        self[key] = str(value)

    def remove(self, key):
        self.pop(key, None)


@pytest.fixture
def settings(app):
    from SparseCardiacSegLib.panels.settings import Settings

    return Settings(Store())


def test_nothing_set_gives_the_defaults_and_the_environments_folders(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "m"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "c"))
    assert (settings.device, settings.cache_limit_gb, settings.cache_bytes) == ("auto", 2.0, 2_000_000_000)
    assert (settings.model_folder, settings.cache_folder, settings.wheel_folder) == (None, None, None)
    assert settings.models() == tmp_path / "m"
    assert settings.embeddings() == tmp_path / "c" / "embeddings" == cache_folder()
    assert settings.environment() == {}


def test_what_is_set_wins_over_the_environment_and_reaches_the_worker(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "m"))
    settings.model_folder = tmp_path / "mine"
    settings.cache_folder = tmp_path / "cache"
    settings.cache_limit_gb = 0.5
    settings.device = "cpu"
    assert settings.models() == tmp_path / "mine"
    assert settings.embeddings() == tmp_path / "cache" / "embeddings"
    assert settings.cache_bytes == 500_000_000
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == settings.embeddings()
    settings.model_folder = None
    assert settings.model_folder is None


@pytest.mark.parametrize(("asked", "expected"), [("auto", "cpu"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_the_preferred_device_is_used_where_the_study_says_automatic(settings, asked, expected):
    settings.device = "cpu"
    assert settings.device_for(asked) == expected


@pytest.mark.parametrize("broken", ["", "nonsense", "-3", "nan", "1e9"])
def test_a_settings_file_edited_by_hand_does_no_harm(app, broken):
    from SparseCardiacSegLib.panels.settings import Settings

    keys = ("device", "cacheLimitGB")
    settings = Settings(Store({f"SparseCardiacSeg/{key}": broken for key in keys}))
    assert (settings.device, settings.cache_limit_gb) == ("auto", 2.0)


def test_preferences_survive_a_restart_of_slicer(app, tmp_path):
    from SparseCardiacSegLib.panels.settings import current_settings

    current_settings().cache_limit_gb = 3.5
    current_settings().wheel_folder = tmp_path
    assert current_settings().cache_limit_gb == 3.5
    assert current_settings().wheel_folder == tmp_path


@pytest.fixture
def module(app, monkeypatch, tmp_path):
    """The module with the Settings panel alone, unfolded."""
    from SparseCardiacSegLib.panels import workbench, worker_process

    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(TESTING))
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(TESTING / "shelf_worker.py")])
    monkeypatch.setattr(workbench, "PANELS", {**workbench.PANELS, "settings": "SettingsPanel"})
    opened = slicer_shims.OpenModule(app, only=["settings"])
    opened.open("settings")
    yield opened
    opened.close()


@pytest.fixture
def panel(module):
    return module.panels["settings"]


def type_into(edit, text):
    edit.text = text
    edit._object.editingFinished.emit()


def test_empty_fields_show_the_place_that_is_used(panel, tmp_path):
    assert panel.ui.modelFolderEdit.text == ""
    assert panel.ui.modelFolderEdit.placeholderText == str(tmp_path / "models")
    assert panel.ui.cacheFolderEdit.placeholderText == str(tmp_path / "cache")
    assert panel.ui.wheelFolderEdit.placeholderText == "the internet"
    assert panel.ui.defaultDeviceSelector.currentText == "Automatic"


def test_what_the_user_sets_is_kept_and_emptying_a_field_brings_the_default_back(app, panel, module, tmp_path):
    told = []
    module.session.changed.connect(told.append)
    app.windows.answer("getExistingDirectory", str(tmp_path))
    panel.ui.modelStoreFolderButton.click()
    assert panel.settings.model_folder == tmp_path
    assert panel.ui.modelFolderEdit.text == str(tmp_path)
    assert told == ["models"]
    panel.ui.modelFolderEdit.clear()
    assert panel.settings.model_folder is None
    panel.ui.defaultDeviceSelector.setCurrentIndex(1)
    assert panel.settings.device == "cpu"
    panel.ui.cacheLimitSpinBox.value = 7.5
    assert panel.settings.cache_limit_gb == 7.5
    panel.refresh()
    assert panel.ui.cacheLimitSpinBox.value == 7.5
    assert panel.settings.device == "cpu"


def test_folders_that_cannot_be_used_are_refused_with_a_sentence(panel, tmp_path):
    type_into(panel.ui.wheelFolderEdit, str(tmp_path))
    assert "holds no Python package" in panel.ui.statusLabel.text
    assert panel.settings.wheel_folder is None
    assert panel.ui.wheelFolderEdit.text == ""
    (tmp_path / "one-1.0-py3-none-any.whl").touch()
    type_into(panel.ui.wheelFolderEdit, str(tmp_path))
    assert panel.settings.wheel_folder == tmp_path
    type_into(panel.ui.modelFolderEdit, "relative/place")
    assert "no full path" in panel.ui.statusLabel.text
    file = tmp_path / "file"
    file.touch()
    type_into(panel.ui.cacheFolderEdit, str(file / "below"))
    assert "cannot be written" in panel.ui.statusLabel.text
    assert panel.settings.cache_folder is None


def test_a_new_model_folder_is_used_by_the_next_worker_and_not_changed_while_one_works(panel, module, tmp_path):
    client = module.session.workers.client("job")
    request = client.submit("sleep", {"seconds": 60})
    type_into(panel.ui.modelFolderEdit, str(tmp_path / "other"))
    assert "Something is running" in panel.ui.statusLabel.text
    assert panel.settings.model_folder is None
    client.abandon(request)
    type_into(panel.ui.modelFolderEdit, str(tmp_path / "other"))
    assert client.run("environment").values["SPARSECARDIACSEG_MODELS"] == str(tmp_path / "other")


def test_the_size_of_the_cache_is_shown_and_clearing_frees_it(panel, tmp_path):
    folder = tmp_path / "cache" / "embeddings"
    folder.mkdir(parents=True)
    (folder / f"{'a' * 64}.embedding").write_bytes(bytes(12_000_000))
    panel.refresh()
    assert panel.ui.cacheSizeLabel.text == "12 MB used"
    panel.ui.clearCacheButton.click()
    wait_until(lambda: panel.job is None)
    assert panel.ui.statusLabel.text == "12 MB were freed."
    assert panel.ui.cacheSizeLabel.text == "0.0 MB used"
    assert not panel.ui.clearCacheButton.enabled
    assert list(folder.iterdir()) == []
