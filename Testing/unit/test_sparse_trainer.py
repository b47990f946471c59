"""Self-teaching through nnU-Net's trainer: one annotated volume and images of others; stopped, resumed, begun anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sparse_sources
import torch
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.checkpoint import load_checkpoint

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
TRAINED = "nnUNet_results/Dataset101_Sparse/SparseTrainer__SmallPlans__2d/fold_all"

STOPPED = """
import sys
from pathlib import Path
from SparseCardiacSegLib.training import run
workspace = Path(sys.argv[1])
run.set_environment(workspace)
def stop(done, total):
    if done == 2:
        raise KeyboardInterrupt
run.train("Dataset101_Sparse", workspace, "cpu", stop)
"""


def environment() -> dict[str, str]:
    """Of a training process."""
    return {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}


def train(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess:
    """One annotated volume, three images without annotation."""
    command = [sys.executable, "-m", "SparseCardiacSegLib", "train", str(folder / "data"), "--workspace"]
    command += [str(folder / f"{name}-work"), "--out", str(folder / name), "--name", name, "--volumes", "1"]
    command += ["--unlabelled", "--trainer", "SparseTrainer", "--epochs", "4", "--iterations", "2"]
    command += ["--batch-size", "4", "--max-patch", "32", "--max-features", "32", "--scheme", "acdc", *more]
    return subprocess.run(command, capture_output=True, text=True, env=environment())


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A folder with a data set of two patients for training, and a model taught on it."""
    folder = tmp_path_factory.mktemp("teaching")
    sparse_sources.write_folder(folder / "data", 3)
    done = train(folder, "first")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_finished_model_holds_the_mean_of_the_weights_and_can_be_opened(taught):
    find_model(taught / "first")
    card = json.loads((taught / "first" / "card.json").read_text())
    assert card["volumes"] == 1
    assert card["training"]["trainer"] == "SparseTrainer"
    log = "".join(path.read_text() for path in (taught / "first-work" / TRAINED).glob("training_log*.txt"))
    assert "6 annotated slices, 18 others" in log
    assert log.count("labelled anew") == 3


def test_a_second_training_begins_where_a_model_ended(taught):
    done = train(taught, "second", "--start-from", str(taught / "first"), "--iterations", "1")
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (
        load_checkpoint(taught / name / "fold_all" / "checkpoint_final.pth").weights for name in ("first", "second")
    )
    changes = [float((before[name].float() - after[name].float()).abs().mean()) for name in before]
    sizes = [float(before[name].float().abs().mean()) for name in before]
    # Four steps of at most 0.001 leave the network near where it began; another start would be as far as it is large.
    assert 0 < max(changes) < 0.01 < max(sizes)
    card = json.loads((taught / "second" / "card.json").read_text())
    assert card["training"]["start_from"] == "first"
    assert str(taught) not in "".join(path.read_text() for path in (taught / "second").glob("*.json"))
    log = "".join(path.read_text() for path in (taught / "second-work" / TRAINED).glob("training_log*.txt"))
    assert log.count("labelled anew") == 4


def test_a_model_that_does_not_fit_is_no_beginning(taught):
    done = train(taught, "third", "--start-from", str(LIBRARY / "Resources" / "Models" / "sax-acdc-24"))
    assert done.returncode == 2
    assert "architecture" in done.stderr
    done = train(taught, "fourth", "--start-from", str(taught / "data"))
    assert done.returncode == 2
    assert not (taught / "fourth-work").exists()


def test_a_stopped_training_goes_on_with_the_mean_of_its_weights(taught):
    workspace = taught / "first-work"
    fold = workspace / TRAINED
    for checkpoint in fold.glob("*.pth"):
        checkpoint.unlink()
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, str(workspace)], capture_output=True, text=True, env=environment()
    )
    assert stopped.returncode != 0
    latest = torch.load(fold / "checkpoint_latest.pth", weights_only=False)
    assert latest["steps"] == 2 * latest["current_epoch"] > 0
    mean = latest["averaged_weights"]
    assert any(not torch.equal(mean[name], value) for name, value in latest["network_weights"].items())
    done = train(taught, "first")
    assert done.returncode == 0, done.stderr[-2000:]
    final = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert final["current_epoch"] == 4
    assert not (fold / "checkpoint_latest.pth").exists()
    moved = [float(np.abs(final["network_weights"][name].numpy() - mean[name].numpy()).max()) for name in mean]
    assert 0 < max(moved) < 0.1
