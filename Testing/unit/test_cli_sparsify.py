"""`sparsify` writes a data set and its picture, or one sentence and nothing."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import sparse_sources
from matplotlib import image as pictures
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.figures.sparsity import SparsityRow, sparsity_figure
from SparseCardiacSegLib.figures.style import REGION_COLOURS
from SparseCardiacSegLib.regions import Region


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sparse_sources.write_folder(tmp_path_factory.mktemp("plain"))


def test_the_command_writes_the_data_set_and_the_picture(folder, tmp_path, capsys):
    out = tmp_path / "Dataset001_Sparse"
    arguments = ["sparsify", str(folder), "--out", str(out), "--volumes", "3", "--slices", "2", "--regions", "MB"]
    assert main([*arguments, "--seed", "4", "--picture", str(out / "kept.png")]) == 0
    assert "6 of 18 slices annotated, 3 volumes of 2 patients" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "imagesTr", "labelsTr", "dataset.json", "sparsity.json", "cases.csv", "kept.png",
    }  # fmt: skip
    record = json.loads((out / "sparsity.json").read_text())
    assert record["source"]["split"] == "train"
    assert record["settings"]["seed"] == 4
    assert len(list((out / "imagesTr").iterdir())) == len(list((out / "labelsTr").iterdir())) == 3


def test_every_option_reaches_the_settings(folder, tmp_path):
    options = (
        "--total 7 --patients patient000 patient001 --spread even --mode zero --base last --split all --scheme acdc"
    )
    assert main(["sparsify", str(folder), "--out", str(tmp_path / "out"), *options.split()]) == 0
    record = json.loads((tmp_path / "out" / "sparsity.json").read_text())
    assert record["settings"] == {
        "volumes": ["patient000", "patient001"], "slices": None, "regions": "AMB", "spread": "even", "total": 7,
        "mode": "zero", "seed": 0, "unlabelled": False, "base": "last",
    }  # fmt: skip
    assert record["source"]["split"] == "all"
    assert record["totals"]["slices_kept"] == 7
    assert not record["volumes"][0]["base_first"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--volumes", "7"], "7 volumes asked for"),
        (["--slices", "7"], "7 slices a volume asked for"),
        (["--regions", "Q"], "'Q' has 'Q'"),
        (["--scheme", "nobody"], "unknown label scheme"),
        (["--split", "test"], "it has train, val"),
        (["--picture", "kept.jpg"], "give it the suffix .png"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(folder, tmp_path, capsys, options, told):
    assert main(["sparsify", str(folder), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_leaves_no_data_set(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    arguments = ["sparsify", str(folder), "--out", str(tmp_path / "out"), "--picture", str(tmp_path / "file" / "a.png")]
    assert main(arguments) == 2
    assert "a.png" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _pixels(picture: bytes, colour: str) -> int:
    """How many pixels of a PNG have the colour."""
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    shown = np.round(pictures.imread(io.BytesIO(picture), format="png")[..., :3] * 255)
    return int((np.abs(shown - wanted) <= 1).all(-1).sum())


def test_the_picture_shows_kept_slices_in_the_colour_of_their_region_and_no_other():
    regions = [Region.BASE] * 3 + [Region.MIDDLE] * 3 + [Region.APEX] * 3
    basal = SparsityRow("P1", [(index, region, index in (0, 1)) for index, region in enumerate(regions)])
    picture = sparsity_figure([basal], title="basal only")
    colours = {region: REGION_COLOURS[region.value] for region in Region}
    one = _pixels(picture, colours[Region.BASE])
    assert one > 500
    assert _pixels(picture, colours[Region.APEX]) == 0
    more = SparsityRow("P1", [(index, region, index < 7) for index, region in enumerate(regions)])
    picture = sparsity_figure([more])
    assert _pixels(picture, colours[Region.BASE]) > 1.3 * one
    assert _pixels(picture, colours[Region.APEX]) > 500
    with pytest.raises(ValueError, match="needs a volume"):
        sparsity_figure([])


def test_a_picture_of_three_hundred_volumes_stays_of_a_size_that_can_be_looked_at():
    rows = [SparsityRow(f"P{number}", [(0, Region.BASE, True), (1, Region.APEX, False)]) for number in range(300)]
    height, width = pictures.imread(io.BytesIO(sparsity_figure(rows)), format="png").shape[:2]
    assert height < 3000
    assert width < 1500
