"""`models export` writes the ONNX networks of any kind of model anew, and only such as do what torch does."""

from __future__ import annotations

import json

import pytest
import tiny_models
from SparseCardiacSegLib.automatic.catalogue import EMBEDDED, find_model
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.training import export, reexport

pytest.importorskip("torch")
pytest.importorskip("nnunetv2")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


def card_of(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_a_folder_that_training_wrote_is_exported_and_its_export_again(tmp_path, capsys):
    trained = tiny_models.write_folder(tmp_path / "trained")
    assert main(["models", "export", str(trained), "--out", str(tmp_path / "first")]) == 0
    assert "largest differences from torch: logit" in capsys.readouterr().out
    assert main(["models", "export", str(tmp_path / "first"), "--out", str(tmp_path / "second")]) == 0
    first, second = ((tmp_path / name / "network.onnx").read_bytes() for name in ("first", "second"))
    assert first == second
    assert card_of(tmp_path / "first")["sha256"] == card_of(tmp_path / "second")["sha256"]


def test_a_network_that_differs_from_torch_is_not_written(tmp_path, monkeypatch):
    trained = tiny_models.write_folder(tmp_path / "trained")
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="differs from torch"):
        reexport.export_networks(str(trained), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_model_is_told_in_one_line(tmp_path, capsys):
    assert main(["models", "export", "no-such-model", "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_embedded_automatic_model_is_what_the_command_writes(tmp_path):
    assert main(["models", "export", "sax-acdc-24", "--out", str(tmp_path / "out")]) == 0
    embedded, written = find_model("sax-acdc-24"), find_model(tmp_path / "out")
    ours, theirs = (
        {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(model.onnx).graph.initializer}
        for model in (embedded, written)
    )
    assert set(ours) == set(theirs)
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert written.card["licence"] == embedded.card["licence"]


@pytest.mark.slow
def test_the_promptable_model_and_the_registration_are_exported(tmp_path, capsys):
    pytest.importorskip("segment_anything")
    assert main(["models", "export", "sax-prompt", "--out", str(tmp_path / "prompt")]) == 0
    assert "masks" in capsys.readouterr().out
    for name in ("encoder.onnx", "decoder.onnx", "weights.npz"):
        assert (tmp_path / "prompt" / name).read_bytes() == (EMBEDDED / "sax-prompt" / name).read_bytes()
    assert main(["models", "export", "sax-motion", "--out", str(tmp_path / "motion")]) == 0
    assert "pixels" in capsys.readouterr().out
    assert card_of(tmp_path / "motion")["kind"] == "registration"
