from __future__ import annotations

import numpy as np
import pytest
from io_grids import SHAPE, matrix_of, ring_labels
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.segmentation import Segmentation, from_masks
from SparseCardiacSegLib.stack import Stack


def heart(scheme=ACDC, kind="oblique") -> Segmentation:
    numbers = scheme.numbers
    labels = ring_labels(numbers[Structure.LV], numbers[Structure.MYO], numbers[Structure.RV])
    return Segmentation(Stack(labels, matrix_of(kind), source="case"), scheme)


def test_labels_outside_the_scheme_are_refused():
    with pytest.raises(InputError, match="case holds label 2"):
        Segmentation(heart().labels, LEFT_ATRIUM)


@pytest.mark.parametrize("scheme", [ACDC, MNMS, ALL])
def test_masks_are_asked_for_by_name_whatever_the_numbers(scheme):
    expected = heart(ACDC).labels.array
    segmentation = heart(scheme)
    assert np.array_equal(segmentation.mask(Structure.LV), expected == 3)
    assert np.array_equal(segmentation.mask(Structure.MYO), expected == 2)
    assert np.array_equal(segmentation.mask(Structure.RV), expected == 1)
    assert not segmentation.mask(Structure.LA).any()


def test_renumbering_changes_numbers_and_nothing_else():
    there = heart(ACDC).in_scheme(MNMS)
    assert there.scheme is MNMS
    assert np.array_equal(there.labels.array, heart(MNMS).labels.array)
    assert np.array_equal(there.in_scheme(ACDC).labels.array, heart(ACDC).labels.array)
    with pytest.raises(InputError, match="no number for"):
        heart(ACDC).in_scheme(LEFT_ATRIUM)


@pytest.mark.parametrize("kind", ["oblique", "left_handed", "sheared"])
def test_volume_is_voxels_times_area_times_slice_distance(kind):
    segmentation = heart(kind=kind)
    voxels = np.count_nonzero(segmentation.labels.array == 3)
    assert segmentation.volume_ml(Structure.LV) == pytest.approx(voxels * 1.3671875 * 1.41 * 9.9 / 1000)
    assert segmentation.volume_ml(Structure.LA) == 0


def test_masks_with_the_through_plane_axis_first():
    base = heart()
    turned = Stack(np.moveaxis(base.labels.array, 0, 2), base.labels.ijk_to_ras, through_plane=2)
    segmentation = Segmentation(turned, ACDC)
    assert np.array_equal(segmentation.slices_first_mask(Structure.LV), base.mask(Structure.LV))


def test_where_masks_overlap_lv_lies_over_myo_over_rv():
    masks = {structure: np.zeros(SHAPE, bool) for structure in (Structure.LV, Structure.RV, Structure.MYO)}
    masks[Structure.RV][0] = masks[Structure.RV][1] = masks[Structure.RV][2] = True
    masks[Structure.MYO][1] = masks[Structure.MYO][2] = True
    masks[Structure.LV][2] = True
    combined = from_masks(Stack(np.zeros(SHAPE), matrix_of("oblique")), masks, MNMS)
    assert combined.labels.array[:4, 0, 0].tolist() == [3, 2, 1, 0]
    assert from_masks(combined.labels, {}, MNMS).labels.array.max() == 0


def test_a_frame_of_a_labelled_cine_keeps_scheme_and_warnings():
    labels = np.stack([heart().labels.array, np.zeros((4, 40, 40), np.uint8)])
    cine = Segmentation(Stack(labels, matrix_of("oblique")), ACDC, ("guessed",))
    assert cine.frame(0).mask(Structure.LV).any()
    assert not cine.frame(1).labels.array.any()
    assert cine.frame(1).warnings == ("guessed",)
