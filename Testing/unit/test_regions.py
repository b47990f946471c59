"""Base, middle and apex of a stack."""

from __future__ import annotations

import csv

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.regions import Region, base_to_apex, full_ring, label_regions, write_regions
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack


def letters(regions) -> str:
    return "".join(region.value[0] if region else "-" for region in regions.regions)


def stack_of(slices: list[np.ndarray]) -> Segmentation:
    matrix = np.diag([1.5, 1.5, 10.0, 1.0])
    return Segmentation(Stack(np.array(slices, np.uint8), matrix, source="made up"), ACDC)


def rings(n: int, before: int = 0, after: int = 0, open_ring: tuple[int, ...] = ()) -> Segmentation:
    y, x = np.mgrid[-12:13, -12:13]
    slices = [np.zeros((25, 25), np.uint8)] * before
    for index in range(n):
        radius = np.hypot(x, y) * (1 + 0.08 * index)
        labels = np.where(radius <= 5, 3, np.where(radius <= 8, 2, 0))
        if index in open_ring:
            labels[(np.abs(y) <= 2) & (x > 0) & (labels == 2)] = 0
        slices.append(labels)
    return stack_of(slices + [np.zeros((25, 25), np.uint8)] * after)


@pytest.mark.parametrize(("base_first", "oblique", "left_handed"), [(True, False, False), (False, True, True)])
@pytest.mark.parametrize("phase", [0.0, 0.4, 1.0])
def test_the_base_is_found_in_any_orientation_and_phase(base_first, oblique, left_handed, phase) -> None:
    grid = phantom.grid(oblique=oblique, base_first=base_first, left_handed=left_handed)
    found = base_to_apex(phantom.heart(phase, grid)[1])
    assert found.base_first is base_first
    assert found.certain
    assert f"slice {0 if base_first else 9} is taken as the base" in found.reason


def test_the_base_is_found_along_another_through_plane_axis() -> None:
    grid = phantom.grid((96, 96, 10), (1.5, 1.5, 10.0), through_plane=2, base_first=False)
    segmentation = phantom.heart(0.0, grid)[1]
    assert base_to_apex(segmentation).base_first is False
    assert letters(label_regions(segmentation)) == "-aammmmbb-"


def test_a_stack_that_does_not_narrow_is_called_uncertain_and_warned_about() -> None:
    y, x = np.mgrid[-12:13, -12:13]
    cylinder = stack_of([np.where(np.hypot(x, y) < 6, 3, 0)] * 6)
    assert not base_to_apex(cylinder).certain
    assert "uncertain" in label_regions(cylinder).warnings[0]
    assert not label_regions(cylinder, base_first=True).warnings


def test_an_empty_stack_has_no_certain_base() -> None:
    assert not base_to_apex(stack_of([np.zeros((5, 5))] * 4)).certain


@pytest.mark.parametrize(
    ("n", "expected"),
    [(10, "bbbbmmmmaa"), (9, "bbbmmmaaa"), (11, "bbbbmmmmaaa"), (4, "bbmm"), (5, "bbmma"), (1, "b"), (2, "bm")],
)
def test_thirds_are_ceil_n_over_3_of_the_whole_stack(n, expected) -> None:
    regions = label_regions(rings(n), "thirds", base_first=True)
    assert letters(regions) == expected
    assert bool(regions.warnings) is (set(expected) != set("bma"))


@pytest.mark.parametrize(
    ("n", "edge"), [(1, 0), (2, 0), (3, 1), (5, 1), (7, 1), (8, 2), (10, 2), (12, 2), (13, 3), (15, 3)]
)
def test_20_60_20_counts_slices_that_hold_a_segmentation(n, edge) -> None:
    regions = label_regions(rings(n, before=2, after=1), "20/60/20", base_first=True)
    assert letters(regions) == "--" + "b" * edge + "m" * (n - 2 * edge) + "a" * edge + "-"


def test_aha_leaves_out_slices_whose_ring_is_open() -> None:
    regions = label_regions(rings(8, open_ring=(0, 1)), "aha", base_first=True)
    assert letters(regions) == "--bbmmaa"


def test_a_ring_needs_muscle_all_around_the_cavity() -> None:
    y, x = np.mgrid[-9:10, -9:10]
    cavity, muscle = np.hypot(x, y) < 4, (np.hypot(x, y) >= 4) & (np.hypot(x, y) < 6)
    assert full_ring(muscle, cavity)
    assert not full_ring(muscle & ~((y == 0) & (x > 0)), cavity)
    assert not full_ring(muscle, np.zeros_like(cavity))


def test_regions_are_counted_from_the_base_end_whatever_the_order() -> None:
    first = label_regions(phantom.heart()[1])
    last = label_regions(phantom.heart(0.0, phantom.grid(base_first=False))[1])
    assert first.regions == last.regions[::-1]
    assert last.base_first is False
    assert last.slices(Region.BASE) == [8, 7]
    assert [region for _, region in first.table()] == [region for _, region in last.table()]


def test_a_slice_can_be_set_by_hand_and_the_method_says_so() -> None:
    regions = label_regions(phantom.heart()[1]).with_override(3, "base").with_override(0, Region.BASE)
    assert regions.slices("base") == [0, 1, 2, 3]
    assert regions.method == "20/60/20 + by hand"
    assert regions.with_override(3, None).slices("base") == [0, 1, 2]
    with pytest.raises(InputError, match="slices 0 to 9"):
        regions.with_override(10, "base")
    with pytest.raises(InputError, match="unknown region 'top'"):
        regions.with_override(1, "top")


def test_the_csv_lists_slices_base_first(tmp_path) -> None:
    regions = label_regions(phantom.heart(0.0, phantom.grid(base_first=False))[1])
    write_regions(regions, tmp_path / "regions.csv")
    rows = list(csv.DictReader((tmp_path / "regions.csv").open()))
    assert list(rows[0])[:2] == ["slice", "region"]
    assert [int(row["slice"]) for row in rows] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [row["region"] for row in rows] == ["base"] * 2 + ["middle"] * 4 + ["apex"] * 2
    assert {(row["method"], row["base_first"]) for row in rows} == {("20/60/20", "false")}


def test_what_cannot_be_labelled_is_refused_with_a_clear_sentence() -> None:
    with pytest.raises(InputError, match=r"unknown region method 'quarters'; known are thirds, 20/60/20, aha"):
        label_regions(phantom.heart()[1], "quarters")
    with pytest.raises(InputError, match="made up has no slice with LV, MYO or RV"):
        label_regions(stack_of([np.zeros((5, 5))] * 4))
    with pytest.raises(InputError, match="no slice with a full myocardial ring"):
        label_regions(rings(4, open_ring=(0, 1, 2, 3)), "aha")
    with pytest.raises(InputError, match="has 4 frames"):
        label_regions(phantom.cine(4)[1])


@pytest.mark.shared
def test_the_base_is_found_in_every_acdc_stack_both_ways_round(shared_data) -> None:
    files = sorted((shared_data / "acdc").glob("*_gt.nii.gz"))
    assert len(files) == 140
    for file in files:
        segmentation = read_segmentation(file, ACDC)
        flipped = Segmentation(segmentation.labels.with_array(segmentation.labels.array[::-1]), ACDC)
        assert base_to_apex(segmentation).base_first, file.name
        assert not base_to_apex(flipped).base_first, file.name
        assert segmentation.mask(Structure.LV).any()
