"""`sparsecardiacseg evaluate-prompts`: tables of a data set, or one line and no file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from labelled_squares import N_COMPLETE, ReadingBackend, write_dataset
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.prompting import catalogue, predictor
from SparseCardiacSegLib.prompting.model import PromptModel


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", cases=("one_ED", "two_ED", "two_ES"))


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs the command with a model that reads labels off the image; what it was opened with goes into `opened`."""
    weights = tmp_path / "weights.npz"
    np.savez(weights, nothing=np.zeros(1))
    opened = []

    def open_backend(model, device, backend):
        opened.append((model.name, device, backend))
        return ReadingBackend(shift=1)

    monkeypatch.setattr(catalogue, "find_prompt_model", lambda name: PromptModel(name, "slice-256", weights, weights))
    monkeypatch.setattr(predictor, "open_backend", open_backend)

    def run(*arguments):
        return main(["evaluate-prompts", *map(str, arguments), "--no-cache"])

    run.opened = opened
    return run


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "prompts.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_key_conditions_of_the_validation_split_are_measured_unless_told(command, dataset, tmp_path, capsys):
    out = tmp_path / "out"
    assert command(dataset, "--out", out, "--scheme", "acdc", "--seeds", 1, "--device", "cpu") == 0
    rows = rows_of(out)
    assert {row["case"] for row in rows} == {"two_ED", "two_ES"}
    assert {row["structure"] for row in rows} == {"RV", "MYO", "LV"}
    assert {"box-2-1", "points-2-1", "box-2-1-jitter10", "box-2-1-difference", "clicks-5"} <= {
        row["condition"] for row in rows
    }
    assert command.opened == [("sax-prompt", "cpu", "auto")]
    said = capsys.readouterr().out.splitlines()
    summary = json.loads((out / "summary.json").read_text())
    assert said[0].startswith(f"box-2-1: Dice {summary['headlines']['box-2-1']['dice']:.3f}")
    assert said[2:] == [str(out / name) for name in ("table.md", "prompts.csv", "summary.json")]
    assert (summary["split"], summary["dataset"], summary["model"]) == ("val", str(dataset), "sax-prompt")


def test_the_full_grid_has_the_18_rows_of_the_thesis(command, dataset, tmp_path):
    out = tmp_path / "out"
    assert command(dataset, "--out", out, "--split", "train", "--seeds", 1, "--grid", "full", "--scheme", "acdc") == 0
    rows = rows_of(out)
    assert {row["case"] for row in rows} == {"one_ED"}
    assert len({(row["box"], row["positive"], row["negative"]) for row in rows}) == 18
    assert len(rows) == 18 * 3 * N_COMPLETE


def test_conditions_structures_and_the_whole_data_set_can_be_chosen(command, dataset, tmp_path):
    out = tmp_path / "out"
    options = ("--conditions", "box-3-1-jitter4", "--structures", "LV,MYO", "--split", "all", "--seeds", 2)
    assert command(dataset, "--out", out, "--scheme", "acdc", *options) == 0
    rows = rows_of(out)
    assert {row["condition"] for row in rows} == {"box-3-1-jitter4"}
    assert {row["structure"] for row in rows} == {"MYO", "LV"}
    assert {row["case"] for row in rows} == {"one_ED", "two_ED", "two_ES"}
    assert {row["seed"] for row in rows} == {"0", "1"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--split", "test"), "lists no case of split 'test'; it has train, val"),
        (("--structures", "aorta"), "unknown structure 'aorta'"),
        (("--conditions", "boxes"), "unknown condition 'boxes'"),
        (("--seeds", "0"), "at least one seed is needed, not 0"),
        (("--jobs", "0"), "at least one job is needed, not 0"),
        (("--scheme", "la"), "holds label"),
        (("--margin", "-1"), "margin must be a whole number from 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(command, dataset, tmp_path, capsys, options, sentence):
    out = tmp_path / "out"
    scheme = () if "--scheme" in options else ("--scheme", "acdc")
    assert command(dataset, "--out", out, *scheme, *options) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sparsecardiacseg: error:")]
    assert sentence in line
    assert not out.exists()


def test_a_stopped_run_says_that_it_goes_on_and_then_does(command, dataset, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = (dataset, "--out", out, "--scheme", "acdc", "--conditions", "points-2-1", "--seeds", 1)
    decode, calls = ReadingBackend.decode, []

    def interrupted(self, *prompt):
        calls.append(prompt)
        if len(calls) == N_COMPLETE * 3 + 2:
            raise KeyboardInterrupt
        return decode(self, *prompt)

    monkeypatch.setattr(ReadingBackend, "decode", interrupted)
    assert command(*arguments) == 130
    assert f"the finished cases are kept in {out}" in capsys.readouterr().err
    assert not (out / "prompts.csv").exists()
    calls.clear()
    monkeypatch.setattr(
        ReadingBackend, "decode", lambda self, *prompt: (calls.append(prompt), decode(self, *prompt))[1]
    )
    assert command(*arguments) == 0
    assert len(calls) == N_COMPLETE * 3
    assert {row["case"] for row in rows_of(out)} == {"two_ED", "two_ES"}


def test_a_real_network_is_measured_through_the_disk_cache(dataset, tmp_path, monkeypatch, capsys):
    """The true architecture with random weights: what it says is noise, but it must be the same noise twice."""
    import torch
    from SparseCardiacSegLib.prompting.architectures import SLICE_256, build
    from SparseCardiacSegLib.prompting.weights import save_weights

    monkeypatch.setenv("SPARSECARDIACSEG_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    state = {key: value.numpy() for key, value in build(SLICE_256).state_dict().items()}
    save_weights(tmp_path / "tiny.npz", state)
    found = []
    for out in (tmp_path / "first", tmp_path / "second"):
        arguments = ["evaluate-prompts", dataset, "--model", tmp_path / "tiny.npz", "--split", "train", "--out", out]
        arguments += ["--scheme", "acdc", "--seeds", 1, "--conditions", "box-2-1", "--device", "cpu"]
        assert main([str(argument) for argument in arguments]) == 0
        found.append((rows_of(out), json.loads((out / "summary.json").read_text())))
    (first, before), (second, after) = found
    assert first == second
    assert len(first) == 3 * N_COMPLETE
    assert (before["timing"]["encoded"], after["timing"]["encoded"]) == (N_COMPLETE, 0)
    assert before["weights_sha256"] == after["weights_sha256"]
    assert "box-2-1: Dice" in capsys.readouterr().out
