"""`train` from a folder of annotated stacks to a model that segments, through nnU-Net's own planner and trainer."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import write_segmentation, write_stack

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"


def train(folder, *more):
    """Run the command in a process of its own, as it sets nnU-Net's environment."""
    command = [sys.executable, "-m", "SparseCardiacSegLib", "train", str(folder / "data"), "--workspace"]
    command += [str(folder / "work"), "--out", str(folder / "model"), "--name", "tiny", "--patients", "2"]
    command += ["--epochs", "1", "--iterations", "1", "--batch-size", "2", "--no-bfloat16", *more]
    environment = {
        **os.environ,
        "PYTHONPATH": str(LIBRARY),
        "nnUNet_n_proc_DA": "0",
    }  # which nnU-Net's planner chokes on
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a data set of two phantom patients and what one epoch of one iteration makes of it."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "data").mkdir()
    with (folder / "data" / "cases.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "group", "split", "note"])
        for number in range(2):
            writer.writerow([f"patient{number:03d}", "NOR", "train", ""])
            for frame, phase in (("01", 0.0), ("09", 1.0)):
                image, labels = phantom.heart(phase)
                case = f"patient{number:03d}_frame{frame}"
                write_stack(image, folder / "data" / f"{case}.nii.gz")
                write_segmentation(labels, folder / "data" / f"{case}_gt.nii.gz", ACDC)
    done = train(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_finished_model_segments_on_both_backends_alike(trained):
    model = find_model(trained / "model")
    image, _labels = phantom.heart(0.0)
    onnx, torch = (
        open_predictor(model, PredictionSettings(device="cpu", backend=backend)).predict_probabilities(
            image.array, image.spacing
        )
        for backend in ("onnx", "torch")
    )
    assert onnx.labels.shape == image.array.shape
    difference = np.abs(onnx.probabilities.astype(np.float32) - torch.probabilities.astype(np.float32))
    assert difference.max() < 0.01
    # After two iterations the network hardly prefers a class, so the last bit of a sum decides some voxels.
    second, first = np.sort(torch.probabilities.astype(np.float32), axis=0)[-2:]
    assert np.array_equal(onnx.labels[first - second > 0.02], torch.labels[first - second > 0.02])
    assert np.mean(onnx.labels == torch.labels) > 0.99


def test_the_card_says_what_was_trained_on(trained):
    card = json.loads((trained / "model" / "card.json").read_text())
    assert card["patients"] == ["patient000", "patient001"]
    assert card["volumes"] == 4
    assert card["training"]["epochs"] == 1


def test_a_finished_training_is_not_repeated_only_exported(trained):
    final = next((trained / "work" / "nnUNet_results").rglob("checkpoint_final.pth"))
    before = final.stat().st_mtime_ns
    (trained / "model" / "card.json").unlink()
    assert train(trained).returncode == 0
    assert final.stat().st_mtime_ns == before
    assert (trained / "model" / "card.json").is_file()


def test_a_stopped_training_goes_on_from_its_latest_checkpoint(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "stopped")
    final = next((tmp_path / "stopped" / "work" / "nnUNet_results").rglob("checkpoint_final.pth"))
    plans = next((tmp_path / "stopped" / "work" / "nnUNet_preprocessed").rglob("SmallPlans.json"))
    content = json.loads(plans.read_text())
    content["configurations"]["2d"]["training_settings"]["epochs"] = 2  # as if it had been stopped after one of two
    plans.write_text(json.dumps(content))
    final.rename(final.with_name("checkpoint_latest.pth"))
    done = train(tmp_path / "stopped", "--epochs", "2")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "epoch 2 of 2, loss " in done.stdout
    assert "epoch 1 of 2" not in done.stdout
    assert final.is_file()


def test_other_settings_in_the_same_workspace_are_refused_by_name(trained):
    refused = train(trained, "--seed", "5")
    assert refused.returncode == 2
    assert "seed 0, not 5" in refused.stderr


def test_the_labels_reach_nnunet_unchanged(trained):
    copied = next((trained / "work" / "nnUNet_raw").glob("Dataset*/labelsTr/patient000_frame01.nii.gz"))
    original = trained / "data" / "patient000_frame01_gt.nii.gz"
    assert np.array_equal(nibabel.load(copied).dataobj, nibabel.load(original).dataobj)
