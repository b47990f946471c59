"""Evaluation of files and cohorts into metrics.csv and summary.json."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.measures.evaluation import evaluate
from SparseCardiacSegLib.measures.pairing import case_name, match_files
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmentation import Segmentation

CONTRACT = (
    "case, structure, region, dice, iou, precision, recall, hd_mm, hd95_mm, mad_mm, volume_pred_ml, volume_ref_ml, flag"
)


def only(segmentation: Segmentation, *numbers: int) -> Segmentation:
    labels = np.where(np.isin(segmentation.labels.array, numbers), segmentation.labels.array, 0)
    return Segmentation(segmentation.labels.with_array(labels.astype(np.uint8)), segmentation.scheme)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Three cases as a data set and `segment` leave them: images beside references, .seg.nrrd beside predictions."""
    for number, phase in enumerate((0.0, 0.2, 0.9)):
        image, reference = phantom.heart(phase, seed=number)
        prediction = phantom.heart(phase + 0.1, seed=number)[1]
        write_stack(image, tmp_path / "references" / f"case{number}.nii.gz")
        write_segmentation(reference, tmp_path / "references" / f"case{number}_gt.nii.gz")
        write_segmentation(prediction, tmp_path / "predictions" / f"case{number}_seg.nii.gz")
        write_segmentation(prediction, tmp_path / "predictions" / f"case{number}.seg.nrrd")
    return tmp_path


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").open()))


def test_a_cohort_gives_a_row_for_each_case_structure_and_region(cohort) -> None:
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    rows = table(cohort / "out")
    assert list(rows[0])[:13] == CONTRACT.split(", ")
    assert [(row["case"], row["structure"], row["region"]) for row in rows] == [
        (f"case{number}", structure, region)
        for number in range(3)
        for structure in ("RV", "MYO", "LV")
        for region in ("all", "base", "middle", "apex")
    ]
    row = next(row for row in rows if (row["case"], row["structure"], row["region"]) == ("case0", "LV", "all"))
    assert float(row["volume_ref_ml"]) == pytest.approx(phantom.heart(0.0)[1].volume_ml("LV"), rel=1e-6)
    assert 0.8 < float(row["dice"]) < 1
    assert {file.name for file in (cohort / "out").iterdir()} == {"metrics.csv", "summary.json"}


def test_the_summary_has_its_schema_and_agrees_with_the_table(cohort) -> None:
    found = evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC, "thirds", "surfel")
    summary = json.loads((cohort / "out" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert (summary["schema"], summary["version"]) == ("sparsecardiacseg.evaluation", 1)
    assert (summary["regions_method"], summary["surface_definition"]) == ("thirds", "surfel")
    assert (summary["n_cases"], summary["structures"]) == (3, ["RV", "MYO", "LV"])
    rows = [row for row in table(cohort / "out") if (row["structure"], row["region"]) == ("LV", "middle")]
    dice = [float(row["dice"]) for row in rows]
    aggregate = summary["aggregates"]["LV"]["middle"]
    assert aggregate["dice"] == {
        "mean": pytest.approx(np.mean(dice)),
        "sd": pytest.approx(np.std(dice, ddof=1)),
        "n": 3,
    }
    assert (aggregate["n"], aggregate["n_missing"], aggregate["n_empty"]) == (3, 0, 0)
    assert {"mean_with_diagonal", "sd_with_diagonal"} <= aggregate["hd_mm"].keys()
    assert summary["cases"][0]["base_first"] is True
    assert {(test["a"], test["b"]) for test in summary["region_tests"] if test["structure"] == "LV"} == {
        ("base", "middle"),
        ("base", "apex"),
        ("middle", "apex"),
    }
    assert found.summary["n_cases"] == 3


def test_two_files_are_a_pair_whatever_their_names(tmp_path) -> None:
    segmentation = phantom.heart(0.0, phantom.grid(oblique=True, base_first=False, left_handed=True))[1]
    write_segmentation(segmentation, tmp_path / "mine.nrrd")
    write_segmentation(segmentation, tmp_path / "theirs.nii.gz")
    evaluate(tmp_path / "mine.nrrd", tmp_path / "theirs.nii.gz", tmp_path / "out", ACDC)
    rows = table(tmp_path / "out")
    assert {row["case"] for row in rows} == {"mine"}
    assert {float(row["dice"]) for row in rows} == {1.0}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["cases"][0]["base_first"] is False


def test_a_structure_missed_in_the_prediction_is_a_flagged_row_and_counted(cohort) -> None:
    path = cohort / "predictions" / "case1_seg.nii.gz"
    write_segmentation(only(phantom.heart(0.2)[1], 2, 3), path)
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    row = next(row for row in table(cohort / "out") if (row["case"], row["structure"]) == ("case1", "RV"))
    assert (row["flag"], float(row["dice"])) == ("missing", 0.0)
    assert math.isnan(float(row["hd_mm"]))
    rv = json.loads((cohort / "out" / "summary.json").read_text())["aggregates"]["RV"]["all"]
    assert (rv["n"], rv["n_missing"], rv["dice"]["n"], rv["hd_mm"]["n"]) == (3, 1, 3, 2)
    assert rv["hd_mm"]["mean_with_diagonal"] > rv["hd_mm"]["mean"] + 50


def test_a_structure_in_no_reference_is_flagged_and_warned_of_not_dropped(tmp_path) -> None:
    write_segmentation(phantom.heart()[1], tmp_path / "p.nii.gz")
    write_segmentation(only(phantom.heart()[1], 3), tmp_path / "r.nii.gz")
    evaluate(tmp_path / "p.nii.gz", tmp_path / "r.nii.gz", tmp_path / "out", ACDC)
    flags = {row["structure"]: row["flag"] for row in table(tmp_path / "out") if row["region"] == "all"}
    assert flags == {"RV": "missing", "MYO": "missing", "LV": ""}
    warnings = json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"]
    assert [warning.split(";")[0] for warning in warnings] == [
        f"{name} is in none of the references" for name in ("RV", "MYO")
    ]


def test_the_summary_follows_its_published_schema_with_missing_structures_too(cohort, sample_case) -> None:
    write_segmentation(only(phantom.heart()[1]), cohort / "references" / "case2_gt.nii.gz")
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    schema = json.loads((sample_case.parent / "evaluation.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((cohort / "out" / "summary.json").read_text(encoding="utf-8")), schema)


def test_only_the_structures_asked_for_are_compared(tmp_path) -> None:
    write_segmentation(phantom.heart()[1], tmp_path / "p.nii.gz")
    write_segmentation(only(phantom.heart()[1], 3), tmp_path / "r.nii.gz")
    evaluate(tmp_path / "p.nii.gz", tmp_path / "r.nii.gz", tmp_path / "out", ACDC, structures=(Structure.LV,))
    assert {row["structure"] for row in table(tmp_path / "out")} == {"LV"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"] == []


def test_a_structure_absent_from_one_reference_of_a_cohort_is_a_flagged_row(cohort) -> None:
    write_segmentation(only(phantom.heart()[1], 2, 3), cohort / "references" / "case0_gt.nii.gz")
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    flags = {row["case"]: row["flag"] for row in table(cohort / "out") if row["structure"] + row["region"] == "RVall"}
    assert flags == {"case0": "missing", "case1": "", "case2": ""}


def test_an_empty_reference_in_a_cohort_is_reported_and_does_not_stop_it(cohort) -> None:
    write_segmentation(only(phantom.heart()[1]), cohort / "references" / "case2_gt.nii.gz")
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    flags = {row["region"]: row["flag"] for row in table(cohort / "out") if row["case"] + row["structure"] == "case2LV"}
    assert flags == {"all": "missing", "base": "no slices", "middle": "no slices", "apex": "no slices"}
    summary = json.loads((cohort / "out" / "summary.json").read_text())
    assert any("has no slice with LV, MYO or RV" in warning for warning in summary["cases"][2]["warnings"])
    assert summary["aggregates"]["LV"]["base"]["n_no_slices"] == 1


def test_a_cine_is_compared_frame_by_frame(tmp_path) -> None:
    cine = phantom.cine(3)[1]
    write_segmentation(cine, tmp_path / "p" / "heart_seg.nii.gz")
    write_segmentation(cine, tmp_path / "r" / "heart_gt.nii.gz")
    evaluate(tmp_path / "p", tmp_path / "r", tmp_path / "out", ACDC)
    assert {row["case"] for row in table(tmp_path / "out")} == {f"heart_frame{n:02d}" for n in range(3)}
    write_segmentation(cine.frame(0), tmp_path / "p" / "heart_seg.nii.gz")
    with pytest.raises(InputError, match=r"has 1 frame\(s\) but .* has 3"):
        evaluate(tmp_path / "p", tmp_path / "r", tmp_path / "out", ACDC)


def test_the_scheme_is_guessed_from_the_reference_and_used_for_the_prediction(tmp_path) -> None:
    reference = phantom.heart(scheme=MNMS)[1]
    write_segmentation(reference, tmp_path / "r.nii.gz")
    write_segmentation(only(reference), tmp_path / "p.nii.gz")
    evaluate(tmp_path / "p.nii.gz", tmp_path / "r.nii.gz", tmp_path / "out")
    assert {row["flag"] for row in table(tmp_path / "out") if row["region"] == "all"} == {"missing"}
    warnings = json.loads((tmp_path / "out" / "summary.json").read_text())["cases"][0]["warnings"]
    assert any("guessed as 'mnms'" in warning for warning in warnings)


def test_prediction_and_reference_may_have_different_schemes(tmp_path) -> None:
    write_segmentation(phantom.heart(scheme=ACDC)[1], tmp_path / "p.nii.gz")
    write_segmentation(phantom.heart(scheme=MNMS)[1], tmp_path / "r.nii.gz")
    evaluate(tmp_path / "p.nii.gz", tmp_path / "r.nii.gz", tmp_path / "out", ACDC, reference_scheme=MNMS)
    assert {float(row["dice"]) for row in table(tmp_path / "out")} == {1.0}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["scheme"], summary["reference_scheme"]) == ("acdc", "mnms")


def test_the_left_atrium_is_evaluated_without_regions(tmp_path) -> None:
    write_segmentation(phantom.left_atrium()[1], tmp_path / "la_gt.nii.gz")
    evaluate(tmp_path / "la_gt.nii.gz", tmp_path / "la_gt.nii.gz", tmp_path / "out", LEFT_ATRIUM)
    rows = table(tmp_path / "out")
    assert [(row["case"], row["structure"], row["region"], float(row["dice"])) for row in rows] == [
        ("la", "LA", "all", 1)
    ]


def test_different_grids_are_refused_naming_both_and_nothing_is_written(tmp_path) -> None:
    write_segmentation(phantom.heart()[1], tmp_path / "reference.nii.gz")
    write_segmentation(phantom.heart(0, phantom.grid(spacing=(8.0, 1.5, 1.5)))[1], tmp_path / "prediction.nii.gz")
    with pytest.raises(InputError, match=r"prediction\.nii\.gz.*reference\.nii\.gz.*different grids"):
        evaluate(tmp_path / "prediction.nii.gz", tmp_path / "reference.nii.gz", tmp_path / "out", ACDC)
    assert not (tmp_path / "out").exists()


def test_references_that_nobody_predicted_are_counted_and_listed(cohort) -> None:
    (cohort / "predictions" / "case1_seg.nii.gz").unlink()
    evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)
    summary = json.loads((cohort / "out" / "summary.json").read_text())
    assert (summary["n_cases"], summary["n_unpredicted"]) == (2, 1)
    assert any("case1_gt" in warning for warning in summary["warnings"])


def test_predictions_without_a_reference_are_refused_and_listed(cohort) -> None:
    (cohort / "predictions" / "case1_seg.nii.gz").rename(cohort / "predictions" / "other_seg.nii.gz")
    expected = r"1 prediction \(other_seg.nii.gz\) without a reference"
    with pytest.raises(InputError, match=expected):
        evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC)


def test_bad_calls_are_refused_with_a_clear_sentence(cohort) -> None:
    with pytest.raises(InputError, match="does not exist"):
        evaluate(cohort / "nowhere", cohort / "references", cohort / "out")
    with pytest.raises(InputError, match="two files or two folders"):
        evaluate(cohort / "predictions" / "case0_seg.nii.gz", cohort / "references", cohort / "out")
    (cohort / "empty").mkdir()
    with pytest.raises(InputError, match="holds no label files"):
        evaluate(cohort / "empty", cohort / "references", cohort / "out")
    with pytest.raises(InputError, match="unknown region method"):
        evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC, "halves")
    write_segmentation(phantom.heart()[1], cohort / "predictions" / "case0_pred.nii.gz")
    with pytest.raises(InputError, match="both labels of case 'case0'"):
        evaluate(cohort / "predictions", cohort / "references", cohort / "out")


def test_cancelling_leaves_earlier_results_untouched(cohort) -> None:
    def cancel(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    (cohort / "out").mkdir()
    (cohort / "out" / "metrics.csv").write_text("earlier")
    with pytest.raises(Cancelled):
        evaluate(cohort / "predictions", cohort / "references", cohort / "out", ACDC, progress=cancel)
    assert (cohort / "out" / "metrics.csv").read_text() == "earlier"
    assert len(list((cohort / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("patient002_frame01_seg.nii.gz", "patient002_frame01"),
        ("patient002_frame01_gt.nii.gz", "patient002_frame01"),
        ("a.b.seg.nrrd", "a.b"),
        ("plain.mha", "plain"),
        ("_gt.nii", "_gt"),
    ],
)
def test_cases_are_called_after_their_file(name, case) -> None:
    assert case_name(Path(name)) == case


def test_unmarked_folders_as_nnunet_leaves_them_are_matched(tmp_path) -> None:
    for folder, extra in (("p", "plans.json"), ("r", ".hidden.nii.gz")):
        (tmp_path / folder).mkdir()
        for name in ("a.nii.gz", "b.nii.gz", extra):
            (tmp_path / folder / name).touch()
    assert [pair.case for pair in match_files(tmp_path / "p", tmp_path / "r").pairs] == ["a", "b"]
