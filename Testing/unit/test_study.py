"""The main job on the bundled real heart, from files to files."""

from __future__ import annotations

import json
import re

import jsonschema
import nibabel
import numpy as np
import pytest
from SparseCardiacSegLib.automatic.postprocess import PostprocessSettings
from SparseCardiacSegLib.automatic.predictor import PredictionSettings
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.study import SAMPLE_STUDY, Study, run_study

MODEL = "sax-acdc-24"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Summary and folder of one run; without mirroring, which only takes longer."""
    folder = tmp_path_factory.mktemp("study") / "out"
    reports = []
    settings = PredictionSettings(mirroring=False)
    summary = run_study(
        SAMPLE_STUDY, folder, MODEL, settings, PostprocessSettings(), lambda *report: reports.append(report)
    )
    return summary, folder, reports


def test_every_file_that_the_summary_names_is_there_and_no_other(outcome):
    summary, folder, _ = outcome
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {entry["path"] for entry in summary["files"]}
    assert {"report.html", "study.mrb", "summary.json", "metrics.csv", "SC-HF-I-01_ED_seg.nii.gz"} <= found


def test_the_summary_on_disk_follows_its_published_schema(outcome, sample_case):
    _, folder, _ = outcome
    schema = json.loads((sample_case.parent / "summary.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((folder / "summary.json").read_text(encoding="utf-8")), schema)


def test_the_cavity_agrees_with_the_experts_contours(outcome):
    summary, _, _ = outcome
    dice = {row["phase"]: row["dice"] for row in summary["metrics"] if row["region"] == "all"}
    assert set(dice) == {"ED", "ES"}
    assert min(dice.values()) > 0.85


def test_only_what_the_reference_holds_is_judged(outcome):
    summary, _, _ = outcome
    assert {row["structure"] for row in summary["metrics"]} == {"LV"}


def test_volumes_and_ejection_fraction_fit_together(outcome):
    summary, _, _ = outcome
    lv = summary["clinical"]["lv"]
    assert lv["edv_ml"] == pytest.approx(summary["phases"]["ED"]["volumes_ml"]["LV"])
    assert lv["ef_pct"] == pytest.approx(100 * (lv["edv_ml"] - lv["esv_ml"]) / lv["edv_ml"])
    assert 15 < lv["ef_pct"] < 40  # the experts' contours give 25.4 %


def test_surfaces_keep_the_volume_of_the_voxels(outcome):
    summary, _, _ = outcome
    for phase in summary["phases"].values():
        for structure, voxels in phase["volumes_ml"].items():
            assert phase["surface_volumes_ml"][structure] == pytest.approx(voxels, rel=0.03)


def test_labels_lie_on_the_images_own_grid(outcome):
    _, folder, _ = outcome
    image = nibabel.load(SAMPLE_STUDY.ed)
    labels = nibabel.load(folder / "SC-HF-I-01_ED_seg.nii.gz")
    assert labels.shape == image.shape
    assert np.array_equal(labels.affine, image.affine)
    assert set(np.unique(labels.dataobj)) == {0, 1, 2, 3}


def test_the_report_stands_alone_and_shows_the_numbers_with_units(outcome):
    summary, folder, _ = outcome
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "<script" not in page
    assert f"{summary['clinical']['lv']['edv_ml']:.1f}" in page
    assert "mL" in page
    assert summary["model"]["sha256"] in page


def test_progress_rises_to_one(outcome):
    _, _, reports = outcome
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


def test_a_cancelled_run_writes_nothing(tmp_path):
    def cancel(fraction, _message):
        if fraction > 0.05:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_study(SAMPLE_STUDY, tmp_path / "out", MODEL, PredictionSettings(mirroring=False), None, cancel)
    assert list(tmp_path.iterdir()) == []


def test_an_image_without_a_heart_ends_with_a_sentence(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 1, 160, dtype=np.float32)[:, None, None], (160, 160, 3))
    path = tmp_path / "ramp.nii.gz"
    nibabel.save(nibabel.Nifti1Image(ramp, np.diag([1.5, 1.5, 10, 1])), path)
    with pytest.raises(InputError, match=r"no heart in .*ramp"):
        run_study(
            Study("ramp", path), tmp_path / "out", MODEL, PredictionSettings(mirroring=False), PostprocessSettings()
        )
    assert not (tmp_path / "out").exists()
