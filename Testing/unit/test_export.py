"""An exported model is small, holds only data, and runs in stock nnU-Net."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.training.export import export_model

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("nnunetv2")
pytest.importorskip("onnxscript")

CARD = {"title": "Tiny", "licence": "CC0"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained folder with two configurations and a trainer that stock nnU-Net does not have."""
    plans = tiny_models.plans()
    folder = tiny_models.write_folder(tmp_path_factory.mktemp("t") / "trained", trainer="ShortTrainer", folds=("all",))
    plans["configurations"] = {
        "base": {**plans["configurations"]["2d"], "batch_size": 7},
        "2d": {"inherits_from": "base"},
        "3d_fullres": tiny_models.plans(3)["configurations"]["3d_fullres"],
    }
    (folder / "plans.json").write_text(json.dumps({**plans, "continue_training": False}))
    return folder


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export_model(trained, tmp_path_factory.mktemp("e") / "tiny", "tiny", CARD)


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_folder_is_nnunets_with_a_card_and_a_network(exported):
    assert set(files(exported)) == {
        "card.json",
        "dataset.json",
        "fold_all/checkpoint_final.pth",
        "network.onnx",
        "plans.json",
    }
    card = json.loads((exported / "card.json").read_text())
    assert card["title"] == "Tiny"
    assert (card["name"], card["configuration"], card["trainer"]) == ("tiny", "2d", "ShortTrainer")
    assert set(card["sha256"]) == set(files(exported)) - {"card.json"}


def test_plans_hold_the_one_configuration_whole(exported):
    plans = json.loads((exported / "plans.json").read_text())
    assert list(plans["configurations"]) == ["2d"]
    assert plans["configurations"]["2d"]["batch_size"] == 7
    assert "inherits_from" not in plans["configurations"]["2d"]
    assert "continue_training" not in plans


def test_the_checkpoint_loads_without_any_allow_list_and_holds_float16(exported, trained):
    path = exported / "fold_all" / "checkpoint_final.pth"
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    content = torch.load(path, weights_only=True)
    assert content["trainer_name"] == "nnUNetTrainer"
    assert content["init_args"] == {"configuration": "2d"}
    assert "optimizer_state" not in content
    before = torch.load(trained / "fold_all" / "checkpoint_final.pth", weights_only=False)["network_weights"]
    assert {value.dtype for value in content["network_weights"].values()} == {torch.float16}
    for name, value in content["network_weights"].items():
        assert torch.equal(value, before[name].half())
    # nnU-Net names most tensors several times; each is stored once.
    stored = {value.data_ptr(): value.numel() for value in content["network_weights"].values()}
    assert len(stored) < len(content["network_weights"])
    card = json.loads((exported / "card.json").read_text())
    assert sum(stored.values()) == card["parameters"]


def test_the_same_training_gives_the_same_bytes(trained, exported, tmp_path):
    again = export_model(trained, tmp_path / "again", "tiny", CARD)
    assert files(again) == files(exported)


def test_the_network_stores_float16_and_nothing_of_this_computer(exported):
    data = (exported / "network.onnx").read_bytes()
    proto = onnx.load_from_string(data)
    assert {tensor.data_type for tensor in proto.graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert {entry.key: entry.value for entry in proto.metadata_props} == {
        "configuration": "2d",
        "mirroring_axes": "0,1",
    }
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)
    for trace in (b"site-packages", b".py", b"/home", b"/tmp"):
        assert trace not in data


def test_the_weights_are_stored_once_and_the_check_against_torch_is_on_the_card(exported):
    sizes = {name: len(data) for name, data in files(exported).items()}
    assert sizes["network.onnx"] < sizes["fold_all/checkpoint_final.pth"] / 2
    references = {
        entry.value
        for tensor in onnx.load_from_string((exported / "network.onnx").read_bytes()).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert references == {"fold_all/checkpoint_final.pth"}
    assert 0 <= json.loads((exported / "card.json").read_text())["onnx_check"]["logit"] < 1e-3


def test_stock_nnunet_runs_the_folder_with_the_labels_of_both_backends(exported):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    stock = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    stock.initialize_from_trained_model_folder(str(exported), ["all"], "checkpoint_final.pth")
    array = tiny_models.image()
    expected = stock.predict_single_npy_array(array[None], {"spacing": list(tiny_models.SPACING)})
    for backend, allowed in (("torch", 0), ("onnx", array.size * 1e-3)):
        predictor = open_predictor(open_model_folder(exported), PredictionSettings(device="cpu", backend=backend))
        assert (predictor.predict(array, tiny_models.SPACING) != expected).sum() <= allowed


def test_rounding_to_float16_hardly_changes_labels(exported, trained):
    settings = PredictionSettings(device="cpu", backend="torch")
    array = tiny_models.image()
    before, after = (
        open_predictor(open_model_folder(folder), settings).predict(array, tiny_models.SPACING)
        for folder in (trained, exported)
    )
    assert np.mean(before != after) < 0.01


def test_an_ensemble_keeps_its_folds_and_gets_no_network(tmp_path):
    folder = tiny_models.write_folder(tmp_path / "trained", folds=("0", "1"))
    exported = export_model(folder, tmp_path / "out", "two", {})
    assert open_model_folder(exported).folds == ("0", "1")
    assert open_model_folder(exported).onnx is None


def test_weights_beyond_float16_are_refused_and_leave_nothing(tmp_path):
    folder = tiny_models.write_folder(tmp_path / "trained")
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    next(iter(content["network_weights"].values())).data.fill_(1e6)
    torch.save(content, path)
    with pytest.raises(InputError, match="float16"):
        export_model(folder, tmp_path / "out", "big", {})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no nnU-Net v2 model folder"):
        export_model(tmp_path, tmp_path / "out", "none", {})
