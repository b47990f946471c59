"""The ONNX predictor needs no torch, and its labels are those of the torch predictor."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import tiny_models
from scipy import ndimage
from SparseCardiacSegLib.automatic import nnunet_numpy, tiles
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.plans import Configuration
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, Predictor, choose_backend, open_predictor
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.training.export import export_model

pytest.importorskip("torch")
pytest.importorskip("nnunetv2")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ONNX = PredictionSettings(device="cpu", backend="onnx")
TORCH = PredictionSettings(device="cpu", backend="torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    work = tmp_path_factory.mktemp("models")
    return export_model(tiny_models.write_folder(work / "trained"), work / "tiny", "tiny", {})


@pytest.fixture(scope="module")
def predictor(folder):
    return open_predictor(open_model_folder(folder), ONNX)


def differing(folder, array, spacing, mirroring=True, step=0.5):
    """Voxels that the two backends label differently, and the labels."""
    model = open_model_folder(folder)
    by = {
        backend: open_predictor(model, PredictionSettings("cpu", mirroring, step, backend)).predict(array, spacing)
        for backend in ("onnx", "torch")
    }
    assert by["onnx"].dtype == by["torch"].dtype == np.uint8
    return int((by["onnx"] != by["torch"]).sum()), by["torch"]


@pytest.mark.parametrize(
    ("mirroring", "step", "shape", "spacing"),
    [
        (True, 0.5, (3, 44, 57), tiny_models.SPACING),
        (False, 0.5, (5, 70, 50), tiny_models.SPACING),
        (True, 1.0, (1, 44, 57), tiny_models.SPACING),
        (False, 0.7, (2, 20, 25), tiny_models.SPACING),
        (False, 0.5, (3, 44, 57), (6.0, 1.6, 1.5)),
        (False, 0.5, (9, 50, 60), (2.0, 1.25, 1.4)),
        (False, 0.5, (9, 50, 60), (1.4, 1.4, 1.4)),
    ],
    ids=["mirrored", "many tiles", "one slice", "smaller than a tile", "no resampling", "thin slices", "isotropic"],
)
def test_labels_equal_those_of_torch(folder, mirroring, step, shape, spacing):
    count, labels = differing(folder, tiny_models.image(shape), spacing, mirroring, step)
    assert len(np.unique(labels)) > 2
    # The networks' last bits differ, and random weights decide close to a tie more often than trained ones.
    assert count <= labels.size * 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"use_mask_for_norm": [True]},
        {"normalization_schemes": ["CTNormalization"]},
        {"normalization_schemes": ["NoNormalization"]},
        {"normalization_schemes": ["RescaleTo01Normalization"]},
        {"normalization_schemes": ["RGBTo01Normalization"]},
    ],
    ids=lambda changes: str(next(iter(changes.values()))[0]),
)
def test_every_normalisation_equals_nnunets(tmp_path, changes):
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = tiny_models.plans(**changes)
    model = open_model_folder(tiny_models.write_folder(tmp_path / "model", plans_json=plans, weights=False))
    array = tiny_models.image()
    manager = PlansManager(plans)
    expected, _, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        array[None],
        None,
        {"spacing": tiny_models.SPACING},
        manager,
        manager.get_configuration("2d"),
        dict(model.dataset),
    )
    prepared = nnunet_numpy.prepare(array, tiny_models.SPACING, model.configuration("2d"))
    np.testing.assert_array_equal(prepared.image, expected[0])


@pytest.mark.parametrize(
    "spacing", [(8.0, 1.25, 1.4), (1.4, 8.0, 1.25), (1.3, 1.4, 9.0), (2.0, 2.0, 2.0), (2.0, 1.5, 1.9)]
)
@pytest.mark.parametrize("transpose", [([0, 1, 2], [0, 1, 2]), ([2, 0, 1], [1, 2, 0]), ([1, 0, 2], [1, 0, 2])])
def test_preparing_and_restoring_equal_nnunets_for_any_axis_order(tmp_path, spacing, transpose):
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = {**tiny_models.plans(), "transpose_forward": transpose[0], "transpose_backward": transpose[1]}
    model = open_model_folder(tiny_models.write_folder(tmp_path / "model", plans_json=plans, weights=False))
    plan: Configuration = model.configuration("2d")
    array = tiny_models.image((20, 24, 28))
    manager = PlansManager(plans)
    configuration, dataset = manager.get_configuration("2d"), dict(model.dataset)
    properties = {"spacing": list(spacing)}
    expected, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        array[None], None, properties, manager, configuration, dataset
    )
    prepared = nnunet_numpy.prepare(array, spacing, plan)
    np.testing.assert_array_equal(prepared.image, expected[0])
    noise = np.random.default_rng(0).normal(size=(4, *prepared.image.shape)).astype(np.float32)
    logits = ndimage.gaussian_filter(noise, (0, 1, 1, 1)).astype(np.float16)
    expected_labels, expected_probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
        torch.from_numpy(logits.copy()),
        manager,
        configuration,
        manager.get_label_manager(dataset),
        properties,
        return_probabilities=True,
    )
    without = convert_predicted_logits_to_segmentation_with_correct_shape(
        torch.from_numpy(logits.copy()), manager, configuration, manager.get_label_manager(dataset), properties
    )
    labels, probabilities = nnunet_numpy.restore(logits, prepared, plan)
    np.testing.assert_array_equal(labels, without)
    assert (labels != expected_labels).mean() < 1e-3
    np.testing.assert_allclose(probabilities, expected_probabilities, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "tile", "step"), [(32, 32, 0.5), (33, 32, 0.5), (110, 64, 0.5), (256, 160, 0.5), (100, 32, 0.3)]
)
def test_tiles_start_where_nnunets_do(size, tile, step):
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    assert tiles.tile_starts(size, tile, step) == compute_steps_for_sliding_window((size,), (tile,), step)[0]


@pytest.mark.parametrize("tile", [(32, 32), (160, 160), (40, 96)])
def test_gaussian_weights_are_nnunets(tile):
    import torch
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    expected = compute_gaussian(tile, sigma_scale=1 / 8, value_scaling_factor=10, device=torch.device("cpu"))
    np.testing.assert_array_equal(tiles.gaussian_weights(tile), expected.numpy())


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("case", ["patient090_frame11", "patient068_frame12"])
def test_the_embedded_model_labels_real_stacks_as_torch_does(shared_data, case):
    sitk = pytest.importorskip("SimpleITK")
    from SparseCardiacSegLib.automatic.catalogue import find_model

    volume = sitk.ReadImage(str(shared_data / "acdc" / f"{case}.nii.gz"))
    array, spacing = sitk.GetArrayFromImage(volume), volume.GetSpacing()[::-1]
    count, labels = differing(find_model("sax-acdc-24").path, array, spacing)
    assert labels.any()
    assert count <= 2


def test_it_is_a_predictor_and_auto_prefers_it_on_the_cpu(folder, predictor):
    assert isinstance(predictor, Predictor)
    assert (predictor.backend, predictor.device) == ("onnx", "cpu")
    model = open_model_folder(folder)
    assert choose_backend(model, PredictionSettings(device="cpu")) == "onnx"
    assert choose_backend(model, PredictionSettings(device="cuda")) == "torch"
    assert choose_backend(model, TORCH) == "torch"
    with pytest.raises(InputError, match="needs the torch backend"):
        choose_backend(model, PredictionSettings(device="cuda", backend="onnx"))


def test_auto_takes_torch_where_a_gpu_is_there_or_onnxruntime_is_not(folder, monkeypatch):
    from SparseCardiacSegLib.automatic import predictor as module

    model = open_model_folder(folder)
    monkeypatch.setattr(module, "_has_cuda", lambda: True)
    assert choose_backend(model, PredictionSettings()) == "torch"
    assert choose_backend(model, PredictionSettings(device="cpu")) == "onnx"
    monkeypatch.setattr(module, "_has_cuda", lambda: False)
    assert choose_backend(model, PredictionSettings()) == "onnx"
    monkeypatch.setattr(module, "installed", lambda package: package != "onnxruntime")
    assert choose_backend(model, PredictionSettings()) == "torch"


def test_a_missing_onnxruntime_is_named_with_its_extra(folder, monkeypatch):
    from SparseCardiacSegLib.automatic import packages

    monkeypatch.setattr(packages, "installed", lambda package: package != "onnxruntime")
    with pytest.raises(InputError, match=r"'onnxruntime'.*sparsecardiacseg\[onnx\]"):
        open_predictor(open_model_folder(folder), ONNX)


def test_neither_torch_nor_nnunet_nor_skimage_is_imported(folder):
    code = f"""
import sys
for name in ("torch", "nnunetv2", "skimage", "SimpleITK", "onnx"):
    sys.modules[name] = None
import numpy as np
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
predictor = open_predictor(find_model({str(folder)!r}), PredictionSettings(device="cpu"))
assert predictor.backend == "onnx"
assert predictor.predict(np.random.default_rng(0).random((2, 40, 40)), (8, 1.5, 1.5)).shape == (2, 40, 40)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_progress_rises_to_one_and_cancel_stops_at_once(predictor):
    seen = []
    array = tiny_models.image((6, 44, 57))
    predictor.predict(array, tiny_models.SPACING, lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)
    assert len(seen) > 6
    calls = []

    def cancel(fraction, _):
        calls.append(fraction)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        predictor.predict(array, tiny_models.SPACING, cancel)
    assert len(calls) == 3
    assert predictor.predict(array, tiny_models.SPACING).any()


def test_probabilities_agree_with_the_labels(predictor):
    array = tiny_models.image()
    copy = array.copy()
    result = predictor.predict_probabilities(array, tiny_models.SPACING)
    np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(result.labels, predictor.predict(array, tiny_models.SPACING))
    np.testing.assert_allclose(result.probabilities.sum(0, dtype=np.float32), 1, atol=5e-3)
    assert (result.probabilities[0][array == 0].mean()) > result.probabilities[0][array != 0].mean()


def test_a_stack_of_zeros_and_bad_input_are_handled(predictor):
    assert predictor.predict(np.zeros((2, 40, 40)), tiny_models.SPACING).shape == (2, 40, 40)
    with pytest.raises(InputError, match="NaN"):
        predictor.predict(np.full((2, 40, 40), np.nan), tiny_models.SPACING)


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_damaged_network_is_refused_with_a_sentence(folder, tmp_path, content):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    data = (copy / "network.onnx").read_bytes()
    (copy / "network.onnx").write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"network\.onnx is damaged"):
        open_predictor(open_model_folder(copy), ONNX)


def test_a_network_of_another_model_is_refused(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    dataset = tiny_models.dataset({"background": 0, "LV": 1})
    (copy / "dataset.json").write_text(json.dumps(dataset))
    with pytest.raises(InputError, match="does not fit"):
        open_predictor(open_model_folder(copy), ONNX)
