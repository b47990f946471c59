"""HD, HD95 and MAD against worked examples, MONAI, MedPy and DeepMind's surface-distance."""

from __future__ import annotations

import itertools

import numpy as np
import phantom
import pytest
import surface_distance as deepmind
from medpy.metric import binary as medpy
from scipy import ndimage
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.measures.nearest import nearest_distances
from SparseCardiacSegLib.measures.surface import boundary, surface_distances
from SparseCardiacSegLib.measures.surfels import neighbour_codes, surfel_sizes
from surface_distance import lookup_tables

# Of the packages compared with, not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning"),
]

SPACING = (10.0, 1.40625, 1.3671875)


def pairs() -> list[tuple[str, np.ndarray, np.ndarray, tuple[float, ...]]]:
    """Random and anatomical pairs of non-empty masks: noise, blobs, touching the border, flat, far apart, 2D."""
    rng = np.random.default_rng(7)
    found = []
    for number in range(40):
        shape = tuple(rng.integers(1, 15, 3 if number % 4 else 2))
        spacing = SPACING[-len(shape) :] if number % 2 else tuple(rng.uniform(0.4, 10, len(shape)))
        a, b = rng.random(shape) < rng.uniform(0.05, 0.95), rng.random(shape) < rng.uniform(0.05, 0.95)
        if number % 3 == 0:
            a, b = ndimage.binary_dilation(ndimage.binary_erosion(a)), ndimage.binary_dilation(b)
        a.flat[0], b.flat[-1] = True, True
        found.append((f"random {number}", a, b, spacing))
    for name in (Structure.RV, Structure.MYO, Structure.LV):
        mask = phantom.heart()[1].mask(name)
        found.append((f"{name} moved", np.roll(mask, (3, -2), (1, 2)), mask, SPACING))
        found.append((f"{name} grown", ndimage.binary_dilation(mask, iterations=2), mask, SPACING))
        found.append((f"{name} cut by the stack's end", mask[3:6], np.roll(mask, 1, 0)[3:6], SPACING))
        found.append((f"{name} at ES", phantom.heart(1.0)[1].mask(name), mask, SPACING))
    far = np.zeros((2, 12, 60, 60), bool)
    far[0, 0, :2, :2] = far[1, 11, 58:, 55:] = True
    found.append(("far apart", far[0], far[1], SPACING))
    return found


PAIRS = pairs()
IDS = [pair[0] for pair in PAIRS]


@pytest.mark.parametrize(("_", "prediction", "reference", "spacing"), PAIRS, ids=IDS)
def test_voxel_distances_equal_medpy(_, prediction, reference, spacing) -> None:
    found = surface_distances(prediction, reference, spacing)
    # MedPy's own hd95 pools both directions; from its directed distances ours follows.
    directed = getattr(medpy, "__surface_distances")
    there, back = directed(prediction, reference, spacing, 1), directed(reference, prediction, spacing, 1)
    assert found.hd == pytest.approx(medpy.hd(prediction, reference, spacing), abs=1e-6)
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=1e-6)
    mean = (medpy.asd(prediction, reference, spacing) + medpy.asd(reference, prediction, spacing)) / 2
    assert found.mad == pytest.approx(mean, abs=1e-6)
    assert found.flag == ""


@pytest.mark.parametrize(("_", "prediction", "reference", "spacing"), PAIRS, ids=IDS)
def test_voxel_distances_equal_monai(_, prediction, reference, spacing) -> None:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    # No padding needed: MONAI crops with a margin of one voxel of background, outside of the image too. It computes
    # in float32, hence the relative part of the tolerance.
    p, r = (torch.from_numpy(mask[None, None]) for mask in (prediction, reference))
    options = {"include_background": True, "spacing": spacing}
    there = float(compute_average_surface_distance(p, r, symmetric=False, **options))
    back = float(compute_average_surface_distance(r, p, symmetric=False, **options))
    expected = (
        float(compute_hausdorff_distance(p, r, directed=False, **options)),
        float(compute_hausdorff_distance(p, r, percentile=95, directed=False, **options)),
        (there + back) / 2,
    )
    found = surface_distances(prediction, reference, spacing)
    np.testing.assert_allclose((found.hd, found.hd95, found.mad), expected, rtol=4e-7, atol=1e-6)


@pytest.mark.parametrize(("_", "prediction", "reference", "spacing"), PAIRS, ids=IDS)
def test_surfel_distances_equal_deepmind(_, prediction, reference, spacing) -> None:
    found = surface_distances(prediction, reference, spacing, "surfel")
    distances = deepmind.compute_surface_distances(reference, prediction, spacing)
    assert found.hd == pytest.approx(deepmind.compute_robust_hausdorff(distances, 100), abs=1e-6)
    assert found.hd95 == pytest.approx(deepmind.compute_robust_hausdorff(distances, 95), abs=1e-6)
    assert found.mad == pytest.approx(np.mean(deepmind.compute_average_surface_distance(distances)), abs=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (10.0, 1.4, 1.3), (0.7, 3.0, 8.5)])
def test_all_256_surfel_areas_equal_deepminds_table(spacing) -> None:
    expected = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    np.testing.assert_allclose(surfel_sizes(spacing), expected, rtol=1e-13)
    lengths = lookup_tables.create_table_neighbour_code_to_contour_length(spacing[1:])
    np.testing.assert_allclose(surfel_sizes(spacing[1:]), lengths, rtol=1e-13)


@pytest.mark.parametrize("distance", [0, 1, 5, 20, 60])
@pytest.mark.parametrize("spacing", [SPACING, (1.0, 1.0, 1.0), (0.5, 4.0, 2.0)])
def test_nearest_distances_equal_a_full_distance_transform_to_the_last_bit(distance, spacing) -> None:
    rng = np.random.default_rng(distance)
    points, targets = np.zeros((2, 9, 90, 80), bool)
    points[2:8, 5:25, 4:30] = rng.random((6, 20, 26)) < 0.4
    targets[1:6, 5 + distance : 25 + distance, 6:30] = rng.random((5, 20, 24)) < 0.2
    for a, b in ((points, targets), (targets, points), (points, points & (rng.random(points.shape) < 0.01))):
        expected = ndimage.distance_transform_edt(~b, sampling=spacing)[a]
        np.testing.assert_array_equal(nearest_distances(a, b, spacing), expected)
        flat = ndimage.distance_transform_edt(~b[4], sampling=spacing[1:])[a[4]]
        np.testing.assert_array_equal(nearest_distances(a[4], b[4], spacing[1:]), flat)


def test_surfels_of_a_box_measure_its_faces() -> None:
    mask = np.zeros((12, 22, 32), bool)
    mask[1:11, 1:21, 1:31] = True
    area = surfel_sizes((2.0, 1.0, 0.5))[neighbour_codes(mask)].sum()
    faces = 2 * (20 * 20 + 20 * 15 + 20 * 15)
    assert 0.9 * faces < area < faces  # edges and corners are cut off


def test_two_voxels_three_slices_apart() -> None:
    a, b = np.zeros((5, 6, 6), bool), np.zeros((5, 6, 6), bool)
    a[0, 1, 1], b[3, 5, 4] = True, True
    distance = np.sqrt(30.0**2 + 8.0**2 + 4.5**2)
    found = surface_distances(a, b, (10.0, 2.0, 1.5))
    assert (found.hd, found.hd95, found.mad) == pytest.approx((distance,) * 3)


def test_hd95_is_the_larger_directed_percentile_and_not_the_pooled_one() -> None:
    reference = np.zeros((1, 3, 400), bool)
    reference[0, 1, :100] = True
    prediction = reference.copy()
    prediction[0, 1, 100:110] = True  # 10 of 110 predicted voxels are 1 to 10 mm away
    found = surface_distances(prediction, reference, (1.0, 1.0, 1.0))
    directed = np.percentile([0.0] * 100 + list(range(1, 11)), 95)
    assert found.hd == 10
    assert found.hd95 == pytest.approx(directed)
    assert found.mad == pytest.approx(55 / 110 / 2)
    assert surface_distances(reference, prediction, (1.0, 1.0, 1.0)) == found


def test_a_structure_cut_by_the_stacks_end_keeps_its_border() -> None:
    mask = np.ones((3, 5, 5), bool)
    assert boundary(mask).sum() == 3 * 5 * 5 - 1 * 3 * 3
    padded = np.pad(mask, 1)
    assert (boundary(mask) == (padded ^ ndimage.binary_erosion(padded))[1:-1, 1:-1, 1:-1]).all()


def test_empty_masks_follow_the_documented_rule() -> None:
    empty, full = np.zeros((3, 4, 4), bool), np.ones((3, 4, 4), bool)
    for definition in ("voxel", "surfel"):
        both = surface_distances(empty, empty, SPACING, definition)
        assert (both.hd, both.hd95, both.mad, both.flag) == (0, 0, 0, "both empty")
        for pair in ((empty, full), (full, empty)):
            one = surface_distances(*pair, SPACING, definition)
            assert np.isnan([one.hd, one.hd95, one.mad]).all()
            assert one.flag == "missing"


def test_bad_calls_are_refused() -> None:
    mask = np.ones((2, 2, 2), bool)
    with pytest.raises(InputError, match="unknown surface definition 'mesh'"):
        surface_distances(mask, mask, SPACING, "mesh")
    with pytest.raises(ValueError, match="do not fit"):
        surface_distances(mask, mask[:1], SPACING)
    with pytest.raises(ValueError, match="do not fit"):
        surface_distances(mask, mask, SPACING[1:])


def test_turning_the_axes_with_their_spacing_changes_nothing() -> None:
    reference = phantom.heart()[1].mask(Structure.MYO)[2:7, 20:70, 20:70]
    prediction = np.roll(reference, (1, 2), (0, 2))
    for definition in ("voxel", "surfel"):
        found = surface_distances(prediction, reference, SPACING, definition)
        for axes in itertools.permutations(range(3)):
            turned = (mask.transpose(axes)[::-1] for mask in (prediction, reference))
            other = surface_distances(*turned, tuple(SPACING[axis] for axis in axes), definition)
            expected = pytest.approx((found.hd, found.hd95, found.mad), abs=1e-9)
            assert (other.hd, other.hd95, other.mad) == expected


@pytest.mark.shared
@pytest.mark.parametrize("patient", ["patient002_frame01", "patient007_frame07"])
def test_real_acdc_masks_equal_both_packages(shared_data, patient) -> None:
    reference = read_segmentation(shared_data / "acdc" / f"{patient}_gt.nii.gz", ACDC)
    spacing = reference.labels.spacing
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        mask = reference.mask(structure)
        for prediction in (np.roll(mask, (1, 2), (0, 1)), ndimage.binary_dilation(mask), np.roll(mask, 40, 2)):
            test_voxel_distances_equal_medpy("", prediction, mask, spacing)
            test_surfel_distances_equal_deepmind("", prediction, mask, spacing)
