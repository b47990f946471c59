"""The catalogue of promptable models lists, finds, imports, fetches and removes them."""

# ruff: noqa: F811 (fixtures, imported)

from __future__ import annotations

import json
import shutil
import threading
import zipfile

import pytest
import tiny_models
from prompt_models_case import (  # noqa: F401 (fixtures)
    CARD,
    decoder,
    file,
    full,
    models,
    origins,
    server,
    sha256,
    state,
    tuned_state,
    write_model,
)
from SparseCardiacSegLib import cli
from SparseCardiacSegLib.automatic import catalogue as automatic
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.catalogue import (
    fetch_prompt_model,
    find_prompt_model,
    holds_prompt_model,
    import_prompt_model,
    list_prompt_models,
    prompt_model_info,
    remove_prompt_model,
)
from SparseCardiacSegLib.prompting.weights import load_sam

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")


def test_embedded_and_available_models_are_listed(models):
    assert origins() == {"sax-clicks": "embedded", "small-net": "available", "by-md5": "available"}
    embedded, published, _ = list_prompt_models()
    assert (embedded.architecture, embedded.problem) == ("slice-256", "")
    assert embedded.size > 15_000_000
    assert published.folder is None
    assert published.downloadable
    assert not models.exists()


def test_the_real_list_names_sam_and_medsam(monkeypatch):
    monkeypatch.undo()
    published = {entry.name: entry for entry in list_prompt_models() if entry.downloadable}
    assert list(published) == ["sam-vit-b", "sam-vit-l", "sam-vit-h", "medsam-vit-b"]
    for name in published:
        info = prompt_model_info(name)
        assert info["licence"] == "Apache-2.0"
        assert info["image_size"] == 1024
        assert info["url"].startswith("https://")
        assert ("sha256" in info["published_checksums"]) == (name != "medsam-vit-b")
    assert "no SHA-256" in prompt_model_info("medsam-vit-b")["note"]
    # The names of SAM's files end in the first six digits of their MD5, so sizes and sums cannot be mixed up unnoticed.
    assert published["sam-vit-h"].size > published["sam-vit-l"].size > published["sam-vit-b"].size


def test_a_name_a_folder_and_single_files_are_all_found(tmp_path, file, full, state):
    by_name = find_prompt_model("sax-clicks")
    assert (by_name.name, by_name.image_size, by_name.title) == ("sax-clicks", 256, "Clicks")
    assert [str(structure) for structure in by_name.structures] == ["RV", "MYO", "LV"]
    folder = write_model(tmp_path / "mine", full)
    assert find_prompt_model(folder).name == "clicks"
    single = find_prompt_model(file)
    assert (single.name, single.architecture) == ("small_123abc", "slice-256")
    assert single.model_id == sha256(file)
    assert find_prompt_model(str(folder / "weights.npz")).model_id == by_name.model_id
    assert load_sam(single).state_dict().keys() == state.keys()


def test_an_unknown_model_and_one_not_fetched_yet_say_what_to_do():
    with pytest.raises(InputError, match=r"no promptable model 'nothing'.*sax-clicks"):
        find_prompt_model("nothing")
    with pytest.raises(InputError, match="models fetch small-net"):
        find_prompt_model("small-net")


def test_a_published_file_is_recognised_and_needs_no_internet(models, file, server):
    entry = import_prompt_model(file)
    assert (entry.name, entry.title, entry.origin) == ("small-net", "Published", "imported")
    assert server.ranges_asked == []
    card = json.loads((models / "small-net" / "card.json").read_text())
    assert (card["licence"], card["citation"]) == ("Apache-2.0", "Somebody")
    assert card["sha256"] == {file.name: sha256(file)}
    model = find_prompt_model("small-net")
    assert model.model_id == sha256(file)
    assert load_sam(model).image_encoder.img_size == 256
    assert sorted(path.name for path in models.iterdir()) == ["small-net"]
    remove_prompt_model("small-net")
    assert list(models.iterdir()) == []
    assert file.is_file()


def test_any_other_file_is_imported_by_what_it_holds(models, state, tmp_path):
    path = tmp_path / "My Fine Net.PT"
    torch.save({"model": {f"module.{name}": value * 2 for name, value in state.items()}, "epoch": 1}, path)
    reports = []
    entry = import_prompt_model(path, progress=lambda *report: reports.append(report[0]))
    assert (entry.name, entry.architecture, entry.origin) == ("my-fine-net", "slice-256", "imported")
    assert reports == sorted(reports)
    assert reports[-1] == 1
    assert prompt_model_info("my-fine-net")["licence"] == "unknown"
    load_sam(find_prompt_model("my-fine-net"))
    assert {path.name for path in (models / "my-fine-net").iterdir()} == {"card.json", "weights.pt"}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_and_a_zip_of_one_are_imported_with_what_a_model_needs_only(models, full, tmp_path, zipped):
    source = write_model(tmp_path / "source" / "inner", full)
    (source / "notes.txt").write_text("x")
    (source / "encoder.onnx").write_bytes(b"e")
    if zipped:
        with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
            for path in source.iterdir():
                archive.write(path, f"inner/{path.name}")
    given = tmp_path / "m.zip" if zipped else source
    assert holds_prompt_model(given)
    assert import_prompt_model(given).name == "clicks"
    assert {path.name for path in (models / "clicks").iterdir()} == {"card.json", "weights.npz", "encoder.onnx"}
    card = json.loads((models / "clicks" / "card.json").read_text())
    assert set(card["sha256"]) == set(card["bytes"]) == {"weights.npz", "encoder.onnx"}
    assert card["citation"] == "None"
    assert find_prompt_model("clicks").onnx is None  # the decoder is not there


def test_models_fetched_elsewhere_can_be_carried_over_as_folders(models, tmp_path):
    fetch_prompt_model("small-net")
    carried = shutil.copytree(models / "small-net", tmp_path / "stick" / "small-net")
    remove_prompt_model("small-net")
    assert import_prompt_model(carried).name == "small-net"


def test_a_fetched_model_loads_and_is_not_fetched_twice(models, server):
    entry = fetch_prompt_model("small-net")
    assert (entry.origin, entry.folder, entry.problem) == ("downloaded", models / "small-net", "")
    assert load_sam(find_prompt_model("small-net")).image_encoder.img_size == 256
    assert fetch_prompt_model("small-net") == entry
    assert len(server.ranges_asked) == 1
    assert sorted(path.name for path in models.iterdir()) == [".fetch-small-net.lock", "small-net"]


def test_a_cancelled_fetch_goes_on_or_is_removed(models, server):
    def cancel(fraction, _message):
        if fraction > 0.4:
            raise Cancelled

    for _ in range(2):
        with pytest.raises(Cancelled):
            fetch_prompt_model("small-net", cancel)
        assert origins()["small-net"] == "available"
    assert server.ranges_asked[0] == ""
    remove_prompt_model("small-net")
    assert not (models / ".fetch-small-net").exists()
    with pytest.raises(Cancelled):
        fetch_prompt_model("small-net", cancel)
    assert server.ranges_asked[-1] == ""
    assert fetch_prompt_model("small-net").origin == "downloaded"
    assert server.ranges_asked[-1].startswith("bytes=")


def test_a_failed_fetch_leaves_no_model(models, server):
    server.status = 404
    with pytest.raises(InputError, match="no longer has"):
        fetch_prompt_model("small-net")
    server.status = 0
    with pytest.raises(InputError, match="md5"):
        fetch_prompt_model("by-md5")
    assert origins() == {"sax-clicks": "embedded", "small-net": "available", "by-md5": "available"}
    assert [path.name for path in models.iterdir() if not path.name.endswith(".lock")] == []


def test_two_fetches_of_one_model_do_not_meet():
    errors = []

    def at_once(fraction, _message):
        if fraction > 0.5 and not errors:
            other = threading.Thread(target=lambda: errors.append(raised(fetch_prompt_model, "small-net")))
            other.start()
            other.join()

    assert fetch_prompt_model("small-net", at_once).problem == ""
    assert "another process is fetching 'small-net'" in errors[0]


def raised(function, *arguments):
    try:
        function(*arguments)
    except InputError as error:
        return str(error)
    return ""


def test_only_published_models_are_fetched():
    with pytest.raises(InputError, match=r"here already.*small-net"):
        fetch_prompt_model("sax-clicks")
    with pytest.raises(InputError, match=r"no model 'other' to fetch.*small-net"):
        fetch_prompt_model("other")


def test_a_fine_tuned_decoder_uses_the_base_of_the_catalogue(models, decoder, tuned_state, state, tmp_path):
    base = find_prompt_model("sax-clicks")
    told = {"name": "sax-clicks", "weights_sha256": base.weights_sha256}
    tuned = find_prompt_model(write_model(tmp_path / "tuned", decoder, name="tuned", base=told))
    assert tuned.model_id == base.model_id  # cached embeddings are shared
    assert tuned.weights_sha256 != base.weights_sha256
    merged = load_sam(tuned).state_dict()
    assert all(torch.equal(merged[name], tuned_state.get(name, state[name])) for name in state)
    assert import_prompt_model(tmp_path / "tuned").name == "tuned"
    assert prompt_model_info("tuned")["base"] == "sax-clicks"
    (models / "tuned" / "weights.npz").write_bytes(b"short")
    assert "bytes" in next(entry for entry in list_prompt_models() if entry.name == "tuned").problem


def test_a_missing_or_other_base_is_named(decoder, file, tmp_path):
    other = {"name": "sax-clicks", "weights_sha256": "1" * 64}
    with pytest.raises(InputError, match=r"needs its base 'sax-clicks', which is not here .*other weights"):
        find_prompt_model(write_model(tmp_path / "a", decoder, base=other))
    with pytest.raises(InputError, match=r"needs its base 'gone', which is not here$"):
        import_prompt_model(write_model(tmp_path / "b", decoder, base={**other, "name": "gone"}))
    published = {"name": "mine", "weights_sha256": sha256(file)}
    with pytest.raises(InputError, match="models fetch small-net"):
        find_prompt_model(write_model(tmp_path / "c", decoder, base=published))
    import_prompt_model(file, name="under-another-name")
    assert find_prompt_model(tmp_path / "c").base.name == "under-another-name"


def test_a_model_built_on_itself_is_refused(decoder, tmp_path):
    folder = write_model(tmp_path / "models" / "loop", decoder, name="loop")
    card = json.loads((folder / "card.json").read_text())
    card["base"] = {"name": "loop", "weights_sha256": card["sha256"]["weights.npz"]}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="lead back"):
        find_prompt_model("loop")
    assert "lead back" in next(entry for entry in list_prompt_models() if entry.name == "loop").problem


def test_a_base_is_not_removed_while_others_need_it(models, decoder, tmp_path):
    fetch_prompt_model("small-net")
    base = {"name": "small-net", "weights_sha256": find_prompt_model("small-net").weights_sha256}
    import_prompt_model(write_model(tmp_path / "tuned", decoder, name="tuned", base=base))
    second = {"name": "tuned", "weights_sha256": find_prompt_model("tuned").weights_sha256}
    import_prompt_model(write_model(tmp_path / "again", decoder, name="again", base=second))
    assert find_prompt_model("again").model_id == base["weights_sha256"]
    with pytest.raises(InputError, match="base of 'again', 'tuned'"):
        remove_prompt_model("small-net")
    with pytest.raises(InputError, match="base of 'again'"):
        remove_prompt_model("tuned")
    for name in ("again", "tuned", "small-net"):
        remove_prompt_model(name)
    assert [path.name for path in models.iterdir() if not path.name.startswith(".")] == []


def test_embedded_and_unknown_models_cannot_be_removed(tmp_path):
    with pytest.raises(InputError, match="came with the extension"):
        remove_prompt_model("sax-clicks")
    (tmp_path / "precious").mkdir()
    for name in ("none", "small-net", "../precious", "", "."):
        with pytest.raises(InputError, match="no imported or fetched model"):
            remove_prompt_model(name)
    assert (tmp_path / "precious").is_dir()


def test_names_are_unique_over_both_kinds(models, file, state, tmp_path):
    automatic_model = tiny_models.write_folder(tmp_path / "auto-model")
    automatic.import_model(automatic_model, name="mine")
    for name in ("mine", "auto", "sax-clicks"):
        with pytest.raises(InputError, match="exists already"):
            import_prompt_model(file, name=name)
    import_prompt_model(file)
    for name in ("small-net", "sax-clicks"):
        with pytest.raises(InputError, match="exists already"):
            automatic.import_model(automatic_model, name=name)
    remove_prompt_model("small-net")
    changed = tmp_path / "small-net.pth"
    torch.save({name: value * 2 for name, value in state.items()}, changed)
    with pytest.raises(InputError, match="published model that this is not"):
        import_prompt_model(changed)
    with pytest.raises(InputError, match="published model that this is not"):
        automatic.import_model(automatic_model, name="small-net")
    with pytest.raises(InputError, match="no model name"):
        import_prompt_model(file, name="../up")
    assert [path.name for path in models.iterdir()] == ["mine"]


def test_each_catalogue_leaves_the_others_models_alone(models, file, tmp_path):
    import_prompt_model(file)
    automatic.import_model(tiny_models.write_folder(tmp_path / "auto-model"), name="mine")
    assert [entry.name for entry in automatic.list_models()] == ["auto", "mine"]
    assert "mine" not in origins()
    with pytest.raises(InputError, match="no imported model"):
        automatic.remove_model("small-net")
    with pytest.raises(InputError, match="no imported or fetched"):
        remove_prompt_model("mine")
    assert (models / "small-net").is_dir()
    assert (models / "mine").is_dir()


def test_the_command_line_shows_both_kinds(capsys, file, tmp_path):
    assert cli.main(["models", "fetch", "small-net"]) == 0
    assert cli.main(["models", "import", str(file), "--name", "mine"]) == 0
    assert cli.main(["models", "import", str(tiny_models.write_folder(tmp_path / "auto-model"))]) == 0
    capsys.readouterr()
    assert cli.main(["models", "list"]) == 0
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["auto", "automatic", "embedded"],
        ["auto-model", "automatic", "imported"],
        ["sax-clicks", "promptable", "embedded"],
        ["mine", "promptable", "imported"],
        ["small-net", "promptable", "downloaded"],
        ["by-md5", "promptable", "available"],
    ]
    for name, kind in (("auto-model", "automatic"), ("mine", "promptable"), ("by-md5", "promptable")):
        assert cli.main(["models", "info", name]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind
    assert cli.main(["models", "info", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["origin"] == "path"
    for name in ("auto-model", "mine", "small-net"):
        assert cli.main(["models", "remove", name]) == 0
    capsys.readouterr()
    for arguments in (["remove", "auto"], ["remove", "sax-clicks"], ["fetch", "auto"], ["fetch", "x"], ["info", "x"]):
        assert cli.main(["models", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
