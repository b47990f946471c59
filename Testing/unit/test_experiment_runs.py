"""A grid is run from scratch, killed in the middle, stopped, taken up again, on this computer and on a scheduler."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import psutil
import pytest
import sparse_sources

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
COMMAND = [sys.executable, "-m", "SparseCardiacSegLib", "experiment"]
EPOCHS = 40
GRID = f"""
data: data
seeds: [0]
networks:
  tiny: {{epochs: {EPOCHS}, iterations_per_epoch: 2, batch_size: 2, max_patch_size: 32, base_features: 4,
         max_features: 8, bfloat16: false}}
studies:
  slices: {{volumes: 2, slices: [2, null]}}
keep: all
"""

pytestmark = pytest.mark.slow
STARTED = []


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_running():
    """Ends what a failed test has left; its runs end with it."""
    yield
    for process in STARTED:
        process.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data of four phantom patients, one of them for validation, and a grid of two runs."""
    folder = tmp_path_factory.mktemp("experiment")
    sparse_sources.write_folder(folder / "data")
    (folder / "grid.yaml").write_text(GRID)
    return folder


def started(place, *more):
    command = [*COMMAND, str(place / "grid.yaml"), "--out", str(place / "out"), *more]
    with (place / "client.log").open("a") as log:
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True,
            # Tests started in the background ignore Ctrl-C, and hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    STARTED.append(process)
    return process


def finished(place, *more):
    return subprocess.run(
        [*COMMAND, str(place / "grid.yaml"), "--out", str(place / "out"), *more],
        env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip


def runs(place):
    return sorted((place / "out" / "runs").glob("v2-*"))


def wait_for(condition, seconds=900.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def epochs_done(folder):
    """Epochs of a run that trains."""
    try:
        content = json.loads((folder / "work" / "training.json").read_text())
    except (OSError, ValueError):
        return 0
    return content["epoch"]


def processes_of(place):
    """Processes of runs in this folder, and what they have started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(place) in part for part in process.info["cmdline"] or ()) and process.pid != os.getpid():
            found += [process, *process.children(recursive=True)]
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def scheduler(folder):
    """A Dask scheduler and a worker, each a process of its own, that know nothing of this library."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    file = folder / "scheduler.json"
    base = [sys.executable, "-m", "dask"]
    commands = [
        [*base, "scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(file)],
        [*base, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--local-directory",
         str(folder / "dask")],
    ]  # fmt: skip
    opened = []
    try:
        for command in commands:
            opened.append(
                subprocess.Popen(
                    command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            wait_for(file.is_file)
        yield wait_for(lambda: json.loads(file.read_text())["address"])
    finally:
        for process in reversed(opened):
            process.terminate()
            process.wait(timeout=30)


def test_a_grid_survives_a_kill_and_an_interrupt_and_ends_on_a_scheduler(place):
    first = started(place)
    wait_for(lambda: runs(place) and any(epochs_done(folder) >= 3 for folder in runs(place)))
    training = next(folder for folder in runs(place) if epochs_done(folder))
    tree = processes_of(training)
    assert len(tree) >= 2  # the run and nnU-Net's augmentation
    first.kill()
    psutil.wait_procs(tree, timeout=60)
    assert [process for process in tree if process.is_running()] == []
    reached = epochs_done(training)
    assert 3 <= reached < EPOCHS

    second = started(place)
    wait_for(lambda: epochs_done(training) >= min(reached + 2, EPOCHS) or second.poll() is not None)
    tree = processes_of(training)
    os.kill(second.pid, signal.SIGINT)
    assert second.wait(timeout=180) == 130
    assert [process for process in tree if process.is_running() and process.status() != "zombie"] == []
    assert "the same command goes on" in (place / "client.log").read_text()
    assert not list((place / "out").glob(".stop-*"))

    with scheduler(place) as address:
        done = finished(place, "--scheduler", address)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done: v2-") == 2
    log = (training / "run.log").read_text()
    assert log.count("Epoch 0\n") == 1  # it went on, and did not begin again
    assert log.count(f"Epoch {EPOCHS - 1}\n") == 1


def test_what_a_finished_run_leaves_behind_is_complete(place):
    for folder in runs(place):
        names = {path.name for path in folder.iterdir()}
        assert names >= {
            "run.json", "sparsity.json", "split.json", "kept.png", "training.json", "training.png", "metrics.csv",
            "evaluation.json", "summary.json", "versions.json", "run.log", "model", "predictions",
        }  # fmt: skip
        assert "lock.json" not in names
        with (folder / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["case"] for row in rows} == {"patient003_frame01", "patient003_frame09"}
        assert {row["region"] for row in rows} == {"all", "base", "middle", "apex"}
        summary = json.loads((folder / "summary.json").read_text())
        dice = np.mean([float(row["dice"]) for row in rows if (row["region"], row["structure"]) == ("all", "LV")])
        assert summary["aggregates"]["LV"]["all"]["dice"]["mean"] == pytest.approx(dice)


def test_the_trainer_saw_what_was_kept_and_nobody_of_the_validation(place):
    for folder in runs(place):
        split = json.loads((folder / "split.json").read_text())
        assert set(split["train"]["patients"]).isdisjoint(split["validation"]["patients"])
        raw = next((folder / "work" / "nnUNet_raw").iterdir())
        seen = {path.name.removesuffix(".nii.gz") for path in (raw / "labelsTr").iterdir()}
        assert seen == set(split["train"]["cases"])
        assert not any(name.startswith("patient003") for name in seen)
        for one in json.loads((folder / "sparsity.json").read_text())["volumes"]:
            labels = np.asarray(nibabel.load(raw / "labelsTr" / f"{one['case']}.nii.gz").dataobj).T
            annotated = [index for index in range(len(labels)) if not (labels[index] == 4).all()]
            assert annotated == one["kept"]
    assert {
        json.loads((folder / "summary.json").read_text())["annotated"]["slices_kept"] for folder in runs(place)
    } == {
        4,
        12,
    }


def test_a_finished_run_is_not_run_again(place):
    before = {path: path.stat().st_mtime_ns for path in (place / "out" / "runs").rglob("*") if path.is_file()}
    done = finished(place)
    assert done.returncode == 0, done.stderr
    after = {path: path.stat().st_mtime_ns for path in (place / "out" / "runs").rglob("*") if path.is_file()}
    assert after == before
    listed = finished(place, "--list").stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["done", "done"]


def test_the_report_of_the_real_runs_tells_of_the_slices(place):
    assert "As table 5.3" in (place / "out" / "report" / "report.md").read_text()


def test_measuring_otherwise_trains_nothing_again(place):
    before = set(runs(place))
    done = finished(place, "--postprocess", "--report-to", str(place / "cleaned"))
    assert done.returncode == 0, done.stderr
    new = sorted(set(runs(place)) - before)
    assert len(new) == 2
    for folder in new:
        assert "Epoch" not in (folder / "run.log").read_text()
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["prediction"]["postprocess"] is True
        assert summary["seconds"]["train"] > 0
        assert (folder / "split.json").is_file()
    assert "with post-processing" in (place / "cleaned" / "report.md").read_text()


def test_a_failed_run_says_why_and_does_not_stop_the_others(place, tmp_path):
    text = GRID.replace("slices: {volumes: 2, slices: [2, null]}", "volumes: {volumes: [99, 2]}")
    (tmp_path / "grid.yaml").write_text(text.replace(f"epochs: {EPOCHS}", "epochs: 1").replace("keep: all", ""))
    done = finished(tmp_path, "--data", str(place / "data"))
    assert done.returncode == 1
    assert "failed: v99-" in done.stdout
    assert "99 volumes asked for, but" in done.stdout
    assert "done: v2-" in done.stdout
    assert "1 of 2 runs did not finish" in done.stderr
    (kept,) = (tmp_path / "out" / "runs").glob("v2-*")
    assert not (kept / "work").exists()
    assert (kept / "model" / "network.onnx").is_file()
    states = {line.split()[0][:3]: line.split()[1] for line in finished(
        tmp_path, "--data", str(place / "data"), "--list").stdout.splitlines()}  # fmt: skip
    assert states == {"v99": "failed", "v2-": "done"}


def test_two_schedulers_on_one_folder_share_the_work(place, tmp_path):
    text = GRID.replace("slices: {volumes: 2, slices: [2, null]}", "volumes: {volumes: [1, 3]}")
    (tmp_path / "grid.yaml").write_text(text.replace(f"epochs: {EPOCHS}", "epochs: 1"))
    both = [started(tmp_path, "--data", str(place / "data")) for _ in range(2)]
    assert [one.wait(timeout=1800) for one in both] == [0, 0]
    for folder in (tmp_path / "out" / "runs").iterdir():
        assert (folder / "run.log").read_text().count("Epoch 0\n") == 1


def test_a_data_set_that_is_not_there_is_told_in_one_line(place, tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID)
    done = finished(tmp_path, "--data", str(place / "nothing"))
    assert done.returncode == 2
    assert f"the data set {place / 'nothing'} is not a folder" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_is_not_there_is_told_in_one_line(place):
    text = (place / "grid.yaml").read_text().replace("seeds: [0]", "seeds: [7]")
    (place / "other.yaml").write_text(text)
    command = [*COMMAND, str(place / "other.yaml"), "--out", str(place / "out"), "--scheduler", "tcp://127.0.0.1:9"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the Dask scheduler tcp://127.0.0.1:9 cannot be reached" in done.stderr.splitlines()[-1]
