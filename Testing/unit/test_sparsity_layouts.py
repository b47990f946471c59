"""Sources in the layouts of nnU-Net, ACDC, M&Ms and M&Ms-2, and data sets that are sparse or partly carried already."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import phantom
import pytest
import sparse_sources
from SparseCardiacSegLib.anatomy import MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.propagation.carry import PropagationSettings, propagate
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import read_source, source_of
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset
from SparseCardiacSegLib.training.synthetic import synthetic_cases, write_synthetic_dataset


def record_of(folder):
    return json.loads((folder / "sparsity.json").read_text())


def test_the_acdc_challenges_folders_are_read_with_group_and_phase(tmp_path):
    folder = sparse_sources.write_acdc(tmp_path)
    source = read_source(folder)
    assert (source.layout, source.split) == ("ACDC", "train")
    assert [(volume.name, volume.phase, volume.group) for volume in source.volumes] == [
        ("patient001_frame01", "ED", "DCM"),
        ("patient001_frame12", "ES", "DCM"),
        ("patient002_frame01", "ED", "DCM"),
        ("patient002_frame12", "ES", "DCM"),
    ]
    assert {volume.patient for volume in read_source(folder, split="test").volumes} == {"patient101", "patient102"}
    assert len(read_source(folder, split="all").volumes) == 8
    assert make_plan(source, SparsitySettings(2, 2)).warnings == ()  # the layout tells the scheme: nothing is guessed


def test_acdcs_training_folder_alone_is_a_data_set_without_splits(tmp_path):
    folder = sparse_sources.write_acdc(tmp_path) / "training"
    assert read_source(folder).split == "all"
    with pytest.raises(InputError, match="has no split 'train'; its folders tell of none"):
        read_source(folder, split="train")


@pytest.mark.parametrize("table", [True, False])
def test_labelled_frames_of_mnms_cines_become_volumes_with_acdcs_numbers(tmp_path, table):
    source = read_source(sparse_sources.write_mnms(tmp_path / "in", table))
    assert (source.layout, source.split) == ("M&Ms", "train")
    phases = ("ED", "ES") if table else ("frame00", "frame02")
    names = [f"{code}_{phase}" for code in ("A0S9V9", "B1K2L3") for phase in phases]
    assert [volume.name for volume in source.volumes] == names
    assert {volume.group for volume in source.volumes} == {"HCM" if table else ""}
    folder = write_sparse_dataset(make_plan(source, SparsitySettings(slices=2)), tmp_path / "out")
    for name in names[:2]:
        entry = next(one for one in record_of(folder)["volumes"] if one["case"] == name)
        image, truth = sparse_sources.heart(5, 0.0 if name == names[0] else 1.0, MNMS)
        labels = read_stack(folder / "labelsTr" / f"{name}.nii.gz").array
        assert np.array_equal(read_stack(folder / "imagesTr" / f"{name}_0000.nii.gz").array, image.array)
        for index in entry["kept"]:
            for structure, number in ((Structure.RV, 1), (Structure.MYO, 2), (Structure.LV, 3)):
                assert np.array_equal(labels[index] == number, truth.mask(structure)[index])


def test_both_views_of_mnms2_are_read(tmp_path):
    folder = sparse_sources.write_mnms2(tmp_path / "in")
    short = read_source(folder)
    assert [volume.name for volume in short.volumes] == ["001_SA_ED", "001_SA_ES", "002_SA_ED", "002_SA_ES"]
    assert [volume.group for volume in short.volumes] == ["NOR", "NOR", "TOF", "TOF"]
    long = make_plan(read_source(folder, view="la"), SparsitySettings(volumes=2))
    assert [len(one.kept) for one in long.volumes] == [1, 1]
    assert all(one.seen.regions == (None,) for one in long.volumes)
    both = make_plan(read_source(folder, view="both"), SparsitySettings(volumes=4))
    assert len(both.patients) == 1
    with pytest.raises(InputError, match="annotated slice in regions MB"):
        make_plan(read_source(folder, view="la"), SparsitySettings(regions="MB"))


def test_a_sparse_data_set_never_gets_its_slices_back(tmp_path):
    for mode in ("ignore", "zero"):
        source = source_of(sparse_sources.stacks(3, 9))
        first = write_sparse_dataset(make_plan(source, SparsitySettings(4, 3, mode=mode)), tmp_path / f"{mode}_first")
        again = make_plan(read_source(first), SparsitySettings(2, 2, seed=3))
        before = {entry["case"]: entry for entry in record_of(first)["volumes"]}
        second = write_sparse_dataset(again, tmp_path / f"{mode}_second")
        for entry in record_of(second)["volumes"]:
            assert entry["available"] == before[entry["case"]]["kept"]
            assert set(entry["kept"]) < set(entry["available"])
            labels = read_stack(second / "labelsTr" / f"{entry['case']}.nii.gz").array
            unkept = [index for index in range(9) if index not in entry["kept"]]
            assert (labels[unkept] == 4).all()


def test_ignored_slices_of_a_foreign_nnunet_data_set_are_not_annotated(tmp_path):
    first = write_sparse_dataset(
        make_plan(source_of(sparse_sources.stacks(1, 9)), SparsitySettings(slices=3)), tmp_path / "a"
    )
    kept = {entry["case"]: entry["kept"] for entry in record_of(first)["volumes"]}
    (first / "sparsity.json").unlink()
    plan = make_plan(read_source(first), SparsitySettings())
    assert {one.name: list(one.kept) for one in plan.volumes} == kept


def write_carried(folder, through_plane):
    """Two patients of whose cines frames 0 and 3 are annotated and the others carried."""
    cine, labels = phantom.cine(5, phantom.grid((6, 24, 24), (14.0, 5.0, 5.0)))
    annotated = {index: labels.frame(index) for index in (0, 3)}
    settings = PropagationSettings(engine="identity", through_plane=through_plane)
    for name in ("P1", "P2"):
        write_synthetic_dataset(cine, propagate(cine, annotated, settings), folder, name, settings)
    return folder


@pytest.mark.parametrize(("through_plane", "slices"), [(False, {2, 3, 4}), (True, {3})])
def test_carried_frames_are_no_candidates_and_tell_no_more_than_their_annotated_frames(tmp_path, through_plane, slices):
    source = read_source(write_carried(tmp_path / "in", through_plane))
    assert sum(not volume.synthetic for volume in source.volumes) == 4
    volumes = tuple(
        replace(volume, annotated={"00": (1, 2, 3, 4), "03": (0, 2, 3, 4)}[volume.name[-2:]])
        if not volume.synthetic
        else volume
        for volume in source.volumes
    )
    plan = make_plan(replace(source, volumes=volumes), SparsitySettings(2, seed=2))
    patient = plan.patients[0]
    assert [one.name for one in plan.volumes] == [f"{patient}_frame00", f"{patient}_frame03"]
    assert [one.name for one in plan.carried] == [f"{patient}_frame{index:02d}" for index in (1, 2, 4)]
    assert all(set(one.kept) == slices for one in plan.carried)
    out = write_sparse_dataset(plan, tmp_path / "out")
    assert synthetic_cases(out) == {one.name for one in plan.carried}
    assert json.loads((out / "dataset.json").read_text())["numTraining"] == 5
    ignored = plan.scheme.numbers[Structure.LV] + 1
    for one in plan.carried:
        labels = read_stack(out / "labelsTr" / f"{one.name}.nii.gz").array
        assert (labels[list(one.dropped)] == ignored).all()
        assert not (labels[list(one.kept)] == ignored).any()


def test_carried_frames_stay_marked_when_a_sparse_data_set_is_made_sparser(tmp_path):
    carried = read_source(write_carried(tmp_path / "in", through_plane=True))
    first = write_sparse_dataset(make_plan(carried, SparsitySettings(2)), tmp_path / "first")
    second = make_plan(read_source(first), SparsitySettings())
    assert (len(second.volumes), len(second.carried)) == (2, 3)
    sparser = make_plan(read_source(first), SparsitySettings(regions="B", base="first"))
    assert [one.kept for one in sparser.carried] == [(0,)] * 3


def test_carried_frames_go_with_an_annotated_frame_that_was_not_drawn(tmp_path):
    plan = make_plan(read_source(write_carried(tmp_path / "in", through_plane=False)), SparsitySettings(volumes=1))
    assert len(plan.volumes) == 1
    assert plan.carried == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"volumes": [{"case": 1, "kept": []}]}', '{"propagated": {"a": 1}}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    folder = write_sparse_dataset(make_plan(source_of(sparse_sources.stacks(1)), SparsitySettings()), tmp_path / "a")
    (folder / "sparsity.json").write_text(text)
    with pytest.raises(InputError, match=r"sparsity\.json"):
        read_source(folder)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_source(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no annotated volume"):
        read_source(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        read_source(tmp_path / "file")


def test_labels_without_their_image_are_named(tmp_path):
    folder = sparse_sources.write_acdc(tmp_path, 1)
    (folder / "training/patient001/patient001_frame12.nii.gz").unlink()
    with pytest.raises(InputError, match="has no image 'patient001_frame12' beside it"):
        read_source(folder)


def test_the_twin_that_a_table_notes_is_drawn_last(tmp_path):
    folder = sparse_sources.write_folder(tmp_path, 5)
    rows = (folder / "cases.csv").read_text().splitlines()
    rows[0] += ",note"
    rows[1:] = [row + "," for row in rows[1:]]
    rows[1] += "images identical to patient002 (labels differ)"
    rows[3] += "images identical to patient000 (labels differ)"
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    for seed in range(6):
        plan = make_plan(read_source(folder), SparsitySettings(volumes=6, seed=seed))
        assert {"patient000", "patient002"} - set(plan.patients)
