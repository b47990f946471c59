"""Fine-tuning from annotated volumes to a model of the catalogue, stopped, killed and taken up again."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import phantom
import pytest
import torch
from SparseCardiacSegLib.anatomy import ACDC, MNMS, Structure
from SparseCardiacSegLib.automatic.user_models import FOLDER_VARIABLE
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.architectures import build
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model, import_prompt_model
from SparseCardiacSegLib.prompting.weights import load_sam, load_weights, save_weights
from SparseCardiacSegLib.training.finetune.run import default_workspace, finetune
from SparseCardiacSegLib.training.finetune.settings import FinetuneSettings
from SparseCardiacSegLib.training.finetune.slices import read_training_data
from SparseCardiacSegLib.training.labelled_cases import choose_patients, read_cases

STRUCTURES = (Structure.RV, Structure.MYO, Structure.LV)


def write_dataset(folder, phases=(0.0, 1.0), patients=("P1",), scheme=ACDC):
    for number, patient in enumerate(patients):
        for phase in phases:
            grid = phantom.grid((4, 40, 44), (20.0, 4.0, 4.0))
            image, labels = phantom.heart(phase, grid, seed=number, scheme=scheme)
            name = f"{patient}_frame{int(phase * 8) + 1:02d}"
            write_stack(image, folder / f"{name}.nii.gz")
            write_segmentation(labels, folder / f"{name}_gt.nii.gz")
    return folder


def test_slices_that_lack_a_structure_are_left_out(tmp_path):
    cases = read_cases(write_dataset(tmp_path), ACDC)
    data = read_training_data(cases)
    assert data.structures == STRUCTURES
    assert (data.n_volumes, data.patients) == (2, ("P1",))
    held = [case.load()[1].slices_first_mask(Structure.RV).any((1, 2)).sum() for case in cases]
    assert len(data.slices) == sum(held)
    assert data.n_left_out > 0
    assert len(read_training_data(cases, (Structure.LV,)).slices) > len(data.slices)


def test_guessed_schemes_that_disagree_are_refused(tmp_path):
    write_dataset(tmp_path, phases=(0.0,), patients=("A",), scheme=ACDC)
    write_dataset(tmp_path, phases=(0.0,), patients=("B",), scheme=MNMS)
    with pytest.raises(InputError, match=r"guessed as 'acdc' for A_frame01, 'mnms' for B_frame01"):
        read_training_data(read_cases(tmp_path))
    assert "guessed as 'acdc'" in read_training_data(read_cases(tmp_path)[:1]).warnings[0]


def test_data_without_any_usable_slice_are_refused(tmp_path):
    cases = read_cases(write_dataset(tmp_path, phases=(0.0,)), ACDC)
    with pytest.raises(InputError, match="no slice of the 1 volumes holds LA"):
        read_training_data(cases, (Structure.LA,))


def test_eight_volumes_of_a_data_set_are_four_patients_with_both_frames(tmp_path):
    cases = read_cases(write_dataset(tmp_path, patients=("A", "B", "C", "D", "E")), ACDC)
    data = read_training_data(choose_patients(cases, n_volumes=8))
    assert (data.n_volumes, len(data.patients)) == (8, 4)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    """A user's model folder with one promptable model, `base`: the true small architecture, random weights."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(3)
    (folder / "base").mkdir()
    save_weights(folder / "base" / "weights.npz", build("slice-256").state_dict(), half=True)
    card = {"kind": "promptable", "name": "base", "title": "Base", "architecture": "slice-256", "licence": "Some-1.0"}
    (folder / "base" / "card.json").write_text(json.dumps({**card, "weights": "weights.npz"}))
    return folder


@pytest.fixture
def base(base_folder, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(base_folder))
    return find_prompt_model("base")


@pytest.fixture(scope="module")
def one_case(tmp_path_factory):
    """One volume with a single slice that holds all three structures."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, phases=(0.0,))
    (case,) = read_cases(folder, ACDC)
    segmentation = case.load()[1]
    labels = segmentation.labels.array.copy()
    labels[1:] = 0
    write_segmentation(
        dataclasses.replace(segmentation, labels=segmentation.labels.with_array(labels)), case.labels_path
    )
    return read_cases(folder, ACDC)


SMALL = FinetuneSettings(epochs=1, augmented_copies=0, structures=(Structure.LV,), learning_rate=1e-3)


def test_the_result_is_a_model_of_the_catalogue_with_its_base_unchanged(base, one_case, tmp_path):
    out = tmp_path / "Mine 8"
    result = finetune(one_case, out, base, SMALL, device="cpu", facts={"dataset": "phantoms"})
    assert (result.folder, result.epochs, result.finished) == (out, 1, True)
    assert not default_workspace(out).exists()
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "log.csv", "weights.npz"]
    weights = load_weights(out / "weights.npz")
    assert all(name.startswith("mask_decoder.") and value.dtype == np.float32 for name, value in weights.items())

    card = json.loads((out / "card.json").read_text())
    training = card["training"]
    assert card["base"] == {"name": "base", "weights_sha256": base.weights_sha256}
    assert (card["name"], card["structures"], card["kind"]) == ("mine-8", ["LV"], "promptable")
    assert "Some-1.0" in card["licence"]
    assert (training["patients"], training["volumes"], training["slices"]) == (["P1"], 1, 1)
    assert (training["dataset"], training["epochs_run"], training["finished"]) == ("phantoms", 1, True)
    assert training["settings"]["learning_rate"] == 1e-3

    opened = find_prompt_model(out)
    assert opened.model_id == base.model_id
    before, after = load_sam(base).state_dict(), load_sam(opened).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)

    entry = import_prompt_model(out, folder=None)
    assert find_prompt_model(entry.name).base.name == "base"


def test_fine_tuning_a_fine_tuned_model_keeps_the_first_base(base, one_case, tmp_path):
    first = tmp_path / "first"
    finetune(one_case, first, base, SMALL, device="cpu")
    finetune(one_case, tmp_path / "second", find_prompt_model(first), SMALL, device="cpu")
    card = json.loads((tmp_path / "second" / "card.json").read_text())
    assert card["base"]["name"] == "base"
    assert card["training"]["started_from"]["name"] == "first"
    weights = [load_weights(tmp_path / name / "weights.npz") for name in ("first", "second")]
    assert any(not np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_base_outside_the_catalogue_is_written_along(base, base_folder, one_case, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    finetune(one_case, tmp_path / "out", find_prompt_model(base_folder / "base"), SMALL, device="cpu")
    model = find_prompt_model(tmp_path / "out")
    assert model.base is None
    weights = load_sam(base).image_encoder.state_dict(), load_sam(model).image_encoder.state_dict()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_cancelled_run_leaves_a_usable_model_and_goes_on_when_asked_again(base, one_case, tmp_path):
    settings = dataclasses.replace(SMALL, epochs=2)
    seen = []

    def stop_in_the_second_epoch(_fraction, message):
        seen.append(message)
        if message.startswith("epoch 2"):
            raise Cancelled

    out = tmp_path / "out"
    result = finetune(one_case, out, base, settings, device="cpu", progress=stop_in_the_second_epoch)
    assert (result.epochs, result.finished) == (1, False)
    training = json.loads((out / "card.json").read_text())["training"]
    assert (training["finished"], training["note"]) == (False, "stopped after 1 epochs")
    assert load_sam(find_prompt_model(out)) is not None
    early = load_weights(out / "weights.npz")
    again = finetune(one_case, out, base, settings, device="cpu")
    assert (again.epochs, again.finished) == (2, True)
    assert any(not np.array_equal(value, early[name]) for name, value in load_weights(out / "weights.npz").items())
    with pytest.raises(InputError, match="holds a model already"):
        finetune(one_case, out, base, settings, device="cpu")


def test_a_run_cancelled_before_its_first_epoch_leaves_no_model(base, one_case, tmp_path):
    def stop(_fraction, message):
        if message.startswith("epoch"):
            raise Cancelled

    with pytest.raises(Cancelled):
        finetune(one_case, tmp_path / "out", base, SMALL, device="cpu", progress=stop)
    assert not (tmp_path / "out").exists()


def test_other_data_or_another_seed_do_not_go_on_with_a_run(base, one_case, tmp_path):
    run = {"workspace": tmp_path / "run", "device": "cpu"}

    def stop(_fraction, message):
        if message.startswith("epoch 2"):
            raise Cancelled

    settings = dataclasses.replace(SMALL, epochs=2)
    finetune(one_case, tmp_path / "out", base, settings, progress=stop, **run)
    messages = []
    other = dataclasses.replace(settings, seed=1)
    with pytest.raises(InputError, match="seed 0, not 1"):
        finetune(one_case, tmp_path / "other", base, other, progress=lambda _, m: messages.append(m), **run)
    assert not [message for message in messages if message.startswith("encoding")]  # told before hours of work
    assert not (tmp_path / "other").exists()
    fresh = finetune(one_case, tmp_path / "other", base, dataclasses.replace(SMALL, seed=1), restart=True, **run)
    assert fresh.finished


def test_a_folder_with_other_things_in_it_is_not_written_to(base, one_case, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        finetune(one_case, tmp_path, base, SMALL)
    with pytest.raises(InputError, match="is a file"):
        finetune(one_case, tmp_path / "notes.txt", base, SMALL)


def test_a_disk_without_room_for_the_embeddings_is_told_before_the_work(base, one_case, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(InputError, match=r"needs 0.0 GB for the embeddings, but the disk has 0.0 GB left"):
        finetune(one_case, tmp_path / "out", base, SMALL, device="cpu")


def test_two_processes_do_not_share_a_run(base, one_case, tmp_path):
    nested = []

    def start_another(_fraction, _message):
        if not nested:
            nested.append(True)
            finetune(one_case, tmp_path / "out", base, SMALL, device="cpu")

    with pytest.raises(InputError, match="another process is fine-tuning in"):
        finetune(one_case, tmp_path / "out", base, SMALL, device="cpu", progress=start_another)


def test_graphs_for_onnx_runtime_come_along_and_give_the_same_masks(base, base_folder, one_case, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    from SparseCardiacSegLib.prompting.onnx_export import export_prompt_model
    from SparseCardiacSegLib.prompting.predictor import open_backend

    models = tmp_path / "models"
    shutil.copytree(base_folder / "base", models / "base")
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))
    export_prompt_model(models / "base", load_sam(base))
    finetune(one_case, tmp_path / "out", find_prompt_model("base"), SMALL, device="cpu")
    model = find_prompt_model(tmp_path / "out")
    assert model.base is not None
    data = read_training_data(one_case)
    point, sign = np.array([[20.0, 18.0]]), np.array([1])
    logits = []
    for name in ("torch", "onnx"):
        backend = open_backend(model, "cpu", name)
        logits.append(backend.decode(backend.encode(data.slices[0].image), point, sign, None).logits)
    assert np.abs(logits[0] - logits[1]).max() < 0.01 * np.abs(logits[0]).max()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_process_loses_no_finished_epoch(base, base_folder, one_case, tmp_path):
    script = f"""
import os, signal, sys
from pathlib import Path
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.prompting.backend import Embedding
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.training.finetune.run import finetune
from SparseCardiacSegLib.training.finetune.settings import FinetuneSettings
from SparseCardiacSegLib.training.labelled_cases import read_cases
def kill(fraction, message):
    if message.startswith("epoch 2"):
        os.kill(os.getpid(), signal.SIGKILL)
settings = FinetuneSettings(epochs=2, augmented_copies=0, structures=(Structure.LV,), learning_rate=1e-3)
finetune(read_cases(Path({str(one_case[0].labels_path.parent)!r}), ACDC), Path({str(tmp_path / "out")!r}),
    find_prompt_model("base"), settings, device="cpu", progress=kill)
"""
    library = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
    environment = {**os.environ, FOLDER_VARIABLE: str(base_folder), "PYTHONPATH": str(library)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    settings = dataclasses.replace(SMALL, epochs=2)
    messages = []
    finetune(one_case, tmp_path / "out", base, settings, device="cpu", progress=lambda _, m: messages.append(m))
    assert not [message for message in messages if message.startswith("epoch 1")]
    finetune(one_case, tmp_path / "whole", base, settings, device="cpu")
    assert (tmp_path / "out" / "weights.npz").read_bytes() == (tmp_path / "whole" / "weights.npz").read_bytes()
