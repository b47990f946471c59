"""The weights of network.onnx lie in the checkpoint beside it, once, and nowhere else."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.onnx_session import open_session
from SparseCardiacSegLib.automatic.onnx_weights import external_weights
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.errors import InputError

CPU = PredictionSettings("cpu", backend="onnx")


@pytest.fixture
def folder(tmp_path):
    """A copy of the embedded left-atrium model."""
    return shutil.copytree(find_model("la-lge-12").path, tmp_path / "model")


@pytest.mark.parametrize("name", ["sax-acdc-24", "la-lge-12"])
def test_an_embedded_model_holds_its_weights_once(name):
    model = find_model(name)
    weights = external_weights(model.onnx, model.checkpoints)
    # All but the heads of deep supervision, which only training uses.
    assert 0.999 < sum(array.size for array in weights.values()) / model.card["parameters"] <= 1
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float16)}
    assert model.onnx.stat().st_size < 100_000
    assert sum(file.stat().st_size for file in model.files) < 16e6


def test_all_embedded_models_fit_into_their_budget():
    folder = find_model("sax-acdc-24").path.parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 60 * 1024**2


def test_the_references_are_those_of_onnx_itself(folder):
    onnx = pytest.importorskip("onnx")
    ours = external_weights(folder / "network.onnx", open_model_folder(folder).checkpoints)
    theirs = onnx.load(folder / "network.onnx").graph.initializer
    assert {tensor.name for tensor in theirs} == set(ours)
    for tensor in theirs:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), ours[tensor.name])


def test_another_checkpoint_than_the_exported_one_is_refused(folder):
    checkpoint = folder / "fold_all" / "checkpoint_final.pth"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(InputError, match=r"not the checkpoint that network\.onnx was exported with"):
        open_predictor(open_model_folder(folder), CPU)


@pytest.mark.parametrize("elsewhere", [b"fold_all/checkpoint_finam.pth", b"../../../../../../etc/secrets"])
def test_a_network_that_looks_for_weights_elsewhere_is_refused(folder, elsewhere):
    network = folder / "network.onnx"
    honest = b"fold_all/checkpoint_final.pth"
    assert len(elsewhere) == len(honest)
    network.write_bytes(network.read_bytes().replace(honest, elsewhere))
    with pytest.raises(InputError, match="which is no checkpoint of this model"):
        open_predictor(open_model_folder(folder), CPU)


def test_a_weight_beyond_the_end_of_the_checkpoint_is_refused(folder):
    network = folder / "network.onnx"
    content = network.read_bytes()
    far = re.sub(rb"(offset\x12\x07)\d{7}", rb"\g<1>9999999", content)
    assert far != content
    network.write_bytes(far)
    with pytest.raises(InputError, match="does not lie where it says"):
        open_predictor(open_model_folder(folder), CPU)


def test_a_truncated_or_changed_network_is_refused_with_a_sentence(folder):
    network = folder / "network.onnx"
    whole = network.read_bytes()
    checkpoints = open_model_folder(folder).checkpoints
    rng = np.random.default_rng(0)
    for cut in rng.integers(1, len(whole) - 1, 25):
        network.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"network\.onnx"):
            open_session(network, 1024**2, weights=external_weights(network, checkpoints))
    outcomes = set()
    for _ in range(40):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        network.write_bytes(changed)
        outcomes.add(_outcome(network, checkpoints))
    assert outcomes <= {"read", "refused"}


def _outcome(network, checkpoints):
    try:
        external_weights(network, checkpoints)
    except InputError:
        return "refused"
    return "read"


def test_a_network_that_is_too_large_is_refused(folder):
    with pytest.raises(InputError, match="larger than 0 MB; it was refused"):
        external_weights(folder / "network.onnx", open_model_folder(folder).checkpoints, most_bytes=1000)


def test_a_network_with_weights_of_its_own_needs_no_checkpoint(folder):
    onnx = pytest.importorskip("onnx")
    network = folder / "network.onnx"
    onnx.save_model(onnx.load(network), network)
    (folder / "fold_all" / "checkpoint_final.pth").write_bytes(b"not needed")
    assert external_weights(network, open_model_folder(folder).checkpoints) == {}
    assert open_predictor(open_model_folder(folder), CPU).backend == "onnx"
