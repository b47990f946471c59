"""Thickness of the wall by AHA segment, on rings and hearts whose thickness is known."""

from __future__ import annotations

import anatomical_heart
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.aha_segments import SEGMENT_NAMES, segment_of
from SparseCardiacSegLib.measures.myocardial_ring import measure_ring
from SparseCardiacSegLib.measures.slice_plane import SlicePlane
from SparseCardiacSegLib.measures.wall_thickness import segment_values, thickening, thickness_record, wall_thickness
from SparseCardiacSegLib.regions import Region
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

TRUE = np.array(list(anatomical_heart.THICKNESS_MM.values()))

GRIDS = {
    "as scanned": {},
    "turned in the plane": {"turned": 130.0},
    "apex first": {"base_first": False},
    "left-handed": {"left_handed": True},
    "left-handed, apex first": {"left_handed": True, "base_first": False, "turned": -75.0},
    "slices along columns": {"through_plane": 2, "turned": 20.0},
    "anisotropic pixels": {"spacing": (9.0, 1.1, 1.9), "turned": 45.0, "n_pixels": 130},
}


def ring(inner: float, thickness: float, spacing: tuple[float, float], centre=(59.3, 60.6)) -> np.ndarray:
    """Thickness at every degree of a perfect ring on pixels of `spacing`."""
    rows, columns = np.indices((120, 120))
    radius = np.hypot((rows - centre[0]) * spacing[0], (columns - centre[1]) * spacing[1])
    grid = Stack(np.zeros((3, 120, 120), np.uint8), np.diag([spacing[1], spacing[0], 10.0, 1.0]))
    return measure_ring((radius > inner) & (radius < inner + thickness), SlicePlane.of(grid, True)).thickness


@pytest.mark.parametrize("spacing", [(1.4, 1.4), (1.0, 2.0), (1.8, 1.3)])
@pytest.mark.parametrize(("inner", "thickness"), [(27.0, 9.0), (22.0, 6.0), (15.0, 14.0)])
def test_a_ring_of_known_thickness_comes_out_within_two_percent(spacing, inner, thickness):
    found = ring(inner, thickness, spacing)
    assert found.mean() == pytest.approx(thickness, rel=0.02)
    assert np.abs(found - thickness).max() < 0.75 * max(spacing)


def test_thickness_lies_across_the_wall_where_a_ray_from_the_centre_does_not():
    rows, columns = np.indices((160, 160))
    x, y = (columns - 79.5) * 0.7, (rows - 79.5) * 0.7
    # Two ellipses 8 mm apart along both axes; a ray at a slant crosses the wall at an angle and finds more.
    muscle = ((x / 42) ** 2 + (y / 22) ** 2 <= 1) & ((x / 34) ** 2 + (y / 14) ** 2 > 1)
    grid = Stack(np.zeros((3, 160, 160), np.uint8), np.diag([0.7, 0.7, 10.0, 1.0]))
    found = measure_ring(muscle, SlicePlane.of(grid, True))
    along_rays = found.epicardium - found.endocardium
    assert found.thickness.max() < 8.4
    assert along_rays.max() > 9.5


@pytest.mark.parametrize("name", GRIDS)
def test_every_segment_gets_its_own_thickness_however_the_stack_lies(name):
    wall = wall_thickness(anatomical_heart.heart(anatomical_heart.grid(**GRIDS[name])))
    coarse = max(GRIDS[name].get("spacing", (0, 1.4, 1.4))[1:]) > 1.5
    assert np.abs(np.array(wall.mean[:16]) - TRUE).max() < (0.6 if coarse else 0.35)  # neighbours differ by up to 4 mm
    assert np.array(wall.mean[:16]).mean() == pytest.approx(TRUE.mean(), rel=0.02)
    assert wall.thickest_segment == int(TRUE.argmax()) + 1
    assert wall.warnings == ()


@pytest.mark.parametrize("name", ["as scanned", "left-handed, apex first"])
def test_the_anterior_insertion_is_where_the_right_ventricle_begins(name):
    wall = wall_thickness(anatomical_heart.heart(anatomical_heart.grid(**GRIDS[name])))
    assert len(wall.insertion_ras) == 9
    for point in wall.insertion_ras.values():
        offset = np.array(point) - anatomical_heart.CENTRE
        true = anatomical_heart.insertion(float(offset @ anatomical_heart.APEX))
        assert np.linalg.norm(np.array(point) - true) < 3.0


def test_the_slices_that_count_are_the_rings_and_the_cap_is_segment_17():
    wall = wall_thickness(anatomical_heart.heart())
    assert [region for _, region in wall.slices] == [Region.BASE] * 3 + [Region.MIDDLE] * 3 + [Region.APEX] * 3
    assert [index for index, _ in wall.slices] == list(range(1, 10))
    assert wall.apex_slices == (10,)
    assert wall.mean[16] == pytest.approx(9.0)
    assert np.isnan(wall_thickness(anatomical_heart.heart(cap=False)).mean[16])


def test_an_open_ring_does_not_count():
    labels = anatomical_heart.heart()
    array = labels.labels.array.copy()
    array[2, :55] = np.where(array[2, :55] == ACDC.numbers[Structure.MYO], 0, array[2, :55])
    wall = wall_thickness(Segmentation(labels.labels.with_array(array), ACDC))
    assert 2 not in dict(wall.slices)


def test_without_right_ventricle_segments_are_unknown_and_the_whole_wall_is_not():
    wall = wall_thickness(anatomical_heart.heart(with_rv=False))
    whole = wall_thickness(anatomical_heart.heart())
    assert np.isnan(wall.mean[:16]).all()
    assert wall.global_mean == pytest.approx(whole.global_mean)
    assert wall.global_max == pytest.approx(whole.global_max)
    assert wall.max_segment == 0
    assert any("label the RV or give the anterior RV insertion point" in warning for warning in wall.warnings)


def test_an_insertion_point_takes_the_right_ventricles_place():
    point = anatomical_heart.insertion().tolist()
    wall = wall_thickness(anatomical_heart.heart(with_rv=False), insertion=point)
    assert np.abs(np.array(wall.mean[:16]) - TRUE).max() < 0.35
    assert set(wall.insertion_given) == set(range(1, 10))


def test_a_point_at_the_inferior_insertion_swaps_anterior_and_inferior():
    septum = np.deg2rad(-60)
    inferior = anatomical_heart.CENTRE + anatomical_heart.OUTER_MM * (
        np.cos(septum) * anatomical_heart.SEPTAL + np.sin(septum) * anatomical_heart.ANTERIOR
    )
    wall = wall_thickness(anatomical_heart.heart(), insertion=inferior.tolist())
    assert wall.mean[1] == pytest.approx(TRUE[2], abs=0.35)  # anteroseptal holds what was inferoseptal
    assert wall.mean[0] == pytest.approx(TRUE[3], abs=0.35)


def test_one_slice_can_be_corrected_alone():
    labels = anatomical_heart.heart()
    turned = np.deg2rad(100)
    point = anatomical_heart.CENTRE + 32 * (
        np.cos(turned) * anatomical_heart.SEPTAL + np.sin(turned) * anatomical_heart.ANTERIOR
    )
    before, after = wall_thickness(labels), wall_thickness(labels, insertion={2: point.tolist()})
    changed = {
        index for index in before.insertion_angle if before.insertion_angle[index] != after.insertion_angle[index]
    }
    assert changed == {2}
    assert after.insertion_given == (2,)
    assert abs(after.insertion_angle[2] - before.insertion_angle[2]) == pytest.approx(40.0, abs=3.0)


def test_a_slice_without_right_ventricle_takes_its_neighbours_insertion():
    wall = wall_thickness(anatomical_heart.heart())  # slice 9 has a ring and no RV
    assert wall.insertion_angle[9] == wall.insertion_angle[8]


def test_a_slice_whose_right_ventricle_is_torn_off_does_not_turn_its_segments():
    labels = anatomical_heart.heart()
    array = labels.labels.array.copy()
    rows, columns = np.nonzero(array[5] == ACDC.numbers[Structure.RV])
    keep = columns > np.median(columns)  # half of the contact is gone
    array[5, rows[~keep], columns[~keep]] = 0
    wall = wall_thickness(Segmentation(labels.labels.with_array(array), ACDC))
    assert np.abs(np.array(wall.mean[:16]) - TRUE).max() < 0.5


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1.0, 2.0], "three RAS coordinates"),
        ([float("nan"), 0.0, 0.0], "three RAS coordinates"),
        ([1000.0, 1000.0, 1000.0], "mm from the cavity of slice .* give it in RAS mm"),
        ({0: [0.0, 0.0, 0.0]}, "slice 0 has an insertion point but is not measured"),
        (anatomical_heart.CENTRE.tolist(), "in the middle of the cavity"),
    ],
)
def test_an_impossible_insertion_is_refused(bad, message):
    with pytest.raises(InputError, match=message):
        wall_thickness(anatomical_heart.heart(), insertion=bad)


def test_labels_without_a_ring_and_cines_are_refused():
    labels = anatomical_heart.heart()
    cavity = np.where(labels.mask(Structure.LV), labels.labels.array, 0)
    with pytest.raises(InputError, match="no slice with a full myocardial ring"):
        wall_thickness(Segmentation(labels.labels.with_array(cavity), ACDC))
    with pytest.raises(InputError, match="regions need one of them"):
        wall_thickness(phantom.cine(3)[1])


def test_a_lost_orientation_is_told():
    wall = wall_thickness(phantom.heart(0.0)[1])
    assert any("orientation is probably lost" in warning for warning in wall.warnings)


@pytest.mark.parametrize("turned", [-10.0, 0.0, 80.0, 170.0])
def test_where_the_orientation_is_lost_anterior_is_the_upper_end_or_as_seen_from_the_apex(turned):
    labels = anatomical_heart.heart(anatomical_heart.grid(turned=turned)).labels
    lost = Stack(labels.array, np.diag([1.4, 1.4, 9.0, 1.0]), source="identity")
    wall = wall_thickness(Segmentation(lost, ACDC))
    assert np.abs(np.array(wall.mean[:16]) - TRUE).max() < 0.4
    assert any("orientation is probably lost" in warning for warning in wall.warnings)


def test_a_mirrored_stack_is_told():
    labels = anatomical_heart.heart()
    matrix = labels.labels.ijk_to_ras.copy()
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored = Segmentation(Stack(labels.labels.array, mirror @ matrix, source="mirrored"), ACDC)
    wall = wall_thickness(mirrored)
    assert any("mirrored" in warning for warning in wall.warnings)
    assert np.abs(np.array(wall.mean[:16]) - TRUE).max() < 0.35  # anterior is still the upper one


def test_the_phantoms_wall_thickens_as_its_formula_says():
    on = phantom.grid((10, 96, 96), (10.0, 1.5, 1.5))
    ed, es = (wall_thickness(phantom.heart(phase, on)[1]) for phase in (0.0, 1.0))
    for wall, phase in ((ed, 0.0), (es, 1.0)):
        base, radius, length, muscle, *_ = phantom.Heart().size(phase)
        true = []
        for index, _ in wall.slices:
            depth = (index - 4.5) * 10.0 + 40.0 - base  # the middle of the stack lies 40 mm below the base plane
            outer = (radius + muscle) * np.sqrt(1 - (depth / (length + muscle)) ** 2)
            true.append(outer - radius * np.sqrt(1 - (depth / length) ** 2))
        assert wall.global_mean == pytest.approx(np.mean(true), rel=0.02)
    found = thickening(ed, es)
    assert np.isfinite(found[:16]).all()
    assert min(found[:12]) > 30
    assert np.isnan(found[16])


def test_thickening_is_the_growth_of_the_mean_in_percent():
    ed, es = wall_thickness(anatomical_heart.heart()), wall_thickness(anatomical_heart.heart(extra_mm=4.0))
    expected = 100 * 4.0 / TRUE
    assert np.abs(np.array(thickening(ed, es)[:16]) - expected).max() < 6.0


def test_the_record_is_json_with_none_for_what_is_unknown():
    import json

    wall = wall_thickness(anatomical_heart.heart(with_rv=False, cap=False))
    record = json.loads(json.dumps(thickness_record(wall, None), allow_nan=False))
    assert set(record["ed"]["mean_mm"].values()) == {None}
    assert record["es"] is None
    assert record["thickening_pct"] is None
    assert len(record["segments"]) == 17
    whole = thickness_record(wall_thickness(anatomical_heart.heart()), None)["ed"]
    assert np.abs(np.array(segment_values(whole["mean_mm"])[:16]) - TRUE).max() < 0.35


def test_segments_are_counted_from_the_anterior_insertion_through_the_septum():
    middles = np.array([30.0, 90.0, 150.0, 210.0, 270.0, 330.0])
    assert segment_of(Region.BASE, middles).tolist() == [2, 3, 4, 5, 6, 1]
    assert segment_of(Region.MIDDLE, middles).tolist() == [8, 9, 10, 11, 12, 7]
    assert segment_of(Region.APEX, np.array([60.0, 150.0, 240.0, 330.0])).tolist() == [14, 15, 16, 13]
    assert segment_of(Region.APEX, np.array([14.0, 16.0, -1.0])).tolist() == [13, 14, 13]
    assert SEGMENT_NAMES[1] == "basal anteroseptal"
