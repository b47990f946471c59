"""A 3d model without torch: the numpy pipeline labels as nnU-Net does, with and without mirroring over three axes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from scipy import ndimage
from SparseCardiacSegLib.automatic import nnunet_numpy
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.training.export import export_model

pytest.importorskip("torch")
pytest.importorskip("nnunetv2")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ISOTROPIC = {"spacing": [1.5, 1.6, 1.5], "patch_size": [16, 32, 32]}
"""Spacing that is resampled in 3D, where that of `tiny_models` makes nnU-Net go plane by plane."""


@pytest.fixture(scope="module", params=[{}, ISOTROPIC], ids=["anisotropic", "isotropic"])
def folder(request, tmp_path_factory):
    work = tmp_path_factory.mktemp("models")
    trained = tiny_models.write_folder(work / "trained", plans_json=tiny_models.plans(3, **request.param))
    return export_model(trained, work / "tiny", "tiny", {})


@pytest.mark.parametrize(
    ("mirroring", "shape", "spacing"),
    [
        (True, (14, 44, 57), (8.0, 1.25, 1.4)),
        (False, (30, 40, 38), (2.0, 1.25, 1.4)),
        (False, (3, 20, 25), (1.5, 1.6, 1.5)),
    ],
    ids=["mirrored over three axes", "thin slices", "smaller than a tile"],
)
def test_labels_of_a_3d_model_equal_those_of_torch(folder, mirroring, shape, spacing):
    model = open_model_folder(folder)
    array = tiny_models.image(shape)
    onnx, torch = (
        open_predictor(model, PredictionSettings("cpu", mirroring, 0.5, backend)).predict(array, spacing)
        for backend in ("onnx", "torch")
    )
    assert onnx.dtype == np.uint8
    assert onnx.shape == array.shape
    assert len(np.unique(torch)) > 1
    # The networks' last bits differ, and random weights decide close to a tie more often than trained ones.
    assert (onnx != torch).mean() <= 1e-3


def test_mirroring_a_3d_model_averages_eight_predictions(folder):
    predictor = open_predictor(open_model_folder(folder), PredictionSettings("cpu", True, 1.0, "onnx"))
    calls = []
    run = predictor._run

    def counted(tiles):
        calls.append(tiles.shape)
        return run(tiles)

    predictor._run = counted
    depth, height, width = predictor._plan.patch_size
    predictor.predict(np.random.default_rng(0).random((depth, height, width)) + 1, predictor._plan.spacing)
    assert calls == [(1, 1, depth, height, width)] * 8


@pytest.mark.parametrize("spacing", [(8.0, 1.25, 1.4), (2.0, 2.0, 2.0), (1.3, 1.4, 9.0)])
@pytest.mark.parametrize("target", [[6.0, 1.6, 1.5], [1.5, 1.6, 1.5]])
def test_preparing_and_restoring_in_3d_equal_nnunets(tmp_path, spacing, target):
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = tiny_models.plans(3, spacing=target)
    model = open_model_folder(tiny_models.write_folder(tmp_path / "model", plans_json=plans, weights=False))
    plan = model.configuration("3d_fullres")
    array = tiny_models.image((18, 24, 28))
    manager = PlansManager(plans)
    configuration, dataset = manager.get_configuration("3d_fullres"), dict(model.dataset)
    expected, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        array[None], None, {"spacing": list(spacing)}, manager, configuration, dataset
    )
    prepared = nnunet_numpy.prepare(array, spacing, plan)
    np.testing.assert_array_equal(prepared.image, expected[0])
    noise = np.random.default_rng(0).normal(size=(4, *prepared.image.shape)).astype(np.float32)
    logits = ndimage.gaussian_filter(noise, (0, 1, 1, 1)).astype(np.float16)
    expected_labels = convert_predicted_logits_to_segmentation_with_correct_shape(
        torch.from_numpy(logits.copy()), manager, configuration, manager.get_label_manager(dataset), properties
    )
    labels, _ = nnunet_numpy.restore(logits, prepared, plan)
    np.testing.assert_array_equal(labels, expected_labels)


def test_mirroring_axes_that_a_3d_network_lacks_are_refused(folder, tmp_path):
    import shutil

    import onnx

    copy = shutil.copytree(folder, tmp_path / "copy")
    proto = onnx.load_from_string((copy / "network.onnx").read_bytes())
    onnx.helper.set_model_props(proto, {"configuration": "3d_fullres", "mirroring_axes": "0,3"})
    (copy / "network.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match="mirroring axes"):
        open_predictor(open_model_folder(copy), PredictionSettings("cpu", backend="onnx"))
