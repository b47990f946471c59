"""Regions told from the image: the window, the order of a stack, routed folders, and their prediction."""

from __future__ import annotations

import json

import numpy as np
import phantom
import pytest
import tiny_models
from SparseCardiacSegLib.automatic import region_predictor
from SparseCardiacSegLib.automatic.model_folder import open_model_folder
from SparseCardiacSegLib.automatic.predictor import Prediction, open_predictor
from SparseCardiacSegLib.automatic.region_order import CLASS_NAMES, CLASSES, SliceClasses
from SparseCardiacSegLib.automatic.region_routing import ROUTING_NAME, RoutedModel, routing_text
from SparseCardiacSegLib.automatic.region_window import CONTEXT, SIDE, windows, with_neighbours
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.regions import Region

B, M, A = Region.BASE, Region.MIDDLE, Region.APEX
SPACING = (10.0, 1.5, 1.5)


def classes(names: str, sure: float = 0.8) -> SliceClasses:
    """Probabilities that favour `-` (non-cardiac), `B`, `M` or `A` slice by slice."""
    rest = (1 - sure) / 3
    table = np.full((len(names), 4), rest, np.float32)
    for index, letter in enumerate(names):
        table[index, "-BMA".index(letter)] = sure
    return SliceClasses(table)


def letters(regions) -> str:
    return "".join("-BMA"[CLASSES.index(region)] for region in regions)


def test_pixel_size_and_matrix_do_not_change_what_the_classifier_sees():
    seen = []
    for pixel, side in ((1.0, 240), (2.0, 120), (2.5, 96)):
        axis = (np.arange(side) - (side - 1) / 2) * pixel
        distance = np.hypot(axis[:, None] - 20, axis[None] + 10)
        seen.append(windows((400 + 500 / (1 + np.exp((distance - 40) / 4)))[None], (8.0, pixel, pixel))[0])
    assert seen[0].shape == (SIDE, SIDE)
    assert np.abs(seen[0] - seen[1]).max() < 0.05
    assert np.abs(seen[0] - seen[2]).max() < 0.05
    row, col = np.argwhere(seen[0] > 0.8).mean(0)
    assert row - (SIDE - 1) / 2 == pytest.approx(10, abs=0.5)  # 20 mm down
    assert col - (SIDE - 1) / 2 == pytest.approx(-5, abs=0.5)


def test_scale_and_offset_of_intensities_do_not_matter():
    image, _ = phantom.heart()
    a, b = windows(image.array, SPACING), windows(image.array * 3.5 + 200, SPACING)
    assert np.abs(a - b).max() < 1e-4
    assert a.max() > 0.9


def test_what_lies_outside_of_small_slices_is_zero_and_does_not_move_the_scale():
    small = windows(np.random.default_rng(0).normal(500, 50, (2, 40, 60)), (8.0, 2.0, 2.0))
    top, left = (SIDE - 40) // 2, (SIDE - 60) // 2
    assert not small[:, :top].any()
    assert not small[:, :, :left].any()
    assert 0.3 < small[:, top : top + 40, left : left + 60].mean() < 0.7


def test_neighbours_stand_beside_a_slice_and_the_ends_repeat():
    found = with_neighbours(np.arange(4.0)[:, None, None] * np.ones((1, 2, 2)))
    assert found.shape == (4, CONTEXT, 2, 2)
    assert found[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ("BBMMAA", ["BBMMAA"]),
        ("-BBMBMAA-", ["-BBMMMAA-", "-BBBBMAA-"]),
        ("BBAMMMAA", ["BBMMMMAA", "BBBMMMAA"]),
        ("BB-MMAA", ["BBBMMAA", "BBMMMAA"]),
    ],
)
def test_a_slice_that_breaks_the_order_is_corrected(seen, told):
    found = classes(seen).in_order()
    assert found.base_first
    assert letters(found.regions) in told  # either neighbour may take it
    assert not found.warnings


def test_a_stack_from_apex_to_base_is_told_and_its_table_begins_at_the_base():
    found = classes("-AAMMMBB").in_order()
    assert not found.base_first
    assert letters(found.regions) == "-AAMMMBB"
    assert found.table()[0] == (7, B)
    assert found.method == "classifier"


def test_the_order_can_be_given():
    assert letters(classes("BBMMAA").in_order(base_first=False).regions) != "BBMMAA"


def test_an_uncertain_order_and_an_absent_region_are_warned_of():
    warnings = classes("MMMM").in_order().warnings
    assert any("uncertain" in warning for warning in warnings)
    assert any("base or apex" in warning for warning in warnings)


def test_each_slice_by_itself_is_its_likeliest_class():
    assert letters(classes("BMBA-").alone()) == "BMBA-"


# --- routed folders


@pytest.fixture
def routed(tmp_path):
    """A routed folder of empty checkpoints: enough for everything but prediction."""
    folder = tmp_path / "routed"
    for name in ("baseline", "base", "apex"):
        tiny_models.write_folder(folder / name, weights=False)
    (folder / "classifier").mkdir()
    (folder / "classifier" / "network.onnx").write_bytes(b"no network")
    models = {"non-cardiac": "baseline", "base": "base", "middle": "baseline", "apex": "apex"}
    (folder / ROUTING_NAME).write_text(routing_text(models))
    return folder


def test_a_routed_folder_opens_as_a_model(routed):
    model = open_model_folder(routed)
    assert isinstance(model, RoutedModel)
    assert model.name == "routed"
    assert {name: part.path.name for name, part in model.models.items()} == {
        "non-cardiac": "baseline",
        "base": "base",
        "middle": "baseline",
        "apex": "apex",
    }
    assert len(model.parts) == 3
    used = {file.relative_to(routed).as_posix() for file in model.files}
    assert {"routing.json", "classifier/network.onnx", "apex/plans.json", "base/fold_0/checkpoint_final.pth"} <= used
    assert open_model_folder(routed.parent).path == routed


def broken(routed, change) -> str:
    content = json.loads((routed / ROUTING_NAME).read_text())
    change(content)
    (routed / ROUTING_NAME).write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        open_model_folder(routed)
    return str(caught.value)


def test_damaged_or_hostile_routing_is_refused_with_a_clear_sentence(routed):
    good = (routed / ROUTING_NAME).read_text()
    for change, said in (
        (lambda c: c["models"].update(base="../../etc"), "no folder beside it"),
        (lambda c: c["models"].update(base="absent"), "no folder with plans.json"),
        (lambda c: c["models"].pop("apex"), "must name a model for each of"),
        (lambda c: c["models"].update(top="base"), "and for nothing else"),
        (lambda c: c.update(classifier=3), "no folder beside it"),
        (lambda c: c.update(classifier="base"), "no folder with network.onnx"),
        (lambda c: c.update(in_order="yes"), "in_order"),
        (lambda c: c.update(version=2), "version 1"),
    ):
        assert said in broken(routed, change)
        (routed / ROUTING_NAME).write_text(good)
    (routed / ROUTING_NAME).write_text("{")
    with pytest.raises(InputError, match=r"routing\.json"):
        open_model_folder(routed)


def test_a_link_to_a_model_elsewhere_is_refused(routed, tmp_path):
    (routed / "base").rename(tmp_path / "elsewhere")
    (routed / "base").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="'base'"):
        open_model_folder(routed)


def test_models_of_different_labels_are_refused(routed):
    other = {"background": 0, "LV": 1, "MYO": 2, "RV": 3}
    (routed / "apex" / "dataset.json").write_text(json.dumps(tiny_models.dataset(other)))
    with pytest.raises(InputError, match="different labels"):
        open_model_folder(routed)


class Constant:
    """A predictor that labels everything with one number and tells which slices it was asked for."""

    backend, device, warnings = "onnx", "cpu", ()

    def __init__(self, number):
        self.number, self.asked = number, []

    def predict_probabilities(self, array, spacing, progress=None, slices=None):  # noqa: ARG002
        self.asked.append(list(slices))
        probabilities = np.zeros((4, *array.shape), np.float16)
        probabilities[self.number] = 1
        return Prediction(np.full(array.shape, self.number, np.uint8), probabilities)


def test_every_slice_is_labelled_by_the_model_of_its_region_and_by_no_other(routed, monkeypatch):
    made = {}

    def opened(part, settings):  # noqa: ARG001
        made[part.path.name] = Constant({"baseline": 1, "base": 2, "apex": 3}[part.path.name])
        return made[part.path.name]

    class Classifier:
        def __init__(self, folder):
            assert folder.name == "classifier"

        def classify(self, array, spacing):  # noqa: ARG002
            return classes("-BBMBMAA")

    monkeypatch.setattr(region_predictor, "open_predictor", opened)
    monkeypatch.setattr("SparseCardiacSegLib.automatic.region_classifier.RegionClassifier", Classifier)
    predictor = open_predictor(open_model_folder(routed))
    told = []
    found = predictor.predict_probabilities(
        np.ones((8, 4, 5)), SPACING, lambda fraction, _message: told.append(fraction)
    )
    assert told == sorted(told)
    order = letters(classes("-BBMBMAA").in_order().regions)
    expected = ["-BMA".index(letter) for letter in order]
    wanted = [{0: 1, 1: 2, 2: 1, 3: 3}[index] for index in expected]
    assert found.labels[:, 0, 0].tolist() == wanted
    assert found.probabilities.argmax(0)[:, 0, 0].tolist() == wanted
    asked = sorted(index for one in made.values() for slices in one.asked for index in slices)
    assert asked == list(range(8))
    known = predictor.predict_routed(np.ones((8, 4, 5)), SPACING, (None, B, B, B, M, M, A, A), slices=[3, 6]).labels
    assert known[:, 0, 0].tolist() == [0, 0, 0, 2, 0, 0, 3, 0]
    with pytest.raises(InputError, match="do not fit"):
        predictor.predict_routed(np.ones((8, 4, 5)), SPACING, (B, B))


def test_a_folder_without_network_is_no_classifier(tmp_path, capsys):
    image, _ = phantom.heart()
    write_stack(image, tmp_path / "image.nii.gz")
    command = ["regions", str(tmp_path / "image.nii.gz"), "--out", str(tmp_path / "r.csv"), "--method", "classifier"]
    assert main([*command, "--model", str(tmp_path)]) == 2
    assert "no network.onnx" in capsys.readouterr().err
    assert not (tmp_path / "r.csv").exists()


def test_the_command_line_tells_what_does_not_belong_together(tmp_path, capsys):
    _, labels = phantom.heart()
    write_segmentation(labels, tmp_path / "labels.nii.gz")
    command = ["regions", str(tmp_path / "labels.nii.gz"), "--out", str(tmp_path / "r.csv"), "--method", "thirds"]
    assert main([*command, "--model", str(tmp_path)]) == 2
    assert "--method classifier" in capsys.readouterr().err


def test_class_names_follow_the_classes():
    assert CLASS_NAMES == ("non-cardiac", "base", "middle", "apex")
