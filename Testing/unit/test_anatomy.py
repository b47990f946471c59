from __future__ import annotations

import nibabel
import numpy as np
import pytest
from io_grids import ring_labels
from SparseCardiacSegLib.anatomy import (
    ACDC,
    ALL,
    DESCRIPTIONS,
    LEFT_ATRIUM,
    MNMS,
    SCHEMES,
    LabelScheme,
    Structure,
    guess_scheme,
    scheme_named,
)
from SparseCardiacSegLib.errors import InputError


def test_every_structure_has_a_name_a_code_and_a_colour_of_its_own():
    assert set(DESCRIPTIONS) == set(Structure)
    assert {d.type.value for d in DESCRIPTIONS.values()} == {"87878005", "53085002", "82471001", "74281007"}
    assert len({d.colour for d in DESCRIPTIONS.values()}) == 4


def test_schemes_are_those_of_the_challenges():
    assert ACDC.numbers == {Structure.RV: 1, Structure.MYO: 2, Structure.LV: 3}
    assert MNMS.numbers == {Structure.LV: 1, Structure.MYO: 2, Structure.RV: 3}
    assert LEFT_ATRIUM.numbers == {Structure.LA: 1}
    assert scheme_named("MnMs") is MNMS
    with pytest.raises(InputError, match="known are acdc, mnms, la, all"):
        scheme_named("ukbb")


def test_a_scheme_needs_distinct_numbers_from_1_to_255():
    for numbers in ({Structure.LV: 0}, {Structure.LV: 256}, {Structure.LV: 1, Structure.RV: 1}):
        with pytest.raises(InputError, match="distinct numbers from 1 to 255"):
            LabelScheme("odd", numbers)


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
def test_the_scheme_is_guessed_from_the_ring_and_what_it_encloses(scheme):
    numbers = scheme.numbers
    labels = ring_labels(numbers[Structure.LV], numbers[Structure.MYO], numbers[Structure.RV])
    guessed, warning = guess_scheme(labels, "case.nii.gz")
    assert guessed is scheme
    assert "case.nii.gz" in warning
    assert "ring" in warning
    assert guess_scheme(labels[None])[0] is scheme


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
def test_the_cavity_is_found_where_no_right_ventricle_is_labelled(scheme):
    labels = ring_labels(scheme.numbers[Structure.LV], 2, 0)
    assert guess_scheme(labels)[0] is scheme


@pytest.mark.parametrize("scheme", [ACDC, MNMS])
def test_the_ring_rule_holds_where_only_some_slices_have_a_closed_ring(scheme):
    labels = ring_labels(scheme.numbers[Structure.LV], 2, scheme.numbers[Structure.RV])
    labels[0, :, 22:][labels[0, :, 22:] == 2] = 0
    labels[1][labels[1] == 2] = 0
    assert guess_scheme(labels)[0] is scheme


@pytest.mark.shared
@pytest.mark.parametrize("scheme", [ACDC, MNMS])
def test_the_ring_rule_is_right_on_every_real_label_volume(shared_data, scheme):
    files = sorted((shared_data / "acdc").glob("*_gt.nii.gz"))[::5]
    assert len(files) >= 20
    for file in files:
        labels = np.asarray(nibabel.load(file).dataobj).T
        assert guess_scheme(ACDC.convert(labels, scheme))[0] is scheme, file


def test_label_1_alone_is_a_left_atrium_and_label_4_the_scheme_of_all():
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[1, 2:5, 2:5] = 1
    assert guess_scheme(labels)[0] is LEFT_ATRIUM
    labels[2, 2:5, 2:5] = 4
    assert guess_scheme(labels)[0] is ALL


def test_what_cannot_be_guessed_is_refused():
    with pytest.raises(InputError, match="is empty"):
        guess_scheme(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(InputError, match="holds label 7"):
        guess_scheme(np.full((3, 8, 8), 7, np.uint8))


@pytest.mark.parametrize("source", SCHEMES.values(), ids=SCHEMES)
def test_renumbering_keeps_every_structure(source):
    labels = np.array([[[0, *source.numbers.values()]]], np.uint8)
    there = source.convert(labels, ALL)
    for structure, number in source.numbers.items():
        assert np.array_equal(labels == number, there == ALL.numbers[structure])
    assert np.array_equal(ALL.convert(there, source), labels)


def test_a_structure_without_a_number_in_the_target_is_refused_only_if_it_occurs():
    assert ALL.convert(np.array([[[0, 1, 2, 3]]]), ACDC).tolist() == [[[0, 1, 2, 3]]]
    with pytest.raises(InputError, match="'acdc' has no number for LA"):
        ALL.convert(np.array([[[0, 4]]]), ACDC)


def test_a_label_that_the_scheme_does_not_name_is_refused():
    with pytest.raises(InputError, match="holds label 4, which scheme 'acdc' does not name"):
        ACDC.check(np.array([0, 1, 4]))
    ACDC.check(np.array([0, 3]))
