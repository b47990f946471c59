"""The commands `propagate` and `evaluate-propagation`: files out, clear refusals, data sets that can be read again."""

from __future__ import annotations

import argparse
import csv
import json

import numpy as np
import phantom
import pytest
from propagation_cines import beating, dice
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.cli import evaluate_propagation, propagate
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation, read_stack, write_segmentation, write_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.training.labelled_cases import read_cases
from SparseCardiacSegLib.training.propagation_evaluation import largest_jump
from SparseCardiacSegLib.training.synthetic import synthetic_cases

OBLIQUE = phantom.grid((5, 72, 96), (14.0, 1.7, 1.7), oblique=True)


@pytest.fixture(scope="module")
def heart():
    return beating(4, OBLIQUE)


@pytest.fixture
def files(tmp_path, heart):
    cine, labels = heart
    write_stack(cine, tmp_path / "case.nii.gz")
    for frame in range(4):
        write_segmentation(labels.frame(frame), tmp_path / f"case_frame{frame + 1:02d}_gt.nii.gz")
    write_stack(cine.frame(0), tmp_path / "still.nii.gz")
    empty = Segmentation(cine.with_array(np.zeros(cine.shape, np.uint8)), ACDC)
    write_segmentation(empty, tmp_path / "empty.nii.gz")
    write_segmentation(phantom.heart(0.0, phantom.grid((5, 72, 96)))[1], tmp_path / "elsewhere.nii.gz")
    return tmp_path


def call(*words, command=propagate):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args([command.__name__.rsplit(".", 1)[1].replace("_", "-"), *map(str, words)])
    options.run(options)


def test_labels_of_all_frames_are_written_on_the_grid_of_the_cine(files, heart):
    cine, labels = heart
    given = files / "case_frame01_gt.nii.gz"
    call(
        files / "case.nii.gz",
        "--labels",
        f"0:{given}",
        "--scheme",
        "acdc",
        "--engine",
        "dis",
        "--out",
        files / "o.nii.gz",
    )
    written = read_segmentation(files / "o.nii.gz", ACDC)
    assert written.labels.array.shape == cine.array.shape
    assert written.labels.same_grid(cine, 0.01)
    np.testing.assert_array_equal(written.labels.array[0], labels.labels.array[0])
    assert min(dice(written, labels, phantom.es_frame(4)).values()) >= 0.95


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("case", "0:case_frame01_gt"), "nothing to write"),
        (("case", "0:case_frame01_gt", "--out", "o.nrrd"), r"must end in \.nii"),
        (("case", "case_frame01_gt", "--out", "o.nii.gz"), "is not FRAME:FILE"),
        (("case", "-1:case_frame01_gt", "--out", "o.nii.gz"), "is not FRAME:FILE"),
        (("case", "0:case_frame01_gt", "0:case_frame02_gt", "--out", "o.nii.gz"), "given twice"),
        (("case", "4:case_frame01_gt", "--out", "o.nii.gz"), "frames 0 to 3; labels were given for frame 4"),
        (("case", "0:missing", "--out", "o.nii.gz"), "does not exist"),
        (("case", "0:empty", "--scheme", "acdc", "--out", "o.nii.gz"), "is empty"),
        (("case", "0:elsewhere", "--scheme", "acdc", "--out", "o.nii.gz"), "does not lie on the grid"),
        (("case", "0:case_frame01_gt", "--scheme", "la", "--out", "o.nii.gz"), "scheme 'la' does not name"),
        (("case", "0:case_frame01_gt", "--scheme", "x", "--out", "o.nii.gz"), "unknown label scheme"),
        (("still", "0:case_frame01_gt", "--out", "o.nii.gz"), "is a single stack"),
    ],
)
def test_what_cannot_be_carried_is_refused_and_nothing_is_written(files, words, said):
    cine, *rest = words
    rest = [files / one if one.endswith((".nii.gz", ".nrrd")) else one for one in rest]
    rest = [f"{one.split(':')[0]}:{files / one.split(':')[1]}.nii.gz" if ":" in str(one) else one for one in rest]
    labels = ["--labels"]
    if str(rest[0]).startswith("-"):
        labels, rest = [f"--labels={rest[0]}"], rest[1:]
    with pytest.raises(InputError, match=said):
        call(files / f"{cine}.nii.gz", *labels, *rest)
    assert not (files / "o.nii.gz").exists()


def test_carried_frames_become_training_cases_that_are_marked_synthetic(files, heart):
    cine, labels = heart
    ends = [f"{frame}:{files / f'case_frame{frame + 1:02d}_gt.nii.gz'}" for frame in (0, 2)]
    common = ("--scheme", "acdc", "--engine", "identity", "--as-dataset", files / "Dataset500_Cine")
    call(files / "case.nii.gz", "--labels", *ends, *common)
    folder = files / "Dataset500_Cine"
    cases = read_cases(folder)
    assert [case.name for case in cases] == [f"case_frame{frame:02d}" for frame in range(4)]
    assert {case.patient for case in cases} == {"case"}
    assert synthetic_cases(folder) == {"case_frame01", "case_frame03"}
    for frame, case in enumerate(cases):
        image, segmentation = case.load()
        np.testing.assert_array_equal(image.array, cine.array[frame])
        if frame in (0, 2):
            np.testing.assert_array_equal(segmentation.in_scheme(ACDC).labels.array, labels.frame(frame).labels.array)
    record = json.loads((folder / "sparsity.json").read_text())["propagated"]["case_frame01"]
    assert record["engine"] == "identity"
    assert record["sources"] == [{"frame": 0, "weight": 0.5}, {"frame": 2, "weight": 0.5}]
    call(files / "case.nii.gz", "--labels", *ends, *common, "--name", "other", "--every", "3")
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 7
    assert {case.patient for case in read_cases(folder)} == {"case", "other"}


def test_a_data_set_keeps_its_annotated_cases_and_its_labels(files):
    folder = files / "Dataset501_Kept"
    given = f"0:{files / 'case_frame01_gt.nii.gz'}"
    (folder / "labelsTr").mkdir(parents=True)
    (folder / "labelsTr" / "case_frame01.nii.gz").write_bytes(b"drawn by hand")
    common = ("--scheme", "acdc", "--engine", "identity", "--as-dataset", folder)
    with pytest.raises(InputError, match="which was not propagated"):
        call(files / "case.nii.gz", "--labels", given, *common)
    assert (folder / "labelsTr" / "case_frame01.nii.gz").read_bytes() == b"drawn by hand"
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LA": 1}, "file_ending": ".nii.gz"}))
    with pytest.raises(InputError, match="write into another folder"):
        call(files / "case.nii.gz", "--labels", given, *common)
    assert not (folder / "imagesTr").exists()


def test_a_file_that_places_voxels_by_its_qform_alone_gets_labels_with_the_same_bytes_of_geometry(files):
    import nibabel

    turned = nibabel.load(files / "case.nii.gz")
    turned.set_sform(None, 0)
    nibabel.save(turned, files / "q.nii.gz")
    given = nibabel.load(files / "case_frame01_gt.nii.gz")
    given.set_sform(None, 0)
    nibabel.save(given, files / "q_gt.nii.gz")
    options = ("--scheme", "acdc", "--engine", "identity", "--out", files / "o.nii.gz")
    call(files / "q.nii.gz", "--labels", f"0:{files / 'q_gt.nii.gz'}", *options)
    wanted, written = nibabel.load(files / "q.nii.gz"), nibabel.load(files / "o.nii.gz")
    np.testing.assert_array_equal(written.affine, wanted.affine)
    for field in ("sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(written.header[field], wanted.header[field])


def test_a_data_set_that_is_refused_leaves_no_labels_file_behind(files):
    folder = files / "Dataset502_Other"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LA": 1}, "file_ending": ".nii.gz"}))
    common = ("--scheme", "acdc", "--engine", "identity", "--as-dataset", folder, "--out", files / "new" / "o.nii.gz")
    with pytest.raises(InputError, match="write into another folder"):
        call(files / "case.nii.gz", "--labels", f"0:{files / 'case_frame01_gt.nii.gz'}", *common)
    assert not (files / "new").exists()


def test_a_refusal_to_write_is_the_only_line_although_the_scheme_was_guessed(files, capsys):
    (files / "o.nii.gz").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        call(files / "case.nii.gz", "--labels", f"0:{files / 'case_frame01_gt.nii.gz'}", "--out", files / "o.nii.gz")
    assert capsys.readouterr().err == ""


def test_a_volume_that_leaps_is_told_from_one_that_runs_evenly():
    even = np.zeros((8, 1, 20, 20), bool)
    for frame, rows in enumerate((16, 15, 14, 13, 12, 13, 14, 15)):
        even[frame, 0, :rows] = True
    leaping = even.copy()
    leaping[2, 0, :6] = False
    assert largest_jump(even) == pytest.approx(2 / 16)
    assert largest_jump(leaping) == pytest.approx(12 / 16)
    assert np.isnan(largest_jump(even[:4]))


def test_engines_are_measured_on_pairs_and_on_cines(files, heart):
    cine, labels = heart
    pairs = files / "pairs"
    for frame, name in ((0, "p1_frame01"), (2, "p1_frame03")):
        write_stack(cine.frame(frame), pairs / f"{name}.nii.gz")
        write_segmentation(labels.frame(frame), pairs / f"{name}_gt.nii.gz")
    cines = files / "cines"
    write_stack(cine, cines / "p2_4d.nii.gz")
    for frame in (0, 2):
        write_segmentation(labels.frame(frame), cines / f"p2_4d_frame{frame + 1:02d}_gt.nii.gz")
    for folder, strategies in ((pairs, ("direct",)), (cines, ("direct", "chained"))):
        out = files / f"out_{folder.name}"
        words = ("--engine", "identity", "dis", "--scheme", "acdc", "--strategy", *strategies, "--out", out)
        call(folder, *words, command=evaluate_propagation)
        found = json.loads((out / "summary.json").read_text())["engines"]
        assert found["dis/direct"]["dice"] >= 0.95 > 0.9 > found["identity/direct"]["dice"]
        assert found["dis/direct"]["structures"]["LV"]["hd95_mm"] < 3
        with (out / "propagation.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3 * 2 * len(strategies)
        assert {row["jump"] == "nan" for row in rows} == {folder == pairs or cine.n_frames < 5}
        assert {row["structure"] for row in rows} == {"RV", "MYO", "LV"}
    alone = files / "alone"
    write_stack(read_stack(pairs / "p1_frame01.nii.gz"), alone / "p1_frame01.nii.gz")
    write_segmentation(labels.frame(0), alone / "p1_frame01_gt.nii.gz")
    with pytest.raises(InputError, match="no patient with two annotated frames"):
        call(alone, "--scheme", "acdc", "--out", files / "x", command=evaluate_propagation)
    for words, said in ((("--patients", "0"), "--patients must be 1 or more"), (("--split", "val"), "has no splits")):
        with pytest.raises(InputError, match=said):
            call(cines, "--scheme", "acdc", *words, "--out", files / "x", command=evaluate_propagation)
    assert not (files / "x").exists()
