"""Annotated volumes are found in both layouts, and drawn by patient."""

from __future__ import annotations

import json

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.training.labelled_cases import choose_patients, has_split, read_cases

GRID = phantom.grid((3, 24, 24), (20.0, 6.0, 6.0))
IMAGE, LABELS = phantom.heart(0.0, GRID)


def write_case(folder, name, labels=LABELS, image=IMAGE):
    write_stack(image, folder / f"{name}.nii.gz")
    write_segmentation(labels, folder / f"{name}_gt.nii.gz")


@pytest.fixture
def plain(tmp_path):
    """Six patients with two frames each; the last one is of split `val`."""
    rows = ["patient,group,split"]
    for number in range(6):
        rows.append(f"patient{number:02d},{'AB'[number % 2]},{'val' if number == 5 else 'train'}")
        for frame in ("01", "09"):
            (tmp_path / f"patient{number:02d}_frame{frame}.nii.gz").touch()
            (tmp_path / f"patient{number:02d}_frame{frame}_gt.nii.gz").touch()
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def write_nnunet(folder, labels=LABELS, names=None, channels=("0000",)):
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for channel in channels:
        write_stack(IMAGE, folder / "imagesTr" / f"P1_frame01_{channel}.nii.gz")
    write_segmentation(labels, folder / "labelsTr" / "P1_frame01.nii.gz")
    names = names or {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    (folder / "dataset.json").write_text(json.dumps({"labels": names, "file_ending": ".nii.gz"}))
    return folder


def test_cases_come_by_patient_with_the_split_and_group_of_the_table(plain):
    cases = read_cases(plain, split="train")
    assert [case.name for case in cases][:3] == ["patient00_frame01", "patient00_frame09", "patient01_frame01"]
    assert {case.patient for case in cases} == {f"patient0{number}" for number in range(5)}
    assert [case.group for case in cases[:4]] == ["A", "A", "B", "B"]
    assert {case.patient for case in read_cases(plain, split="val")} == {"patient05"}
    assert len(read_cases(plain)) == 12


def test_eight_volumes_are_both_frames_of_four_patients(plain):
    chosen = choose_patients(read_cases(plain), n_volumes=8)
    assert len(chosen) == 8
    assert len({case.patient for case in chosen}) == 4
    assert chosen == sorted(chosen, key=lambda case: (case.patient, case.name))


@pytest.mark.parametrize("seed", range(4))
def test_a_larger_draw_contains_a_smaller_one_and_groups_take_turns(plain, seed):
    cases = read_cases(plain)
    small, large = (choose_patients(cases, n_volumes=number, seed=seed) for number in (4, 8))
    assert set(small) < set(large)
    assert sorted(case.group for case in large) == ["A"] * 4 + ["B"] * 4


def test_a_draw_depends_on_its_seed_alone(plain):
    cases = read_cases(plain)
    assert choose_patients(cases, n_patients=2, seed=1) == choose_patients(cases[::-1], n_patients=2, seed=1)[::-1]
    draws = {tuple(case.name for case in choose_patients(cases, n_patients=2, seed=seed)) for seed in range(8)}
    assert len(draws) > 1


def test_patients_can_be_named(plain):
    chosen = choose_patients(read_cases(plain), patients=["patient04", "patient01"])
    assert [case.patient for case in chosen] == ["patient01", "patient01", "patient04", "patient04"]
    with pytest.raises(InputError, match="no annotated volume of patient77"):
        choose_patients(read_cases(plain), patients=["patient77"])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"n_volumes": 7}, "7 volumes cannot be had from whole patients, whose volumes stay together; 6 can"),
        ({"n_volumes": 13}, "13 volumes asked for, but there are 12"),
        ({"n_volumes": 0}, "0 volumes asked for"),
        ({"n_patients": 7}, "7 patients asked for, but there are 6"),
    ],
)
def test_a_number_that_cannot_be_drawn_is_refused_with_one_that_can(plain, numbers, message):
    with pytest.raises(InputError, match=message):
        choose_patients(read_cases(plain), **numbers)


@pytest.mark.parametrize(
    ("name", "patient"),
    [("patient001_frame12", "patient001"), ("SC-HF-I-01_ED", "SC-HF-I-01"), ("la_001", "la_001"), ("A_es", "A")],
)
def test_without_a_table_the_patient_is_told_by_the_name(tmp_path, name, patient):
    (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / f"{name}_gt.nii.gz").touch()
    assert [case.patient for case in read_cases(tmp_path)] == [patient]


def test_a_case_loads_with_its_scheme_on_the_images_grid(tmp_path):
    write_case(tmp_path, "one", LABELS.in_scheme(MNMS))
    stack, segmentation = read_cases(tmp_path, MNMS)[0].load()
    assert np.array_equal(segmentation.mask(Structure.LV), LABELS.mask(Structure.LV))
    assert segmentation.labels.same_grid(stack)
    assert segmentation.warnings == ()
    assert "guessed" in read_cases(tmp_path)[0].load()[1].warnings[0]


def test_labels_that_lie_elsewhere_are_taken_with_a_warning(tmp_path):
    write_case(tmp_path, "one")
    elsewhere = phantom.grid((3, 24, 24), (20.0, 6.0, 6.0), shift=(5.0, 0, 0))
    write_stack(elsewhere.with_array(LABELS.labels.array), tmp_path / "one_gt.nii.gz")
    stack, segmentation = read_cases(tmp_path, ACDC)[0].load()
    assert "lies elsewhere" in segmentation.warnings[0]
    assert segmentation.labels.same_grid(stack)


def test_labels_of_another_shape_are_refused(tmp_path):
    write_case(tmp_path, "one")
    write_segmentation(phantom.heart(0.0, phantom.grid((3, 20, 24)))[1], tmp_path / "one_gt.nii.gz")
    with pytest.raises(InputError, match=r"shape \(3, 20, 24\), its image"):
        read_cases(tmp_path, ACDC)[0].load()


def test_an_nnunet_data_set_is_read_with_its_own_label_names(tmp_path):
    folder = write_nnunet(
        tmp_path / "D", LABELS.in_scheme(MNMS), {"background": 0, "lv": 1, "Myocardium": 2, "right ventricle": 3}
    )
    (case,) = read_cases(folder)
    assert (case.patient, case.name) == ("P1", "P1_frame01")
    assert np.array_equal(case.load()[1].mask(Structure.RV), LABELS.mask(Structure.RV))
    assert read_cases(folder, split="train") == [case]
    with pytest.raises(InputError, match="labelsTs"):
        read_cases(folder, split="test")


def test_a_slice_with_ignored_voxels_comes_back_without_labels(tmp_path):
    array = LABELS.labels.array.copy()
    array[1, 0, 0] = 4
    folder = tmp_path / "D"
    names = {"background": 0, "RV": 1, "MYO": 2, "LV": 3, "ignore": 4}
    write_nnunet(folder, names=names)
    write_stack(LABELS.labels.with_array(array), folder / "labelsTr" / "P1_frame01.nii.gz")
    _, segmentation = read_cases(folder)[0].load()
    assert not segmentation.labels.array[1].any()
    assert np.array_equal(segmentation.labels.array[0], LABELS.labels.array[0])


def test_bad_data_sets_are_refused_with_a_clear_sentence(tmp_path, plain):
    with pytest.raises(InputError, match="does not exist"):
        read_cases(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no annotated volume"):
        read_cases(tmp_path / "empty")
    with pytest.raises(InputError, match="no case of split 'tset'; it has train, val"):
        read_cases(plain, split="tset")
    (plain / "patient03_frame09.nii.gz").unlink()
    with pytest.raises(InputError, match="no image 'patient03_frame09' beside it"):
        read_cases(plain)
    (tmp_path / "alone").mkdir()
    write_case(tmp_path / "alone", "one")
    with pytest.raises(InputError, match=r"has no cases.csv, so it cannot be told"):
        read_cases(tmp_path / "alone", split="train")
    (tmp_path / "alone" / "cases.csv").write_text("patient\ntwo\n")
    with pytest.raises(InputError, match="lists 'two', but there is no annotated volume"):
        read_cases(tmp_path / "alone")
    (tmp_path / "alone" / "cases.csv").write_text("subject\none\n")
    with pytest.raises(InputError, match="lacks the column patient"):
        read_cases(tmp_path / "alone")


def test_unknown_labels_and_several_channels_of_nnunet_are_refused(tmp_path):
    folder = write_nnunet(tmp_path / "A", names={"background": 0, "scar": 1})
    with pytest.raises(InputError, match=r"label 'scar' .* is none of RV, MYO, LV, LA"):
        read_cases(folder)
    with pytest.raises(InputError, match="several channels"):
        read_cases(write_nnunet(tmp_path / "B", channels=("0000", "0001")))


def test_whether_there_is_a_split_is_told_by_the_table_alone(plain, tmp_path):
    assert has_split(plain, "train")
    assert not has_split(plain, "test")
    assert not has_split(tmp_path / "nowhere", "train")


@pytest.mark.shared
def test_real_data_sets_are_read(shared_data):
    train = read_cases(shared_data / "acdc", ACDC, "train")
    assert (len(train), len({case.patient for case in train})) == (100, 50)
    assert len({case.patient for case in choose_patients(train, n_volumes=8)}) == 4
    assert len({case.patient for case in read_cases(shared_data / "sunnybrook_lv")}) == 20
    assert len({case.patient for case in read_cases(shared_data / "la")}) == 16
