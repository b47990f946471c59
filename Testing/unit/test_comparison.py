"""Figures by structure, region and slice."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from scipy import ndimage
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.comparison import MetricRow, columns, compare, compare_slices
from SparseCardiacSegLib.measures.overlap import overlap
from SparseCardiacSegLib.measures.surface import surface_distances
from SparseCardiacSegLib.regions import label_regions
from SparseCardiacSegLib.segmentation import Segmentation

CONTRACT = (
    "case, structure, region, dice, iou, precision, recall, hd_mm, hd95_mm, mad_mm, volume_pred_ml, volume_ref_ml, flag"
)


def changed(segmentation: Segmentation, change) -> Segmentation:
    labels = segmentation.labels.array.copy()
    change(labels)
    return Segmentation(segmentation.labels.with_array(labels), segmentation.scheme)


@pytest.fixture(scope="module")
def reference() -> Segmentation:
    return phantom.heart()[1]


def test_the_first_thirteen_columns_are_the_contract() -> None:
    assert columns(MetricRow)[:13] == CONTRACT.split(", ")


def test_there_is_one_row_for_each_structure_and_region(reference) -> None:
    rows = compare(reference, reference, label_regions(reference), case="phantom")
    assert [(row.structure, row.region) for row in rows] == [
        (structure, region) for structure in ("RV", "MYO", "LV") for region in ("all", "base", "middle", "apex")
    ]
    assert {row.dice for row in rows} == {1.0}
    assert {row.hd_mm for row in rows} == {0.0}
    assert {row.case for row in rows} == {"phantom"}
    assert {row.regions_method for row in rows} == {"20/60/20"}
    assert [row.structure for row in compare(reference, reference, None)] == ["RV", "MYO", "LV"]


def test_regional_figures_are_those_of_the_regions_slices_alone(reference) -> None:
    prediction = changed(reference, lambda labels: labels[1:3].__setitem__(..., np.roll(labels[1:3], 4, -1)))
    rows = {(row.structure, row.region): row for row in compare(prediction, reference, label_regions(reference))}
    assert rows["LV", "middle"].dice == rows["LV", "apex"].dice == 1.0
    pair = prediction.mask(Structure.LV)[1:3], reference.mask(Structure.LV)[1:3]
    expected = surface_distances(*pair, reference.labels.spacing)
    row = rows["LV", "base"]
    assert row.dice == overlap(*pair).dice < 1
    assert (row.hd_mm, row.hd95_mm, row.mad_mm) == pytest.approx((expected.hd, expected.hd95, expected.mad))
    assert row.volume_ref_ml == pytest.approx(pair[1].sum() * 10 * 1.5 * 1.5 / 1000)
    assert row.n_slices == 2
    parts = sum(rows["LV", region].volume_ref_ml for region in ("base", "middle", "apex"))
    assert rows["LV", "all"].volume_ref_ml == pytest.approx(parts)


def test_a_slice_predicted_outside_of_all_regions_counts_in_all_only(reference) -> None:
    prediction = changed(reference, lambda labels: labels.__setitem__(0, labels[1]))
    rows = {(row.structure, row.region): row for row in compare(prediction, reference, label_regions(reference))}
    assert rows["LV", "all"].dice < 1
    assert rows["LV", "base"].dice == 1


def test_missing_and_empty_structures_are_flagged(reference) -> None:
    prediction = changed(reference, lambda labels: labels.__setitem__(labels == 1, 0))
    rows = {(row.structure, row.region): row for row in compare(prediction, reference, label_regions(reference))}
    missing = rows["RV", "all"]
    assert (missing.flag, missing.dice, missing.recall) == ("missing", 0, 0)
    assert np.isnan([missing.hd_mm, missing.hd95_mm, missing.mad_mm]).all()
    assert missing.volume_diff_pct == pytest.approx(-100)
    empty = rows["RV", "apex"]
    assert (empty.flag, empty.dice, empty.hd_mm) == ("both empty", 1, 0)
    assert missing.diagonal_mm == pytest.approx(np.linalg.norm([100, 144, 144]))


def test_a_region_without_slices_measures_nothing(reference) -> None:
    regions = label_regions(reference)
    for index in regions.slices("apex"):
        regions = regions.with_override(index, "middle")
    row = next(row for row in compare(reference, reference, regions) if row.region == "apex")
    assert row.flag == "no slices"
    assert np.isnan([row.dice, row.hd_mm]).all()
    assert row.n_slices == 0


def test_schemes_may_differ_and_the_surface_definition_is_recorded(reference) -> None:
    prediction = reference.in_scheme(MNMS)
    rows = compare(prediction, reference, None, "surfel")
    assert {(row.dice, row.surface_definition) for row in rows} == {(1.0, "surfel")}


def test_the_left_atrium_has_no_regions() -> None:
    atrium = phantom.left_atrium()[1]
    rows = compare(atrium, atrium, label_regions(atrium, "thirds", base_first=True))
    assert [(row.structure, row.region) for row in rows] == [("LA", "all")]


def test_regions_work_along_another_through_plane_axis() -> None:
    plain = phantom.heart()[1]
    turned = phantom.heart(0.0, phantom.grid((96, 10, 96), (1.5, 10.0, 1.5), through_plane=1))[1]
    grown = [
        Segmentation(s.labels.with_array(np.where(ndimage.binary_dilation(s.mask(Structure.LV)), 3, 0)), ACDC)
        for s in (plain, turned)
    ]
    rows = [
        compare(g, s, label_regions(s), structures=[Structure.LV]) for g, s in zip(grown, (plain, turned), strict=True)
    ]
    for a, b in zip(*rows, strict=True):
        assert (a.region, a.dice) == (b.region, b.dice)
        assert (a.hd95_mm, a.mad_mm) == pytest.approx((b.hd95_mm, b.mad_mm))


def test_slices_are_compared_in_2d_base_first() -> None:
    reference = phantom.heart(0.0, phantom.grid(base_first=False))[1]
    prediction = changed(reference, lambda labels: labels.__setitem__(8, np.roll(labels[8], 2, 1)))
    rows = [row for row in compare_slices(prediction, reference, label_regions(reference)) if row.structure == "LV"]
    assert [row.slice for row in rows] == list(range(9, -1, -1))
    assert [row.region for row in rows][:3] == ["", "base", "base"]
    basal = rows[1]
    expected = surface_distances(prediction.mask(Structure.LV)[8], reference.mask(Structure.LV)[8], (1.5, 1.5))
    assert (basal.hd_mm, basal.mad_mm) == (expected.hd, expected.mad)
    assert basal.hd_mm == pytest.approx(3.0)
    assert basal.area_ref_mm2 == reference.mask(Structure.LV)[8].sum() * 2.25
    assert rows[0].flag == "both empty"


def test_grids_that_differ_are_refused_and_both_are_named(reference) -> None:
    spaced = phantom.heart(0.0, phantom.grid(spacing=(10.0, 1.5, 1.4)))[1]
    with pytest.raises(InputError, match=r"phantom and phantom lie on different grids \(spacing 10 x 1.5 x 1.4"):
        compare(spaced, reference, None)
    with pytest.raises(InputError, match=r"shape \(9, 96, 96\) but phantom has \(10, 96, 96\)"):
        compare(phantom.heart(0.0, phantom.grid((9, 96, 96)))[1], reference, None)
    moved = phantom.heart(0.0, phantom.grid(shift=(0, 2.0, 0)))[1]
    with pytest.raises(InputError, match="position"):
        compare(moved, reference, None)
    with pytest.raises(InputError, match="4 frames"):
        compare(phantom.cine(4)[1], reference, None)
    atrium = Segmentation(reference.labels.with_array((reference.labels.array > 0).astype(np.uint8)), LEFT_ATRIUM)
    with pytest.raises(InputError, match="no structure in common"):
        compare(atrium, reference, None)
