"""A sparse data set holds what was kept, nothing else leaks, and nnU-Net takes it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import phantom
import pytest
import sparse_sources
from hypothesis import given, settings
from hypothesis import strategies as st
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack, write_segmentation, write_stack
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.training.labelled_cases import read_cases
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import read_source, source_of
from SparseCardiacSegLib.training.sparsity.volumes import LabelledStack
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset

IGNORE = 4


def written(folder, case):
    """Image and labels of one case as numbers, slices along the axis that the record names; the record's entry."""
    record = json.loads((folder / "sparsity.json").read_text())
    entry = next(one for one in record["volumes"] if one["case"] == case)
    image = read_stack(folder / "imagesTr" / f"{case}_0000.nii.gz")
    labels = read_stack(folder / "labelsTr" / f"{case}.nii.gz")
    axis = entry["through_plane"]
    return image, labels, np.moveaxis(image.array, axis, 0), np.moveaxis(labels.array, axis, 0), entry


SPARSITY = st.builds(
    SparsitySettings,
    volumes=st.integers(1, 4),
    slices=st.integers(0, 2),
    regions=st.sampled_from(("A", "M", "B", "AM", "MB", "AB", "AMB")),
    spread=st.sampled_from(("random", "even")),
    mode=st.sampled_from(("ignore", "zero")),
    seed=st.integers(0, 99),
)


@settings(max_examples=40, deadline=None)
@given(SPARSITY, st.sampled_from((6, 8, 9)), st.integers(0, 2), st.booleans(), st.booleans())
def test_nothing_that_was_not_kept_leaks(sparsity, n_slices, axis, oblique, base_first):
    stacks = sparse_sources.stacks(2, n_slices, through_plane=axis, oblique=oblique, base_first=base_first)
    originals = {f"{one.patient}_{one.name}": one for one in stacks}
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_sparse_dataset(make_plan(source_of(stacks), sparsity), Path(temporary) / "out")
        cases = json.loads((folder / "sparsity.json").read_text())["cases"]
        names = json.loads((folder / "dataset.json").read_text())["labels"]
        assert len(cases) == sparsity.volumes
        for case in cases:
            image, labels, voxels, numbers, entry = written(folder, case)
            original = originals[case]
            assert entry["through_plane"] == axis
            assert np.array_equal(image.ijk_to_ras, labels.ijk_to_ras)
            assert np.allclose(image.ijk_to_ras, original.image.ijk_to_ras, atol=1e-4)
            kept = set(entry["kept"])
            assert len(kept) == (sparsity.slices or len(kept))
            true_voxels = original.image.slices_first()
            true_numbers = original.segmentation.labels.slices_first()
            for index in range(n_slices):
                if index in kept:
                    assert np.array_equal(numbers[index], true_numbers[index])
                    assert np.array_equal(voxels[index], true_voxels[index])
                elif sparsity.mode == "ignore":
                    assert (numbers[index] == IGNORE).all()
                    assert np.array_equal(voxels[index], true_voxels[index])
                else:
                    assert not numbers[index].any()
                    assert not voxels[index].any()
        assert ("ignore" in names) == (
            sparsity.mode == "ignore" and any(len(written(folder, case)[4]["kept"]) < n_slices for case in cases)
        )


def test_all_that_is_kept_needs_no_ignore_label(tmp_path):
    folder = write_sparse_dataset(make_plan(source_of(sparse_sources.stacks(2)), SparsitySettings()), tmp_path / "out")
    content = json.loads((folder / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    assert content["numTraining"] == 4
    for path in (folder / "labelsTr").iterdir():
        assert read_stack(path).array.max() == 3


def test_the_ignore_label_is_the_number_after_the_highest(tmp_path):
    for index, (labelled, highest) in enumerate((((phantom.left_atrium()), 1), (phantom.all_structures(), 4))):
        plan = make_plan(source_of([LabelledStack("P", *labelled)]), SparsitySettings(slices=2))
        folder = write_sparse_dataset(plan, tmp_path / str(index))
        names = json.loads((folder / "dataset.json").read_text())["labels"]
        assert names["ignore"] == max(names.values()) == highest + 1
        assert read_stack(folder / "labelsTr" / "P.nii.gz").array.max() == highest + 1


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
def test_labels_of_both_schemes_land_in_acdcs_numbers(tmp_path, scheme):
    source = read_source(sparse_sources.write_folder(tmp_path / "in", 2, scheme=scheme))
    plan = make_plan(source, SparsitySettings(slices=3))
    assert any(f"guessed as '{scheme.name}'" in warning for warning in plan.warnings)
    folder = write_sparse_dataset(plan, tmp_path / "out")
    assert json.loads((folder / "dataset.json").read_text())["labels"]["LV"] == 3
    for case in plan.volumes:
        *_, numbers, entry = written(folder, case.name)
        _, truth = sparse_sources.heart(6, 0.0 if case.name.endswith("01") else 1.0, scheme)
        for index in entry["kept"]:
            for structure, number in (("RV", 1), ("MYO", 2), ("LV", 3)):
                assert np.array_equal(numbers[index] == number, truth.mask(Structure(structure))[index])


def test_labels_of_two_schemes_in_one_data_set_are_refused(tmp_path):
    folder = sparse_sources.write_folder(tmp_path / "in", 2)
    sparse_sources.write_case(folder, "patient000_frame09", *sparse_sources.heart(6, 1.0, MNMS))
    with pytest.raises(InputError, match=r"several schemes \(acdc, mnms\)"):
        make_plan(read_source(folder), SparsitySettings())


@pytest.mark.parametrize("mode", ["ignore", "zero"])
def test_the_geometry_of_a_nifti_source_is_kept_bit_by_bit(tmp_path, mode):
    source_folder = tmp_path / "in"
    image, labels = sparse_sources.heart(6, through_plane=2, oblique=True, left_handed=True)
    sparse_sources.write_case(source_folder, "P_ED", image, labels)
    plan = make_plan(read_source(source_folder, ACDC), SparsitySettings(slices=2, mode=mode))
    folder = write_sparse_dataset(plan, tmp_path / "out")
    before = nibabel.load(source_folder / "P_ED.nii.gz").header
    for path in (folder / "imagesTr" / "P_ED_0000.nii.gz", folder / "labelsTr" / "P_ED.nii.gz"):
        after = nibabel.load(path).header
        for field in ("pixdim", "srow_x", "srow_y", "srow_z", "qform_code", "sform_code", "quatern_b", "qoffset_x"):
            assert np.array_equal(before[field], after[field]), field
    if mode == "ignore":
        assert (folder / "imagesTr" / "P_ED_0000.nii.gz").read_bytes() == (source_folder / "P_ED.nii.gz").read_bytes()


def test_images_of_other_formats_become_nifti(tmp_path):
    image, labels = sparse_sources.heart(6, oblique=True)
    (tmp_path / "in").mkdir()
    write_stack(image, tmp_path / "in" / "P_ED.nrrd")
    write_segmentation(labels, tmp_path / "in" / "P_ED_gt.seg.nrrd")
    folder = write_sparse_dataset(make_plan(read_source(tmp_path / "in"), SparsitySettings(slices=2)), tmp_path / "out")
    back, *_, entry = written(folder, "P_ED")
    assert np.array_equal(back.array, image.array)
    assert len(entry["kept"]) == 2


def test_the_same_seed_writes_the_same_files_and_another_seed_others(tmp_path):
    source = source_of(sparse_sources.stacks(4, 9))
    folders = [
        write_sparse_dataset(make_plan(source, SparsitySettings(3, 2, seed=seed)), tmp_path / str(index))
        for index, seed in enumerate((5, 5, 6))
    ]
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in folders
    ]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_the_record_tells_where_every_slice_came_from(tmp_path):
    source_folder = sparse_sources.write_folder(tmp_path / "in", 4)
    plan = make_plan(read_source(source_folder), SparsitySettings(3, 2, "MB", seed=7))
    folder = write_sparse_dataset(plan, tmp_path / "out")
    record = json.loads((folder / "sparsity.json").read_text())
    assert record["settings"] == SparsitySettings(3, 2, "MB", seed=7).as_dict()
    assert record["source"] == {"dataset": str(source_folder), "layout": "folder", "split": "train", "volumes": 6}
    assert record["totals"] == {
        "patients": 2, "volumes": 3, "slices_kept": 6, "slices": 18, "synthetic_volumes": 0,
    }  # fmt: skip
    assert len(record["unused_volumes_of_these_patients"]) == 1
    for entry in record["volumes"]:
        assert (source_folder / entry["image"]).is_file()
        assert (source_folder / entry["labels"]).is_file()
        assert entry["regions"] == ["base"] * 2 + ["middle"] * 2 + ["apex"] * 2
        assert entry["why"] == "2 of 4 annotated slices of regions MB, drawn with seed 7"
        assert set(entry["kept"]) <= {0, 1, 2, 3}
    assert {case.patient for case in read_cases(folder, split="train")} == set(record["patients"])


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "out" / "labelsTr").mkdir(parents=True)
    plan = make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings())
    with pytest.raises(InputError, match="is not empty"):
        write_sparse_dataset(plan, tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "labelsTr"]


def test_a_stopped_run_leaves_nothing(tmp_path):
    def stop(fraction, _):
        if fraction > 0.4:
            raise Cancelled

    plan = make_plan(source_of(sparse_sources.stacks(2)), SparsitySettings())
    with pytest.raises(Cancelled):
        write_sparse_dataset(plan, tmp_path / "out", stop)
    assert list(tmp_path.iterdir()) == []


def test_empty_labels_are_refused_by_name():
    image, labels = sparse_sources.heart(6)
    empty = Segmentation(replace(labels.labels, array=np.zeros_like(labels.labels.array)), ACDC)
    with pytest.raises(InputError, match="labels of P are empty"):
        make_plan(source_of([LabelledStack("P", image, empty)]), SparsitySettings())


def test_a_segmentation_of_which_a_few_slices_are_drawn_gives_those_slices_only(tmp_path):
    image, labels = sparse_sources.heart(8)
    plan = make_plan(source_of([LabelledStack("P", image, labels, slices=(2, 5))]), SparsitySettings())
    folder = write_sparse_dataset(plan, tmp_path / "out")
    *_, numbers, entry = written(folder, "P")
    assert entry["kept"] == entry["available"] == [2, 5]
    assert (numbers[[0, 1, 3, 4, 6, 7]] == IGNORE).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"patient": "../x"}, "cannot be the name of a case"),
        ({"image": sparse_sources.heart(7)[0]}, "lies on another grid"),
        ({"slices": (9,)}, "has 6 slices; 9 is not one of them"),
    ],
)
def test_segmentations_that_cannot_be_used_are_refused(change, told):
    image, labels = sparse_sources.heart(6)
    with pytest.raises(InputError, match=told):
        make_plan(source_of([replace(LabelledStack("P", image, labels), **change)]), SparsitySettings())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ignore", "zero"])
def test_nnunets_own_check_accepts_the_data_set(tmp_path, mode, capfd):
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    stacks = sparse_sources.stacks(2, 7, through_plane=1, oblique=True)
    folder = write_sparse_dataset(
        make_plan(source_of(stacks), SparsitySettings(3, 2, mode=mode)), tmp_path / "Dataset321_Sparse"
    )
    verify_dataset_integrity(str(folder), num_processes=1)
    assert "verify_dataset_integrity Done" in capfd.readouterr().out


def test_nnunet_reads_the_ignore_label_from_the_data_set(tmp_path):
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    plan = make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings(slices=1))
    folder = write_sparse_dataset(plan, tmp_path / "out")
    manager = LabelManager(json.loads((folder / "dataset.json").read_text())["labels"], None)
    assert manager.has_ignore_label
    assert manager.ignore_label == IGNORE
    assert manager.all_labels == [0, 1, 2, 3]


def test_schemes_with_an_atrium_keep_their_structures():
    image, labels = phantom.all_structures()
    plan = make_plan(source_of([LabelledStack("P", image, labels)]), SparsitySettings())
    assert plan.scheme.numbers == ALL.numbers
    assert make_plan(source_of([LabelledStack("P", *phantom.left_atrium())]), SparsitySettings()).scheme.numbers == (
        LEFT_ATRIUM.numbers
    )
