"""Model folders are checked before use: labels by name, and no name in plans.json imports foreign code."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.errors import InputError


def write(tmp_path, plans=None, dataset=None, **options):
    return tiny_models.write_folder(
        tmp_path / "model", plans_json=plans, dataset_json=dataset, weights=False, **options
    )


def architecture(**changes):
    """Plans whose network description is changed."""
    plans = tiny_models.plans()
    plans["configurations"]["2d"]["architecture"].update(changes)
    return plans


def operation(key, value):
    """Plans in which one imported part of the network is changed."""
    plans = tiny_models.plans()
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"][key] = value
    return plans


def test_a_folder_as_nnunet_writes_it_opens(tmp_path):
    model = open_model_folder(write(tmp_path, folds=("1", "0", "10")))
    assert model.scheme == ACDC
    assert model.folds == ("0", "1", "10")
    assert model.configuration("2d").patch_size == (32, 32)
    assert model.unknown_labels == {}
    assert model.warnings == ()
    assert model.onnx is None


@pytest.mark.parametrize("inside", ["", "fold_0", "fold_0/checkpoint_final.pth", "plans.json"])
def test_a_fold_a_checkpoint_or_a_folder_above_lead_to_the_model(tmp_path, inside):
    folder = write(tmp_path)
    assert open_model_folder(folder / inside).path == folder
    assert open_model_folder(tmp_path).path == folder


def test_a_folder_above_several_models_names_them(tmp_path):
    for name in ("one", "two"):
        tiny_models.write_folder(tmp_path / name, weights=False)
    with pytest.raises(InputError, match="one, two"):
        open_model_folder(tmp_path)


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ({"RV": 1, "MYO": 2, "LV": 3}, ACDC),
        ({"LV cavity": 1, "Myocardium": 2, "right ventricle": 3}, MNMS),
        ({"LVC": 1, "LV-myo": 2, "RVC": 3}, MNMS),
        ({"left_ventricle": 1, "myo": 2, "Right Ventricular Cavity": 3}, MNMS),
        ({"Left Atrium": 1}, LEFT_ATRIUM),
        ({"rv": 1, "myo": 2, "lv": 3, "ignore": 4}, ACDC),
        ({"rv": [1], "myo": [2], "lv": [3]}, ACDC),
    ],
)
def test_labels_are_recognised_by_name(tmp_path, labels, scheme):
    dataset = tiny_models.dataset({"background": 0, **labels})
    assert open_model_folder(write(tmp_path, dataset=dataset)).scheme == scheme


def test_unknown_labels_are_listed_and_can_be_dropped(tmp_path):
    dataset = tiny_models.dataset({"background": 0, "LV": 1, "scar": 2, "MYO": 3})
    model = open_model_folder(write(tmp_path, dataset=dataset))
    assert model.scheme.numbers == {Structure.MYO: 3, Structure.LV: 1}
    assert model.unknown_labels == {"scar": 2}
    assert "'scar'" in model.warnings[0]
    np.testing.assert_array_equal(model.keep_known(np.array([0, 1, 2, 3], np.uint8)), [0, 1, 0, 3])


def test_two_labels_of_one_structure_do_not_merge(tmp_path):
    dataset = tiny_models.dataset({"background": 0, "LV": 1, "left ventricle": 2, "MYO": 3})
    model = open_model_folder(write(tmp_path, dataset=dataset))
    assert model.scheme.numbers[Structure.LV] == 1
    assert model.unknown_labels == {"left ventricle": 2}


def test_region_labels_take_the_numbers_that_nnunet_paints(tmp_path):
    labels = {"background": 0, "MYO": [1, 2], "LV": [2], "RV": [3]}
    dataset = tiny_models.dataset(labels, regions_class_order=[1, 2, 3])
    model = open_model_folder(write(tmp_path, dataset=dataset))
    assert model.has_regions
    assert model.scheme.numbers == {Structure.RV: 3, Structure.MYO: 1, Structure.LV: 2}


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        ({"background": 0, "liver": 1}, {}, "none of RV, MYO, LV and LA"),
        ({"RV": 1}, {}, "background"),
        ({"background": 0}, {}, "background"),
        ({"background": 0, "RV": 1, "LV": 3}, {}, "gaps"),
        ({"background": 0, "RV": 300}, {}, "254"),
        ({"background": 0, "RV": "1"}, {}, "whole numbers"),
        ({"background": 0, "RV": True}, {}, "whole numbers"),
        ({"background": 0, "MYO": [1, 2], "LV": [2]}, {}, "regions_class_order"),
        ({"background": 0, "MYO": [1, 2], "LV": [2]}, {"regions_class_order": [1, 1]}, "number of its own"),
        (["RV"], {}, "labels"),
        (None, {"channel_names": {"0": "T1", "1": "T2"}}, "2 images"),
        (None, {"channel_names": {}}, "channels"),
    ],
)
def test_an_unusable_dataset_json_is_refused(tmp_path, labels, changes, message):
    dataset = {**tiny_models.dataset(), **changes, **({"labels": labels} if labels else {})}
    with pytest.raises(InputError, match=message):
        open_model_folder(write(tmp_path, dataset=dataset))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.Popen",
        "torch.hub.load",
        "torch.load",
        "dynamic_network_architectures.architectures.unet.torch.hub.load",
        "dynamic_network_architectures.architectures.unet",
        "dynamic_network_architectures.architectures..unet.PlainConvUNet",
        "dynamic_network_architectures.architectures.unet.PlainConvUNet.os.system",
        "evil_module.PlainConvUNet",
        "",
        None,
        7,
    ],
)
def test_a_network_from_anywhere_else_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="could run code"):
        open_model_folder(write(tmp_path, plans=architecture(network_class_name=name)))


@pytest.mark.parametrize("key", ["conv_op", "norm_op", "dropout_op", "nonlin"])
@pytest.mark.parametrize(
    "value",
    [
        "os.system",
        "builtins.eval",
        "torch.hub.load",
        "torch.nn.functional.torch.hub.load",
        "torch.nn.modules.os.system",
        3,
    ],
)
def test_a_network_part_from_anywhere_else_is_refused(tmp_path, key, value):
    with pytest.raises(InputError, match="could run code"):
        open_model_folder(write(tmp_path, plans=operation(key, value)))


def test_an_import_list_that_names_a_missing_argument_is_refused(tmp_path):
    with pytest.raises(InputError, match="imported network parts"):
        open_model_folder(write(tmp_path, plans=architecture(_kw_requires_import=["conv_op", "other"])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalization_schemes": ["os"]}, "normalisation"),
        ({"normalization_schemes": []}, "normalised"),
        ({"use_mask_for_norm": ["yes"]}, "use_mask_for_norm"),
        ({"resampling_fn_data": "system"}, "resampling"),
        ({"resampling_fn_probabilities": ["x"]}, "resampling"),
        ({"resampling_fn_seg_kwargs": None}, "kwargs"),
        ({"preprocessor_name": "Popen"}, "preprocessor"),
        ({"patch_size": [32]}, "2d or 3d"),
        ({"patch_size": [32, -1]}, "patch_size"),
        ({"patch_size": [32.5, 32]}, "patch_size"),
        ({"patch_size": [10**9, 32]}, "patch_size"),
        ({"spacing": [1.0, 0.0]}, "spacing"),
        ({"spacing": [float("nan"), 1.0]}, "spacing"),
        ({"architecture": None}, "network"),
        ({"inherits_from": "2d"}, "inherits"),
        ({"inherits_from": "3d"}, "inherits"),
    ],
)
def test_an_unusable_configuration_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        open_model_folder(write(tmp_path, plans=tiny_models.plans(**changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"configurations": {}}, "configurations"),
        ({"label_manager": "os"}, "label manager"),
        ({"label_manager": ["os"]}, "label manager"),
        ({"image_reader_writer": "system"}, "reader"),
        ({"transpose_forward": [0, 0, 1]}, "order of three axes"),
        ({"transpose_forward": [1, 2, 0]}, "undo"),
        ({"foreground_intensity_properties_per_channel": {}}, "intensity properties"),
    ],
)
def test_unusable_plans_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        open_model_folder(write(tmp_path, plans={**tiny_models.plans(), **changes}))


def test_a_configuration_inherits_as_in_nnunet(tmp_path):
    plans = tiny_models.plans()
    plans["configurations"]["2d_wide"] = {"inherits_from": "2d", "patch_size": [64, 64]}
    model = open_model_folder(write(tmp_path, plans=plans))
    assert model.configuration("2d_wide").patch_size == (64, 64)
    assert model.configuration("2d_wide").spacing == (1.6, 1.5)
    with pytest.raises(InputError, match="no configuration '3d'"):
        model.configuration("3d")


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00\x01", "[" * 100000])
def test_a_damaged_json_file_is_refused_by_name(tmp_path, name, content):
    folder = write(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        open_model_folder(folder)


def test_a_huge_json_file_is_refused(tmp_path):
    folder = write(tmp_path)
    with (folder / "dataset.json").open("wb") as stream:
        stream.truncate(40 * 1024**2)
    with pytest.raises(InputError, match="larger than 32 MB"):
        open_model_folder(folder)


def test_a_folder_without_weights_or_without_plans_is_refused(tmp_path):
    folder = write(tmp_path, folds=())
    with pytest.raises(InputError, match="no trained weights"):
        open_model_folder(folder)
    (folder / "plans.json").unlink()
    with pytest.raises(InputError, match="no plans"):
        open_model_folder(folder)
    with pytest.raises(InputError, match="does not exist"):
        open_model_folder(tmp_path / "nowhere")


def test_an_unfinished_training_is_used_with_a_warning(tmp_path):
    folder = write(tmp_path)
    (folder / "fold_0" / "checkpoint_final.pth").rename(folder / "fold_0" / "checkpoint_best.pth")
    model = open_model_folder(folder)
    assert model.checkpoints[0].name == "checkpoint_best.pth"
    assert "best checkpoint" in model.warnings[0]


def test_fold_all_is_used_only_where_there_are_no_numbered_folds(tmp_path):
    assert open_model_folder(write(tmp_path, folds=("all",))).folds == ("all",)
    assert open_model_folder(write(tmp_path, folds=("all", "3"))).folds == ("3",)


def test_the_card_names_the_model(tmp_path):
    folder = write(tmp_path)
    assert open_model_folder(folder).name == "model"
    (folder / "card.json").write_text(json.dumps({"name": "sax", "licence": "CC0"}))
    model = open_model_folder(folder)
    assert model.name == "sax"
    assert model.card["licence"] == "CC0"
    assert open_model_folder(folder, "mine").name == "mine"
