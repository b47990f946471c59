"""A real training, killed and stopped at several moments, goes on; trainers and commands of others work with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import sparse_sources
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import source_of
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset
from SparseCardiacSegLib.training.state import read_state

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
TRAINERS = LIBRARY / "SparseCardiacSegLib" / "training" / "nnunet_trainers"
DATASET = "Dataset009_Sparse"
PATIENCE = 900
"""Seconds that anything may take on a busy machine."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A raw data set with ignored slices."""
    plan = make_plan(source_of(sparse_sources.stacks(2)), SparsitySettings(slices=3, regions="MB"))
    return write_sparse_dataset(plan, tmp_path_factory.mktemp("raw") / DATASET)


def start(source, folder, *more, **environment):
    """The command in a session of its own."""
    command = [sys.executable, "-m", "SparseCardiacSegLib", "train", str(source), "--workspace", str(folder / "work")]
    command += ["--iterations", "1", "--batch-size", "2", "--max-features", "32", "--no-bfloat16", *more]
    variables = {**os.environ, "PYTHONPATH": str(LIBRARY), "nnUNet_def_n_proc": "1", **environment}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables,
        start_new_session=True,
        # Tests that a shell runs in the background have Ctrl-C ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process):
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output[-3000:]
    return output


def wait_for(condition, process):
    """Wait until `condition` holds while the process runs."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < end
        time.sleep(0.01)


def remaining(session):
    """Processes of a session that still run."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except OSError:
            continue
    return found


def all_ended(session):
    end = time.monotonic() + 60
    while remaining(session) and time.monotonic() < end:
        time.sleep(0.1)
    return not remaining(session)


@pytest.mark.slow
def test_a_training_killed_at_any_moment_goes_on_to_the_same_end(source, tmp_path):
    work = tmp_path / "work"
    preprocessed = work / "nnUNet_preprocessed" / DATASET
    options = ("--epochs", "5", "--out", str(tmp_path / "model"), "--name", "mine")

    def state():
        return read_state(work) or {}

    moments = {
        "planning": lambda: (preprocessed / "dataset_fingerprint.json").is_file(),
        "preprocessing": lambda: any(preprocessed.glob("SmallPlans_2d/*.b2nd")),
        "training": lambda: state().get("epoch", 0) in (2, 3, 4),
        "exporting": lambda: state().get("state") == "exporting",
    }
    before = []
    for moment, reached in moments.items():
        process = start(source, tmp_path, *options)
        wait_for(reached, process)
        process.kill()
        process.wait()
        assert all_ended(process.pid), moment
        if moment == "training":
            before = state()["train_loss"]
            folds = work.glob("nnUNet_results/*/*/fold_all")
            for leftover in folds:
                (leftover / ".0123abcd-checkpoint_latest.pth").write_bytes(b"half of a checkpoint")
    finish(start(source, tmp_path, *options))
    told = state()
    assert told["state"] == "done"
    assert told["epoch"] == told["epochs"] == len(told["train_loss"]) == len(told["pseudo_dice"]) == 5
    assert told["train_loss"][0] == before[0]
    assert told["structures"] == ["RV", "MYO", "LV"]
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["regions"] == "MB"
    assert card["slices"] == 12
    assert card["training"]["foreground_oversampling"] == 0
    assert "| Annotated slices | 12 |" in (tmp_path / "model" / "card.md").read_text()
    assert not [path for path in work.rglob(".*") if "checkpoint" in path.name]
    assert (work / "training.png").is_file()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_says_so_and_leaves_no_process(source, tmp_path, sent):
    process = start(source, tmp_path, "--epochs", "1000")
    wait_for(lambda: (read_state(tmp_path / "work") or {}).get("epoch", 0) > 0, process)
    again = start(source, tmp_path, "--epochs", "1000")
    output, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 2
    assert f"process {process.pid} is training in" in output
    process.send_signal(sent)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert all_ended(process.pid)
    assert read_state(tmp_path / "work")["state"] == "cancelled"


@pytest.mark.slow
def test_a_users_own_trainer_and_the_stock_command_work_on_our_workspace(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_trainers.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "class MyTrainer(nnUNetTrainer):\n"
        "    def __init__(self, plans, configuration, fold, dataset_json, device):\n"
        "        super().__init__(plans, configuration, fold, dataset_json, device)\n"
        "        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1\n"
    )
    output = finish(start(source, tmp_path, "--trainer", "MyTrainer", nnUNet_extTrainer=str(tmp_path / "mine")))
    work = tmp_path / "work"
    results = work / "nnUNet_results" / DATASET
    assert "epoch 1 of 1" in output
    assert (results / "MyTrainer__SmallPlans__2d" / "fold_all" / "checkpoint_final.pth").is_file()
    plans = work / "nnUNet_preprocessed" / DATASET / "SmallPlans.json"
    content = json.loads(plans.read_text())
    for configuration in content["configurations"].values():
        configuration["training_settings"].update(epochs=1, trainer="ShortScheduleTrainer")
    plans.write_text(json.dumps(content))
    variables = {f"nnUNet_{name}": str(work / f"nnUNet_{name}") for name in ("raw", "preprocessed", "results")}
    command = [str(Path(sys.executable).parent / "nnUNetv2_train"), DATASET, "2d", "all"]
    done = subprocess.run(
        [*command, "-tr", "ShortScheduleTrainer", "-p", "SmallPlans", "-device", "cpu"],
        env={**os.environ, **variables, "nnUNet_extTrainer": str(TRAINERS), "nnUNet_n_proc_DA": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (results / "ShortScheduleTrainer__SmallPlans__2d" / "fold_all" / "checkpoint_final.pth").is_file()
