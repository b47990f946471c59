"""The clinical measures as rows to read and as a table for files."""

from __future__ import annotations

import csv
import io

import phantom
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.measures.clinical_rows import clinical_csv, clinical_figures, flat_rows, readable_unit

GRID = phantom.grid((10, 48, 48), (10.0, 3.0, 3.0))


@pytest.fixture
def whole():
    """Measures of a heart at ED and ES with a left atrium, height and weight."""
    (_, ed), (_, es) = phantom.heart(0.0, GRID), phantom.heart(1.0, GRID)
    _, la = phantom.left_atrium((20, 40, 40), (5.0, 2.5, 2.5))
    return clinical_measures(ed, es, la, 170, 70, ed_frame=0, es_frame=9)


def test_every_figure_has_a_name_a_unit_and_its_origin(whole):
    rows = {one.name: one for one in clinical_figures(whole)}
    assert len(rows) == 11
    edv = rows["LV end-diastolic volume"]
    assert (edv.value, edv.unit, edv.index) == (whole["lv"]["edv_ml"], "mL", whole["lv"]["edv_index_ml_m2"])
    assert edv.measured_on.startswith("ED (frame 0), slices ")
    assert rows["RV end-systolic volume"].measured_on.startswith("ES (frame 9), slices ")
    assert "1.05 g/mL" in rows["LV mass"].method
    assert rows["LV ejection fraction"].index_unit == ""
    assert "Du Bois" in rows["Body surface area"].method
    assert all(one.unit and (one.measured_on or one.method) for one in rows.values())


def test_the_atriums_grade_names_the_guidelines_year(whole):
    (row,) = [one for one in clinical_figures(whole) if one.part == "la"]
    assert row.grade == f"{whole['la']['grade_2015']} (ASE/EACVI 2015); {whole['la']['grade_2005']} (ASE/EACVI 2005)"


def test_what_was_not_given_is_left_out_and_what_is_unknown_stays_without_a_value():
    _, ed = phantom.heart(0.0, GRID)
    rows = {one.name: one for one in clinical_figures(clinical_measures(ed))}
    assert rows["LV stroke volume"].value is None
    assert rows["LV end-systolic volume"].measured_on == "no ES frame given"
    assert not any(name.startswith("LA") or name == "Body surface area" for name in rows)
    atrium = clinical_figures(clinical_measures(la=phantom.left_atrium()[1]))
    assert [one.name for one in atrium] == ["LA volume"]
    assert atrium[0].grade == ""


def test_a_structure_that_nobody_drew_is_said_to_be_so():
    _, ed = phantom.heart(0.0, GRID)
    array = ed.labels.array.copy()
    array[ed.mask(Structure.RV)] = 0
    measures = clinical_measures(type(ed)(ed.labels.with_array(array), ed.scheme))
    rows = {one.name: one for one in clinical_figures(measures)}
    assert rows["RV end-diastolic volume"].measured_on == "not labelled at ED"


def test_the_table_for_files_holds_every_known_figure_and_the_warnings(whole):
    rows = list(csv.DictReader(io.StringIO(clinical_csv(whole))))
    assert len(rows) == len(flat_rows(whole))
    found = {(row["structure"], row["measure"]): row for row in rows}
    assert float(found["LV", "ef_pct"]["value"]) == whole["lv"]["ef_pct"]
    assert found["LA", "grade_2015"]["text"] == whole["la"]["grade_2015"]
    assert [row["text"] for row in rows if row["measure"] == "warning"] == whole["warnings"]


def test_units_are_shown_with_their_superscript():
    assert readable_unit("mL/m2") == "mL/m²"
    assert readable_unit("mL") == "mL"
