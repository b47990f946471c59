"""`sparsecardiacseg prompt`: one label volume on the image's grid, or one line and no file."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from disc_worker import disc_client
from io_grids import matrix_of
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.io import read_segmentation, read_stack
from SparseCardiacSegLib.worker.environment import worker_environment

ROWS, COLS = 40, 56


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """One worker for all commands of this file, so that it is not started each time."""
    with disc_client(tmp_path_factory.mktemp("worker")) as client:
        yield client


@pytest.fixture
def command(monkeypatch, worker):
    """Runs `prompt` with the disc model; the exit code as `main` gives it."""

    class Kept:
        def __enter__(self):
            return worker

        def __exit__(self, *error):
            return None

    monkeypatch.setattr("SparseCardiacSegLib.worker.client.WorkerClient", Kept)

    def run(*arguments, model="disc"):
        return main(["prompt", *map(str, arguments), "--model", model, "--no-cache"])

    return run


@pytest.fixture
def fails(command, capsys):
    """Runs `prompt`, which must fail with exit code 2; its one line."""

    def run(*arguments, **options):
        assert command(*arguments, **options) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len([line for line in lines if line.startswith("sparsecardiacseg: error:")]) == 1
        return lines[-1]

    return run


@pytest.fixture
def image(tmp_path):
    """An oblique, left-handed stack of slices that are not square, as NIfTI."""
    return save(tmp_path / "heart.nii.gz")


def save(path, n_frames=0, seed=0):
    shape = (COLS, ROWS, 5, n_frames) if n_frames else (COLS, ROWS, 5)
    array = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1, -1, 1, 1]) @ matrix_of("left_handed")), path)
    return path


def entry(slice_index, col, row, structure="LV", **more):
    return {"slice": slice_index, "structure": structure, "positive": [[col, row]], **more}


def prompts(folder, *entries):
    path = folder / "prompts.json"
    path.write_text(json.dumps({"prompts": list(entries)}))
    return path


def test_labels_lie_on_the_images_grid_bit_by_bit(command, image, tmp_path, capsys):
    out = tmp_path / "new folder" / "labels.nii.gz"
    assert command(image, prompts(tmp_path, entry(3, 41, 12), entry(3, 20, 12, "RV")), "--out", out) == 0
    assert capsys.readouterr().out.splitlines() == [str(out)]
    written, given = nibabel.load(out), nibabel.load(image)
    labels = np.asarray(written.dataobj)
    np.testing.assert_array_equal(written.affine, given.affine)
    assert (labels.shape, labels.dtype) == (given.shape, np.uint8)
    assert (labels[41, 12, 3], labels[20, 12, 3]) == (3, 1)
    assert not labels[:, :, [0, 1, 2, 4]].any()
    assert {path.name for path in out.parent.iterdir()} == {"labels.nii.gz"}


def test_a_picture_of_the_prompts_and_masks_is_drawn_beside_the_labels(command, image, tmp_path):
    out, picture = tmp_path / "labels.nii.gz", tmp_path / "picture.png"
    given = prompts(tmp_path, entry(3, 41, 12))
    assert command(image, given, "--out", out, "--picture", picture) == 0
    assert out.is_file()
    alone = picture.read_bytes()
    assert alone.startswith(b"\x89PNG")
    assert command(image, given, "--out", out, "--picture", picture, "--reference", out) == 0
    assert picture.read_bytes() != alone


def test_a_picture_that_cannot_be_drawn_leaves_no_labels(fails, image, tmp_path):
    out, other = tmp_path / "labels.nii.gz", save(tmp_path / "other.nii.gz", n_frames=3)
    given = prompts(tmp_path, entry(3, 41, 12))
    assert "suffix .png" in fails(image, given, "--out", out, "--picture", tmp_path / "picture.jpg")
    assert "goes with --picture" in fails(image, given, "--out", out, "--reference", image)
    picture = tmp_path / "picture.png"
    assert str(other) in fails(image, given, "--out", out, "--picture", picture, "--reference", other)
    assert not out.exists()
    assert not picture.exists()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".seg.nrrd"])
def test_other_formats_put_the_clicked_voxel_at_the_same_place(command, image, tmp_path, suffix):
    out = tmp_path / f"labels{suffix}"
    assert command(image, prompts(tmp_path, entry(3, 41, 12)), "--out", out) == 0
    expected = nibabel.load(image).affine @ [41, 12, 3, 1]
    if suffix == ".seg.nrrd":
        segmentation = read_segmentation(out)
        indices = np.argwhere(segmentation.mask(Structure.LV))
        centre = segmentation.labels.ijk_to_ras @ [*indices.mean(axis=0)[::-1], 1]
        np.testing.assert_allclose(centre[:3], expected[:3], atol=1e-4)
    else:
        read = sitk.ReadImage(str(out))
        lps = read.TransformIndexToPhysicalPoint((41, 12, 3))
        np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], expected[:3], atol=1e-4)
        assert read.GetPixel(41, 12, 3) == 3


def test_a_cine_gives_a_cine(command, tmp_path):
    image = save(tmp_path / "cine.nii.gz", n_frames=3)
    out = tmp_path / "labels.nii.gz"
    given = prompts(tmp_path, entry(1, 41, 12, frame=2), entry(4, 20, 30, "MYO", frame=0))
    assert command(image, given, "--out", out) == 0
    labels = np.asarray(nibabel.load(out).dataobj)
    assert labels.shape == (COLS, ROWS, 5, 3)
    assert (labels[41, 12, 1, 2], labels[20, 30, 4, 0]) == (3, 2)
    assert not labels[..., 1].any()


@pytest.mark.parametrize(
    ("structures", "scheme", "numbers"),
    [
        (["LV", "RV"], None, {3, 1}),
        (["LA"], None, {1}),
        (["LA", "LV"], None, {3, 4}),
        (["LV", "RV"], "mnms", {1, 3}),
        (["LV", "RV"], "all", {3, 1}),
    ],
)
def test_the_scheme_is_the_one_asked_for_or_the_first_that_fits(command, image, tmp_path, structures, scheme, numbers):
    given = [entry(2, 10 + 20 * index, 20, structure) for index, structure in enumerate(structures)]
    options = [] if scheme is None else ["--scheme", scheme]
    assert command(image, prompts(tmp_path, *given), "--out", tmp_path / "l.nii.gz", *options) == 0
    assert set(np.unique(np.asarray(nibabel.load(tmp_path / "l.nii.gz").dataobj))) == {0, *numbers}


def test_options_change_the_labels(command, image, tmp_path):
    given = prompts(tmp_path, entry(2, 20, 20), entry(2, 24, 20, "MYO"))
    taken = {}
    for name, options in {
        "default": [],
        "own": ["--no-shared-negatives"],
        "difference": ["--myocardium", "difference"],
        "score": ["--no-shared-negatives", "--overlap", "score"],
    }.items():
        out = tmp_path / f"{name}.nii.gz"
        assert command(image, given, "--out", out, *options) == 0
        taken[name] = np.asarray(nibabel.load(out).dataobj)[..., 2].T
    row, col = np.mgrid[:ROWS, :COLS]
    left, right = np.hypot(row - 20, col - 20) < 6.5, np.hypot(row - 20, col - 24) < 6.5
    np.testing.assert_array_equal(taken["own"], np.where(left, 3, np.where(right, 2, 0)))
    np.testing.assert_array_equal(taken["score"], taken["own"])  # equal scores: the order decides
    assert (taken["default"] == 3).sum() < left.sum()
    assert (taken["difference"] == 2).sum() > (taken["default"] == 2).sum()


def test_empty_masks_are_warned_of(command, image, tmp_path, capsys):
    given = prompts(tmp_path, entry(2, 20, 20), entry(3, 20, 20, negative=[[21, 20]], box=[19, 19, 21, 21]))
    assert command(image, given, "--out", tmp_path / "l.nii.gz") == 0
    assert "warning: prompt for LV on slice 3 of frame 0 gave an empty mask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "no prompts"),
        ([entry(5, 20, 20)], "slices 0 to 4"),
        ([entry(-1, 20, 20)], "slice"),
        ([entry(2, 20, 20, frame=1)], "frames 0 to 0"),
        ([entry(2, 56, 20)], "lies outside the slice of 56 x 40"),
        ([entry(2, 20, 40)], "lies outside the slice"),
        ([entry(2, 20, 20, box=[30, 5, 20, 9])], "is turned round"),
        ([entry(2, 20, 20, box=[20, 5, 20, 9])], "is empty"),
        ([entry(2, 20, 20, negative=[[20, 20]])], "both positive and negative"),
        ([entry(2, 20, 20, box=[60, 5, 70, 9])], "outside"),
        ([{"slice": 2, "structure": "LV", "negative": [[5, 5]]}], "no positive point and no box"),
        ([{"slice": 2, "structure": "LV"}], "no positive point and no box"),
        ([entry(2, 20, 20, "liver")], "liver"),
        ([entry(2, 20, 20), entry(2, 21, 20)], "both a prompt for LV on slice 2"),
        ([{"structure": "LV", "positive": [[1, 2]]}], "slice"),
        ([entry(1.5, 20, 20)], "slice"),
        ([entry(2, "a", 20)], "positive"),
        ([5], "prompts[0]"),
    ],
)
def test_a_prompts_file_that_cannot_be_used_gives_one_line_and_no_file(fails, image, tmp_path, entries, said):
    assert said in fails(image, prompts(tmp_path, *entries), "--out", tmp_path / "out" / "labels.nii.gz")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"prompts": 5}', "\x00\xff", '{"prompts": [{"slice": NaN}]}'])
def test_a_file_that_holds_no_prompts_is_named(fails, image, tmp_path, text):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    assert "prompts" in fails(image, path, "--out", tmp_path / "labels.nii.gz")
    assert not (tmp_path / "labels.nii.gz").exists()


def test_missing_files_are_named(fails, image, tmp_path):
    given = prompts(tmp_path, entry(2, 20, 20))
    assert "nowhere.json" in fails(image, tmp_path / "nowhere.json", "--out", tmp_path / "l.nii.gz")
    assert "nowhere.nii.gz" in fails(tmp_path / "nowhere.nii.gz", given, "--out", tmp_path / "l.nii.gz")
    assert not (tmp_path / "l.nii.gz").exists()


def test_an_unknown_model_or_scheme_is_named(fails, image, tmp_path):
    given = prompts(tmp_path, entry(2, 20, 20))
    assert "nothing" in fails(image, given, "--out", tmp_path / "l.nii.gz", model="nothing")
    assert "acdc" in fails(image, given, "--out", tmp_path / "l.nii.gz", "--scheme", "acdcc")
    assert not (tmp_path / "l.nii.gz").exists()


def test_the_left_atrium_has_no_number_in_acdc(fails, image, tmp_path):
    line = fails(image, prompts(tmp_path, entry(2, 20, 20, "LA")), "--out", tmp_path / "l.nii.gz", "--scheme", "acdc")
    assert "'acdc' has no number for LA" in line
    assert "'la'" in line
    assert not (tmp_path / "l.nii.gz").exists()


def test_an_output_that_cannot_hold_the_labels_is_refused_before_any_work(fails, image, tmp_path):
    given = prompts(tmp_path, entry(2, 20, 20))
    assert "suffix" in fails(image, given, "--out", tmp_path / "labels.png")
    cine = save(tmp_path / "cine.nii.gz", n_frames=2)
    assert "one frame" in fails(cine, given, "--out", tmp_path / "labels.seg.nrrd")
    (tmp_path / "file").write_text("mine")
    assert "file" in fails(image, given, "--out", tmp_path / "file" / "labels.nii.gz")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_image_of_one_value_is_refused(fails, tmp_path):
    flat = tmp_path / "flat.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full((COLS, ROWS, 5), 7, np.int16), matrix_of("oblique")), flat)
    assert "flat.nii.gz" in fails(flat, prompts(tmp_path, entry(2, 20, 20)), "--out", tmp_path / "l.nii.gz")


def test_a_model_that_dies_gives_exit_code_1_and_no_file(command, image, tmp_path, capsys):
    assert command(image, prompts(tmp_path, entry(2, 20, 20)), "--out", tmp_path / "l.nii.gz", model="dies") == 1
    assert "exit code 9" in capsys.readouterr().err
    assert not (tmp_path / "l.nii.gz").exists()


def test_everything_numbers_the_masks_of_the_slices_chosen(command, tmp_path, capsys):
    image = save(tmp_path / "cine.nii.gz", n_frames=2)
    out = tmp_path / "everything.nii.gz"
    assert command(image, "--everything", "--slice", 4, "--slice", 0, "--frame", 1, "--out", out) == 0
    labels = np.asarray(nibabel.load(out).dataobj)
    assert (labels.shape, labels.dtype) == ((COLS, ROWS, 5, 2), np.uint16)
    assert [bool(labels[:, :, k, 1].any()) for k in range(5)] == [True, False, False, False, True]
    assert not labels[..., 0].any()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"slice 4: {labels[:, :, 4, 1].max()} masks"
    np.testing.assert_array_equal(read_stack(out).ijk_to_ras, read_stack(image).ijk_to_ras)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--everything", "--slice", "7"], "slices 0 to 4"),
        (["--everything", "--frame", "1"], "frames 0 to 0"),
        (["--everything", "--scheme", "acdc"], "--scheme cannot be used with --everything"),
        (["--everything", "--overlap", "order", "--no-shared-negatives"], "--overlap, --no-shared-negatives"),
        (["prompts.json", "--everything"], "takes no prompts"),
        (["prompts.json", "--slice", "1"], "go with --everything"),
        ([], "give a prompts file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(fails, image, tmp_path, arguments, said):
    assert said in fails(image, *arguments, "--out", tmp_path / "l.nii.gz")
    assert not (tmp_path / "l.nii.gz").exists()


def test_numbered_masks_are_no_slicer_segmentation(fails, image, tmp_path):
    assert ".seg.nrrd" in fails(image, "--everything", "--out", tmp_path / "l.seg.nrrd")


def test_prompting_imports_no_torch_in_the_callers_process():
    """The window of an application must not load it."""
    code = "import sys, SparseCardiacSegLib.prompter, SparseCardiacSegLib.cli.prompt; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=worker_environment(), check=False).returncode == 0
