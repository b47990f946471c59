"""The command that makes the embedded promptable models, from a data set to a model that can be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import phantom
import pytest
import SimpleITK as sitk  # noqa: N813
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.prompting.listing import find_prompt_model

pytest.importorskip("segment_anything", reason="segment_anything is not installed (extra 'torch')")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One patient with two slices of the phantom."""
    image, labels = phantom.heart(0.0)
    for name, stack in (("p1_frame01", image), ("p1_frame01_gt", labels.labels)):
        sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(stack.array[3:5])), tmp_path / f"{name}.nii.gz")
    (tmp_path / "cases.csv").write_text("patient,split\np1,train\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_training_writes_a_model_whose_card_says_what_was_given_and_how_it_was_trained(dataset, tmp_path):
    card = tmp_path / "given.json"
    card.write_text(json.dumps({"title": "A trial", "licence": "nobody's", "structures": ["LV"]}), encoding="utf-8")
    out = tmp_path / "models" / "trial"
    steps = ["--steps", "2", "--warm-up-steps", "1", "--frozen-steps", "0", "--calm-steps", "0", "--window", "64"]
    command = ["train-promptable", str(dataset), "--workspace", str(tmp_path / "work"), *steps]
    assert main([*command, "--name", "trial", "--card", str(card), "--out", str(out)]) == 0
    model = find_prompt_model("trial", tmp_path / "models")
    assert model.card["title"] == "A trial"
    assert model.card["structures"] == ["LV"]
    assert model.card["patients"] == ["p1"]
    assert model.card["training"]["steps"] == 2
    assert model.onnx


def test_a_card_that_is_no_json_is_refused(dataset, tmp_path, capsys):
    card = tmp_path / "given.json"
    card.write_text("a card", encoding="utf-8")
    command = ["train-promptable", str(dataset), "--workspace", str(tmp_path / "work"), "--card", str(card)]
    assert main(command) == 2
    assert "given.json" in capsys.readouterr().err
