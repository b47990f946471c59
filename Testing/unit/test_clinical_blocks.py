"""Wall thickness, volume curve, indexes and normal ranges within the clinical measures."""

from __future__ import annotations

import json
from dataclasses import replace

import anatomical_heart
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.findings.clinical_content import clinical_definitions, clinical_rows, segment_rows
from SparseCardiacSegLib.measures.clinical import body_surface_area, clinical_measures
from SparseCardiacSegLib.measures.clinical_blocks import curve_of_study
from SparseCardiacSegLib.measures.clinical_rows import clinical_figures, flat_rows
from SparseCardiacSegLib.report import ReportContent, render_report
from SparseCardiacSegLib.segmentation import Segmentation


@pytest.fixture(scope="module")
def pair() -> tuple[Segmentation, Segmentation]:
    return anatomical_heart.heart(), anatomical_heart.heart(extra_mm=4.0)


@pytest.fixture(scope="module")
def whole(pair) -> dict:
    return clinical_measures(*pair, None, 180, 80, sex="male", heart_rate=60, wall=True)


@pytest.fixture(scope="module")
def beat() -> Segmentation:
    return phantom.cine(12, phantom.grid((10, 48, 48), (10.0, 3.0, 3.0)))[1]


def test_every_key_is_there_and_none_where_nothing_was_asked_for(pair):
    found = clinical_measures(pair[0])
    assert found["wall_thickness"] is None
    assert found["volume_curve"] is None
    assert found["sex"] is None
    assert found["indexed"]["dubois"]["lv"]["edv_index_ml_m2"] is None
    assert found["lv"]["ef_class"] is None
    assert found["lv"]["co_l_min"] is None
    json.dumps(found, allow_nan=False)


def test_indexes_by_both_formulas_stand_side_by_side(whole):
    for formula in ("mosteller", "dubois"):
        area = body_surface_area(180, 80, formula)
        assert whole["indexed"][formula]["lv"]["edv_index_ml_m2"] == pytest.approx(whole["lv"]["edv_ml"] / area)
        assert whole["indexed"][formula]["lv"]["mass_index_g_m2"] == pytest.approx(whole["lv"]["mass_g"] / area)
        assert whole["indexed"][formula]["rv"]["sv_index_ml_m2"] == pytest.approx(whole["rv"]["sv_ml"] / area)
    assert whole["indexed"]["mosteller"]["lv"]["edv_index_ml_m2"] == whole["lv"]["edv_index_ml_m2"]


def test_the_verdict_fits_value_range_and_sex(whole, pair):
    (record,) = whole["normal_ranges"]["lv"]["ef_pct"]
    assert (record["lower"], record["upper"], record["sex"]) == (48, 68, "male")
    value = whole["lv"]["ef_pct"]
    assert record["verdict"] == ("below" if value < 48 else "above" if value > 68 else "within")
    assert record["papillary_muscles"] == "in volume"
    both = clinical_measures(*pair, wall=True)["normal_ranges"]
    assert [one["sex"] for one in both["lv"]["ef_pct"]] == ["male", "female"]
    thickest = max(anatomical_heart.THICKNESS_MM.values())  # 11.6 mm: beyond women's limit and not men's
    assert 11 < thickest < 12
    assert [one["verdict"] for one in both["wall"]["thickest_segment_mm"]] == ["within", "above"]


def test_ranges_follow_the_papillary_convention(pair):
    found = clinical_measures(*pair, sex="male", papillary="mass")["normal_ranges"]
    assert [(one["lower"], one["upper"]) for one in found["lv"]["ef_pct"]] == [(57, 77)]
    assert "sv_ml" in found["lv"]
    with pytest.raises(InputError, match="unknown papillary convention 'none'"):
        clinical_measures(*pair, papillary="none")


def test_without_a_true_spacing_only_the_ejection_fraction_is_judged(pair):
    unknown = [Segmentation(replace(one.labels, spacing_known=False), ACDC) for one in pair]
    found = clinical_measures(*unknown, sex="male", wall=True)["normal_ranges"]
    assert found["lv"]["ef_pct"][0]["verdict"] is not None
    assert found["lv"]["edv_ml"][0]["verdict"] is None
    assert found["wall"]["thickest_segment_mm"][0]["verdict"] is None


def test_cardiac_output_is_stroke_volume_times_heart_rate(whole):
    assert whole["lv"]["co_l_min"] == pytest.approx(whole["lv"]["sv_ml"] * 60 / 1000)
    assert "LV cardiac output" in {one.name for one in clinical_figures(whole)}


def test_wall_thickness_is_measured_at_both_frames(whole):
    walls = whole["wall_thickness"]
    assert walls["ed"]["mean_mm"]["1"] == pytest.approx(anatomical_heart.THICKNESS_MM[1], abs=0.35)
    assert walls["es"]["mean_mm"]["1"] == pytest.approx(anatomical_heart.THICKNESS_MM[1] + 4, abs=0.5)
    assert walls["thickening_pct"]["17"] is None
    assert walls["global_thickening_pct"] > 30


def test_a_frame_without_a_ring_gives_a_warning_and_the_other_figures(pair):
    labels = pair[1].labels.array.copy()
    labels[labels == ACDC.numbers[Structure.MYO]] = 0
    found = clinical_measures(pair[0], Segmentation(pair[1].labels.with_array(labels), ACDC), wall=True)
    assert found["wall_thickness"]["es"] is None
    assert found["wall_thickness"]["ed"] is not None
    assert found["wall_thickness"]["thickening_pct"] is None
    assert any(warning.startswith("ES: no wall thickness") for warning in found["warnings"])
    assert found["lv"]["ef_pct"] is not None


def test_both_frames_call_the_same_wall_anterior_where_the_orientation_is_lost():
    ed, es = (
        Segmentation(type(one.labels)(one.labels.array, np.diag([1.4, 1.4, 9.0, 1.0])), ACDC)
        for one in (
            anatomical_heart.heart(anatomical_heart.grid(turned=-110)),
            anatomical_heart.heart(anatomical_heart.grid(turned=-130), extra_mm=4.0),
        )
    )
    walls = clinical_measures(ed, es, wall=True)["wall_thickness"]
    grown = [walls["es"]["mean_mm"][str(n)] - walls["ed"]["mean_mm"][str(n)] for n in range(1, 17)]
    assert np.abs(np.array(grown) - 4.0).max() < 0.8
    assert sum("orientation is probably lost" in warning for warning in walls["warnings"]) == 1


def test_an_insertion_set_by_hand_reaches_both_frames():
    bare = anatomical_heart.heart(with_rv=False), anatomical_heart.heart(with_rv=False, extra_mm=4.0)
    point = anatomical_heart.insertion().tolist()
    walls = clinical_measures(*bare, wall=True, insertion=point)["wall_thickness"]
    assert walls["ed"]["insertion_set_by_hand"] == list(range(1, 10))
    assert walls["es"]["mean_mm"]["5"] is not None
    only = clinical_measures(*bare, wall=True, insertion={3: point})["wall_thickness"]
    assert only["ed"]["insertion_set_by_hand"] == [3]
    with pytest.raises(InputError, match="three RAS coordinates"):
        clinical_measures(*bare, wall=True, insertion=[1.0])


def test_a_cine_tells_its_own_ed_and_es(beat):
    found = clinical_measures(cine=beat)
    assert found["inputs"]["ed"]["frame"] == found["volume_curve"]["ed_frame"] == 0
    assert found["inputs"]["es"]["frame"] == found["volume_curve"]["es_frame"]
    assert found["lv"]["edv_ml"] == pytest.approx(max(found["volume_curve"]["volumes_ml"]["LV"]))
    assert found["lv"]["esv_ml"] == pytest.approx(min(found["volume_curve"]["volumes_ml"]["LV"]))
    chosen = clinical_measures(cine=beat, ed_frame=1, es_frame=4)
    assert chosen["lv"]["esv_ml"] == pytest.approx(beat.frame(4).volume_ml(Structure.LV))
    assert chosen["volume_curve"]["es_frame"] == 4


def test_the_curve_for_a_picture_has_the_chosen_frames_and_the_heart_rate(beat):
    untimed = Segmentation(beat.labels.with_array(beat.labels.array), ACDC)
    found = clinical_measures(cine=untimed, ed_frame=1, es_frame=4, heart_rate=75)
    curve = curve_of_study(untimed, found)
    assert (curve.ed, curve.es) == (1, 4)
    assert curve.cycle_s == pytest.approx(found["volume_curve"]["cycle_s"])
    assert curve_of_study(beat.frame(0), found) is None


def test_a_frame_given_as_ed_that_lacks_the_ventricle_does_not_stop_the_curve(beat):
    array = beat.labels.array.copy()
    array[0][array[0] == ACDC.numbers[Structure.LV]] = 0
    bare = Segmentation(beat.labels.with_array(array), ACDC)
    found = clinical_measures(bare.frame(0), bare.frame(4), ed_frame=0, es_frame=4, cine=bare)
    assert found["lv"]["edv_ml"] is None
    assert found["volume_curve"]["ed_frame"] != 0
    assert found["volume_curve"]["es_frame"] == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [({"sex": "x"}, "unknown sex 'x'"), ({"heart_rate": 1000}, "heart rate of 1000"), ({"es_frame": 99}, "frame 99")],
)
def test_impossible_values_are_refused(beat, given, message):
    with pytest.raises(InputError, match=message):
        clinical_measures(cine=beat, **given)


def test_rows_show_the_range_beside_the_value(whole):
    rows = {one.name: one for one in clinical_figures(whole)}
    assert rows["LV ejection fraction"].normal.startswith("48 to 68 (men): ")
    assert rows["LV mass"].normal == ""
    assert rows["LV mass"].index_normal.startswith("35 to 71 (men): ")
    assert rows["LV ejection fraction"].grade.endswith("class by ESC 2021")
    thickest = rows["Wall thickness at ED, thickest segment"]
    assert thickest.normal == "up to 12 (men): within"
    assert "segment " in thickest.measured_on
    assert rows["Systolic wall thickening, mean"].value == whole["wall_thickness"]["global_thickening_pct"]


def test_rates_are_rows_and_their_absence_is_explained(beat):
    rows = {one.name: one for one in clinical_figures(clinical_measures(cine=beat))}
    timed = rows["LV peak ejection rate"]
    assert timed.unit == "mL/s"
    assert timed.value > 0
    untimed = Segmentation(type(beat.labels)(beat.labels.array, beat.labels.ijk_to_ras), ACDC)
    rows = {one.name: one for one in clinical_figures(clinical_measures(cine=untimed))}
    assert rows["LV peak ejection rate"].value is None
    assert rows["LV peak ejection rate"].method == "frame times unknown"


def test_the_flat_table_holds_every_segment(whole):
    rows = {(part, key): value for part, key, value, *_ in flat_rows(whole)}
    for number in range(1, 17):
        assert rows["WALL", f"segment_{number:02d}_mean_ed"] == whole["wall_thickness"]["ed"]["mean_mm"][str(number)]
        assert ("WALL", f"segment_{number:02d}_thickening") in rows
    assert ("WALL", "segment_17_thickening") not in rows


def test_the_report_says_range_source_segments_and_methods(whole):
    content = ReportContent(
        title="T",
        case="C",
        date="today",
        clinical=tuple(clinical_rows(whole)),
        segments=tuple(segment_rows(whole)),
        definitions=tuple(clinical_definitions(whole)),
    )
    page = render_report(content)
    assert "Normal range" in page
    assert "48 to 68 (men)" in page
    assert "12 mid anterolateral" in page
    assert "UK Biobank" in page
    assert "Kawel-Boehm" not in page  # another papillary convention
    assert "centre-line chords" in page
    outside = [one for one in clinical_rows(whole) if ": below" in one.normal or ": above" in one.normal]
    assert page.count('<span class="flag">below</span>') + page.count('<span class="flag">above</span>') == len(outside)
    assert outside


def test_a_report_without_wall_thickness_has_no_section_for_it(pair):
    found = clinical_measures(*pair)
    assert segment_rows(found) == []
    page = render_report(ReportContent("T", "C", "today", clinical=tuple(clinical_rows(found))))
    assert "Wall thickness" not in page
