"""`train-regions` from annotated stacks to a routed model that segments, through nnU-Net's own trainer."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import phantom
import pytest
import sparse_sources
import tiny_models
from SparseCardiacSegLib.automatic.catalogue import find_model, import_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.automatic.region_predictor import RoutedPredictor
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.io import read_stack, write_stack
from SparseCardiacSegLib.regions import Region

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"


def train(folder, *more):
    """Run the command in a process of its own, as it sets nnU-Net's environment."""
    command = [sys.executable, "-m", "SparseCardiacSegLib", "train-regions", str(folder / "data"), "--scheme", "acdc"]
    command += ["--workspace", str(folder / "work"), "--out", str(folder / "model"), "--name", "tiny-routed"]
    command += ["--baseline", str(folder / "baseline"), "--epochs", "1", "--iterations", "1", "--batch-size", "2"]
    command += ["--steps", "2", "--slices", "4", "--learning-rate", "1e-9", "--no-bfloat16", *more]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny baseline, three phantom patients, and what one step a region makes of them."""
    folder = tmp_path_factory.mktemp("train_regions")
    sparse_sources.write_folder(folder / "data", n_patients=3, n_slices=6)
    tiny_models.write_folder(folder / "baseline", folds=("all",))
    done = train(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_region_models_start_from_the_baseline_and_the_routed_model_labels_as_they_do(trained):
    routed, baseline = find_model(trained / "model"), find_model(trained / "baseline")
    settings = PredictionSettings(device="cpu", mirroring=False)
    predictor = open_predictor(routed, settings)
    assert isinstance(predictor, RoutedPredictor)
    assert predictor.backend == "torch"  # the baseline has no network for ONNX Runtime
    image, _ = sparse_sources.heart(6)
    whole = open_predictor(baseline, settings).predict(image.array, image.spacing)
    regions = (Region.BASE, Region.BASE, Region.MIDDLE, Region.MIDDLE, Region.APEX, None)
    found = predictor.predict_routed(image.array, image.spacing, regions).labels
    # Nothing was learned at a rate of 1e-9; weights are rounded to float16.
    assert len(np.unique(whole)) > 1
    assert (found == whole).mean() > 0.97
    assert (found[5] == whole[5]).all()


@pytest.mark.slow
def test_each_region_learned_from_the_slices_of_its_third_only(trained):
    for name, kept in (("Dataset611_RegionB", [0, 1]), ("Dataset612_RegionM", [2, 3]), ("Dataset613_RegionA", [4, 5])):
        raw = trained / "work" / "nnUNet_raw" / name
        files = sorted((raw / "labelsTr").glob("*.nii.gz"))
        assert len(files) == 4  # two frames of the two patients of `train`
        for file in files:
            labels = read_stack(file).array
            annotated = [index for index in range(6) if not (labels[index] == 4).any()]
            assert annotated == kept
    card = json.loads((trained / "model" / "apex" / "card.json").read_text())
    assert card["regions"] == "apex"
    assert card["slices"] == 8
    assert card["training"]["foreground_oversampling"] == 0.0


@pytest.mark.slow
def test_the_same_command_again_goes_on_and_other_settings_are_refused(trained):
    before = sorted((trained / "work").rglob("checkpoint_final.pth"))
    times = [file.stat().st_mtime_ns for file in before]
    assert train(trained).returncode == 0
    assert [file.stat().st_mtime_ns for file in before] == times
    refused = train(trained, "--epochs", "2")
    assert refused.returncode == 2
    assert "other settings" in refused.stderr


@pytest.mark.slow
def test_segment_and_evaluate_take_the_routed_folder_and_it_can_be_imported(trained, tmp_path):
    image, _ = sparse_sources.heart(6)
    write_stack(image, tmp_path / "heart.nii.gz")
    command = ["segment", str(tmp_path / "heart.nii.gz"), "--model", str(trained / "model"), "--no-mirroring"]
    assert main([*command, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    assert read_stack(tmp_path / "out" / "heart_seg.nii.gz").shape == image.shape
    evaluate = ["evaluate-regions", str(trained / "data"), "--scheme", "acdc", "--split", "all", "--no-mirroring"]
    evaluate += ["--device", "cpu", "--model", str(trained / "model"), "--out", str(tmp_path / "tables")]
    assert main(evaluate) == 0
    with (tmp_path / "tables" / "change.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"routed", "known regions"}
    assert {row["region"] for row in rows} == {"all", "base", "middle", "apex"}
    assert all(int(row["volumes"]) == 6 and int(row["patients"]) == 3 for row in rows)
    entry = import_model(trained / "model", folder=tmp_path / "shelf")
    assert entry.name == "tiny-routed"
    assert find_model("tiny-routed", tmp_path / "shelf").models["apex"].path.name == "apex"


def test_a_slice_is_labelled_alone_as_among_all_without_torch():
    model = find_model("sax-acdc-24")
    predictor = open_predictor(model, PredictionSettings(device="cpu", backend="onnx", mirroring=False))
    image, _ = phantom.heart(0.0, phantom.grid((4, 96, 96), (18.0, 1.5, 1.5)))
    whole = predictor.predict(image.array, image.spacing)
    told = []
    alone = predictor.predict(image.array, image.spacing, lambda _fraction, message: told.append(message), [1])
    assert whole[1].any()
    assert (alone[1] == whole[1]).all()
    assert sum("segmenting" in message for message in told) == 1  # one tile of one slice


def test_an_empty_slice_that_is_cropped_away_can_be_asked_for():
    model = find_model("sax-acdc-24")
    predictor = open_predictor(model, PredictionSettings(device="cpu", backend="onnx", mirroring=False))
    image, _ = phantom.heart(0.0, phantom.grid((3, 96, 96), (18.0, 1.5, 1.5)))
    array = image.array.copy()
    array[0] = 0
    assert not predictor.predict(array, image.spacing, slices=[0])[0].any()
