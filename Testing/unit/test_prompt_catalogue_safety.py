"""The catalogue of promptable models takes nothing wrong, damaged or hostile in."""

# ruff: noqa: F811 (fixtures, imported)

from __future__ import annotations

import json
import os
import shutil

import pytest
from prompt_models_case import (  # noqa: F401 (fixtures)
    file,
    full,
    models,
    origins,
    server,
    sha256,
    state,
    write_model,
)
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.catalogue import (
    fetch_prompt_model,
    find_prompt_model,
    import_prompt_model,
    list_prompt_models,
    remove_prompt_model,
)
from SparseCardiacSegLib.prompting.weights import save_weights

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "automatic"}, "not the card of a promptable model"),
        ({"architecture": "vit_g"}, "unknown architecture 'vit_g'"),
        ({"architecture": ["vit_b"]}, "unknown architecture"),
        ({"architecture": "vit_b", "image_size": 1024}, "weights of slice-256"),
        ({"image_size": 512}, "image size of slice-256 is 256, not 512"),
        ({"structures": ["LIVER"]}, "unknown structures"),
        ({"structures": [["LV"]]}, "unknown structures"),
        ({"structures": "LV"}, "unknown structures"),
        ({"weights": "../weights.npz"}, "does not name the file"),
        ({"weights": 3}, "does not name the file"),
        ({"weights": "other.npz"}, "is missing"),
        ({"weights": "weights.bin"}, "unknown format"),
        ({"sha256": {"weights.npz": "0" * 64}}, "checksum"),
        ({"sha256": {"weights.npz": 5}}, "sha256 must"),
        ({"bytes": {"weights.npz": 5}}, "5; remove the model"),
        ({"bytes": 5}, "bytes must"),
        ({"base": "sax-clicks"}, "base must"),
        ({"base": {"name": "x"}}, "base must"),
    ],
)
def test_a_wrong_card_is_refused_and_nothing_lands(models, full, tmp_path, change, message):
    folder = write_model(tmp_path / "m", full)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(InputError, match=message):
        import_prompt_model(folder)
    assert list(models.iterdir()) == []


def test_a_damaged_card_and_a_folder_without_one_are_refused(models, full, tmp_path):
    folder = write_model(tmp_path / "m", full)
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match=r"card\.json"):
        import_prompt_model(folder)
    (folder / "card.json").unlink()
    with pytest.raises(InputError, match=r"no card\.json"):
        import_prompt_model(folder)
    with pytest.raises(InputError, match="does not exist"):
        import_prompt_model(tmp_path / "none.pth")
    with pytest.raises(InputError, match="no promptable model"):
        import_prompt_model(tmp_path / "embedded" / "models.json")
    assert list(models.iterdir()) == []


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo x > {self.marker}",)


def test_a_hostile_file_never_lands_and_never_runs(models, full, state, tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "sam.pth"
    torch.save({"model": state, "x": RunsCode(marker)}, path)
    folder = write_model(tmp_path / "m", full)
    card = json.loads((folder / "card.json").read_text())
    shutil.copy(path, folder / "sam.pth")
    (folder / "card.json").write_text(json.dumps({**card, "weights": "sam.pth", "sha256": {}}))
    for source in (path, folder):
        with pytest.raises(InputError, match=r"sam\.pth was refused"):
            import_prompt_model(source)
    with pytest.raises(InputError, match="refused"):
        find_prompt_model(path)
    assert not marker.exists()
    assert list(models.iterdir()) == []


def test_links_and_cancelled_imports_leave_nothing(models, full, file, tmp_path):
    folder = write_model(tmp_path / "m", full)
    (folder / "encoder.onnx").symlink_to(file)
    with pytest.raises(InputError, match="link"):
        import_prompt_model(folder)
    (folder / "encoder.onnx").unlink()
    (folder / "weights.npz").rename(tmp_path / "elsewhere.npz")
    (folder / "weights.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(InputError, match="link"):
        import_prompt_model(folder)

    def cancel(fraction, _message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        import_prompt_model(file, progress=cancel)
    assert list(models.iterdir()) == []


def test_a_model_damaged_later_is_listed_with_its_problem_and_can_be_removed(models, file):
    import_prompt_model(file)
    (models / "small-net" / file.name).write_bytes(b"x")
    entry = next(entry for entry in list_prompt_models() if entry.name == "small-net")
    assert "damaged" in entry.problem
    with pytest.raises(InputError, match="damaged"):
        find_prompt_model("small-net")
    with pytest.raises(InputError, match="in the way"):
        fetch_prompt_model("small-net")
    remove_prompt_model("small-net")
    assert origins()["small-net"] == "available"


def test_a_file_written_anew_gets_a_new_id(state, tmp_path):
    path = tmp_path / "a.npz"
    save_weights(path, state)
    first = find_prompt_model(path).model_id
    save_weights(path, {name: value * 2 for name, value in state.items()})
    assert find_prompt_model(path).model_id == sha256(path) != first


def test_weights_trained_anew_under_an_old_card_get_a_new_id(state, full, tmp_path):
    folder = write_model(tmp_path / "m", full)
    first = find_prompt_model(folder).model_id
    save_weights(folder / "weights.npz", {name: value * 2 for name, value in state.items()})
    assert find_prompt_model(folder).model_id != first
