"""The worker's commands before a training: what they tell, write and refuse; nothing is lost on the way to them."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.training.sparsity.volumes import LabelledStack
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.server import Context
from SparseCardiacSegLib.worker.training_handlers import plan_training, stacks_request, write_training

GRID = phantom.grid((9, 32, 32), (10.0, 4.0, 4.0), oblique=True)


def context(cancelled=lambda: False):
    return Context(lambda *_: None, cancelled, LoadedModels())


def stacks(slices=None):
    made = []
    for name, moment in (("v1", 0.0), ("v2", 1.0)):
        image, labels = phantom.heart(moment, GRID)
        made.append(LabelledStack("case01", image, labels, name, slices))
    return made


def request(made, **settings):
    source, arrays = stacks_request(made)
    return {"source": source, "settings": settings, "device": "cpu"}, arrays


def test_what_a_choice_keeps_is_told_and_drawn_where_it_is_asked_for():
    params, arrays = request(stacks(), slices=2, regions="MB")
    values, found = plan_training(params, arrays, context())
    told = {key: values[key] for key in ("volumes", "patients", "kept", "slices", "available", "structures")}
    assert told == {
        "volumes": 2, "patients": 1, "kept": 4, "slices": 18, "available": 2, "structures": ["RV", "MYO", "LV"]
    }  # fmt: skip
    assert found == {}
    _, found = plan_training({**params, "picture": True}, arrays, context())
    assert found["png"].tobytes().startswith(b"\x89PNG")


def test_what_was_not_looked_at_is_no_annotation():
    params, arrays = request(stacks(slices=(3, 4)))
    values, _ = plan_training(params, arrays, context())
    assert (values["kept"], values["slices"]) == (4, 18)


def test_volumes_in_memory_are_written_voxel_by_voxel_at_their_place(tmp_path):
    made = stacks()
    params, arrays = request(made, slices=3, seed=5)
    values, _ = write_training({**params, "folder": str(tmp_path / "set")}, arrays, context())
    assert values["device"] == "cpu"
    record = json.loads((tmp_path / "set" / "sparsity.json").read_text())
    numbers = json.loads((tmp_path / "set" / "dataset.json").read_text())["labels"]
    for volume, one in zip(record["volumes"], made, strict=True):
        kept = volume["kept"]
        assert len(kept) == 3
        image = nibabel.load(tmp_path / "set" / "imagesTr" / f"{volume['case']}_0000.nii.gz")
        assert np.array_equal(np.asanyarray(image.dataobj).T, one.image.array)
        assert np.allclose(image.affine, one.image.ijk_to_ras, atol=1e-3)
        labels = np.asanyarray(nibabel.load(tmp_path / "set" / "labelsTr" / f"{volume['case']}.nii.gz").dataobj).T
        dropped = [index for index in range(9) if index not in kept]
        assert (labels[dropped] == numbers["ignore"]).all()
        for structure in (Structure.RV, Structure.MYO, Structure.LV):
            assert np.array_equal(labels[kept] == numbers[structure.value], one.segmentation.mask(structure)[kept])


def test_a_folder_is_read_with_its_scheme_and_split(tmp_path):
    image, labels = phantom.heart(0.0, GRID)
    for patient in ("a", "b"):
        write_stack(image, tmp_path / f"{patient}.nii.gz")
        write_segmentation(labels, tmp_path / f"{patient}_gt.nii.gz")
    (tmp_path / "cases.csv").write_text("patient,split\na,train\nb,val\n")
    params = {"source": {"folder": str(tmp_path), "scheme": "acdc"}, "settings": {}}
    values, _ = plan_training(params, {}, context())
    assert (values["volumes"], values["split"], values["warnings"]) == (1, "train", [])
    everything = {**params, "source": {**params["source"], "split": "all"}}
    assert plan_training(everything, {}, context())[0]["volumes"] == 2


def test_a_cancelled_request_writes_nothing(tmp_path):
    params, arrays = request(stacks())
    with pytest.raises(Cancelled):
        write_training({**params, "folder": str(tmp_path / "set")}, arrays, context(cancelled=lambda: True))
    assert not (tmp_path / "set").exists()


def test_wrong_choices_are_refused_with_a_clear_sentence(tmp_path):
    params, arrays = request(stacks(), volumes=3)
    with pytest.raises(InputError, match="3 volumes asked for, but the scene has 2"):
        plan_training(params, arrays, context())
    with pytest.raises(InputError, match="does not exist"):
        plan_training({"source": {"folder": str(tmp_path / "none")}, "settings": {}}, {}, context())
    with pytest.raises(InputError, match="no annotated volume was given"):
        stacks_request([])
    cine = phantom.cine(3, GRID)[0]
    with pytest.raises(InputError, match="one frame"):
        stacks_request([replace(stacks()[0], image=cine)])
