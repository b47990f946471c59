"""A region of interest limits where labels are looked for, exactly, on any grid."""

from __future__ import annotations

import json

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.roi import VoxelBox, box_from_ras, cropped, put_back, read_box
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.stack import Stack, ijk_to_ras

OBLIQUE = np.array([[1.2, 0.9, 0, -20], [0.9, -1.2, 0, 30], [0, 0, -8.0, 5], [0, 0, 0, 1.0]])
"""Turned by 37 degrees in plane, left-handed, slices 8 mm apart and downwards."""


def stack(matrix=OBLIQUE, shape=(6, 20, 24)):
    return Stack(np.random.default_rng(0).random(shape), matrix, source="heart.nii.gz")


def centres(grid):
    """RAS of every voxel centre, (slice, row, col, 3)."""
    k, j, i = np.mgrid[tuple(slice(size) for size in grid.shape)]
    return ijk_to_ras(grid.ijk_to_ras, np.stack([i, j, k], -1))


def test_every_voxel_of_a_ras_box_lies_in_the_voxel_box_and_the_box_is_no_larger_than_needed():
    grid = stack()
    low, high = (-10.0, 10.0, -30.0), (10.0, 28.0, -5.0)
    box = box_from_ras(grid, low, high)
    points = centres(grid)
    inside = ((points >= low) & (points <= high)).all(-1)
    within = np.zeros(grid.shape, bool)
    within[box.slices] = True
    assert inside.any()
    assert not (inside & ~within).any()
    assert (box.start[0], box.stop[0]) == (2, 5)  # S -5 to -30 mm holds slices at -11, -19 and -27


def test_a_box_between_voxel_edges_on_a_straight_grid_is_exact():
    grid = stack(np.diag([1.0, 2.0, 3.0, 1.0]))
    box = box_from_ras(grid, (2.0, 4.0, 3.0), (5.0, 9.9, 9.0))
    assert (box.start, box.stop) == ((1, 2, 2), (4, 5, 6))


def test_a_crop_keeps_every_voxel_at_its_place():
    grid = stack()
    box = VoxelBox((1, 3, 5), (4, 10, 20))
    crop = cropped(grid, box)
    np.testing.assert_array_equal(crop.array, grid.array[1:4, 3:10, 5:20])
    np.testing.assert_allclose(centres(crop), centres(grid)[box.slices], atol=1e-9)


def test_the_margin_is_in_millimetres_and_ends_at_the_grid():
    grown = VoxelBox((1, 8, 5), (4, 10, 20)).grown(stack(), 10.0)  # 8 mm slices, 1.5 mm pixels
    assert (grown.start, grown.stop) == ((0, 1, 0), (6, 17, 24))


def test_labels_come_back_in_their_place_and_the_margin_is_dropped():
    grid = stack()
    box, crop = VoxelBox((1, 8, 5), (4, 10, 20)), VoxelBox((0, 6, 4), (5, 12, 22))
    frames = np.ones((2, 5, 6, 18), np.uint8)
    full = put_back(frames, crop, box, grid)
    assert full.shape == (2, *grid.shape)
    assert full.sum() == 2 * 3 * 2 * 15
    assert (full[(slice(None), *box.slices)] == 1).all()


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ((0, 0, 0), (0, 10, 10), "empty"),
        ((500, 500, 500), (600, 600, 600), "outside heart.nii.gz, which goes from"),
        ((np.nan, 0, 0), (1, 1, 1), "finite"),
        ((0.0, 25.0, -16.0), (1.0, 26.0, -15.5), "empty"),
    ],
    ids=["no extent", "outside", "nan", "between two slices"],
)
def test_unusable_boxes_are_refused_with_a_sentence(low, high, message):
    with pytest.raises(InputError, match=message):
        box_from_ras(stack(), low, high)


def test_voxel_ranges_outside_the_grid_are_refused_and_those_across_its_edge_are_cut():
    with pytest.raises(InputError, match="outside heart"):
        VoxelBox((9, 0, 0), (10, 5, 5)).within(stack())
    with pytest.raises(InputError, match="empty"):
        VoxelBox((3, 0, 0), (3, 5, 5))
    assert VoxelBox((-3, 0, 0), (99, 5, 5)).within(stack()) == VoxelBox((0, 0, 0), (6, 5, 5))


def write(tmp_path, content):
    path = tmp_path / "box.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_may_give_millimetres_or_voxels(tmp_path):
    grid = stack()
    ras = {"ras": [-10, 10, 10, 28, -30, -5]}
    assert read_box(write(tmp_path, ras), grid) == box_from_ras(grid, (-10, 10, -30), (10, 28, -5))
    voxels = {"voxels": [5, 20, 8, 10, 1, 4]}
    assert read_box(write(tmp_path, voxels), grid) == VoxelBox((1, 8, 5), (4, 10, 20))


def slicer_roi(**changes):
    roi = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "center": [0.0, -19.0, -17.5],
        "size": [20.0, 18.0, 25.0],
        "orientation": [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0],
        **changes,
    }
    return {"markups": [roi]}


def test_a_roi_of_slicer_is_understood_in_both_coordinate_systems(tmp_path):
    grid = stack()
    expected = box_from_ras(grid, (-10, 10, -30), (10, 28, -5))
    assert read_box(write(tmp_path, slicer_roi()), grid) == expected
    in_ras = slicer_roi(coordinateSystem="RAS", center=[0.0, 19.0, -17.5])
    assert read_box(write(tmp_path, in_ras), grid) == expected


def test_a_turned_roi_of_slicer_that_follows_the_stack_is_exact(tmp_path):
    grid = stack()
    axes = OBLIQUE[:3, :3] / np.linalg.norm(OBLIQUE[:3, :3], axis=0)
    centre = ijk_to_ras(OBLIQUE, np.array([10.0, 8.0, 2.0]))
    turned = slicer_roi(
        coordinateSystem="RAS", center=centre.tolist(), size=[6.0, 9.0, 16.0], orientation=axes.ravel().tolist()
    )
    assert read_box(write(tmp_path, turned), grid) == VoxelBox((1, 5, 8), (4, 12, 13))


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        {},
        {"ras": [1, 2]},
        {"voxels": ["a"] * 6},
        {"voxels": [0, np.inf, 0, 5, 0, 5]},
        {"markups": []},
        slicer_roi(size=[0, 1, 1]),
        slicer_roi(size=[np.inf, 1, 1]),
    ],
    ids=["text", "list", "nothing", "two numbers", "letters", "endless", "no markup", "flat", "endless roi"],
)
def test_files_that_hold_no_box_are_refused_by_name(tmp_path, content):
    with pytest.raises(InputError, match=r"box\.json"):
        read_box(write(tmp_path, content), stack())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_box(tmp_path / "none.json", stack())
