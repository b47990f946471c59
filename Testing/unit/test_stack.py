from __future__ import annotations

import numpy as np
import pytest
from io_grids import KINDS, SHAPE, matrix_of, stack_of
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.stack import Stack, ijk_to_ras, ras_to_ijk, through_plane_axis


def test_voxel_indices_are_column_row_slice():
    matrix = np.diag([2.0, 3.0, 10.0, 1.0])
    matrix[:3, 3] = [100, 200, 300]
    assert ijk_to_ras(matrix, np.array([1, 2, 3])).tolist() == [102, 206, 330]


@pytest.mark.parametrize("kind", KINDS)
def test_conversion_there_and_back_is_the_identity_on_every_grid(kind):
    matrix = matrix_of(kind)
    ijk = np.random.default_rng(0).uniform(-5, 200, (50, 3))
    ras = ijk_to_ras(matrix, ijk)
    assert np.allclose(ras, (np.c_[ijk, np.ones(50)] @ matrix.T)[:, :3], atol=1e-12)
    assert np.allclose(ras_to_ijk(matrix, ras), ijk, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_parent_transform_applies_after_the_volumes_own_matrix(kind):
    parent = matrix_of("left_handed") @ np.diag([1.0, 2.0, 0.5, 1.0])
    matrix = matrix_of(kind)
    ijk = np.array([3.0, 1.5, 2.0])
    by_hand = parent @ (matrix @ [*ijk, 1.0])
    assert np.allclose(ijk_to_ras(matrix, ijk, parent), by_hand[:3], atol=1e-12)
    assert np.allclose(ras_to_ijk(matrix, by_hand[:3], parent), ijk, atol=1e-9)


def test_a_single_point_and_a_grid_of_points_keep_their_shape():
    assert ras_to_ijk(matrix_of("oblique"), np.zeros(3)).shape == (3,)
    assert ijk_to_ras(matrix_of("oblique"), np.zeros((2, 4, 3))).shape == (2, 4, 3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sheared"])
def test_spacing_follows_the_axes_of_the_array(kind):
    assert stack_of(kind).spacing == pytest.approx((9.9, 1.41, 1.3671875), abs=1e-12)


def test_the_volume_of_a_sheared_voxel_is_base_times_height_not_the_product_of_its_edges():
    straight, sheared = stack_of("oblique"), stack_of("sheared")
    assert sheared.voxel_volume_ml == pytest.approx(straight.voxel_volume_ml, rel=1e-12)
    assert straight.voxel_volume_ml == pytest.approx(9.9 * 1.41 * 1.3671875 / 1000, rel=1e-12)
    assert np.prod(sheared.spacing) / 1000 > 1.005 * sheared.voxel_volume_ml
    assert stack_of("left_handed").voxel_volume_ml > 0


def test_a_frame_of_a_cine_is_a_stack_on_the_same_grid():
    cine = stack_of(n_frames=3)
    frame = cine.frame(2)
    assert not frame.is_cine
    assert frame.frame_times is None
    assert np.array_equal(frame.array, cine.array[2])
    assert frame.same_grid(cine)
    with pytest.raises(InputError, match="frames 0 to 2; 3 was asked for"):
        cine.frame(3)
    with pytest.raises(InputError, match="frames 0 to 0"):
        frame.frame(-1)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("n_frames", [0, 2])
def test_slices_first_and_back_is_the_identity(axis, n_frames):
    stack = stack_of(n_frames=n_frames)
    stack = Stack(stack.array, stack.ijk_to_ras, through_plane=axis)
    moved = stack.slices_first()
    assert moved.shape[-3] == stack.n_slices == SHAPE[axis]
    assert np.array_equal(stack.from_slices_first(moved), stack.array)
    assert stack.slices_first_spacing[0] == stack.spacing[axis]
    assert sorted(stack.slices_first_spacing) == sorted(stack.spacing)


def test_the_same_grid_is_the_same_place_of_every_voxel():
    stack = stack_of("oblique")
    moved = stack.ijk_to_ras.copy()
    moved[0, 3] += 0.01
    assert stack.same_grid(stack_of("oblique", dtype="uint8"))
    assert not stack.same_grid(Stack(stack.array, moved))
    assert stack.same_grid(Stack(stack.array, moved), tolerance_mm=0.02)
    assert not stack.same_grid(Stack(stack.array[:4], stack.ijk_to_ras))
    assert not stack.same_grid(stack_of("flipped"))


def test_other_voxels_must_fit_the_grid():
    stack = stack_of(n_frames=2)
    with pytest.raises(InputError, match="does not fit"):
        stack.with_array(np.zeros((5, 6, 8)))
    assert stack.with_array(np.zeros(SHAPE)).frame_times is None
    assert stack.with_array(np.zeros((2, *SHAPE))).frame_times == stack.frame_times
    assert stack.with_array(np.zeros((3, *SHAPE))).frame_times is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_singular_matrix_is_refused(axis):
    matrix = matrix_of("oblique").copy()
    matrix[:3, axis] = 0
    with pytest.raises(InputError, match="singular"):
        Stack(np.zeros(SHAPE), matrix)


def test_a_matrix_with_a_nan_a_wrong_number_of_dimensions_or_no_voxels_is_refused():
    matrix = matrix_of("oblique").copy()
    with pytest.raises(InputError, match="5 dimensions"):
        Stack(np.zeros((1, 2, 3, 4, 5)), matrix)
    with pytest.raises(InputError, match="no voxels"):
        Stack(np.zeros((0, 3, 4)), matrix)
    with pytest.raises(InputError, match="3 frame times"):
        Stack(np.zeros((2, 3, 4, 5)), matrix, frame_times=(0.0, 0.1, 0.2))
    matrix[1, 1] = np.nan
    with pytest.raises(InputError, match="no usable"):
        Stack(np.zeros(SHAPE), matrix)


def test_the_matrix_of_a_stack_cannot_be_changed_by_accident():
    given = matrix_of("oblique")
    stack = Stack(np.zeros(SHAPE), given)
    given[0, 3] = 999
    assert stack.ijk_to_ras[0, 3] != 999
    with pytest.raises(ValueError, match="read-only"):
        stack.ijk_to_ras[0, 3] = 1


def test_slices_are_stacked_along_the_coarsest_axis_and_rounding_noise_is_no_difference():
    assert through_plane_axis((10.0, 1.4, 1.4)) == 0
    assert through_plane_axis((1.4, 10.0, 1.4)) == 1
    assert through_plane_axis((1.4, 1.4, 8.0)) == 2
    assert through_plane_axis((1.0, 1.0000001, 1.0)) == 0
