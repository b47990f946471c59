"""`train` takes a raw data set, whole patients or a sparse choice, and refuses all else in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import sparse_sources
from SparseCardiacSegLib.cli import build_parser, main
from SparseCardiacSegLib.cli.train_data import raw_data
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import no_progress
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import source_of
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four patients with a cases.csv, the last of split `val`."""
    return sparse_sources.write_folder(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def raw(tmp_path):
    """An nnU-Net raw data set with ignored slices."""
    plan = make_plan(source_of(sparse_sources.stacks(2)), SparsitySettings(slices=2))
    return write_sparse_dataset(plan, tmp_path / "Dataset005_Sparse")


def placed(dataset, workspace, *more):
    """What is in the workspace when the data set has been put there: its name and its record."""
    options = build_parser().parse_args(["train", str(dataset), "--workspace", str(workspace), *more])
    name, place = raw_data(options)
    place(no_progress)
    return name, json.loads((workspace / "nnUNet_raw" / name / "sparsity.json").read_text())


def test_patients_of_a_table_are_drawn_as_before(folder, tmp_path):
    name, record = placed(folder, tmp_path, "--patients", "2")
    assert name == "Dataset101_Patients2"
    assert len(record["patients"]) == 2
    assert len(record["cases"]) == 4
    assert record["regions"] == "AMB"
    assert placed(folder, tmp_path, "--patients", "2")[1] == record
    (tmp_path / "nnUNet_raw" / name / "sparsity.json").write_text(json.dumps({**record, "seed": 8}))
    with pytest.raises(InputError, match="holds other patients than were drawn now"):
        placed(folder, tmp_path, "--patients", "2")


def test_options_of_sparsity_make_the_data_set_sparse_first(folder, tmp_path):
    more = ("--volumes", "3", "--slices", "2", "--regions", "MB", "--mode", "zero", "--spread", "even", "--seed", "4")
    name, record = placed(folder, tmp_path, *more)
    assert name == "Dataset101_Sparse"
    settings = record["settings"]
    assert {key: settings[key] for key in ("volumes", "slices", "regions", "mode", "spread", "seed")} == {
        "volumes": 3, "slices": 2, "regions": "MB", "mode": "zero", "spread": "even", "seed": 4,
    }  # fmt: skip
    assert record["source"]["split"] == "train"
    assert record["totals"]["slices_kept"] == 6


def test_patients_and_slices_go_together(folder, tmp_path):
    _, record = placed(folder, tmp_path, "--patients", "2", "--total", "7")
    assert record["totals"]["patients"] == 2
    assert record["totals"]["slices_kept"] == 7


def test_a_raw_data_set_is_taken_as_it_is_or_made_sparser(raw, tmp_path):
    name, record = placed(raw, tmp_path / "as_it_is")
    assert name == "Dataset005_Sparse"
    assert record == json.loads((raw / "sparsity.json").read_text())
    name, record = placed(raw, tmp_path / "sparser", "--slices", "1")
    assert name == "Dataset101_Sparse"
    assert record["totals"]["slices_kept"] == 4


def test_the_folders_of_a_challenge_are_trained_on_whole(tmp_path):
    source = sparse_sources.write_acdc(tmp_path / "acdc")
    name, record = placed(source, tmp_path / "work")
    assert name == "Dataset101_Sparse"
    assert record["source"]["layout"] == "ACDC"
    assert record["totals"]["slices_kept"] == record["totals"]["slices"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--patients", "2", "--volumes", "2"], "give one of them"),
        (["--patients", "9"], "9 patients asked for, but split 'train'"),
        (["--region-ratio", "high", "--configuration", "3d_fullres"], "needs the configuration 2d"),
        (["--region-ratio", "much"], "must be low, high or a number, not 'much'"),
        (["--oversampling", "2"], "foreground_oversampling must lie in"),
        (["--regions", "Q"], "'Q' has 'Q'"),
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--trainer", "a b"], "must be the name of a class"),
    ],
)
def test_bad_input_is_one_sentence_and_no_workspace_is_made(folder, tmp_path, capsys, more, told):
    try:
        code = main(["train", str(folder), "--workspace", str(tmp_path / "work"), *more])
    except SystemExit as ended:  # argparse refuses by itself
        code = ended.code
    assert code == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "work").exists()


def test_patients_cannot_be_drawn_without_a_table(tmp_path, capsys):
    source = sparse_sources.write_acdc(tmp_path / "acdc")
    assert main(["train", str(source), "--workspace", str(tmp_path / "work"), "--patients", "2"]) == 2
    assert "has no cases.csv" in capsys.readouterr().err


def test_a_data_set_without_labels_is_refused(raw, tmp_path, capsys):
    for path in (raw / "labelsTr").iterdir():
        path.unlink()
    assert main(["train", str(raw), "--workspace", str(tmp_path / "work")]) == 2
    assert "there is nothing to train on" in capsys.readouterr().err


def test_a_workspace_in_which_another_process_trains_is_refused(folder, tmp_path, capsys):
    busy = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-m SparseCardiacSegLib train"])
    try:
        (tmp_path / "training.json").write_text(json.dumps({"state": "training", "pid": busy.pid}))
        assert main(["train", str(folder), "--workspace", str(tmp_path), "--patients", "2"]) == 2
    finally:
        busy.kill()
        busy.wait()
    assert f"process {busy.pid} is training in" in capsys.readouterr().err


def test_a_state_left_by_a_process_that_is_gone_does_not_block_the_workspace(tmp_path):
    from SparseCardiacSegLib.cli.train import _check_idle

    (tmp_path / "training.json").write_text(json.dumps({"state": "training", "pid": 2**22 + 5}))
    _check_idle(tmp_path)
    (tmp_path / "training.json").write_text(json.dumps({"state": "training", "pid": os.getpid()}))
    _check_idle(tmp_path)
