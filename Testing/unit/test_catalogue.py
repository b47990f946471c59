"""The catalogue lists, finds, imports and removes models, and takes nothing hostile in."""

from __future__ import annotations

import json
import os
import stat
import zipfile

import numpy as np
import pytest
import tiny_models
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.automatic import catalogue
from SparseCardiacSegLib.automatic.archive import unpack
from SparseCardiacSegLib.automatic.catalogue import (
    find_model,
    import_model,
    list_models,
    model_info,
    remove_model,
    user_folder,
)
from SparseCardiacSegLib.automatic.plans import read_json
from SparseCardiacSegLib.errors import InputError

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A folder for imported models, empty, and one embedded model called `embedded`."""
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "models"))
    embedded = tmp_path / "embedded"
    tiny_models.write_folder(embedded / "small", weights=False)
    entry = {
        "name": "embedded",
        "title": "T",
        "view": "short-axis",
        "structures": ["LV"],
        "folder": "small",
        "card": "",
    }
    (embedded / "models.json").write_text(json.dumps({"models": [entry, {"name": "clicks", "kind": "promptable"}]}))
    monkeypatch.setattr(catalogue, "EMBEDDED", embedded)
    return tmp_path / "models"


@pytest.fixture
def trained(tmp_path):
    folder = tiny_models.write_folder(tmp_path / "My Trainer__plans__2d")
    (folder / "card.json").write_text(json.dumps({"name": "tiny-one", "title": "Tiny", "licence": "CC0"}))
    (folder / "progress.png").write_bytes(b"x")
    (folder / "fold_0" / "training_log.txt").write_text("log")
    return folder


def zipped(folder, path, prefix="model/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def names():
    return [entry.name for entry in list_models()]


def test_embedded_models_are_listed_without_being_opened(models):
    (entry,) = list_models()
    assert (entry.name, entry.title, entry.view, entry.origin) == ("embedded", "T", "short-axis", "embedded")
    assert entry.structures == (Structure.LV,)
    assert entry.problem == ""
    assert not models.exists()


def test_the_real_list_names_the_short_axis_model(monkeypatch):
    monkeypatch.undo()
    entry = next(entry for entry in list_models() if entry.name == "sax-acdc-24")
    assert entry.structures == (Structure.RV, Structure.MYO, Structure.LV)
    assert entry.embedded
    for item in read_json(catalogue.EMBEDDED / "models.json")["models"]:
        assert {"name", "title", "view", "structures", "folder", "card"} <= set(item)


def test_the_user_folder_follows_the_platform(monkeypatch, tmp_path):
    assert user_folder() == tmp_path / "models"
    monkeypatch.delenv("SPARSECARDIACSEG_MODELS")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "x"))
    assert user_folder() == tmp_path / "x" / "SparseCardiacSeg" / "models"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "y"))
    assert user_folder() == tmp_path / "y" / "SparseCardiacSeg" / "models"
    monkeypatch.setattr("sys.platform", "darwin")
    assert "Application Support" in str(user_folder())


def test_an_imported_folder_is_listed_found_and_removed(models, trained):
    entry = import_model(trained)
    assert (entry.name, entry.title, entry.origin) == ("tiny-one", "Tiny", "imported")
    assert names() == ["embedded", "tiny-one"]
    copied = {
        path.relative_to(models / "tiny-one").as_posix() for path in (models / "tiny-one").rglob("*") if path.is_file()
    }
    assert copied == {"plans.json", "dataset.json", "card.json", "fold_0/checkpoint_final.pth"}
    assert find_model("tiny-one").path == models / "tiny-one"
    assert find_model(trained).path == trained
    remove_model("tiny-one")
    assert names() == ["embedded"]
    assert list(models.iterdir()) == []
    assert trained.is_dir()


def test_a_zip_is_imported_under_a_chosen_name(models, trained, tmp_path):
    entry = import_model(zipped(trained, tmp_path / "m.zip"), name="other")
    assert entry.name == "other"
    assert entry.structures == (Structure.RV, Structure.MYO, Structure.LV)
    assert find_model("other").name == "other"
    assert [path.name for path in models.iterdir()] == ["other"]


def test_a_model_without_a_card_is_named_after_its_file(trained, tmp_path):
    (trained / "card.json").unlink()
    assert import_model(trained).name == "my-trainer-plans-2d"
    assert import_model(zipped(trained, tmp_path / "Great Model.zip")).name == "great-model"


def test_info_tells_what_a_user_asks(trained):
    import_model(trained)
    info = model_info("tiny-one")
    assert info["licence"] == "CC0"
    assert info["labels"] == {"RV": 1, "MYO": 2, "LV": 3}
    assert info["backends"] == ["torch"]
    assert info["folds"] == ["0"]
    assert info["embedded"] is False
    assert 0 < info["size_mb"] < 1
    assert json.dumps(info)


def test_promptable_models_in_the_same_folder_are_left_to_their_own_catalogue(models, trained):
    (models / "clicks-2").mkdir(parents=True)
    (models / "clicks-2" / "card.json").write_text('{"kind": "promptable"}')
    assert names() == ["embedded"]
    with pytest.raises(InputError, match="no imported model"):
        remove_model("clicks-2")
    for name in ("clicks", "clicks-2"):
        with pytest.raises(InputError, match="exists already"):
            import_model(trained, name=name)


def test_a_name_that_is_taken_or_impossible_is_refused(models, trained):
    import_model(trained)
    for name in (None, "embedded"):
        with pytest.raises(InputError, match="exists already"):
            import_model(trained, name=name)
    for name in ("../up", "a/b", ".hidden", "Capital", "x" * 65, "a b", "sub\\dir"):
        with pytest.raises(InputError, match="no model name"):
            import_model(trained, name=name)
    assert [path.name for path in models.iterdir()] == ["tiny-one"]


def test_embedded_and_unknown_models_cannot_be_removed(tmp_path):
    with pytest.raises(InputError, match="came with the extension"):
        remove_model("embedded")
    (tmp_path / "precious").mkdir()
    for name in ("none", "../precious", "", "."):
        with pytest.raises(InputError, match="no imported model"):
            remove_model(name)
    assert (tmp_path / "precious").is_dir()


def test_an_unknown_model_lists_those_there_are(tmp_path):
    with pytest.raises(InputError, match=r"'nothing'.*embedded"):
        find_model("nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no nnU-Net"):
        find_model(tmp_path / "empty")


def test_a_listed_model_without_files_says_so(tmp_path):
    import shutil

    shutil.rmtree(tmp_path / "embedded" / "small")
    assert list_models()[0].problem
    with pytest.raises(InputError, match="missing"):
        find_model("embedded")


def test_a_damaged_imported_model_is_listed_with_its_problem(models, trained):
    import_model(trained)
    (models / "tiny-one" / "plans.json").write_text("{")
    entry = list_models()[1]
    assert "plans.json" in entry.problem
    remove_model("tiny-one")
    assert names() == ["embedded"]


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo x > {self.marker}",)


def test_a_model_with_a_hostile_checkpoint_never_lands(models, trained, tmp_path):
    marker = tmp_path / "ran"
    path = trained / "fold_0" / "checkpoint_final.pth"
    torch.save({**torch.load(path, weights_only=False), "logging": RunsCode(marker)}, path)
    for source in (trained, zipped(trained, tmp_path / "m.zip")):
        with pytest.raises(InputError, match="refused"):
            import_model(source)
    assert not marker.exists()
    assert list(models.iterdir()) == []


def test_a_model_whose_file_was_changed_after_export_never_lands(models, trained):
    (trained / "card.json").write_text(json.dumps({"name": "a", "sha256": {"plans.json": "0" * 64}}))
    with pytest.raises(InputError, match="checksum"):
        import_model(trained)
    assert list(models.iterdir()) == []


def test_a_damaged_network_never_lands(models, trained):
    pytest.importorskip("onnxruntime")
    (trained / "network.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"network\.onnx"):
        import_model(trained)
    assert list(models.iterdir()) == []


def test_links_in_a_folder_are_refused(models, trained, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes((trained / "plans.json").read_bytes())
    (trained / "plans.json").unlink()
    (trained / "plans.json").symlink_to(secret)
    with pytest.raises(InputError, match="link"):
        import_model(trained)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/outside", "a/../../outside", "..\\outside", "C:/outside", "a/..", "x\0y", "CON:"]
)
def test_an_archive_that_leads_outside_is_refused_and_writes_nothing(models, tmp_path, name):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plans.json", "{}")
        archive.writestr("placeholder", "x")
    data = path.read_bytes()
    if len(name) <= len("placeholder"):
        path.write_bytes(data.replace(b"placeholder", name.encode().ljust(11, b"z")))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError):
        import_model(path)
    assert set(tmp_path.rglob("*")) - before <= {models}


def test_an_archive_with_a_link_is_refused(tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("plans.json")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(InputError, match="link"):
        import_model(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(models, tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plans.json", bytes(60 * 1024**2))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="would unpack to"):
        import_model(path)
    assert list(models.iterdir()) == []


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plans.json", bytes(5000))
    data = path.read_bytes().replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(InputError):
        unpack(path, tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*") if file.is_file()) <= 50


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_too_many_entries_and_encryption_are_refused(tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plans.json", "{}")
        archive.writestr("Plans.json", "{}")
    with pytest.raises(InputError, match="twice"):
        import_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2001):
            archive.writestr(str(number), "")
    with pytest.raises(InputError, match="entries"):
        import_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plans.json", "{}")
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="encrypted"):
        import_model(path)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_archive_is_refused(models, trained, tmp_path, kept):
    path = zipped(trained, tmp_path / "m.zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"m\.zip"):
        import_model(path)
    assert list(models.iterdir()) == []


def test_an_archive_whose_bytes_were_changed_never_crashes(models, trained, tmp_path):
    path = zipped(trained, tmp_path / "m.zip")
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for attempt in range(40):
        changed = bytearray(data)
        for position in rng.integers(0, len(data), 20):
            changed[position] = rng.integers(256)
        broken = tmp_path / f"{attempt}.zip"
        broken.write_bytes(bytes(changed))
        try:
            import_model(broken, name=f"m{attempt}")
        except InputError:
            continue
    assert not [path for path in models.iterdir() if path.name.startswith(".")]


def test_a_file_that_is_no_model_is_refused(tmp_path):
    other = tmp_path / "a.txt"
    other.write_text("x")
    with pytest.raises(InputError, match="neither a model folder nor"):
        import_model(other)
    with pytest.raises(InputError, match="does not exist"):
        import_model(tmp_path / "none")


def test_a_folder_that_cannot_be_written_is_a_sentence(trained, tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("x")
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(blocker / "models"))
    with pytest.raises(InputError, match="cannot write"):
        import_model(trained)
