"""Where nothing is changed, plans, batches and loss are nnU-Net's own; what is changed is just what was asked for."""

from __future__ import annotations

import copy
import json
import os
from types import SimpleNamespace

import numpy as np
import phantom
import pytest
import torch
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.training.raw_dataset import find_volumes, write_raw_dataset
from SparseCardiacSegLib.training.run import PLANS_NAME, plan_and_preprocess, planned_settings, set_environment
from SparseCardiacSegLib.training.settings import TrainingSettings

DATASET = "Dataset101_Tiny"
ONE_PROCESS = {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1"}
IN_THIS_PROCESS = {"nnUNet_n_proc_DA": "0"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Two small volumes, planned and preprocessed; nnU-Net's environment points there while the module runs."""
    folder = tmp_path_factory.mktemp("like")
    (folder / "data").mkdir()
    for patient in ("P0", "P1"):
        image, labels = phantom.heart(0.0, phantom.grid((5, 48, 48), (14.0, 3.0, 3.0)))
        write_stack(image, folder / "data" / f"{patient}.nii.gz")
        write_segmentation(labels, folder / "data" / f"{patient}_gt.nii.gz", ACDC)
    before = dict(os.environ)
    os.environ.update(ONE_PROCESS)
    set_environment(folder)
    write_raw_dataset(find_volumes(folder / "data"), folder / "nnUNet_raw" / DATASET, {"patients": ["P0", "P1"]})
    plan_and_preprocess(DATASET, TrainingSettings(bfloat16=False, max_features=32, batch_size=2))
    os.environ.update(IN_THIS_PROCESS)  # batches are made in this process, so that they can be repeated
    yield folder
    os.environ.clear()
    os.environ.update(before)


def read_plans(workspace):
    return json.loads((workspace / "nnUNet_preprocessed" / DATASET / f"{PLANS_NAME}.json").read_text())


def make_trainer(workspace, trainer_class, record=None, **settings):
    """A trainer on the fixture's data; `record` becomes its sparsity.json."""
    plans = copy.deepcopy(read_plans(workspace))
    for configuration in plans["configurations"].values():
        configuration.setdefault("training_settings", {}).update(settings)
    plans["continue_training"] = False
    preprocessed = workspace / "nnUNet_preprocessed" / DATASET
    (preprocessed / "sparsity.json").write_text(json.dumps(record or {}))
    dataset = json.loads((preprocessed / "dataset.json").read_text())
    return trainer_class(plans, "2d", "all", dataset, torch.device("cpu"))


def first_steps(trainer):
    """The first batches and losses of a trainer whose random numbers start at a known place."""
    np.random.seed(3)
    torch.manual_seed(3)
    trainer.initialize()
    trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
    trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    batches = [next(trainer.dataloader_train), next(trainer.dataloader_val)]
    trainer.network.train()
    losses = [float(trainer.train_step(copy.deepcopy(batches[0]))["loss"]) for _ in range(2)]
    with torch.no_grad():
        trainer.network.eval()
        losses.append(float(trainer.validation_step(copy.deepcopy(batches[1]))["loss"]))
    return batches, losses


def test_batches_and_losses_are_those_of_the_stock_trainer(workspace):
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer

    stock = make_trainer(workspace, nnUNetTrainer)
    ours = make_trainer(workspace, ShortScheduleTrainer)
    assert ours.oversample_foreground_percent == stock.oversample_foreground_percent == 0.33
    their_batches, their_losses = first_steps(stock)
    our_batches, our_losses = first_steps(ours)
    assert our_losses == their_losses
    for one, other in zip(our_batches, their_batches, strict=True):
        assert list(one["keys"]) == list(other["keys"])
        assert torch.equal(one["data"], other["data"])
        assert all(torch.equal(a, b) for a, b in zip(one["target"], other["target"], strict=True))
    assert ours.optimizer.defaults == stock.optimizer.defaults


def test_without_caps_the_plans_are_those_of_the_stock_planner(workspace):
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from SparseCardiacSegLib.training.planner import StockPlanner

    os.environ.update(ONE_PROCESS)
    theirs = ExperimentPlanner(101, plans_name="Theirs").plan_experiment()
    ours = StockPlanner(101, TrainingSettings(planner="nnUNet"), "Ours").plan_experiment()
    os.environ.update(IN_THIS_PROCESS)
    for plans in (theirs, ours):
        for name in ("plans_name", "experiment_planner_used"):
            plans.pop(name)
        for configuration in plans["configurations"].values():
            configuration.pop("data_identifier", None)
            configuration.pop("training_settings", None)
    assert ours == theirs
    small = read_plans(workspace)["configurations"]["2d"]
    capped = {"data_identifier", "training_settings", "patch_size", "batch_size", "architecture"}
    stock = theirs["configurations"]["2d"]
    assert {name: small[name] for name in stock if name not in capped} == {
        name: value for name, value in stock.items() if name not in capped
    }


@pytest.mark.usefixtures("workspace")
def test_every_preset_plans_the_network_that_it_is_named_after():
    from SparseCardiacSegLib.training.planner import PLANNER_CLASSES

    os.environ.update(ONE_PROCESS)
    found = {}
    for name in ("ResEncS", "ResEncM", "ResEncL"):
        settings = TrainingSettings(planner=name, base_features=8, max_features=32, batch_size=2)
        plans = PLANNER_CLASSES[name](101, settings, name).plan_experiment()["configurations"]["2d"]
        assert plans["architecture"]["network_class_name"].endswith("ResidualEncoderUNet")
        assert plans["training_settings"]["planner"] == name
        assert plans["data_identifier"] == f"{name}_2d"
        found[name] = plans
    os.environ.update(IN_THIS_PROCESS)
    assert max(found["ResEncS"]["architecture"]["arch_kwargs"]["features_per_stage"]) <= 32
    assert found["ResEncM"]["architecture"]["arch_kwargs"]["features_per_stage"][0] == 32
    assert found["ResEncS"]["batch_size"] == 2


def test_oversampling_is_off_where_regions_are_left_out_unless_it_is_asked_for(workspace):
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer

    restricted = {"settings": {"regions": "MB"}}
    assert make_trainer(workspace, ShortScheduleTrainer, restricted).oversample_foreground_percent == 0
    asked = make_trainer(workspace, ShortScheduleTrainer, restricted, foreground_oversampling=0.5)
    assert asked.oversample_foreground_percent == 0.5


def test_carried_and_unlabelled_cases_are_drawn_by_their_weight_and_never_validated_on(workspace):
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer

    carried = {"propagated": {"P1": {"synthetic": True}, "P0": {"synthetic": False}}}
    quarter = make_trainer(workspace, ShortScheduleTrainer, carried, synthetic_weight=0.25)
    quarter.initialize()
    train, validation = (augmenter.data_loader for augmenter in quarter.get_dataloaders())
    assert dict(zip(train.indices, train.sampling_probabilities, strict=True)) == {"P0": 0.8, "P1": 0.2}
    assert validation.indices == ["P0"]
    assert validation.sampling_probabilities is None
    never = make_trainer(workspace, ShortScheduleTrainer, carried, synthetic_weight=0)
    assert never.do_split() == (["P0"], ["P0"])
    alike = make_trainer(workspace, ShortScheduleTrainer, carried)
    alike.initialize()
    assert alike.get_dataloaders()[0].data_loader.sampling_probabilities is None
    image_only = make_trainer(workspace, ShortScheduleTrainer, {"unlabelled": ["P0"]})
    assert image_only.do_split() == (["P1"], ["P1"])


def test_region_aware_batches_are_drawn_for_training_only(workspace):
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as StockModule
    from SparseCardiacSegLib.training.data_loader import RegionAwareDataLoader
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer

    trainer = make_trainer(workspace, ShortScheduleTrainer, region_ratio=20.0)
    trainer.initialize()
    train, validation = (augmenter.data_loader for augmenter in trainer.get_dataloaders())
    assert isinstance(train, RegionAwareDataLoader)
    assert train.region_ratio == 20
    assert type(validation) is nnUNetDataLoader
    assert StockModule.nnUNetDataLoader is nnUNetDataLoader


def drawn_slices(ratio, force_fg, ignoring, number=4000):
    """How often each of ten slices is drawn; 2 to 8 show the heart, and 5 is not annotated where there is ignore."""
    from SparseCardiacSegLib.training.data_loader import RegionAwareDataLoader

    labels = SimpleNamespace(all_labels=[0, 1], has_ignore_label=ignoring)
    data = SimpleNamespace(identifiers=["P0"])
    loader = RegionAwareDataLoader(data, 2, (8, 8), (8, 8), labels, region_ratio=ratio)
    annotated = [index for index in range(10) if not (ignoring and index == 5)]
    locations = {1: np.array([[0, index, 8, 8] for index in range(2, 9) if index in annotated])}
    if ignoring:
        locations[-1, 0, 1] = np.array([[0, index, 4, 4] for index in annotated])
    np.random.seed(0)
    drawn = []
    for _ in range(number):
        lower, upper = loader.get_bbox((10, 20, 20), force_fg, locations)
        assert upper[0] == lower[0] + 1
        assert [high - low for low, high in zip(lower[1:], upper[1:], strict=True)] == [8, 8]
        if force_fg:
            assert lower[1:] == [4, 4]
        drawn.append(lower[0])
    return np.bincount(drawn, minlength=10) / number


def test_slices_at_base_and_apex_are_drawn_by_the_ratio_and_those_without_the_heart_as_before():
    drawn = drawn_slices(4.0, False, False)
    assert drawn[[0, 1, 9]] == pytest.approx(0.1, abs=0.02)
    assert drawn[[2, 8]].mean() / drawn[5] == pytest.approx(4, rel=0.25)


def test_patches_that_must_show_a_structure_follow_the_ratio_too():
    drawn = drawn_slices(4.0, True, False)
    assert drawn[[0, 1, 9]].sum() == 0
    assert drawn[[2, 8]].mean() / drawn[5] == pytest.approx(4, rel=0.25)


def test_slices_that_nobody_annotated_are_never_drawn():
    for force_fg in (False, True):
        assert drawn_slices(4.0, force_fg, True, 1500)[5] == 0


def test_a_prepared_data_set_is_not_prepared_again_until_it_or_the_settings_change(workspace):
    settings = planned_settings(DATASET, workspace)
    prepared = workspace / "nnUNet_preprocessed" / DATASET / f"{PLANS_NAME}-prepared.json"
    before = prepared.stat().st_mtime_ns
    plan_and_preprocess(DATASET, settings)
    assert prepared.stat().st_mtime_ns == before
    assert json.loads(prepared.read_text())["settings"]["max_features"] == 32


def test_trainers_are_found_by_name_ours_and_those_of_a_folder(tmp_path, monkeypatch):
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer
    from SparseCardiacSegLib.training.trainers import EXTERNAL_FOLDER, trainer_class

    monkeypatch.setenv("nnUNet_extTrainer", str(EXTERNAL_FOLDER))
    assert recursive_find_trainer_class_by_name("ShortScheduleTrainer") is ShortScheduleTrainer
    (tmp_path / "mine.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "class MyTrainer(nnUNetTrainer):\n    pass\n"
        "class NoTrainer:\n    pass\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join([str(EXTERNAL_FOLDER), str(tmp_path)]))
    assert issubclass(trainer_class("MyTrainer"), nnUNetTrainer)
    assert trainer_class("nnUNetTrainer") is nnUNetTrainer
    with pytest.raises(InputError, match="there is no trainer 'Nobody': ours are ShortScheduleTrainer"):
        trainer_class("Nobody")
    with pytest.raises(InputError, match="'NoTrainer' is no trainer"):
        trainer_class("NoTrainer")


def test_plans_of_another_planner_are_trained_with_the_default_settings(workspace):
    from SparseCardiacSegLib.training.trainer import ShortScheduleTrainer

    plans = copy.deepcopy(read_plans(workspace))
    for configuration in plans["configurations"].values():
        configuration.pop("training_settings")
    plans["continue_training"] = False
    dataset = json.loads((workspace / "nnUNet_preprocessed" / DATASET / "dataset.json").read_text())
    trainer = ShortScheduleTrainer(plans, "2d", "all", dataset, torch.device("cpu"))
    assert trainer.num_epochs == TrainingSettings().epochs
