"""Normal ranges: the published figures, chosen by sex and papillary convention."""

from __future__ import annotations

import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.normal_ranges import (
    RANGES,
    checked_sex,
    ejection_fraction_class,
    range_record,
    range_text,
    ranges_of,
)


@pytest.mark.parametrize(
    ("part", "key", "sex", "convention", "mean", "sd"),
    [
        ("lv", "ef_pct", "male", "in volume", 58, 5),
        ("lv", "ef_pct", "female", "in volume", 61, 5),
        ("lv", "mass_index_g_m2", "male", "in volume", 53, 9),
        ("lv", "mass_index_g_m2", "female", "in volume", 42, 7),
        ("lv", "edv_ml", "male", "in volume", 166, 32),
        ("lv", "edv_ml", "female", "in volume", 124, 21),
        ("rv", "ef_pct", "female", "in volume", 58, 6),
        ("lv", "ef_pct", "male", "in mass", 67, 5),
        ("lv", "mass_index_g_m2", "male", "in mass", 67, 9),
        ("lv", "esv_ml", "female", "in mass", 44, 11),
        ("rv", "edv_ml", "male", "in mass", 163, 27),
    ],
)
def test_a_range_is_two_standard_deviations_around_the_published_mean(part, key, sex, convention, mean, sd):
    (found,) = ranges_of(part, key, sex, convention)
    assert (found.mean, found.sd) == (mean, sd)
    assert (found.lower, found.upper) == (mean - 2 * sd, mean + 2 * sd)


def test_every_range_names_source_unit_sex_and_convention():
    for one in RANGES:
        assert one.source
        assert one.unit
        assert one.sex in ("male", "female")
        assert one.convention in ("in volume", "in mass", "any")
        assert one.upper is not None
    assert len({(one.part, one.key, one.sex, one.convention) for one in RANGES}) == len(RANGES)


def test_the_labels_convention_is_papillary_muscles_in_the_volume():
    assert {one.convention for one in ranges_of("lv", "ef_pct")} == {"in volume"}
    assert ranges_of("lv", "sv_ml") == []  # known only with papillary muscles in the mass, which is another measure
    assert len(ranges_of("lv", "sv_ml", convention="in mass")) == 2


def test_an_unknown_sex_shows_both_ranges():
    assert [one.sex for one in ranges_of("lv", "edv_ml")] == ["male", "female"]
    assert [one.sex for one in ranges_of("lv", "edv_ml", "female")] == ["female"]


@pytest.mark.parametrize(
    ("value", "verdict"), [(47.9, "below"), (48.0, "within"), (58, "within"), (68.0, "within"), (68.1, "above")]
)
def test_the_limits_themselves_are_within(value, verdict):
    (found,) = ranges_of("lv", "ef_pct", "male")
    assert found.verdict(value) == verdict


def test_wall_thickness_has_an_upper_limit_only():
    men, women = ranges_of("wall", "thickest_segment_mm")
    assert (men.upper, women.upper) == (12, 11)
    assert men.verdict(2.0) == "within"
    assert men.verdict(12.1) == "above"
    assert range_text(range_record("wall", "thickest_segment_mm", 11.5, None)) == (
        "up to 12 (men): within; up to 11 (women): above"
    )


def test_the_text_has_range_sex_and_verdict_and_nothing_more():
    assert range_text(range_record("lv", "ef_pct", 40.0, "male")) == "48 to 68 (men): below"
    assert range_text(range_record("lv", "ef_pct", None, "male")) == "48 to 68 (men)"
    assert range_text([]) == ""
    words = {record["verdict"] for record in range_record("lv", "ef_pct", 5.0, None)}
    assert words == {"below"}  # however far below: no grades of severity


@pytest.mark.parametrize(
    ("word", "sex"), [("F", "female"), (" Male ", "male"), ("woman", "female"), (None, None), ("", None)]
)
def test_words_for_the_sex_are_understood(word, sex):
    assert checked_sex(word) == sex


def test_another_word_is_refused():
    with pytest.raises(InputError, match="unknown sex 'other'"):
        checked_sex("other")


@pytest.mark.parametrize(
    ("ef", "name"),
    [
        (25, "reduced"),
        (40, "reduced"),
        (40.4, "reduced"),
        (41, "mildly"),
        (49.4, "mildly"),
        (49.6, "preserved"),
        (70, "preserved"),
    ],
)
def test_the_class_of_the_ejection_fraction_is_that_of_the_guidelines(ef, name):
    assert ejection_fraction_class(ef).startswith(name)
