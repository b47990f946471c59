"""`train --configuration 3d_fullres` from labelled atria to a small 3d model without mirroring."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import LEFT_ATRIUM, Structure
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.segmentation import from_masks
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.training.settings import TrainingSettings

pytest.importorskip("nnunetv2")

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
MATRIX = np.diag([-1.25, -1.25, 2.5, 1.0])


def train(folder, *more):
    """Run the command in a process of its own, as it sets nnU-Net's environment."""
    command = [sys.executable, "-m", "SparseCardiacSegLib", "train", str(folder / "data"), "--workspace"]
    command += [str(folder / "work"), "--out", str(folder / "model"), "--name", "tiny", "--patients", "2"]
    command += ["--configuration", "3d_fullres", "--scheme", "la", "--target-spacing", "2.5", "2.5", "2.5"]
    command += ["--max-features", "32", "--no-mirroring", "--orientation", "SPL", "--batch-size", "1"]
    command += ["--epochs", "1", "--iterations", "1", "--no-bfloat16", *more]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def atrium(seed):
    """A bright ball in noise, one volume a patient."""
    rng = np.random.default_rng(seed)
    k, j, i = np.mgrid[:16, :40, :44]
    ball = np.hypot(np.hypot((k - 8) * 2.5, (j - 20) * 1.25), (i - 22) * 1.25) < 14 + seed
    image = Stack((rng.normal(size=ball.shape) + 4 * ball + 10).astype(np.float32), MATRIX)
    return image, from_masks(image, {Structure.LA: ball}, LEFT_ATRIUM)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with three volumes, two of them for training, and what one step makes of them."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "data").mkdir()
    with (folder / "data" / "cases.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "split"])
        for number in range(3):
            writer.writerow([f"la_{number:03d}", "val" if number == 2 else "train"])
            image, labels = atrium(number)
            write_stack(image, folder / "data" / f"la_{number:03d}.nii.gz")
            write_segmentation(labels, folder / "data" / f"la_{number:03d}_gt.nii.gz", LEFT_ATRIUM)
    done = train(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_plans_hold_one_3d_configuration_at_the_spacing_asked_for(trained):
    (configuration,) = find_model(trained / "model").configurations.values()
    assert configuration.name == "3d_fullres"
    assert configuration.spacing == (2.5, 2.5, 2.5)
    assert len(configuration.patch_size) == 3
    assert max(configuration.content["architecture"]["arch_kwargs"]["features_per_stage"]) == 32


def test_held_out_volumes_are_not_trained_on(trained):
    card = json.loads((trained / "model" / "card.json").read_text())
    assert card["patients"] == ["la_000", "la_001"]
    assert card["orientation"] == "SPL"
    copied = (trained / "work" / "nnUNet_raw").glob("Dataset*/imagesTr/*")
    assert sorted(path.name for path in copied) == ["la_000_0000.nii.gz", "la_001_0000.nii.gz"]


def test_both_backends_label_alike_and_mirroring_changes_nothing(trained):
    model = find_model(trained / "model")
    assert model.scheme == LEFT_ATRIUM
    image, _ = atrium(2)
    labels = [
        open_predictor(model, PredictionSettings("cpu", mirroring, backend=backend)).predict(image.array, image.spacing)
        for mirroring, backend in ((True, "onnx"), (False, "onnx"), (True, "torch"))
    ]
    np.testing.assert_array_equal(labels[0], labels[1])
    assert (labels[0] != labels[2]).mean() < 1e-3


def test_a_3d_training_goes_on_where_it_stopped(trained):
    final = next((trained / "work" / "nnUNet_results").rglob("checkpoint_final.pth"))
    plans = next((trained / "work" / "nnUNet_preprocessed").rglob("SmallPlans.json"))
    content = json.loads(plans.read_text())
    for configuration in content["configurations"].values():
        configuration["training_settings"]["epochs"] = 2  # as if it had been stopped after one of two
    plans.write_text(json.dumps(content))
    final.rename(final.with_name("checkpoint_latest.pth"))
    done = train(trained, "--epochs", "2", "--out", str(trained / "longer"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "epoch 2 of 2, loss " in done.stdout
    assert "epoch 1 of 2" not in done.stdout
    refused = train(trained, "--epochs", "2", "--target-spacing", "3", "2.5", "2.5")
    assert refused.returncode == 2
    assert "target_spacing" in refused.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"configuration": "3d_lowres"}, "configuration"),
        ({"target_spacing": (1.0, 0.0, 1.0)}, "target_spacing"),
        ({"max_patch_shape": (80, 64)}, "max_patch_shape"),
        ({"max_patch_shape": (8, 64, 64)}, "max_patch_shape"),
    ],
)
def test_3d_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**change)


def test_settings_survive_the_plans_json():
    settings = TrainingSettings(configuration="3d_fullres", target_spacing=(1.25, 1.25, 1.25), mirroring=False)
    assert TrainingSettings(**json.loads(json.dumps(settings.as_dict()))) == settings
