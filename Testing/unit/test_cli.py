"""The command line: contracts of its files, and one clear line with exit code 2 on bad input."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
from SparseCardiacSegLib import __version__
from SparseCardiacSegLib.cli import main


def save(path, array, affine=None):
    """Write a NIfTI file from [slice, row, col]."""
    affine = np.diag([1.5, 1.5, 10.0, 1.0]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.T), affine), path)
    return path


@pytest.fixture
def labels(sample_case):
    """The reference labels of the bundled case at end diastole and end systole."""
    return sample_case / "SC-HF-I-01_ED_gt.nii.gz", sample_case / "SC-HF-I-01_ES_gt.nii.gz"


@pytest.fixture
def fails(capsys):
    """Run a command that must fail; returns its one line on stderr."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sparsecardiacseg: error:")]
        assert len(lines) == 1
        return lines[0]

    return run


def test_version_and_help_name_the_program(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_an_unknown_command_exits_with_2():
    with pytest.raises(SystemExit) as stop:
        main(["dance"])
    assert stop.value.code == 2


def test_regions_writes_slice_and_region_base_first(labels, tmp_path):
    out = tmp_path / "regions.csv"
    assert main(["regions", str(labels[0]), "--scheme", "acdc", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0])[:2] == ["slice", "region"]
    assert [row["region"] for row in rows] == ["base"] * 2 + ["middle"] * 5 + ["apex"] * 2
    assert rows[0]["slice"] == "0"


def test_flipping_takes_the_other_end_as_base(labels, tmp_path):
    out = tmp_path / "regions.csv"
    assert main(["regions", str(labels[0]), "--scheme", "acdc", "--flip", "--out", str(out)]) == 0
    assert next(iter(csv.DictReader(out.open())))["slice"] == "8"


def test_clinical_gives_the_contracts_fields(labels, tmp_path):
    out = tmp_path / "clinical.json"
    arguments = ["clinical", "--ed", labels[0], "--es", labels[1], "--height", 180, "--weight", 80, "--scheme", "acdc"]
    assert main([str(argument) for argument in [*arguments, "--out", out]]) == 0
    measures = json.loads(out.read_text())
    voxel_ml = 1.367188**2 * 10 / 1000
    assert measures["lv"]["edv_ml"] == pytest.approx(10816 * voxel_ml, rel=1e-5)
    assert measures["lv"]["esv_ml"] == pytest.approx(8068 * voxel_ml, rel=1e-5)
    assert measures["lv"]["ef_pct"] == pytest.approx(25.4, abs=0.05)
    assert measures["bsa_m2"] == pytest.approx(2.0, abs=1e-6)
    assert {"lv", "rv", "bsa_m2", "warnings"} <= set(measures)


def test_surfaces_writes_one_closed_surface_a_structure(labels, tmp_path):
    assert main(["surfaces", str(labels[0]), "--scheme", "acdc", "--out", str(tmp_path / "s"), "--format", "ply"]) == 0
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["SC-HF-I-01_ED_gt_LV.ply"]


def test_evaluating_a_file_against_itself_is_perfect(labels, tmp_path):
    arguments = ["evaluate", labels[0], labels[0], "--scheme", "acdc", "--out", tmp_path / "e"]
    assert main([str(argument) for argument in arguments]) == 0
    rows = list(csv.DictReader((tmp_path / "e" / "metrics.csv").open()))
    expected = "case,structure,region,dice,iou,precision,recall,hd_mm,hd95_mm,mad_mm,volume_pred_ml,volume_ref_ml,flag"
    assert list(rows[0])[:13] == expected.split(",")
    whole = next(row for row in rows if row["structure"] == "LV" and row["region"] == "all")
    assert (float(whole["dice"]), float(whole["hd_mm"])) == (1.0, 0.0)
    assert (tmp_path / "e" / "summary.json").is_file()


def test_a_missing_file_is_named(fails, tmp_path):
    assert "nowhere.nii.gz" in fails("segment", tmp_path / "nowhere.nii.gz", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_file_is_refused_and_nothing_is_written(fails, labels, tmp_path):
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(labels[0].read_bytes()[:900])
    assert "cut.nii.gz" in fails("regions", cut, "--scheme", "acdc", "--out", tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()


def test_a_text_file_with_an_image_suffix_is_refused(fails, tmp_path):
    fake = tmp_path / "fake.nii.gz"
    fake.write_text("this is no image")
    assert "fake.nii.gz" in fails("segment", fake, "--out", tmp_path / "out")


def test_an_image_with_nan_is_refused(fails, tmp_path):
    array = np.zeros((3, 8, 8), np.float32)
    array[1, 2, 3] = np.nan
    assert "nan.nii.gz" in fails("segment", save(tmp_path / "nan.nii.gz", array), "--out", tmp_path / "out")


def test_a_cine_where_one_frame_is_needed_is_refused(fails, tmp_path):
    cine = save(tmp_path / "cine.nii.gz", np.ones((2, 3, 8, 8), np.uint8))
    fails("surfaces", cine, "--scheme", "acdc", "--out", tmp_path / "out")


def test_empty_labels_give_no_surface_but_a_sentence(fails, tmp_path):
    empty = save(tmp_path / "empty.nii.gz", np.zeros((3, 8, 8), np.uint8))
    assert "empty.nii.gz" in fails("surfaces", empty, "--scheme", "acdc", "--out", tmp_path / "out")


def test_labels_outside_the_scheme_are_refused(fails, tmp_path):
    wrong = save(tmp_path / "wrong.nii.gz", np.full((3, 8, 8), 7, np.uint8))
    assert "7" in fails("regions", wrong, "--scheme", "acdc", "--out", tmp_path / "r.csv")


def test_an_unknown_scheme_lists_the_known_ones(fails, labels, tmp_path):
    assert "acdc" in fails("regions", labels[0], "--scheme", "acdcc", "--out", tmp_path / "r.csv")


def test_different_grids_are_not_compared(fails, labels, tmp_path):
    other = save(tmp_path / "other.nii.gz", np.full((9, 256, 256), 3, np.uint8), np.diag([1.0, 1.0, 8.0, 1.0]))
    assert "other.nii.gz" in fails("evaluate", other, labels[0], "--scheme", "acdc", "--out", tmp_path / "e")


def test_an_unknown_model_is_named(fails, sample_case, tmp_path):
    image = sample_case / "SC-HF-I-01_ED.nii.gz"
    assert "no-such-model" in fails("segment", image, "--model", "no-such-model", "--out", tmp_path / "out")


def test_a_scheme_without_the_models_structures_is_refused_before_any_work(fails, sample_case, tmp_path):
    line = fails("segment", sample_case / "SC-HF-I-01_ED.nii.gz", "--scheme", "la", "--out", tmp_path / "out")
    assert "RV" in line
    assert not (tmp_path / "out").exists()


def test_segment_writes_labels_on_the_images_grid_in_the_scheme_asked_for(sample_case, tmp_path):
    image = sample_case / "SC-HF-I-01_ED.nii.gz"
    arguments = ["segment", image, "--no-mirroring", "--scheme", "mnms", "--out", tmp_path / "out"]
    assert main([str(argument) for argument in arguments]) == 0
    written = nibabel.load(tmp_path / "out" / "SC-HF-I-01_ED_seg.nii.gz")
    reference = np.asarray(nibabel.load(sample_case / "SC-HF-I-01_ED_gt.nii.gz").dataobj) == 3
    labels = np.asarray(written.dataobj)
    assert np.array_equal(written.affine, nibabel.load(image).affine)
    assert (labels[reference] == 1).mean() > 0.8
    assert (tmp_path / "out" / "SC-HF-I-01_ED.seg.nrrd").is_file()


def test_a_cine_gives_a_cine_and_a_slicer_file_a_frame(sample_case, tmp_path):
    frame = nibabel.load(sample_case / "SC-HF-I-01_ED.nii.gz")
    cine = np.stack([np.asarray(frame.dataobj)[..., 3:5]] * 2, axis=-1)
    nibabel.save(nibabel.Nifti1Image(cine, frame.affine), tmp_path / "cine.nii.gz")
    arguments = ["segment", tmp_path / "cine.nii.gz", "--no-mirroring", "--out", tmp_path / "out"]
    assert main([str(argument) for argument in arguments]) == 0
    assert nibabel.load(tmp_path / "out" / "cine_seg.nii.gz").shape == cine.shape
    assert {path.name for path in (tmp_path / "out").glob("*.seg.nrrd")} == {
        "cine_frame00.seg.nrrd",
        "cine_frame01.seg.nrrd",
    }


def test_two_images_of_one_name_would_overwrite_each_other(fails, sample_case, tmp_path):
    image = sample_case / "SC-HF-I-01_ED.nii.gz"
    assert "SC-HF-I-01_ED" in fails("segment", image, image, "--out", tmp_path / "out")


def test_clinical_without_any_file_says_what_to_give(fails, tmp_path):
    assert "--ed" in fails("clinical", "--out", tmp_path / "c.json")


def test_an_output_path_that_is_a_file_is_refused(fails, labels, tmp_path):
    (tmp_path / "out").write_text("mine")
    fails("surfaces", labels[0], "--scheme", "acdc", "--out", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["propagate", "c.nii.gz", "--labels", "0:a.nii.gz", "--out", "o.nii.gz", "--engine", "x"], "choice: 'x'"),
        (["clinical", "--nonsense"], "--out"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said in told
    assert len(told.splitlines()) == 1
