"""Closed surfaces: their volume, their place, and that nothing leaks."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, ALL, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.meshes import closed_surface, point_cloud, surfaces, volume_ml
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack, ijk_to_ras, ras_to_ijk
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties, vtkPolyDataConnectivityFilter

GRIDS = {
    "thick slices": {},
    "oblique, left-handed, apex first": {"oblique": True, "left_handed": True, "base_first": False},
    "slices along the second axis": {"shape": (96, 10, 96), "spacing": (1.5, 10.0, 1.5), "through_plane": 1},
    "slices along the third axis": {
        "shape": (96, 96, 10),
        "spacing": (1.5, 1.5, 10.0),
        "through_plane": 2,
        "oblique": True,
    },
    "unequal pixels": {"shape": (9, 84, 120), "spacing": (12.0, 1.8, 1.2)},
    "nearly isotropic": {"shape": (44, 60, 60), "spacing": (2.5, 2.5, 2.5)},
    "coarse": {"shape": (20, 40, 40), "spacing": (5.0, 3.6, 3.6)},
    "cut by both ends of the stack": {"shape": (4, 96, 96)},
}


def points(surface: vtkPolyData) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)


def edges(surface: vtkPolyData, *, border: bool) -> int:
    """Number of border edges (of one triangle) or of non-manifold edges (of more than two)."""
    found = vtkFeatureEdges()
    found.SetInputData(surface)
    found.FeatureEdgesOff()
    found.ManifoldEdgesOff()
    found.SetBoundaryEdges(border)
    found.SetNonManifoldEdges(not border)
    found.Update()
    return found.GetOutput().GetNumberOfCells()


def pieces(surface: vtkPolyData) -> int:
    parts = vtkPolyDataConnectivityFilter()
    parts.SetInputData(surface)
    parts.SetExtractionModeToAllRegions()
    parts.Update()
    return parts.GetNumberOfExtractedRegions()


def stack_of(array: np.ndarray, spacing: tuple[float, float, float]) -> Stack:
    matrix = np.diag([*spacing[::-1], 1.0])
    return Stack(array.astype(np.uint8), matrix)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, cols = np.indices(shape)
    return np.hypot(rows - centre[0], cols - centre[1]) <= radius


@pytest.mark.parametrize("name", GRIDS)
def test_surface_volume_is_within_one_percent_of_the_voxels_and_watertight(name: str):
    segmentation = phantom.heart(0.3, phantom.grid(**GRIDS[name]))[1]
    found = surfaces(segmentation)
    assert list(found) == [Structure.RV, Structure.MYO, Structure.LV]
    for structure, surface in found.items():
        expected = segmentation.volume_ml(structure)
        assert volume_ml(surface) == pytest.approx(expected, rel=0.01), structure
        by_vtk = vtkMassProperties()
        by_vtk.SetInputData(surface)
        assert by_vtk.GetVolume() / 1000 == pytest.approx(expected, rel=0.01), structure
        assert edges(surface, border=True) == 0, structure
        assert edges(surface, border=False) == 0, structure


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("through_plane", [0, 2])
def test_surfaces_of_flipped_oblique_stacks_lie_at_the_same_place_in_ras(left_handed: bool, through_plane: int):
    turned = {0: ((10, 96, 96), (10.0, 1.5, 1.5)), 2: ((96, 96, 10), (1.5, 1.5, 10.0))}[through_plane]
    on = phantom.grid(*turned, oblique=True, left_handed=left_handed, through_plane=through_plane, base_first=False)
    segmentation = phantom.heart(0.0, on)[1]
    assert (np.linalg.det(on.ijk_to_ras[:3, :3]) < 0) == left_handed
    for structure, surface in surfaces(segmentation).items():
        kji = np.argwhere(segmentation.mask(structure))
        voxels = ijk_to_ras(on.ijk_to_ras, kji[:, ::-1])
        low, high = voxels.min(axis=0), voxels.max(axis=0)
        outline = points(surface)
        assert np.abs(outline.min(axis=0) - low).max() < 7.0, structure
        assert np.abs(outline.max(axis=0) - high).max() < 7.0, structure
        assert volume_ml(surface) > 0, "faces look outward"
        inside = vtk_to_numpy(surface.GetPointData().GetNormals())
        outward = np.einsum("ij,ij->i", inside, outline - voxels.mean(axis=0))
        if structure is Structure.LV:
            assert (outward > 0).mean() > 0.99


def test_the_centroid_of_the_cavity_surface_is_that_of_its_voxels():
    on = phantom.grid(oblique=True, left_handed=True)
    segmentation = phantom.heart(0.0, on)[1]
    surface = surfaces(segmentation)[Structure.LV]
    triangles = points(surface)[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]
    volumes = np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    centroid = (triangles.sum(axis=1) / 4 * volumes[:, None]).sum(axis=0) / volumes.sum()
    voxels = ijk_to_ras(on.ijk_to_ras, np.argwhere(segmentation.mask(Structure.LV))[:, ::-1]).mean(axis=0)
    assert np.linalg.norm(centroid - voxels) < 0.7


def test_a_thin_wall_that_shrinks_faster_than_its_thickness_stays_closed_between_slices():
    radii = (24, 18, 12, 6)
    myo = np.zeros((6, 80, 80), bool)
    lv = np.zeros_like(myo)
    for index, radius in enumerate(radii, start=1):
        lv[index] = disc((80, 80), (40, 40), radius - 2)
        myo[index] = disc((80, 80), (40, 40), radius) & ~lv[index]
    stack = stack_of(myo, (10.0, 1.5, 1.5))
    shell = closed_surface(myo, stack)
    assert volume_ml(shell) == pytest.approx(myo.sum() * 22.5 / 1000, rel=0.01)
    assert edges(shell, border=True) == 0
    ijk = ras_to_ijk(stack.ijk_to_ras, points(shell))
    between = np.abs(ijk[:, 2] - 2.5) < 0.1
    angle = np.degrees(np.arctan2(ijk[between, 1] - 40, ijk[between, 0] - 40))
    distance = np.hypot(ijk[between, 1] - 40, ijk[between, 0] - 40)
    for begin in range(-180, 180, 30):
        here = distance[(angle >= begin) & (angle < begin + 30)]
        assert here.min() < 14.5 < here.max(), "an inner and an outer surface all around, halfway between the slices"
        assert here.min() > 11.5
        assert here.max() < 17.5


def test_a_ring_open_in_one_slice_is_closed_around_its_cavity_by_the_other_slices():
    myo = np.zeros((5, 60, 60), bool)
    lv = np.zeros_like(myo)
    lv[1:4] = disc((60, 60), (30, 30), 12)
    myo[1:4] = disc((60, 60), (30, 30), 16) & ~lv[1:4]
    myo[1, :20] = False
    stack = stack_of(myo, (8.0, 1.5, 1.5))
    shell = closed_surface(myo, stack, cavity=lv)
    assert volume_ml(shell) == pytest.approx(myo.sum() * 18 / 1000, rel=0.01)
    assert edges(shell, border=True) == 0
    ijk = ras_to_ijk(stack.ijk_to_ras, points(shell))
    in_cavity = np.hypot(ijk[:, 0] - 30, ijk[:, 1] - 30) < 9
    assert not in_cavity.any(), "the shell does not close over the cavity"


def test_a_structure_in_one_slice_becomes_a_closed_plate_one_slice_thick():
    mask = np.zeros((5, 40, 40), bool)
    mask[2] = disc((40, 40), (20, 20), 10)
    surface = closed_surface(mask, stack_of(mask, (10.0, 1.5, 1.5)))
    assert volume_ml(surface) == pytest.approx(mask.sum() * 22.5 / 1000, rel=0.01)
    assert edges(surface, border=True) == 0
    heights = points(surface)[:, 2]
    assert heights.min() == pytest.approx(15.0, abs=1.5)
    assert heights.max() == pytest.approx(25.0, abs=1.5)


def test_a_tip_is_closed_by_a_dome_and_a_cut_end_by_a_plane():
    mask = np.zeros((7, 60, 60), bool)
    for index, radius in enumerate((16, 16, 12, 7), start=1):
        mask[index] = disc((60, 60), (30, 30), radius)
    heights = points(closed_surface(mask, stack_of(mask, (10.0, 1.5, 1.5))))[:, 2]
    assert heights.min() == pytest.approx(5.0, abs=1.0), "flat: half a slice before the first"
    assert 46.5 < heights.max() < 49.5, "a dome: about three quarters of a slice beyond the last"


@pytest.mark.parametrize("voxels", [1, 2, 5])
def test_even_a_few_voxels_become_a_closed_surface_of_the_right_volume(voxels: int):
    mask = np.zeros((3, 12, 12), bool)
    mask[1, 6, 4 : 4 + voxels] = True
    surface = closed_surface(mask, stack_of(mask, (10.0, 1.5, 1.5)))
    assert volume_ml(surface) == pytest.approx(voxels * 22.5 / 1000, rel=0.03)
    assert edges(surface, border=True) == 0


@pytest.mark.parametrize("seed", range(6))
def test_ragged_and_scattered_masks_keep_their_volume_within_three_percent(seed: int):
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 24, 24)) < (0.1, 0.5, 0.9)[seed % 3]
    spacing = ((10.0, 1.4, 1.4), (1.0, 1.0, 1.0))[seed % 2]
    surface = closed_surface(mask, stack_of(mask, spacing))
    assert volume_ml(surface) == pytest.approx(mask.sum() * np.prod(spacing) / 1000, rel=0.03)
    assert edges(surface, border=True) == 0


def test_structures_with_an_empty_slice_between_give_two_pieces():
    mask = np.zeros((7, 40, 40), bool)
    mask[1:3] = mask[4:6] = disc((40, 40), (20, 20), 9)
    surface = closed_surface(mask, stack_of(mask, (10.0, 1.5, 1.5)))
    assert pieces(surface) == 2
    assert volume_ml(surface) == pytest.approx(mask.sum() * 22.5 / 1000, rel=0.01)


def test_all_four_structures_of_one_stack_get_a_surface():
    segmentation = phantom.all_structures()[1]
    assert segmentation.scheme is ALL
    found = surfaces(segmentation)
    assert set(found) == set(Structure)
    assert volume_ml(found[Structure.LA]) == pytest.approx(segmentation.volume_ml(Structure.LA), rel=0.01)


def test_the_point_cloud_of_the_atrium_lies_on_its_surface_and_is_evenly_spread():
    surface = surfaces(phantom.left_atrium()[1])[Structure.LA]
    cloud = point_cloud(surface, distance=4.0)
    assert cloud.GetNumberOfPolys() == 0
    assert cloud.GetNumberOfVerts() == cloud.GetNumberOfPoints()
    on_surface = {tuple(point) for point in points(surface)}
    assert all(tuple(point) in on_surface for point in points(cloud))
    area = vtkMassProperties()
    area.SetInputData(surface)
    assert 0.5 < cloud.GetNumberOfPoints() * 16 / area.GetSurfaceArea() < 3
    assert cloud.GetPointData().GetNormals().GetNumberOfTuples() == cloud.GetNumberOfPoints()


def test_a_sheared_grid_counts_its_true_volume():
    segmentation = phantom.heart()[1]
    matrix = segmentation.labels.ijk_to_ras.copy()
    matrix[0, 2] += 3.0
    matrix[:3, 2] *= segmentation.labels.spacing[0] / np.linalg.norm(matrix[:3, 2])
    sheared = Segmentation(Stack(segmentation.labels.array, matrix), ACDC)
    for structure, surface in surfaces(sheared).items():
        assert volume_ml(surface) == pytest.approx(sheared.volume_ml(structure), rel=0.01)


def test_a_cine_an_empty_segmentation_and_a_foreign_mask_are_refused():
    stack = phantom.grid((4, 20, 20))
    with pytest.raises(InputError, match="cine"):
        surfaces(Segmentation(stack.with_array(np.zeros((2, 4, 20, 20), np.uint8)), ACDC))
    with pytest.raises(InputError, match="empty"):
        surfaces(Segmentation(stack, ACDC))
    with pytest.raises(InputError, match="does not fit"):
        closed_surface(np.ones((4, 20, 21), bool), stack)


@pytest.mark.shared
def test_real_hearts_keep_their_volumes(shared_data):
    import SimpleITK as sitk  # noqa: N813

    for name in ("patient002_frame12", "patient030_frame12"):
        image = sitk.ReadImage(str(shared_data / "acdc" / f"{name}_gt.nii.gz"))
        labels = stack_of(sitk.GetArrayFromImage(image), image.GetSpacing()[::-1])
        segmentation = Segmentation(labels, ACDC)
        for structure, surface in surfaces(segmentation).items():
            assert volume_ml(surface) == pytest.approx(segmentation.volume_ml(structure), rel=0.01), (name, structure)
            assert edges(surface, border=True) == 0
