"""What a training may be told, and what it makes of `sparsity.json`; neither torch nor nnU-Net is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import sparse_sources
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures.training_curve import training_curve_figure
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.training.card import card_text
from SparseCardiacSegLib.training.checkpointing import checkpoint_to_go_on_from, is_complete, remove_leftovers
from SparseCardiacSegLib.training.prepare import check_alone, dataset_name, place_raw_dataset, place_sparse_dataset
from SparseCardiacSegLib.training.processes import stopped_by_signals
from SparseCardiacSegLib.training.run import planned_settings
from SparseCardiacSegLib.training.settings import TrainingSettings
from SparseCardiacSegLib.training.slice_sampling import region_weights, slice_probabilities
from SparseCardiacSegLib.training.sparse_record import is_restricted, read_record, told_to_train
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import source_of
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset
from SparseCardiacSegLib.training.state import TrainingState, read_state

LIBRARY = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"foreground_oversampling": 1.2}, "foreground_oversampling must lie in"),
        ({"region_ratio": 0.5}, "region_ratio must be at least 1"),
        ({"region_ratio": 4, "configuration": "3d_fullres"}, "needs the configuration 2d"),
        ({"synthetic_weight": -1}, "synthetic_weight must be 0 or more"),
        ({"planner": "ResEncXXL"}, "planner must be one of plain, ResEncS"),
        ({"trainer": "../evil"}, "must be the name of a class"),
        ({"validation_iterations": 0}, "validation_iterations must be at least 1"),
    ],
)
def test_a_choice_out_of_range_is_refused_by_name(choice, told):
    with pytest.raises(ValueError, match=told):
        TrainingSettings(**choice)


def test_slices_at_the_ends_are_drawn_as_many_times_as_often_as_asked_for():
    for ratio in (4.0, 20.0):
        weights = region_weights(9, ratio)
        assert weights[0] / weights[4] == pytest.approx(ratio)
        assert weights[-1] / weights[4] == pytest.approx(ratio)
        # Quadratic: half way between the middle and an end, a quarter of the way up.
        assert weights[2] == pytest.approx(1 + (ratio - 1) / 4)


def test_slices_without_the_heart_are_drawn_as_often_as_before():
    probabilities = slice_probabilities(np.arange(12), np.arange(3, 10), 20.0)
    assert probabilities.sum() == pytest.approx(1)
    assert np.allclose(probabilities[[0, 1, 2, 10, 11]], 1 / 12)
    assert probabilities[3] / probabilities[6] == pytest.approx(20)


def test_a_ratio_of_one_is_a_uniform_draw():
    assert np.allclose(slice_probabilities(np.arange(7), np.array([2, 3, 5]), 1.0), 1 / 7)


def test_slices_that_are_not_annotated_count_as_distance():
    probabilities = slice_probabilities(np.array([0, 4, 6, 8]), np.array([0, 4, 6, 8]), 4.0)
    assert probabilities[0] / probabilities[1] == pytest.approx(4)
    assert probabilities[2] / probabilities[1] == pytest.approx(1 + 3 / 4)


def test_left_out_regions_are_known_from_either_form_of_the_record(tmp_path):
    plan = make_plan(source_of(sparse_sources.stacks(2, 9)), SparsitySettings(regions="MB"))
    folder = write_sparse_dataset(plan, tmp_path / "Dataset001_MB")
    assert is_restricted(read_record(folder))
    assert not is_restricted({"regions": "AMB", "patients": ["P1"]})
    assert is_restricted({"regions": "A"})
    assert not is_restricted({})
    facts = told_to_train(read_record(folder))
    assert facts["regions"] == "MB"
    assert facts["volumes"] == 4
    assert facts["slices"] == 24
    assert facts["patients"] == ["P0", "P1"]


def test_a_damaged_record_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "sparsity.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_record(tmp_path)


def test_a_raw_data_set_is_copied_whole_and_found_again(tmp_path):
    plan = make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings(slices=2))
    source = write_sparse_dataset(plan, tmp_path / "Dataset007_Hearts")
    work = tmp_path / "work"
    assert place_raw_dataset(source, work) == "Dataset007_Hearts"
    placed = work / "nnUNet_raw" / "Dataset007_Hearts"
    names = {path.relative_to(source) for path in source.rglob("*")}
    assert {path.relative_to(placed) for path in placed.rglob("*")} == names
    before = (placed / "dataset.json").stat().st_ino
    leftover = work / "nnUNet_raw" / ".0123abcd-partial-Dataset007_Hearts"
    leftover.mkdir()
    assert place_raw_dataset(source, work) == "Dataset007_Hearts"
    assert (placed / "dataset.json").stat().st_ino == before
    assert not leftover.exists()
    (source / "sparsity.json").write_text("{}")
    with pytest.raises(InputError, match="is not the data set that"):
        place_raw_dataset(source, work)


def test_a_raw_data_set_that_lies_in_the_workspace_is_not_copied(tmp_path):
    plan = make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings())
    source = write_sparse_dataset(plan, tmp_path / "nnUNet_raw" / "Dataset007_Hearts")
    assert place_raw_dataset(source, tmp_path) == "Dataset007_Hearts"
    assert [path.name for path in source.parent.iterdir()] == ["Dataset007_Hearts"]


def test_a_label_without_its_image_is_named(tmp_path):
    plan = make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings())
    source = write_sparse_dataset(plan, tmp_path / "Dataset007_Hearts")
    image = sorted((source / "imagesTr").iterdir())[0]
    image.unlink()
    with pytest.raises(InputError, match=f"has no image {image.name}"):
        place_raw_dataset(source, tmp_path / "work")


def test_another_draw_in_the_same_workspace_is_refused_and_the_same_one_is_found_again(tmp_path):
    source = source_of(sparse_sources.stacks(3))
    place_sparse_dataset(make_plan(source, SparsitySettings(volumes=3, slices=2)), "Dataset101_Sparse", tmp_path)
    place_sparse_dataset(make_plan(source, SparsitySettings(volumes=3, slices=2)), "Dataset101_Sparse", tmp_path)
    with pytest.raises(InputError, match="another choice of volumes and slices"):
        place_sparse_dataset(make_plan(source, SparsitySettings(volumes=4)), "Dataset101_Sparse", tmp_path)
    with pytest.raises(InputError, match="another training already, on Dataset101_Sparse"):
        check_alone(tmp_path, "Dataset101_Patients2")


def test_names_of_data_sets_are_what_nnunet_accepts():
    assert dataset_name("Dataset012_My_Data") == "Dataset012_My_Data"
    assert dataset_name("my data (2)") == "Dataset101_MyData2"


def write_checkpoint(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", os.urandom(5000))
    return path


def test_a_damaged_latest_checkpoint_gives_way_to_the_best_one(tmp_path):
    latest, best = (write_checkpoint(tmp_path / f"checkpoint_{name}.pth") for name in ("latest", "best"))
    assert checkpoint_to_go_on_from(tmp_path) == latest
    whole = latest.read_bytes()
    latest.write_bytes(whole[: len(whole) // 2])
    assert checkpoint_to_go_on_from(tmp_path) == best
    flipped = bytearray(whole)
    flipped[2000] ^= 255
    latest.write_bytes(flipped)
    assert not is_complete(latest)
    best.unlink()
    assert checkpoint_to_go_on_from(tmp_path) is None


KILLED_WHILE_WRITING = """
import os, signal, sys
from types import SimpleNamespace
from SparseCardiacSegLib.training.checkpointing import save_atomically

def save(path):
    with open(path, "wb") as file:
        file.write(b"half of a check")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

save_atomically(SimpleNamespace(disable_checkpointing=False, local_rank=0), save, sys.argv[1])
"""


def test_a_kill_while_a_checkpoint_is_written_leaves_the_former_one(tmp_path):
    latest = write_checkpoint(tmp_path / "checkpoint_latest.pth")
    before = latest.read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(latest)], env=environment)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    assert latest.read_bytes() == before
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [latest]


def test_only_what_was_left_half_written_is_removed(tmp_path):
    for name in (".0123abcd-model", ".0123abcd-partial-model", ".hidden", "model", ".0123abcd-other"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path, "model")
    assert {path.name for path in tmp_path.iterdir()} == {".hidden", "model", ".0123abcd-other"}


def test_a_data_set_whose_preprocessing_was_stopped_counts_as_not_planned(tmp_path):
    folder = tmp_path / "nnUNet_preprocessed" / "Dataset101_X"
    folder.mkdir(parents=True)
    plans = {"configurations": {"2d": {"training_settings": {"epochs": 3}}}}
    (folder / "SmallPlans.json").write_text(json.dumps(plans))
    assert planned_settings("Dataset101_X", tmp_path) is None
    (folder / "SmallPlans-prepared.json").write_text("{}")
    assert planned_settings("Dataset101_X", tmp_path) == TrainingSettings(epochs=3)


def test_the_state_file_is_plain_json_and_tells_how_the_work_ended(tmp_path):
    state = TrainingState(tmp_path)
    state.change("training", "x", epoch=1, epochs=4, train_loss=[-0.5], val_loss=[-0.4], structures=["LV", "RV"],
                 pseudo_dice=[[0.5, None]])  # fmt: skip
    told = read_state(tmp_path)
    assert set(told) == {
        "state", "message", "epoch", "epochs", "train_loss", "val_loss", "pseudo_dice", "structures",
        "seconds_per_epoch", "pid", "model",
    }  # fmt: skip
    assert told["pid"] == os.getpid()
    assert state.line() == "epoch 1 of 4, loss -0.500, pseudo-Dice LV 0.50 RV -"
    with pytest.raises(Cancelled), state.told():
        raise Cancelled
    assert read_state(tmp_path)["state"] == "cancelled"
    with pytest.raises(RuntimeError), state.told():
        raise RuntimeError("the disk\nis full")
    assert read_state(tmp_path)["state"] == "failed"
    assert read_state(tmp_path)["message"] == "the disk is full"
    assert TrainingState.taken_up(tmp_path).train_loss == [-0.5]
    (tmp_path / "training.json").write_text("half of")
    assert read_state(tmp_path) is None


def test_the_curve_shows_every_structure_and_gaps_do_not_break_it():
    empty = training_curve_figure([], [], [], [])
    one = training_curve_figure([-0.1, None, -0.5], [-0.1, -0.2, -0.3], [[0.1, None], [0.2, None], [0.3, 0.5]],
                                ["LV", "tumour"])  # fmt: skip
    assert empty[:8] == one[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(one) > len(empty) + 5000


def test_the_markdown_card_tells_data_and_training():
    text = card_text(
        {"name": "mine", "patients": ["P1", "P2"], "volumes": 4, "regions": "MB", "parameters": 12345, "weights": "f16",
         "trainer": "SparseTrainer", "training": {"epochs": 7, "mirroring": False}, "licence": "CC | BY"}
    )  # fmt: skip
    assert text.startswith("# mine\n")
    for row in ("| Patients | P1, P2 |", "| Annotated volumes | 4 |", "| Epochs | 7 |", "| Mirroring | no |",
                "| Trainer | SparseTrainer |", "| Licence | CC \\| BY |", "12,345 parameters"):  # fmt: skip
        assert row in text


def test_checkpointing_that_is_switched_off_stays_off(tmp_path):
    from SparseCardiacSegLib.training.checkpointing import save_atomically

    save_atomically(SimpleNamespace(disable_checkpointing=True, local_rank=0), str, str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


SWALLOWING = """
import os, signal, sys, time
from pathlib import Path
from SparseCardiacSegLib.training.processes import stopped_by_signals
from SparseCardiacSegLib.training.state import TrainingState

state = TrainingState(Path(sys.argv[1]))
with stopped_by_signals(), state.told():
    state.change("training")
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except Exception as error:
        raise RuntimeError("taken for a damaged file") from error
"""


def test_a_stop_is_told_as_one_even_inside_of_code_that_catches_every_exception(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    subprocess.run([sys.executable, "-c", SWALLOWING, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL)
    assert read_state(tmp_path)["state"] == "cancelled"


ORPHAN = """
import multiprocessing, os, signal, time
from SparseCardiacSegLib.training.processes import die_with_this_process

die_with_this_process()
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
child.start()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_training_takes_its_forked_processes_with_it():
    if not sys.platform.startswith("linux"):  # only Linux ends them; elsewhere nothing is promised
        return
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", ORPHAN], env=environment, capture_output=True, text=True)
    assert done.returncode == -9
    child = int(done.stdout)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} still runs")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_does_not_keep_the_handler_that_could_let_it_wait_for_ever():
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            os._exit(0 if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL else 1)
        assert os.waitpid(child, 0)[1] == 0
