"""The real `segment` and `postprocess` commands, with a network small enough to be written down."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper
from SparseCardiacSegLib.automatic.postprocess import PostprocessSettings, postprocess
from SparseCardiacSegLib.automatic.predictor import PredictionSettings
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmenter import segment_stack
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.worker.client import WorkerClient

SPACING = (8.0, 1.6, 1.5)
"""The tiny plans' own within a slice, so that nothing is resampled and every label can be foretold."""


def write_threshold_model(folder, bright=3):
    """A model whose network gives label `bright` to what is brighter than the mean, by one 1 x 1 convolution."""
    tiny_models.write_folder(folder, weights=False)
    weights = np.zeros((4, 1, 1, 1), np.float32)
    weights[bright] = 5.0
    size = tiny_models.PATCH
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weights"], ["logits"])],
        "threshold",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4, size, size])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"configuration": "2d", "mirroring_axes": "0,1"})
    onnx.save(model, folder / "network.onnx")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with WorkerClient(sys.executable, temporary=tmp_path_factory.mktemp("worker")) as client:
        yield client


@pytest.fixture
def model(tmp_path):
    return write_threshold_model(tmp_path / "tiny")


SETTINGS = PredictionSettings(device="cpu", backend="onnx")


def image(*shape, seed=0):
    """Positive everywhere, so that nothing is cropped away."""
    return 0.1 + np.random.default_rng(seed).random(shape)


def expected(frame):
    return np.where(frame > frame.mean(), 3, 0)


def test_the_worker_labels_a_stack_with_a_model_folder(client, model):
    array = image(3, 40, 50)
    params = {"spacing": list(SPACING), "model": str(model), "device": "cpu", "backend": "onnx"}
    reply = client.run("segment", params, {"image": array.astype(np.float32)})
    assert reply.arrays["labels"].dtype == np.uint8
    np.testing.assert_array_equal(reply.arrays["labels"], expected(array))
    assert reply.values["labels_scheme"] == {"name": "acdc", "numbers": {"RV": 1, "MYO": 2, "LV": 3}}
    assert reply.values["model"]["backend"] == "onnx"
    assert reply.values["model"]["device"] == "cpu"
    assert 0 < reply.values["seconds"] <= reply.seconds


def test_a_cine_with_another_through_plane_axis_comes_back_in_its_own_order_and_repaired(client, model):
    array = np.moveaxis(image(2, 4, 40, 50), 1, 3)
    stack = Stack(array, np.diag([8.0, 1.5, 1.6, 1.0]), through_plane=2)
    steps = PostprocessSettings(largest_component=True, myo_surrounds_lv=False, blank_slices=False)
    seen = []
    result = segment_stack(client, stack, model, SETTINGS, steps, lambda *news: seen.append(news))
    np.testing.assert_array_equal(result.raw.labels.array, np.stack([expected(frame) for frame in array]))
    np.testing.assert_array_equal(result.segmentation.labels.array, postprocess(result.raw, steps).labels.array)
    assert (result.segmentation.labels.array != result.raw.labels.array).any()
    assert seen[-1] == (1.0, "done")
    assert (0.95, "post-processing") in seen
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)


def test_a_model_stays_loaded_until_its_files_change(client, tmp_path):
    folder = write_threshold_model(tmp_path / "kept")
    stack = Stack(image(2, 40, 50), np.diag([1.5, 1.6, 8.0, 1.0]))
    before = client.run("ping").values["loaded_models"]
    messages = []
    for _ in range(2):
        segment_stack(client, stack, folder, SETTINGS, progress=lambda _, message: messages.append(message))
    assert client.run("ping").values["loaded_models"] == before + 1
    assert "loading the model" in messages
    write_threshold_model(folder, bright=1)
    labels = segment_stack(client, stack, folder, SETTINGS).raw.labels.array
    assert set(np.unique(labels)) == {0, 1}


def test_progress_can_stop_a_prediction(client, model):
    def progress(_fraction, message):
        if "part" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment_stack(client, Stack(image(30, 64, 64), np.diag([1.5, 1.6, 8, 1])), model, SETTINGS, progress=progress)
    assert not client.is_busy


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": "no such model"}, "no such model"),
        ({"model": "/no/such/folder"}, "folder"),
        ({"model": ""}, "needs a model"),
        ({"model": None}, "needs a model"),
        ({"spacing": None}, "three positive numbers"),
        ({"spacing": [1, 1]}, "three positive numbers"),
        ({"spacing": [1, 0, 1]}, "three positive numbers"),
        ({"spacing": ["a", 1, 1]}, "three positive numbers"),
        ({"device": "abacus"}, "unknown device 'abacus'"),
        ({"tile_step": 0}, "tile step"),
        ({"backend": "tensorflow"}, "unknown backend"),
    ],
)
def test_wrong_parameters_are_refused_with_a_sentence(client, model, params, said):
    given = {"spacing": list(SPACING), "model": str(model), "backend": "onnx", **params}
    with pytest.raises(InputError, match=said):
        client.run("segment", given, {"image": image(2, 40, 50)})


def test_an_image_that_is_missing_or_flat_is_refused(client, model):
    params = {"spacing": list(SPACING), "model": str(model), "backend": "onnx"}
    with pytest.raises(InputError, match="needs an array 'image'"):
        client.run("segment", params)
    with pytest.raises(InputError, match="one stack"):
        client.run("segment", params, {"image": image(40, 50)})


def test_a_damaged_network_is_refused_and_the_worker_lives_on(client, model):
    (model / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"network\.onnx is damaged"):
        segment_stack(client, Stack(image(2, 40, 50), np.eye(4)), model, SETTINGS)
    assert client.run("ping", {"echo": 5}).values["echo"] == 5


def test_a_threshold_keeps_what_is_surer_with_one_loaded_model(client, model):
    array = image(3, 40, 50)
    counts = []
    for threshold in (None, 0.6, 0.9):
        settings = PredictionSettings(device="cpu", backend="onnx", threshold=threshold)
        result = segment_stack(client, Stack(array, np.diag([1.5, 1.6, 8.0, 1.0])), model, settings)
        counts.append(np.count_nonzero(result.raw.labels.array))
    # With 4 classes "likeliest" needs less than half, so only the two thresholds are to be compared.
    assert 0 < counts[2] < counts[1]
    scores = 5 * (array - array.mean()) / array.std()
    structures = 1 - 1 / (3 + np.exp(scores))
    assert counts[2] == np.count_nonzero(structures >= 0.9)


def test_a_model_with_an_orientation_sees_the_image_turned_and_its_labels_come_back(client, model):
    (model / "card.json").write_text('{"orientation": "SPL"}')
    array = image(3, 40, 50)
    stack = Stack(array, np.diag([1.5, 1.6, -8.0, 1.0]))  # IAR
    result = segment_stack(client, stack, model, SETTINGS)
    np.testing.assert_array_equal(result.raw.labels.array, expected(array))
    (model / "card.json").write_text('{"orientation": "SSL"}')
    with pytest.raises(InputError, match="orientation"):
        segment_stack(client, stack, model, SETTINGS)
