"""Checkpoints are data: real ones load, and no code in any of them runs."""

from __future__ import annotations

import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
import tiny_models
from SparseCardiacSegLib.automatic.checkpoint import load_checkpoint
from SparseCardiacSegLib.errors import InputError

torch = pytest.importorskip("torch")


class RunsCode:
    """Creates a file when it is unpickled by Python's own pickle."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attack(marker, kind):
    """An object whose unpickling writes `marker`, by three different functions."""
    source = f"open({str(marker)!r}, 'w').close()"
    return {
        "system": RunsCode(os.system, f"echo x > {marker}"),
        "eval": RunsCode(eval, f"__import__('pathlib').Path({str(marker)!r}).touch()"),
        "exec": RunsCode(exec, source),
    }[kind]


def torch_file(path, content):
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def content():
    return tiny_models.checkpoint(tiny_models.plans())


def test_a_checkpoint_with_optimizer_and_numpy_log_loads(tmp_path, content):
    loaded = load_checkpoint(torch_file(tmp_path / "c.pth", content))
    assert loaded.configuration == "2d"
    assert loaded.trainer == "nnUNetTrainer"
    assert loaded.mirroring_axes == (0, 1)
    assert loaded.weights.keys() == content["network_weights"].keys()
    assert all(torch.equal(loaded.weights[name], value) for name, value in content["network_weights"].items())


def test_numpy_numbers_written_by_numpy_1_load(tmp_path, content):
    path = torch_file(tmp_path / "new.pth", content)
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(old, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(
                entry.filename, data.replace(b"numpy._core.", b"numpy.core.") if "pkl" in entry.filename else data
            )
    assert load_checkpoint(old).trainer == "nnUNetTrainer"


@pytest.mark.parametrize("kind", ["system", "eval", "exec"])
@pytest.mark.parametrize("place", ["top", "log", "weights", "key of init_args", "array"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, content, kind, place):
    marker = tmp_path / "ran"
    evil = attack(marker, kind)
    changed = {
        "top": evil,
        "log": {**content, "logging": {"losses": [1.0, [evil]]}},
        "weights": {**content, "network_weights": {**content["network_weights"], "x": evil}},
        "key of init_args": {**content, "init_args": {"configuration": "2d", "plans": {"a": (1, {"b": evil})}}},
        "array": {**content, "logging": np.array([evil], dtype=object)},
    }[place]
    path = torch_file(tmp_path / "c.pth", changed)
    with pytest.raises(InputError, match="refused"):
        load_checkpoint(path)
    assert not marker.exists()
    # The same file does run its code where it is loaded without this check, so the test can fail.
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_plain_pickle_is_refused_and_does_not_run(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "c.pth"
    path.write_bytes(pickle.dumps({"network_weights": attack(marker, "exec")}))
    with pytest.raises(InputError, match="zip format"):
        load_checkpoint(path)
    assert not marker.exists()


def test_torchs_old_format_is_refused_and_does_not_run(tmp_path, content):
    marker = tmp_path / "ran"
    path = tmp_path / "c.pth"
    torch.save({**content, "logging": attack(marker, "exec")}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="zip format"):
        load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0, 1, 3, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused_with_a_sentence(tmp_path, content, kept):
    path = torch_file(tmp_path / "c.pth", content)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"c\.pth"):
        load_checkpoint(path)


def test_a_damaged_pickle_inside_a_whole_archive_is_refused(tmp_path, content):
    path = torch_file(tmp_path / "c.pth", content)
    broken = tmp_path / "broken.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(entry.filename, data[: len(data) // 2] if entry.filename.endswith("data.pkl") else data)
    with pytest.raises(InputError, match=r"broken\.pth"):
        load_checkpoint(broken)


def test_a_compressed_archive_is_refused(tmp_path, content):
    path = torch_file(tmp_path / "c.pth", content)
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(InputError, match="compressed"):
        load_checkpoint(bomb)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "none.pth")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_weights": {}}, "no network weights"),
        ({"network_weights": {"a": 3}}, "other than a tensor"),
        ({"network_weights": {"a": torch.tensor([float("nan")])}}, "NaN"),
        ({"network_weights": {"a": torch.zeros(3).to_sparse()}}, "unusable"),
        ({"init_args": {}}, "configuration"),
        ({"trainer_name": 5}, "trainer"),
        ({"inference_allowed_mirroring_axes": ("0",)}, "mirroring"),
        ({"inference_allowed_mirroring_axes": (7,)}, "mirroring"),
    ],
)
def test_a_checkpoint_with_wrong_contents_is_refused(tmp_path, content, change, message):
    with pytest.raises(InputError, match=message):
        load_checkpoint(torch_file(tmp_path / "c.pth", {**content, **change}))


@pytest.mark.parametrize("other", [torch.zeros(3), [1, 2], collections.OrderedDict(a=torch.zeros(1))])
def test_a_file_of_torch_that_is_no_nnunet_checkpoint_is_refused(tmp_path, other):
    with pytest.raises(InputError, match="no nnU-Net v2 checkpoint"):
        load_checkpoint(torch_file(tmp_path / "c.pth", other))


def test_names_that_data_parallel_and_compile_prefix_are_cleaned(tmp_path, content):
    weights = {f"module._orig_mod.{name}": value for name, value in content["network_weights"].items()}
    loaded = load_checkpoint(torch_file(tmp_path / "c.pth", {**content, "network_weights": weights}))
    assert loaded.weights.keys() == content["network_weights"].keys()
