"""The torch predictor gives nnU-Net's labels, reports progress, can be cancelled and stays quiet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, Predictor, choose_backend, open_predictor
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled

torch = pytest.importorskip("torch")
pytest.importorskip("nnunetv2")
sitk = pytest.importorskip("SimpleITK")

CPU = PredictionSettings(device="cpu", backend="torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def predictor(folder):
    return open_predictor(open_model_folder(folder), CPU)


def write_case(folder: Path, array: np.ndarray, spacing) -> Path:
    """Write an input folder for nnU-Net's own commands."""
    folder.mkdir(parents=True, exist_ok=True)
    volume = sitk.GetImageFromArray(array)
    volume.SetSpacing([float(distance) for distance in reversed(spacing)])
    sitk.WriteImage(volume, str(folder / "case_0000.nii.gz"))
    return folder


def stock_labels(model: Path, work: Path, array, spacing, folds=("0",), **settings):
    """Labels of nnU-Net's own predictor as its command runs it, in this process."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    write_case(work / "in", array, spacing)
    (work / "out").mkdir()
    stock = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False, **settings)
    stock.initialize_from_trained_model_folder(str(model), list(folds), "checkpoint_final.pth")
    stock.predict_from_files_sequential(str(work / "in"), str(work / "out"))
    return sitk.GetArrayFromImage(sitk.ReadImage(str(work / "out" / "case.nii.gz")))


def read_spacing(work: Path):
    """The spacing as the file holds it: NIfTI keeps float32."""
    return sitk.ReadImage(str(work / "in" / "case_0000.nii.gz")).GetSpacing()[::-1]


def test_it_is_a_predictor(predictor):
    assert isinstance(predictor, Predictor)
    assert (predictor.backend, predictor.device, predictor.warnings) == ("torch", "cpu", ())


@pytest.mark.parametrize(
    ("mirroring", "step", "shape"),
    [(True, 0.5, (3, 44, 57)), (False, 0.8, (2, 70, 50)), (False, 0.5, (2, 20, 25)), (False, 1.0, (1, 44, 57))],
)
def test_labels_equal_nnunets_own_voxel_for_voxel(folder, tmp_path, mirroring, step, shape):
    array = tiny_models.image(shape)
    expected = stock_labels(folder, tmp_path, array, tiny_models.SPACING, use_mirroring=mirroring, tile_step_size=step)
    settings = PredictionSettings("cpu", mirroring, step, "torch")
    labels = open_predictor(open_model_folder(folder), settings).predict(array, read_spacing(tmp_path))
    assert labels.dtype == np.uint8
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(labels, expected)


def test_several_folds_are_averaged_as_nnunet_does(tmp_path):
    model = tiny_models.write_folder(tmp_path / "model", folds=("0", "1"))
    array = tiny_models.image()
    expected = stock_labels(model, tmp_path, array, tiny_models.SPACING, folds=("0", "1"), use_mirroring=False)
    settings = PredictionSettings("cpu", mirroring=False, backend="torch")
    labels = open_predictor(open_model_folder(model), settings).predict(array, read_spacing(tmp_path))
    np.testing.assert_array_equal(labels, expected)
    (model / "fold_1" / "checkpoint_final.pth").unlink()
    single = open_predictor(open_model_folder(model), settings).predict(array, read_spacing(tmp_path))
    assert (single != labels).any()


def test_a_3d_model_and_a_transposed_one_give_nnunets_labels(tmp_path):
    plans = {**tiny_models.plans(3), "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2]}
    model = tiny_models.write_folder(tmp_path / "model", plans_json=plans)
    array = tiny_models.image((9, 34, 40))
    expected = stock_labels(model, tmp_path, array, tiny_models.SPACING, use_mirroring=False)
    settings = PredictionSettings("cpu", mirroring=False, backend="torch")
    labels = open_predictor(open_model_folder(model), settings).predict(array, read_spacing(tmp_path))
    np.testing.assert_array_equal(labels, expected)


def test_region_labels_equal_nnunets_own(tmp_path):
    labels = {"background": 0, "MYO": [1, 2], "LV": [2], "RV": [3]}
    dataset = tiny_models.dataset(labels, regions_class_order=[1, 2, 3])
    model = tiny_models.write_folder(tmp_path / "model", dataset_json=dataset, heads=3)
    array = tiny_models.image()
    expected = stock_labels(model, tmp_path, array, tiny_models.SPACING, use_mirroring=False)
    settings = PredictionSettings("cpu", mirroring=False, backend="torch")
    labels = open_predictor(open_model_folder(model), settings).predict(array, read_spacing(tmp_path))
    np.testing.assert_array_equal(labels, expected)


def run_command(model: Path, work: Path) -> np.ndarray:
    """Run the `nnUNetv2_predict_from_modelfolder` command on `work/in`."""
    environment = {**os.environ, **{f"nnUNet_{name}": str(work) for name in ("raw", "preprocessed", "results")}}
    entry = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as p; p()"
    fold = open_model_folder(model).folds[0]
    options = [
        "-i",
        work / "in",
        "-o",
        work / "out",
        "-m",
        model,
        "-f",
        fold,
        "-device",
        "cpu",
        "-npp",
        "1",
        "-nps",
        "1",
    ]
    subprocess.run([sys.executable, "-c", entry, *map(str, options)], check=True, env=environment, capture_output=True)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(work / "out" / "case.nii.gz")))


@pytest.mark.slow
def test_labels_equal_those_of_the_command(folder, tmp_path, predictor):
    array = tiny_models.image()
    write_case(tmp_path / "in", array, tiny_models.SPACING)
    expected = run_command(folder, tmp_path)
    np.testing.assert_array_equal(predictor.predict(array, read_spacing(tmp_path)), expected)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("case", ["patient090_frame11", "patient068_frame12"])
def test_the_embedded_model_gives_the_commands_labels_on_real_stacks(shared_data, tmp_path, case):
    from SparseCardiacSegLib.automatic.catalogue import find_model

    model = find_model("sax-acdc-24")
    volume = sitk.ReadImage(str(shared_data / "acdc" / f"{case}.nii.gz"))
    write_case(tmp_path / "in", sitk.GetArrayFromImage(volume), volume.GetSpacing()[::-1])
    expected = run_command(model.path, tmp_path)
    labels = open_predictor(model, CPU).predict(sitk.GetArrayFromImage(volume), read_spacing(tmp_path))
    np.testing.assert_array_equal(labels, expected)


def test_probabilities_agree_with_the_labels_and_sum_to_one(predictor):
    result = predictor.predict_probabilities(tiny_models.image(), tiny_models.SPACING)
    np.testing.assert_array_equal(result.labels, predictor.predict(tiny_models.image(), tiny_models.SPACING))
    assert result.probabilities.shape == (4, *result.labels.shape)
    np.testing.assert_allclose(result.probabilities.sum(0, dtype=np.float32), 1, atol=5e-3)
    best = np.take_along_axis(result.probabilities, result.labels[None].astype(int), 0)[0]
    assert (best >= result.probabilities.max(0)).all()


def test_progress_rises_to_one_tile_by_tile(predictor):
    seen = []
    predictor.predict(
        tiny_models.image(), tiny_models.SPACING, lambda fraction, message: seen.append((fraction, message))
    )
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    # 40 x 50 pixels without the border become 31 x 47: one tile by two, on three slices.
    assert sum(message.startswith("segmenting") for _, message in seen) == 1 * 2 * 3


def test_cancelling_stops_at_the_next_tile_and_leaves_no_thread(predictor):
    before = threading.active_count()
    calls = []

    def cancel(_, message):
        calls.append(message)
        if len(calls) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        predictor.predict(tiny_models.image(), tiny_models.SPACING, cancel)
    assert len(calls) == 4
    assert threading.active_count() == before
    assert predictor.predict(tiny_models.image(), tiny_models.SPACING).any()


def test_an_error_inside_the_network_comes_out_at_once(folder):
    predictor = open_predictor(open_model_folder(folder), CPU)

    def fail(*_):
        raise ZeroDivisionError("inside")

    predictor._predictor.network.register_forward_pre_hook(fail)
    with pytest.raises(ZeroDivisionError, match="inside"):
        predictor.predict(tiny_models.image(), tiny_models.SPACING)


def test_the_input_array_and_the_threads_of_torch_stay_as_they_were(predictor):
    array = tiny_models.image()
    copy = array.copy()
    threads = torch.get_num_threads()
    predictor.predict(array, tiny_models.SPACING)
    np.testing.assert_array_equal(array, copy)
    assert torch.get_num_threads() == threads


def test_nothing_is_printed_on_stdout(folder, capfd):
    predictor = open_predictor(open_model_folder(folder), CPU)
    predictor.predict(tiny_models.image(), tiny_models.SPACING)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("array", "spacing", "message"),
    [
        (np.zeros((4, 4)), (1, 1, 1), "shape"),
        (np.zeros((2, 3, 4, 4)), (1, 1, 1), "shape"),
        (np.zeros((0, 4, 4)), (1, 1, 1), "shape"),
        (np.full((2, 40, 40), np.nan), (1, 1, 1), "NaN"),
        (np.full((2, 40, 40), np.inf), (1, 1, 1), "infinite"),
        (np.full((2, 40, 40), "a"), (1, 1, 1), "numbers"),
        (np.zeros((2, 40, 40)), (1, 0, 1), "spacing"),
        (np.zeros((2, 40, 40)), (1, 1), "spacing"),
    ],
)
def test_input_that_cannot_be_used_is_refused(predictor, array, spacing, message):
    with pytest.raises(InputError, match=message):
        predictor.predict(array, spacing)


def test_a_stack_of_zeros_is_labelled_without_complaint(predictor):
    assert predictor.predict(np.zeros((2, 40, 40)), tiny_models.SPACING).shape == (2, 40, 40)


def test_an_unknown_trainer_is_replaced_where_the_weights_fit(tmp_path, folder):
    model = tiny_models.write_folder(tmp_path / "model", trainer="MyOwnTrainer")
    predictor = open_predictor(open_model_folder(model), CPU)
    assert "MyOwnTrainer" in predictor.warnings[0]
    expected = open_predictor(open_model_folder(folder), CPU).predict(tiny_models.image(), tiny_models.SPACING)
    np.testing.assert_array_equal(predictor.predict(tiny_models.image(), tiny_models.SPACING), expected)


@pytest.mark.parametrize("trainer", ["MyOwnTrainer", "nnUNetTrainer"])
def test_weights_that_do_not_fit_are_refused_with_a_sentence(tmp_path, trainer):
    model = tiny_models.write_folder(tmp_path / "model", trainer=trainer)
    plans = tiny_models.plans()
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 8, 16]
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(InputError, match="do not fit") as caught:
        open_predictor(open_model_folder(model), CPU)
    assert ("MyOwnTrainer" in str(caught.value)) == (trainer == "MyOwnTrainer")


def test_plans_of_a_monstrous_network_cost_no_memory(tmp_path):
    model = tiny_models.write_folder(tmp_path / "model")
    plans = tiny_models.plans()
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [10**6, 10**6, 10**6]
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(InputError, match="do not fit"):
        open_predictor(open_model_folder(model), CPU)


@pytest.mark.filterwarnings("ignore:Network class")
@pytest.mark.parametrize("name", ["ResidualEncoderUNet", "Union", "NoSuchNetwork"])
def test_a_network_that_cannot_be_built_is_refused_with_a_sentence(tmp_path, name):
    model = tiny_models.write_folder(tmp_path / "model")
    plans = tiny_models.plans()
    architecture = plans["configurations"]["2d"]["architecture"]
    architecture["network_class_name"] = f"dynamic_network_architectures.architectures.unet.{name}"
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(InputError, match=r"plans\.json"):
        open_predictor(open_model_folder(model), CPU)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(folder, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"'{device}' is not available"):
        open_predictor(open_model_folder(folder), PredictionSettings(device=device))


def test_a_missing_package_is_named_with_its_extra(folder, monkeypatch):
    from SparseCardiacSegLib.automatic import packages

    monkeypatch.setattr(packages, "installed", lambda package: package != "nnunetv2")
    with pytest.raises(InputError, match=r"'nnunetv2'.*sparsecardiacseg\[torch\]"):
        open_predictor(open_model_folder(folder), CPU)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "tpu"}, "device"),
        ({"backend": "tf"}, "backend"),
        ({"tile_step": 0}, "step"),
        ({"tile_step": 2}, "step"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        PredictionSettings(**settings)


def test_a_folder_without_onnx_uses_torch_and_says_so_when_onnx_is_asked_for(folder):
    model = open_model_folder(folder)
    assert choose_backend(model, PredictionSettings()) == "torch"
    with pytest.raises(InputError, match=r"network\.onnx"):
        choose_backend(model, PredictionSettings(backend="onnx"))
