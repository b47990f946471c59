"""Each repair does what its name says, in millimetres, for any slice axis, and spares a good segmentation."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, MNMS, Structure
from SparseCardiacSegLib.automatic.postprocess import NONE, PostprocessSettings, postprocess
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

SPACING = (8.0, 1.0, 2.0)
RV, MYO, LV = (ACDC.numbers[structure] for structure in (Structure.RV, Structure.MYO, Structure.LV))


def only(**switches):
    """Settings with nothing on but what is asked for."""
    return PostprocessSettings(**{**NONE.__dict__, **switches})


def heart(axis=0):
    """Labels [slice, row, col] with rings of MYO around LV and a block of RV, slices along `axis`; and the stack."""
    labels = np.zeros((6, 60, 40), np.uint8)
    rows, cols = np.mgrid[:60, :40]
    distance = np.hypot((rows - 30) * SPACING[1], (cols - 22) * SPACING[2])
    labels[1:5, distance < 20] = MYO
    labels[1:5, distance < 13] = LV
    labels[1:5, 20:40, 3:10] = RV
    return labels, axis


def segmentation(labels, axis=0, scheme=ACDC):
    """Put slices-first labels on a grid whose slices lie along `axis`."""
    array = np.moveaxis(labels, 0, axis)
    spacing = [*SPACING[1:]]
    spacing.insert(axis, SPACING[0])
    matrix = np.diag([*spacing[::-1], 1.0])
    return Segmentation(Stack(np.ascontiguousarray(array), matrix, axis), scheme)


def run(labels, steps, axis=0, scheme=ACDC):
    result = postprocess(segmentation(labels, axis, scheme), steps)
    return np.moveaxis(result.labels.array, axis, 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_good_segmentation_stays_as_it_is(axis):
    labels, _ = heart()
    np.testing.assert_array_equal(run(labels, PostprocessSettings(), axis), labels)


def test_the_phantom_heart_with_its_open_base_stays_as_it_is():
    _, reference = phantom.all_structures()
    result = postprocess(reference, PostprocessSettings())
    np.testing.assert_array_equal(result.labels.array, reference.labels.array)
    assert result.scheme == reference.scheme


def test_no_switch_changes_nothing():
    noise = np.random.default_rng(0).integers(0, 4, (4, 20, 20)).astype(np.uint8)
    np.testing.assert_array_equal(run(noise, NONE), noise)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_only_the_largest_part_of_each_structure_stays(axis):
    labels, _ = heart()
    dirty = labels.copy()
    dirty[1, 2:5, 2:5] = LV
    dirty[4, 50:55, 34:38] = RV
    np.testing.assert_array_equal(run(dirty, only(largest_component=True), axis), labels)


def test_parts_that_touch_by_a_corner_in_the_next_slice_stay_together():
    labels = np.zeros((3, 20, 20), np.uint8)
    labels[0, 2:8, 2:8] = LV
    labels[1, 8:12, 8:12] = LV
    np.testing.assert_array_equal(run(labels, only(largest_component=True)), labels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_holes_are_filled_by_what_encloses_them(axis):
    labels, _ = heart()
    holed = labels.copy()
    holed[2, 29:31, 20:23] = 0
    holed[3, 28, 5] = 0
    holed[2, 12:14, 22] = 0
    np.testing.assert_array_equal(run(holed, only(fill_holes=True), axis), labels)


def test_a_gap_between_ring_and_cavity_is_filled_by_the_nearer():
    labels, _ = heart()
    rows, cols = np.mgrid[:60, :40]
    distance = np.hypot((rows - 30) * SPACING[1], (cols - 22) * SPACING[2])
    gap = (distance >= 10) & (distance < 16)
    holed = labels.copy()
    holed[2][gap] = 0
    filled = run(holed, only(fill_holes=True))
    assert (filled[2] != 0).sum() == (labels[2] != 0).sum()
    assert set(np.unique(filled[2][gap])) == {MYO, LV}


def test_an_empty_ring_and_a_gap_between_the_ventricles_are_no_holes():
    labels, _ = heart()
    ring = np.where(labels == LV, 0, labels)
    np.testing.assert_array_equal(run(ring, only(fill_holes=True)), ring)
    between = np.zeros((1, 30, 30), np.uint8)
    between[0, 5:25, 5:25] = RV
    between[0, 5:25, 15:25] = MYO
    between[0, 12:16, 13:17] = 0
    np.testing.assert_array_equal(run(between, only(fill_holes=True)), between)


def test_closing_uses_millimetres_and_never_takes_from_others():
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0, 5:35, 5:35] = RV
    notched = labels.copy()
    notched[0, 5:20, 18:20] = 0
    closed = run(notched, only(closing=True, closing_mm=4.0))
    assert (closed == RV).sum() > (notched == RV).sum() + 20
    np.testing.assert_array_equal(run(notched, only(closing=True, closing_mm=1.0)), notched)
    other = notched.copy()
    other[0, 5:20, 18:20] = LV
    np.testing.assert_array_equal(run(other, only(closing=True, closing_mm=4.0)), other)


def test_closing_keeps_the_cavity_of_an_empty_ring_open():
    labels, _ = heart()
    ring = np.where(labels == LV, 0, labels)
    closed = run(ring, only(closing=True, closing_mm=15.0))
    assert not (closed[labels == LV]).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_with_too_little_or_too_much_are_emptied(axis):
    labels, _ = heart()
    dirty = labels.copy()
    dirty[0, 30:33, 20:23] = LV  # 9 voxels of 2 mm2
    dirty[5, 2:58, 2:38] = MYO
    np.testing.assert_array_equal(run(dirty, only(blank_slices=True), axis), labels)
    kept = only(blank_slices=True, blank_below_mm2=10.0)
    assert (run(dirty, kept, axis)[0] == dirty[0]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cavity_without_myocardium_around_it_is_removed(axis):
    labels, _ = heart()
    dirty = labels.copy()
    dirty[2, 53:59, 20:26] = LV
    dirty[0, 26:34, 18:26] = LV
    np.testing.assert_array_equal(run(dirty, only(myo_surrounds_lv=True), axis), labels)


def test_a_basal_slice_whose_ring_is_two_thirds_open_keeps_its_cavity():
    labels, _ = heart()
    rows, cols = np.mgrid[:60, :40]
    angle = np.degrees(np.arctan2((rows - 30) * SPACING[1], (cols - 22) * SPACING[2]))
    labels[1] = np.where((labels[1] == MYO) & (np.abs(angle) < 120), 0, labels[1])
    np.testing.assert_array_equal(run(labels, only(myo_surrounds_lv=True)), labels)


def test_a_cine_is_repaired_frame_by_frame():
    labels, _ = heart()
    dirty = labels.copy()
    dirty[1, 2:5, 2:5] = LV
    cine = Segmentation(Stack(np.stack([dirty, np.zeros_like(labels), labels]), np.diag([2, 1, 8.0, 1])), ACDC)
    result = postprocess(cine, only(largest_component=True)).labels.array
    np.testing.assert_array_equal(result, np.stack([labels, np.zeros_like(labels), labels]))
    assert (cine.labels.array[0] == dirty).all()


def test_scheme_and_warnings_are_kept():
    labels, _ = heart()
    given = segmentation(ACDC.convert(labels, MNMS), scheme=MNMS)
    given = Segmentation(given.labels, MNMS, ("guessed",))
    result = postprocess(given)
    assert (result.scheme, result.warnings) == (MNMS, ("guessed",))
    np.testing.assert_array_equal(result.labels.array, given.labels.array)


@pytest.mark.parametrize(
    "wrong",
    [{"closing_mm": 0}, {"closing_mm": float("nan")}, {"blank_below_mm2": -1}, {"blank_above": 0}, {"least_ring": 2}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError):
        PostprocessSettings(**wrong)
