"""The command `clinical`: cines, wall thickness, figures and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import anatomical_heart
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.io import write_segmentation


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """Label files: ED, ES, a cine."""
    folder = tmp_path_factory.mktemp("labels")
    beat = phantom.cine(12, phantom.grid((10, 48, 48), (10.0, 3.0, 3.0)))[1]
    made = {
        "ed": anatomical_heart.heart(),
        "es": anatomical_heart.heart(extra_mm=4.0),
        "cine": beat,
    }
    for name, labels in made.items():
        write_segmentation(labels, folder / f"{name}.nii.gz", ACDC)
    return {name: str(folder / f"{name}.nii.gz") for name in made}


def run(*arguments: str) -> int:
    return main(["clinical", *arguments, "--scheme", "acdc"])


def test_wall_thickness_and_its_figure_are_written(files, tmp_path, capsys):
    out, figures = tmp_path / "c.json", tmp_path / "figures"
    code = run(
        *("--ed", files["ed"], "--es", files["es"], "--sex", "f", "--height", "165", "--weight", "60"),
        *("--wall-thickness", "--figures", str(figures), "--out", str(out)),
    )
    assert code == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["wall_thickness"]["ed"]["mean_mm"]["7"] == pytest.approx(anatomical_heart.THICKNESS_MM[7], abs=0.35)
    assert found["sex"] == "female"
    assert [path.name for path in figures.iterdir()] == ["bullseye.png"]
    assert capsys.readouterr().out.split() == [str(out), str(figures / "bullseye.png")]


def test_a_cine_gives_volumes_curve_and_figure(files, tmp_path):
    out, figures = tmp_path / "c.json", tmp_path / "figures"
    assert run("--labels", files["cine"], "--figures", str(figures), "--out", str(out)) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["inputs"]["ed"]["frame"] == 0
    assert len(found["volume_curve"]["volumes_ml"]["LV"]) == 12
    assert (figures / "volume_curve.png").read_bytes().startswith(b"\x89PNG")
    assert run("--labels", files["cine"], "--ed-frame", "1", "--es-frame", "5", "--out", str(out)) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["inputs"]["es"]["frame"] == 5


def test_an_insertion_point_is_taken(files, tmp_path):
    out = tmp_path / "c.json"
    point = [f"{value:.3f}" for value in anatomical_heart.insertion()]
    assert run("--ed", files["ed"], "--wall-thickness", "--insertion", *point, "--out", str(out)) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["wall_thickness"]["ed"]["insertion_set_by_hand"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to measure"),
        (("--labels", "{ed}"), "is a single stack, not a cine"),
        (("--ed", "{cine}"), "has 12 frames; choose one of them as ED"),
        (("--labels", "{cine}", "--ed", "{ed}"), "--labels takes the place of --ed and --es"),
        (("--ed", "{ed}", "--ed-frame", "0"), "choose frames of a cine"),
        (("--labels", "{cine}", "--es-frame", "40"), "frame 40, chosen as ES, does not exist"),
        (("--labels", "{cine}", "--es-frame", "-1"), "frame -1, chosen as ES, does not exist"),
        (("--ed", "{ed}", "--sex", "unknown"), "unknown sex 'unknown'"),
        (("--ed", "{ed}", "--heart-rate", "0"), "a heart rate of 0 is not possible"),
        (("--ed", "{ed}", "--figures", "{folder}"), "--figures draws wall thickness and volume curve"),
        (("--ed", "{ed}", "--insertion", "1", "2", "3"), "--insertion says where the segments"),
        (("--la", "{ed}", "--wall-thickness"), "--wall-thickness needs the ventricles"),
        (("--labels", "{folder}/missing.nii.gz"), "missing.nii.gz does not exist"),
    ],
)
def test_bad_input_is_one_clear_line_and_nothing_is_written(files, tmp_path, capsys, arguments, message):
    filled = [text.format(**files, folder=tmp_path) for text in arguments]
    assert run(*filled, "--out", str(tmp_path / "c.json")) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert list(Path(tmp_path).iterdir()) == []
