"""Training and measuring region models: slices, the classifier, tables."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import phantom
import pytest
import sparse_sources
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_stack
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.regions import Region, label_regions
from SparseCardiacSegLib.training.labelled_cases import read_cases
from SparseCardiacSegLib.training.region_models import report
from SparseCardiacSegLib.training.region_models.classification import class_figures
from SparseCardiacSegLib.training.region_models.comparison import BASELINE, KNOWN, ROUTED, DiceRow, changes
from SparseCardiacSegLib.training.region_models.settings import BACKBONES, ClassifierSettings
from SparseCardiacSegLib.training.region_models.slices import (
    CUT,
    class_counts,
    read_slices,
    slice_classes,
)

NAMES = ["non-cardiac", "base", "middle", "apex"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four patients of two frames each, the last one of split `val`."""
    return sparse_sources.write_folder(tmp_path_factory.mktemp("regions") / "data", n_patients=4, n_slices=6)


@pytest.fixture(scope="module")
def slices(dataset):
    return read_slices(read_cases(dataset, ACDC, "train"))


def test_a_slice_without_structures_is_non_cardiac_whatever_third_it_is_in():
    _, labels = phantom.heart(0.0, phantom.grid((12, 64, 64), (10.0, 3.0, 3.0)))
    held = labels.labels.array.any((1, 2))
    assert 0 < held.sum() < 12
    found, base_first = slice_classes(labels, "thirds")
    assert base_first
    assert [region is None for region in found] == (~held).tolist()
    thirds = label_regions(labels, "thirds").regions
    assert all(a == b for a, b, full in zip(found, thirds, held, strict=True) if full)


def test_slices_carry_what_was_drawn_where_it_was_drawn(slices):
    assert len(slices) == 6
    assert sum(class_counts(slices)) == 36
    one = slices[0]
    assert one.images.shape == (6, CUT, CUT)
    areas = one.masks.astype(float).sum((2, 3)) * 8.0**2  # mm2 a pixel
    _, labels = sparse_sources.heart(6)
    for number, structure in enumerate((Structure.RV, Structure.MYO, Structure.LV)):
        drawn = labels.slices_first_mask(structure).sum((1, 2)) * 25.0
        assert areas[:, number] == pytest.approx(drawn, rel=0.02, abs=5)
    assert one.inputs().shape == (6, 3, 112, 112)


def test_augmented_masks_stay_on_their_structures(slices):
    from SparseCardiacSegLib.training.region_models.augmentation import SliceDraw

    images, classes, shares = SliceDraw(slices, 0.0).batch(24, np.random.default_rng(0))
    assert images.shape == (24, 3, 112, 112)
    assert shares.shape == (24, 9, 28, 28)
    # The phantom's cavity is bright and its muscle is dark: so are they under the turned masks of the middle slice.
    coarse = images[:, 1].unflatten(2, (28, 4)).unflatten(1, (28, 4)).mean((2, 4))
    seen = (shares[:, 5] > 0.9).flatten(1).any(1) & (shares[:, 4] > 0.8).flatten(1).any(1)
    assert seen.sum() >= 6
    for picture, muscle, cavity in zip(coarse[seen], shares[seen, 4], shares[seen, 5], strict=True):
        assert picture[cavity > 0.9].mean() > picture[muscle > 0.8].mean() + 0.2
    assert set(classes.tolist()) <= {0, 1, 2, 3}


def test_balanced_draws_show_rare_classes_as_often(slices):
    from SparseCardiacSegLib.training.region_models.augmentation import SliceDraw

    counts = np.array(class_counts(slices))
    drawn = np.bincount(SliceDraw(slices, 1.0).batch(300, np.random.default_rng(0))[1].numpy(), minlength=4)
    present = counts > 0
    assert drawn[present].min() > 0.6 * drawn[present].mean()
    assert not drawn[~present].any()


def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(slices, tmp_path):
    import torch
    from SparseCardiacSegLib.training.region_models.fit import fit_classifier

    settings = ClassifierSettings(steps=4, batch_size=4, save_every=2)

    def stop(fraction, message):  # noqa: ARG001
        if fraction == 0.75:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fit_classifier(slices, tmp_path / "a", settings, stop)
    resumed = fit_classifier(slices, tmp_path / "a", settings)
    straight = fit_classifier(slices, tmp_path / "b", settings)
    assert (tmp_path / "a" / "classifier.csv").read_text() == (tmp_path / "b" / "classifier.csv").read_text()
    for a, b in zip(resumed.state_dict().values(), straight.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match="seed"):
        fit_classifier(slices, tmp_path / "a", ClassifierSettings(steps=4, batch_size=4, save_every=2, seed=1))
    (tmp_path / "a" / "classifier.pt").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match=r"classifier\.pt"):
        fit_classifier(slices, tmp_path / "a", settings)


def test_impossible_settings_are_refused():
    for wrong in ({"backbone": "resnet"}, {"regions": "aha"}, {"steps": 0}, {"learning_rate": 2}, {"balance": -1}):
        with pytest.raises(InputError):
            ClassifierSettings(**wrong)


def test_the_command_trains_a_classifier_that_needs_no_torch(dataset, tmp_path, capsys):
    command = ["train-regions", str(dataset), "--scheme", "acdc", "--workspace", str(tmp_path / "work")]
    command += ["--classifier-only", "--out", str(tmp_path / "model"), "--steps", "2", "--slices", "4"]
    assert main(command) == 0
    assert "only 0 of" in capsys.readouterr().err or class_counts(read_slices(read_cases(dataset, ACDC, "train")))[0]
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["patients"] == ["patient000", "patient001", "patient002"]
    assert card["classes"] == NAMES
    assert (tmp_path / "model" / "network.onnx").stat().st_size < 1_000_000

    image, _ = sparse_sources.heart(6)
    write_stack(image, tmp_path / "image.nii.gz")
    found = ["regions", str(tmp_path / "image.nii.gz"), "--method", "classifier", "--model", str(tmp_path / "model")]
    assert main([*found, "--out", str(tmp_path / "r.csv")]) == 0
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(row["method"] == "classifier" and row["region"] in NAMES[1:] for row in rows)
    labels = dataset / "patient000_frame01_gt.nii.gz"
    assert main(["regions", str(labels), *found[2:], "--out", str(tmp_path / "no.csv")]) == 2
    assert "holds no image but labels" in capsys.readouterr().err

    evaluate = ["evaluate-regions", str(dataset), "--scheme", "acdc", "--model", str(tmp_path / "model")]
    assert main([*evaluate, "--out", str(tmp_path / "tables")]) == 0
    with (tmp_path / "tables" / "confusion.csv").open() as file:
        counted = [int(row[name]) for row in csv.DictReader(file) if row["way"] == "alone" for name in NAMES]
    assert sum(counted) == 12
    assert "weighted precision" in (tmp_path / "tables" / "region-models.md").read_text()


def test_precision_recall_and_confusion_are_those_counted_by_hand():
    reference = ["base", "base", "base", "middle", "middle", "apex"]
    predicted = ["base", "base", "middle", "middle", "apex", "apex"]
    figures = class_figures(reference, predicted)
    assert figures.confusion.tolist() == [[0, 0, 0, 0], [0, 2, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert figures.precision[1:].tolist() == [1.0, 0.5, 0.5]
    assert figures.recall[1:] == pytest.approx([2 / 3, 0.5, 1.0])
    assert math.isnan(figures.precision[0])
    assert math.isnan(figures.recall[0])
    assert figures.accuracy == pytest.approx(4 / 6)
    assert figures.weighted(figures.recall) == pytest.approx(4 / 6)
    assert figures.weighted(figures.precision) == pytest.approx((3 * 1.0 + 2 * 0.5 + 1 * 0.5) / 6)


def rows() -> list[DiceRow]:
    """Four patients of two frames: the routed model gains 0.1, 0.2, 0.3 and 0.4 at the apex."""
    found = []
    for patient in range(4):
        for frame in range(2):
            for method, gain in ((BASELINE, 0.0), (ROUTED, 0.1 * (patient + 1)), (KNOWN, 0.0)):
                dice = 0.4 - 0.05 * patient + (0.02 if frame else -0.02) + gain
                found.append(DiceRow(f"p{patient}_{frame}", f"p{patient}", method, "LV", "apex", dice))
    return found


def test_the_change_of_mean_and_spread_is_tested_on_patients():
    routed, known = changes(rows())
    assert (routed.method, known.method) == (ROUTED, KNOWN)
    assert routed.n == 8
    assert routed.tests.n == 4
    assert routed.mean_gain == pytest.approx(0.25)
    values = {name: [row.dice for row in rows() if row.method == name] for name in (BASELINE, ROUTED)}
    assert routed.sd_gain == pytest.approx(np.std(values[BASELINE], ddof=1) - np.std(values[ROUTED], ddof=1))
    assert routed.tests.t == pytest.approx(0.25 / (np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2))
    assert routed.tests.wilcoxon_p == pytest.approx(0.125)
    assert known.mean_gain == 0
    assert known.tests.t_p == 1


def test_tables_say_what_was_computed(tmp_path):
    found = changes(rows())
    report.write_comparison(rows(), found, tmp_path)
    with (tmp_path / "change.csv").open() as file:
        written = next(csv.DictReader(file))
    assert written["method"] == "routed"
    assert float(written["mean_gain"]) == pytest.approx(0.25)
    assert float(written["wilcoxon_p"]) == pytest.approx(0.125)
    with (tmp_path / "dice.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 24
    text = report.comparison_text(found, "20/60/20")
    assert "+25.00" in text
    assert "| routed | LV | apex | 8 |" in text


def test_regions_of_the_reference_are_told_by_name():
    _, labels = sparse_sources.heart(6)
    found, _ = slice_classes(labels, "20/60/20")
    assert found.count(Region.BASE) == found.count(Region.APEX) == 1


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "small"])
def test_the_papers_backbones_train_and_export(backbone, slices, tmp_path):
    from SparseCardiacSegLib.automatic.region_classifier import RegionClassifier
    from SparseCardiacSegLib.training.region_models.export import export_classifier
    from SparseCardiacSegLib.training.region_models.fit import fit_classifier

    settings = ClassifierSettings(backbone=backbone, steps=3, batch_size=4, learning_rate=5e-4)
    network = fit_classifier(slices, tmp_path, settings)
    with (tmp_path / "classifier.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)
    export_classifier(network, tmp_path / "model", backbone, {})
    found = RegionClassifier(tmp_path / "model").probabilities(slices[0].inputs())
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
