"""The embedded left-atrium model: listed, small, runnable without torch, and as good as its card says."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import LEFT_ATRIUM, Structure
from SparseCardiacSegLib.automatic.catalogue import find_model, list_models
from SparseCardiacSegLib.automatic.orientation import turned
from SparseCardiacSegLib.automatic.postprocess import recommended
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, choose_backend, open_predictor
from SparseCardiacSegLib.automatic.turned import predict_turned
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.io import read_segmentation, read_stack

NAME = "la-lge-12"
HELD_OUT = ("la_002", "la_008", "la_011", "la_013")


@pytest.fixture(scope="module")
def model():
    return find_model(NAME)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_it_is_listed_with_its_view_and_fits_into_16_megabytes(model):
    entry = next(entry for entry in list_models() if entry.name == NAME)
    assert (entry.view, entry.structures, entry.problem) == ("left atrium", (Structure.LA,), "")
    assert entry.size <= 16 * 1024**2
    assert model.scheme == LEFT_ATRIUM


def test_its_card_names_twelve_training_volumes_and_none_of_the_held_out_ones(model):
    assert len(model.card["patients"]) == model.card["volumes"] == 12
    assert not set(HELD_OUT) & set(model.card["patients"])
    assert model.card["validation"]["mean_dice"] >= 0.88
    assert model.card["orientation"] == "SPL"
    recommended(model.card)


def test_its_network_runs_without_torch_and_labels_little_of_pure_noise(model):
    pytest.importorskip("onnxruntime")
    assert choose_backend(model, PredictionSettings(device="cpu")) == "onnx"
    predictor = open_predictor(model, PredictionSettings(device="cpu", backend="onnx"))
    noise = np.random.default_rng(0).normal(100, 10, (40, 60, 60))
    labels = predictor.predict(noise, (2.5, 1.25, 1.25))
    assert labels.shape == noise.shape
    assert labels.mean() < 0.2


@pytest.mark.slow
@pytest.mark.shared
def test_it_finds_a_held_out_atrium_and_both_backends_agree(shared_data, model):
    image = read_stack(shared_data / "la" / "la_013.nii.gz")
    truth = read_segmentation(shared_data / "la" / "la_013_gt.nii.gz", LEFT_ATRIUM).mask(Structure.LA)
    onnx, torch = (
        open_predictor(model, PredictionSettings("cpu", backend=backend)).predict(image.array, image.spacing)
        for backend in ("onnx", "torch")
    )
    assert dice(onnx == 1, truth) > 0.88
    assert (onnx != torch).mean() < 1e-4


@pytest.mark.slow
@pytest.mark.shared
def test_it_finds_the_atrium_in_an_image_stored_the_other_way_round(shared_data, model):
    image = read_stack(shared_data / "la" / "la_013.nii.gz")
    predictor = open_predictor(model, PredictionSettings("cpu", backend="onnx"))
    as_learned = predict_turned(predictor, image.array, image.spacing, "SPL")
    flipped = np.ascontiguousarray(turned(image.array, "SPL", "IAR"))
    z, y, x = image.spacing
    labels = predict_turned(predictor, flipped, (z, y, x), "IAR")
    np.testing.assert_array_equal(turned(labels, "IAR", "SPL"), as_learned)
    # Without being told, it would see a heart with left and right, front and back exchanged.
    lost = predict_turned(predictor, flipped, (z, y, x), None)
    assert dice(turned(lost, "IAR", "SPL") == 1, as_learned == 1) < 0.8


@pytest.mark.slow
@pytest.mark.shared
def test_segment_with_a_region_of_interest_gives_labels_inside_it_and_a_volume(shared_data, tmp_path):
    source = shared_data / "la" / "la_011.nii.gz"
    image = read_stack(source)
    truth = read_segmentation(shared_data / "la" / "la_011_gt.nii.gz", LEFT_ATRIUM)
    kji = np.argwhere(truth.mask(Structure.LA))
    low, high = kji.min(0), kji.max(0) + 1
    box = tmp_path / "box.json"
    box.write_text('{"voxels": [%d, %d, %d, %d, %d, %d]}' % (low[2], high[2], low[1], high[1], low[0], high[0]))  # noqa: UP031
    command = ["segment", str(source), "--model", NAME, "--roi", str(box), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    found = read_segmentation(tmp_path / "out" / "la_011_seg.nii.gz", LEFT_ATRIUM)
    outside = np.ones(image.shape, bool)
    outside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = False
    assert not found.mask(Structure.LA)[outside].any()
    assert dice(found.mask(Structure.LA), truth.mask(Structure.LA)) > 0.8
    assert replace(found.labels).same_grid(image)


@pytest.mark.shared
def test_the_held_out_volumes_are_those_of_the_table(shared_data):
    with (shared_data / "la" / "cases.csv").open(newline="") as stream:
        assert tuple(row["case"] for row in csv.DictReader(stream) if row["split"] == "val") == HELD_OUT
