"""`finetune` from the command line: defaults of the thesis, exit codes, sentences."""

from __future__ import annotations

import argparse
import json

import phantom
import pytest
import torch
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.automatic.user_models import FOLDER_VARIABLE
from SparseCardiacSegLib.cli import finetune as command
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.prompting.architectures import build
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.prompting.weights import save_weights
from SparseCardiacSegLib.training.finetune import run as finetune_run
from SparseCardiacSegLib.training.finetune.settings import FinetuneSettings


@pytest.fixture
def dataset(tmp_path):
    """Three patients with two frames each, two of them of split `train`."""
    folder = tmp_path / "data"
    folder.mkdir()
    for patient in ("A", "B", "C"):
        for frame in ("01", "09"):
            image, labels = phantom.heart(0.0, phantom.grid((3, 32, 36), (60.0, 5.0, 5.0)))
            write_stack(image, folder / f"{patient}_frame{frame}.nii.gz")
            write_segmentation(labels, folder / f"{patient}_frame{frame}_gt.nii.gz")
    (folder / "cases.csv").write_text("patient,split\nA,train\nB,train\nC,val\n")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    (folder / "base").mkdir()
    save_weights(folder / "base" / "weights.npz", build("slice-256").state_dict(), half=True)
    card = {"kind": "promptable", "name": "base", "architecture": "slice-256", "weights": "weights.npz"}
    (folder / "base" / "card.json").write_text(json.dumps(card))
    return folder


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["finetune", *map(str, arguments)])
    options.run(options)


@pytest.fixture
def call(monkeypatch, models):
    """Run the command up to the library's function; returns what that was asked for."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))
    asked = {}

    class Reached(Exception):
        """The library was called."""

    def reached(cases, out, model, settings, **options):
        asked.update(cases=cases, out=out, model=model, settings=settings, **options)
        raise Reached

    monkeypatch.setattr(finetune_run, "finetune", reached)

    def ask(*arguments):
        with pytest.raises(Reached):
            run(*arguments, "--model", "base")
        return asked

    return ask


def test_the_defaults_are_the_thesis_on_the_training_split(call, dataset, tmp_path):
    asked = call(dataset, "--out", tmp_path / "m")
    assert asked["settings"] == FinetuneSettings()
    assert {case.patient for case in asked["cases"]} == {"A", "B"}
    assert asked["facts"] == {"dataset": "data", "split": "train"}


def test_every_option_reaches_the_settings(call, dataset, tmp_path):
    options = "--positive 3 --negative 2 --no-box --epochs 7 --learning-rate 1e-3 --batch 2 --augmented-copies 1"
    options += " --structures-per-slice 1 --score-weight 0.5 --bfloat16 --seed 5 --off-centre --box-jitter 4"
    asked = call(dataset, "--out", tmp_path / "m", "--volumes", "2", "--structures", "LV", "MYO", *options.split())
    assert asked["settings"] == FinetuneSettings(
        positive=3,
        negative=2,
        box=False,
        epochs=7,
        learning_rate=1e-3,
        batch=2,
        augmented_copies=1,
        structures_per_slice=1,
        score_weight=0.5,
        bfloat16=True,
        seed=5,
        off_centre=True,
        box_jitter=4,
        structures=(Structure.LV, Structure.MYO),
    )
    assert len({case.patient for case in asked["cases"]}) == 1


def test_patients_and_splits_can_be_named(call, dataset, tmp_path):
    asked = call(dataset, "--out", tmp_path / "m", "--split", "all", "--patients", "C", "A")
    assert {case.patient for case in asked["cases"]} == {"A", "C"}
    assert asked["facts"]["split"] == "all"


def test_a_run_ends_with_a_model_and_a_line_about_it(dataset, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))
    quick = "--epochs 1 --augmented-copies 0 --structures LV --volumes 2 --scheme acdc --device cpu --model base"
    run(dataset, "--out", tmp_path / "mine", *quick.split())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 volumes of 1 patients, ")
    assert lines[1] == str(tmp_path / "mine")
    assert find_prompt_model(tmp_path / "mine").base.name == "base"


def test_ctrl_c_after_an_epoch_leaves_a_model_and_exit_code_130(dataset, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))
    real = finetune_run.finetune

    def interrupted(*arguments, progress, **options):
        def report(fraction, message):
            progress(fraction, message)
            if message.startswith("epoch 2"):
                raise KeyboardInterrupt

        return real(*arguments, progress=report, **options)

    monkeypatch.setattr(finetune_run, "finetune", interrupted)
    quick = "--epochs 2 --augmented-copies 0 --structures LV --volumes 2 --scheme acdc --device cpu --model base"
    with pytest.raises(SystemExit) as stopped:
        run(dataset, "--out", tmp_path / "mine", *quick.split())
    assert stopped.value.code == 130
    assert "stopped after 1 of 2 epochs; give the same command again" in capsys.readouterr().err
    assert find_prompt_model(tmp_path / "mine").card["training"]["note"] == "stopped after 1 epochs"
    monkeypatch.setattr(finetune_run, "finetune", real)
    run(dataset, "--out", tmp_path / "mine", *quick.split(), "--resume")
    assert find_prompt_model(tmp_path / "mine").card["training"]["finished"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--volumes", "3"], "3 volumes cannot be had from whole patients"),
        (["--volumes", "40"], "40 volumes asked for, but there are 4"),
        (["--split", "tset"], "no case of split 'tset'; it has train, val"),
        (["--scheme", "accd"], "unknown label scheme 'accd'"),
        (["--epochs", "0"], "epochs must be"),
        (["--positive", "0", "--no-box"], "positive point or a box"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--resume"], "there is no stopped run"),
    ],
)
def test_bad_input_is_one_sentence(dataset, models, tmp_path, monkeypatch, options, message):
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))
    with pytest.raises(InputError, match=message):
        run(dataset, "--out", tmp_path / "m", "--model", "base", *options)
    assert not (tmp_path / "m").exists()
