"""Patients, not frames, are drawn; the raw data set is what nnU-Net reads."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import LEFT_ATRIUM
from SparseCardiacSegLib.training.raw_dataset import draw_patients, find_volumes, write_raw_dataset
from SparseCardiacSegLib.training.settings import TrainingSettings

GROUPS = ("DCM", "HCM", "NOR")


@pytest.fixture
def dataset(tmp_path):
    """Twelve patients with two frames each, four a group; the first two are twins, the last three are `val`."""
    with (tmp_path / "cases.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "group", "split", "note"])
        for number in range(12):
            note = "images identical to another patient" if number < 2 else ""
            writer.writerow([f"patient{number:03d}", GROUPS[number % 3], "val" if number >= 9 else "train", note])
            for frame in ("01", "09"):
                for suffix in ("", "_gt"):
                    image = nibabel.Nifti1Image(np.full((4, 4, 2), number, np.uint8), np.eye(4))
                    nibabel.save(image, tmp_path / f"patient{number:03d}_frame{frame}{suffix}.nii.gz")
    return tmp_path


def test_both_frames_of_a_patient_come_together(dataset):
    patients = draw_patients(dataset / "cases.csv", 6, seed=0)
    volumes = find_volumes(dataset, patients)
    assert len(volumes) == 12
    assert {volume.patient for volume in volumes} == set(patients)


def test_a_draw_repeats_with_its_seed_and_stays_in_its_split(dataset):
    table = dataset / "cases.csv"
    assert draw_patients(table, 6, seed=3) == draw_patients(table, 6, seed=3)
    assert any(draw_patients(table, 6, seed=3) != draw_patients(table, 6, seed=other) for other in range(5))
    assert not {"patient009", "patient010", "patient011"} & set(draw_patients(table, 8, seed=1))


def test_a_draw_spreads_over_the_groups(dataset):
    drawn = draw_patients(dataset / "cases.csv", 6, seed=0)
    per_group = [sum(int(patient[-3:]) % 3 == group for patient in drawn) for group in range(3)]
    assert per_group == [2, 2, 2]


@pytest.mark.parametrize("seed", range(6))
def test_twins_are_never_drawn_together(dataset, seed):
    assert len({"patient000", "patient001"} & set(draw_patients(dataset / "cases.csv", 8, seed=seed))) == 1


def test_asking_for_too_many_patients_says_how_many_there_are(dataset):
    with pytest.raises(ValueError, match="holds 8"):
        draw_patients(dataset / "cases.csv", 9, seed=0)


def test_a_table_without_a_needed_column_is_refused_by_name(tmp_path):
    (tmp_path / "cases.csv").write_text("patient,split\npatient000,train\n")
    with pytest.raises(ValueError, match="lacks the column group"):
        draw_patients(tmp_path / "cases.csv", 1, seed=0)


def test_a_table_of_cases_needs_no_groups_and_keeps_the_held_out_ones_out(tmp_path):
    with (tmp_path / "cases.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["case", "split"], *([f"la_{n:03d}", "val" if n % 3 == 0 else "train"] for n in range(6))]
        )
    for number in range(6):
        for suffix in ("", "_gt"):
            image = nibabel.Nifti1Image(np.full((4, 4, 2), number, np.uint8), np.eye(4))
            nibabel.save(image, tmp_path / f"la_{number:03d}{suffix}.nii.gz")
    drawn = draw_patients(tmp_path / "cases.csv", 4, seed=0)
    assert drawn == ["la_001", "la_002", "la_004", "la_005"]
    assert [volume.case for volume in find_volumes(tmp_path, drawn)] == drawn
    folder = write_raw_dataset(find_volumes(tmp_path, drawn), tmp_path / "raw", {}, LEFT_ATRIUM)
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "LA": 1}


def test_the_raw_dataset_has_nnunets_names_and_says_which_cases_it_holds(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "Dataset101_Test"
    volumes = find_volumes(dataset, ["patient003"])
    write_raw_dataset(volumes, folder, {"seed": 7})
    assert sorted(path.name for path in (folder / "imagesTr").iterdir()) == [
        "patient003_frame01_0000.nii.gz",
        "patient003_frame09_0000.nii.gz",
    ]
    assert (folder / "labelsTr" / "patient003_frame01.nii.gz").is_file()
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    sparsity = json.loads((folder / "sparsity.json").read_text())
    assert sparsity["seed"] == 7
    assert sparsity["cases"] == ["patient003_frame01", "patient003_frame09"]


def test_a_patient_without_labels_is_named(dataset):
    with pytest.raises(FileNotFoundError, match="patient999"):
        find_volumes(dataset, ["patient003", "patient999"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"max_patch_size": 100}, "max_patch_size"),
        ({"initial_learning_rate": 0}, "learning"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**change)
