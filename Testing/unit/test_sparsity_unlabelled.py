"""Images of other patients go into a sparse data set without anything of their labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sparse_sources
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.training.sparsity.plan import make_plan
from SparseCardiacSegLib.training.sparsity.settings import SparsitySettings
from SparseCardiacSegLib.training.sparsity.sources import read_source, source_of
from SparseCardiacSegLib.training.sparsity.write import write_sparse_dataset

IGNORE = 4


@pytest.fixture
def dataset(tmp_path):
    """One of six volumes annotated."""
    stacks = sparse_sources.stacks(3)
    plan = make_plan(source_of(stacks), SparsitySettings(volumes=1, unlabelled=True))
    return write_sparse_dataset(plan, tmp_path / "sparse"), {f"{one.patient}_{one.name}": one for one in stacks}


def test_every_other_volume_is_there_as_an_image_alone(dataset):
    folder, stacks = dataset
    record = json.loads((folder / "sparsity.json").read_text())
    annotated = [entry["case"] for entry in record["volumes"]]
    assert len(annotated) == 1
    assert sorted([*annotated, *record["unlabelled"]]) == sorted(stacks) == sorted(record["cases"])
    for case in record["unlabelled"]:
        assert (read_stack(folder / "labelsTr" / f"{case}.nii.gz").array == IGNORE).all()
        image = read_stack(folder / "imagesTr" / f"{case}_0000.nii.gz")
        assert np.allclose(image.array, stacks[case].image.array)
    assert json.loads((folder / "dataset.json").read_text())["labels"]["ignore"] == IGNORE
    assert record["totals"]["volumes"] == 1


def test_a_second_draw_from_it_never_takes_an_unlabelled_volume_for_an_annotated_one(dataset):
    folder, _ = dataset
    plan = make_plan(read_source(folder), SparsitySettings())
    assert len(plan.volumes) == 1


def test_without_being_asked_for_they_stay_away(tmp_path):
    plan = make_plan(source_of(sparse_sources.stacks(3)), SparsitySettings(volumes=1))
    folder = write_sparse_dataset(plan, tmp_path / "sparse")
    assert len(list((folder / "labelsTr").iterdir())) == 1
    assert json.loads((folder / "sparsity.json").read_text())["unlabelled"] == []


def test_zeroed_images_are_not_offered_as_images():
    with pytest.raises(InputError, match="mode ignore"):
        SparsitySettings(mode="zero", unlabelled=True)
