"""Carried frames in a sparse data set: they tell of annotated slices only, the others are ignored."""

from __future__ import annotations

import json

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack, write_segmentation, write_stack
from SparseCardiacSegLib.propagation.carry import PropagationSettings, propagate
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.training.labelled_cases import read_cases
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import read_source
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset
from SparseCardiacSegLib.training.synthetic import synthetic_cases, write_synthetic_dataset

IGNORED = 4
IN_PLANE = PropagationSettings(engine="identity", dimension=2, through_plane=False)
OUT_OF_PLANE = PropagationSettings(engine="identity", dimension=2, through_plane=True)


@pytest.fixture
def cine():
    """Image and labels of five frames, eight slices of which all show the heart in the middle."""
    return phantom.cine(5, phantom.grid((8, 24, 24), (12.0, 5.0, 5.0)))


def sparse(cine, tmp_path, **settings):
    """A sparse data set of frames 0 and 2 of the cine, numbered from 1, as ACDC does."""
    image, labels = cine
    folder = tmp_path / "data"
    folder.mkdir()
    for frame in (0, 2):
        case = f"P1_frame{frame + 1:02d}"
        write_stack(image.frame(frame), folder / f"{case}.nii.gz")
        one = Segmentation(labels.labels.frame(frame), labels.scheme)
        write_segmentation(one, folder / f"{case}_gt.nii.gz", ACDC)
    plan = make_plan(read_source(folder, ACDC), SparsitySettings(**settings))
    return write_sparse_dataset(plan, tmp_path / "Dataset001_Sparse"), plan


def carry(cine, kept, settings):
    """The cine with the labels of frames 0 and 2 carried, as far as those slices hold any."""
    image, labels = cine
    given = {}
    for frame, slices in kept.items():
        array = np.array(labels.labels.frame(frame).array)
        array[[index for index in range(len(array)) if index not in slices]] = 0
        given[frame] = Segmentation(image.frame(frame).with_array(array), labels.scheme)
    return propagate(image, given, settings)


def kept_of(plan):
    return {int(one.name[-2:]) - 1: set(one.kept) for one in plan.volumes}


@pytest.mark.parametrize("settings", [IN_PLANE, OUT_OF_PLANE])
def test_slices_that_nobody_annotated_stay_ignored(cine, tmp_path, settings):
    folder, plan = sparse(cine, tmp_path, slices=7, seed=3, base="first")
    kept = kept_of(plan)
    before = {path.name: path.read_bytes() for path in (folder / "labelsTr").iterdir()}
    write_synthetic_dataset(cine[0], carry(cine, kept, settings), folder, "P1", settings)
    for name, content in before.items():
        assert (folder / "labelsTr" / name).read_bytes() == content
    record = json.loads((folder / "sparsity.json").read_text())
    added = {case: entry for case, entry in record["propagated"].items() if entry["synthetic"]}
    assert synthetic_cases(folder) == set(added)
    assert added
    for case, entry in added.items():
        common = set.intersection(*(kept[source["frame"]] for source in entry["sources"]))
        if settings is OUT_OF_PLANE:
            common = {index for index in common if {max(index - 1, 0), min(index + 1, 7)} <= common}
        assert set(entry["kept"]) == common
        labels = read_stack(folder / "labelsTr" / f"{case}.nii.gz").array
        for index in range(8):
            assert (labels[index] == IGNORED).all() == (index not in common)
        frame = int(case[-2:]) - 1
        assert frame == entry["frame"]
        assert np.array_equal(read_stack(folder / "imagesTr" / f"{case}_0000.nii.gz").array, cine[0].frame(frame).array)
    assert record["propagated"]["P1_frame01"]["synthetic"] is False
    assert record["totals"]["synthetic_volumes"] == len(added)
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == len(before) + len(added)


def test_what_was_added_follows_its_annotated_frames_when_the_set_is_made_sparser(cine, tmp_path):
    folder, plan = sparse(cine, tmp_path, slices=5, seed=3, base="first")
    write_synthetic_dataset(cine[0], carry(cine, kept_of(plan), IN_PLANE), folder, "P1", IN_PLANE)
    sparser = make_plan(read_source(folder), SparsitySettings(slices=3, seed=1, base="first"))
    kept = {int(one.name[-2:]) - 1: set(one.kept) for one in sparser.volumes}
    assert sparser.carried
    for one in sparser.carried:
        assert set(one.kept) <= set.union(*kept.values())


def test_a_patient_that_the_data_set_does_not_know_is_named_in_its_table(cine, tmp_path):
    folder, _ = sparse(cine, tmp_path, slices=5, base="first")
    other = phantom.cine(5, phantom.grid((8, 24, 24), (12.0, 5.0, 5.0)), seed=50)
    kept = {0: {1, 2, 3, 4, 5}, 2: {1, 2, 3, 4, 5}}
    write_synthetic_dataset(other[0], carry(other, kept, IN_PLANE), folder, "P2", IN_PLANE)
    assert {case.patient for case in read_cases(folder, split="train")} == {"P1", "P2"}
    drawn = read_stack(folder / "labelsTr" / "P2_frame00.nii.gz").array
    assert {index for index in range(8) if (drawn[index] == IGNORED).all()} == {0, 6, 7}


def test_a_cine_of_which_nothing_remains_is_refused_and_nothing_is_written(cine, tmp_path):
    folder, _ = sparse(cine, tmp_path, slices=2, base="first")
    kept = {0: {1}, 2: {5}}
    for frame, slices in kept.items():
        path = folder / "labelsTr" / f"P1_frame{frame + 1:02d}.nii.gz"
        stack = read_stack(path)
        array = np.full_like(stack.array, IGNORED)
        array[list(slices)] = 1
        write_stack(stack.with_array(array), path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="nothing of 'P1' can be added"):
        write_synthetic_dataset(cine[0], carry(cine, kept, IN_PLANE), folder, "P1", IN_PLANE)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
