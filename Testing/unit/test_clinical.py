"""Volumes, EF, mass, body surface area and left-atrial index."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, LabelScheme, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.measures.clinical import (
    body_surface_area,
    clinical_measures,
    find_ed_es,
    grade_la_index,
)
from SparseCardiacSegLib.segmentation import Segmentation


@pytest.fixture(scope="module")
def ed() -> Segmentation:
    return phantom.heart(0.0)[1]


@pytest.fixture(scope="module")
def es() -> Segmentation:
    return phantom.heart(1.0)[1]


def without(segmentation: Segmentation, number: int) -> Segmentation:
    labels = segmentation.labels.array.copy()
    labels[labels == number] = 0
    return Segmentation(segmentation.labels.with_array(labels), segmentation.scheme)


def warned(found: dict, text: str) -> bool:
    return any(text in warning for warning in found["warnings"])


@pytest.mark.parametrize("grid", [{}, {"oblique": True, "base_first": False, "left_handed": True}])
def test_the_phantoms_known_volumes_come_out(grid) -> None:
    on = phantom.grid((40, 96, 96), (2.5, 1.5, 1.5), **grid)
    found = clinical_measures(phantom.heart(0.0, on)[1], phantom.heart(1.0, on)[1])
    known = [phantom.Heart().volumes_ml(phase) for phase in (0.0, 1.0)]
    for key, structure in (("lv", Structure.LV), ("rv", Structure.RV)):
        edv, esv = (volumes[structure] for volumes in known)
        assert found[key]["edv_ml"] == pytest.approx(edv, rel=0.015)
        assert found[key]["esv_ml"] == pytest.approx(esv, rel=0.015)
        assert found[key]["sv_ml"] == pytest.approx(edv - esv, rel=0.02)
        assert found[key]["ef_pct"] == pytest.approx(100 * (edv - esv) / edv, abs=0.8)
    assert found["lv"]["mass_g"] == pytest.approx(1.05 * known[0][Structure.MYO], rel=0.01)
    assert found["warnings"] == []


def test_the_arithmetic_is_exact(ed, es) -> None:
    found = clinical_measures(ed, es, height_cm=180, weight_kg=80)
    voxel = 10 * 1.5 * 1.5 / 1000
    edv, esv = (int((part.labels.array == 3).sum()) * voxel for part in (ed, es))
    lv = found["lv"]
    assert (lv["edv_ml"], lv["esv_ml"]) == pytest.approx((edv, esv), rel=1e-12)
    assert lv["ef_pct"] == pytest.approx(100 * (edv - esv) / edv, rel=1e-12)
    assert lv["mass_g"] == pytest.approx(int((ed.labels.array == 2).sum()) * voxel * 1.05, rel=1e-12)
    assert found["bsa_m2"] == pytest.approx(2.0)
    assert lv["edv_index_ml_m2"] == pytest.approx(edv / 2)
    assert lv["mass_index_g_m2"] == pytest.approx(lv["mass_g"] / 2)


def test_the_contracts_keys_are_always_there_and_it_is_json(ed) -> None:
    found = clinical_measures(ed)
    assert {"edv_ml", "esv_ml", "sv_ml", "ef_pct", "mass_g"} <= found["lv"].keys()
    assert {"edv_ml", "esv_ml", "sv_ml", "ef_pct"} <= found["rv"].keys()
    assert {"volume_ml", "index_ml_m2", "grade_2015", "grade_2005"} <= found["la"].keys()
    assert {"bsa_m2", "warnings", "units", "inputs", "conventions"} <= found.keys()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["lv"]["esv_ml"] is None
    assert found["lv"]["ef_pct"] is None
    assert warned(found, "only one frame (ED) is given")


def test_what_was_measured_is_on_record(ed, es) -> None:
    record = clinical_measures(ed, es, ed_frame=0, es_frame=9)["inputs"]
    assert record["ed"]["slices"]["LV"] == [1, 2, 3, 4, 5, 6, 7]
    assert (record["ed"]["frame"], record["es"]["frame"]) == (0, 9)
    assert record["es"]["spacing_mm"] == pytest.approx([10.0, 1.5, 1.5])


def test_an_unlabelled_structure_is_unknown_and_not_0_ml(ed, es) -> None:
    found = clinical_measures(without(ed, 1), without(es, 1))
    assert found["rv"]["edv_ml"] is None
    assert found["rv"]["ef_pct"] is None
    assert warned(found, "RV is not labelled at ED")
    assert found["lv"]["ef_pct"] > 0
    assert clinical_measures(without(ed, 2), es)["lv"]["mass_g"] is None
    cavity_only = LabelScheme("cavity", {Structure.LV: 3})
    labels = np.where(ed.labels.array == 3, 3, 0).astype(np.uint8)
    found = clinical_measures(Segmentation(ed.labels.with_array(labels), cavity_only))
    assert found["rv"]["edv_ml"] is None
    assert found["lv"]["edv_ml"] > 100


def test_swapped_frames_are_noticed(ed, es) -> None:
    assert warned(clinical_measures(es, ed), "LV is larger at ES than at ED: are the two frames swapped?")
    assert not warned(clinical_measures(ed, es), "swapped")


def test_one_frame_given_as_both_ed_and_es_is_noticed(ed, es) -> None:
    found = clinical_measures(ed, ed)
    assert found["lv"]["ef_pct"] == 0
    assert warned(found, "ED and ES have the same labels in every voxel")
    assert not warned(clinical_measures(ed, es), "same labels")


def test_a_stack_that_does_not_reach_the_base_is_noticed_from_either_end() -> None:
    for base_first, slab in ((True, slice(2, None)), (False, slice(None, 8))):
        full = phantom.heart(0.0, phantom.grid(base_first=base_first))[1]
        cut = Segmentation(replace(full.labels, array=full.labels.array[slab]), ACDC)
        assert warned(clinical_measures(cut), "the base may be cut off")
        assert not warned(clinical_measures(full), "cut off")


def test_a_stack_that_does_not_reach_the_apex_is_noticed(ed) -> None:
    cut = Segmentation(replace(ed.labels, array=ed.labels.array[:6]), ACDC)
    assert warned(clinical_measures(cut), "still wide on the last slice towards the apex (slice 5)")


def test_unknown_spacing_gaps_different_grids_and_empty_labels_are_noticed(ed, es) -> None:
    unknown = Segmentation(replace(ed.labels, spacing_known=False), ACDC)
    assert warned(clinical_measures(unknown, es), "no spacing, 1 mm was assumed")
    labels = ed.labels.array.copy()
    labels[4] = 0
    assert warned(
        clinical_measures(Segmentation(ed.labels.with_array(labels), ACDC)), "LV is missing in slice 4 between"
    )
    other = phantom.heart(1.0, phantom.grid(spacing=(10.0, 1.4, 1.4)))[1]
    assert warned(clinical_measures(ed, other), "different grids")
    empty = Segmentation(ed.labels.with_array(np.zeros_like(ed.labels.array)), ACDC)
    found = clinical_measures(empty, es)
    assert warned(found, "ED: nothing is labelled")
    assert found["lv"]["edv_ml"] is None
    guessed = Segmentation(ed.labels, ACDC, ("scheme guessed",))
    assert warned(clinical_measures(guessed), "ED: scheme guessed")


def test_a_basal_slice_left_out_at_es_is_noticed(ed, es) -> None:
    labels = es.labels.array.copy()
    labels[:5] = 0
    found = clinical_measures(ed, Segmentation(es.labels.with_array(labels), ACDC))
    assert warned(found, "over 70 mm at ED and 30 mm at ES")


def test_body_surface_area_of_both_formulae() -> None:
    assert body_surface_area(180, 80) == pytest.approx(2.0)
    assert body_surface_area(180, 80, "dubois") == pytest.approx(1.9964, abs=1e-4)
    assert body_surface_area(160, 50) == pytest.approx(np.sqrt(160 * 50 / 3600))


@pytest.mark.parametrize(("height", "weight"), [(1.8, 80), (180, 0), (180, -3), (1800, 80), (float("nan"), 80)])
def test_an_impossible_height_or_weight_is_refused(ed, height, weight) -> None:
    with pytest.raises(InputError, match="is not possible"):
        clinical_measures(ed, height_cm=height, weight_kg=weight)


@pytest.mark.parametrize(
    ("index", "grade_2015", "grade_2005"),
    [
        (20, "normal", "normal"),
        (28, "normal", "normal"),
        (29, "normal", "mild"),
        (33, "normal", "mild"),
        (34, "normal", "moderate"),
        (35, "mild", "moderate"),
        (39, "mild", "moderate"),
        (40, "mild", "severe"),
        (41, "mild", "severe"),
        (42, "moderate", "severe"),
        (48, "moderate", "severe"),
        (48.1, "severe", "severe"),
        (34.5, "mild", "moderate"),
    ],
)
def test_left_atrial_grades_of_both_years(index, grade_2015, grade_2005) -> None:
    assert (grade_la_index(index, 2015), grade_la_index(index, 2005)) == (grade_2015, grade_2005)


def test_the_left_atrium_is_measured_indexed_and_graded() -> None:
    found = clinical_measures(la=phantom.left_atrium()[1], height_cm=160, weight_kg=45)
    known = phantom.Heart().volumes_ml()[Structure.LA]
    assert found["la"]["volume_ml"] == pytest.approx(known, rel=0.01)
    assert found["la"]["volume_mm3"] == pytest.approx(1000 * found["la"]["volume_ml"])
    assert found["la"]["index_ml_m2"] == pytest.approx(found["la"]["volume_ml"] / np.sqrt(2))
    assert (found["la"]["grade_2015"], found["la"]["grade_2005"]) == ("mild", "moderate")
    assert found["lv"]["edv_ml"] is None
    assert found["warnings"] == []
    alone = clinical_measures(la=phantom.left_atrium()[1])
    assert alone["la"]["grade_2015"] is None
    assert warned(alone, "cannot be indexed")


def test_ed_and_es_of_a_cine_are_the_frames_of_largest_and_smallest_volume() -> None:
    cine = phantom.cine(10)[1]
    assert find_ed_es(cine) == (0, phantom.es_frame(10))
    labels = cine.labels.array.copy()
    labels[2:] = 0
    assert find_ed_es(Segmentation(cine.labels.with_array(labels), ACDC)) == (0, 1)
    labels[1:] = 0
    with pytest.raises(InputError, match=r"LV in 1 frame\(s\)"):
        find_ed_es(Segmentation(cine.labels.with_array(labels), ACDC))


def test_nothing_to_measure_and_cines_are_refused(ed) -> None:
    with pytest.raises(InputError, match="nothing to measure"):
        clinical_measures()
    with pytest.raises(InputError, match="choose one of them as ED"):
        clinical_measures(phantom.cine(4)[1])
    assert warned(clinical_measures(ed, height_cm=180), "height and weight are both needed")


@pytest.mark.shared
def test_acdc_volumes_equal_those_of_its_table(shared_data) -> None:
    import csv

    folder = shared_data / "acdc"
    rows = list(csv.DictReader((folder / "cases.csv").open()))[:5]
    for row in rows:
        ed, es = (
            read_segmentation(folder / f"{row['patient']}_frame{int(row[key]):02d}_gt.nii.gz", ACDC)
            for key in ("ed_frame", "es_frame")
        )
        found = clinical_measures(ed, es)
        assert found["lv"]["edv_ml"] == pytest.approx(float(row["lv_ed_ml"]), abs=0.06)
        assert found["lv"]["ef_pct"] == pytest.approx(float(row["lv_ef_pct"]), abs=0.06)
        assert found["rv"]["esv_ml"] == pytest.approx(float(row["rv_es_ml"]), abs=0.06)
        assert found["lv"]["mass_g"] == pytest.approx(float(row["lv_mass_ed_g"]), abs=0.06)
