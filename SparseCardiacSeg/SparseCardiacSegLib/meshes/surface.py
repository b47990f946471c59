"""Closed triangulated surfaces of structures, in RAS mm, whose volume is that of the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack, ijk_to_ras
from .shape_interpolation import DistanceField, distance_field

VOLUME_TOLERANCE = 0.005
"""The level of the surface is moved until its volume is this close to the voxels' (the promise is 3 %)."""

_PROMISED_TOLERANCE = 0.03
_FIRST_LEVEL_MM = 1e-3
"""Not zero: halfway between two slices distances often cancel exactly, which would give triangles without area."""
_MAX_TRIES = 14


def surfaces(segmentation: Segmentation) -> dict[Structure, vtkPolyData]:
    """Closed surface of every structure that occurs, in the order of `Structure`.

    The MYO is a shell around the LV: an inner and an outer surface, joined where the stack cuts the ring.

    Args:
        segmentation: one frame.

    Raises:
        InputError: the segmentation is a cine, or holds no structure.
    """
    if segmentation.labels.is_cine:
        raise InputError(f"{_name(segmentation.labels)} is a cine; choose one frame for surfaces")
    masks = {structure: segmentation.mask(structure) for structure in segmentation.structures}
    found = {structure: mask for structure, mask in masks.items() if mask.any()}
    if not found:
        raise InputError(f"{_name(segmentation.labels)} is empty: there is nothing to make a surface of")
    return {
        structure: closed_surface(
            mask, segmentation.labels, cavity=found.get(Structure.LV) if structure is Structure.MYO else None
        )
        for structure, mask in found.items()
    }


def closed_surface(
    mask: np.ndarray, stack: Stack, *, cavity: np.ndarray | None = None, smoothing: int = 20
) -> vtkPolyData:
    """Closed surface of `mask` by shape-based interpolation between slices.

    Args:
        mask: bool, the shape of `stack`'s grid (slice, row, col).
        stack: the grid, oblique, flipped or left-handed as it may be; its voxels are not used.
        cavity: what a wall encloses, same shape (see `distance_field`).
        smoothing: passes of the windowed sinc filter (Taubin, Zhang and Golub 1996); 0 for none. A mask of
            scattered single voxels, which the filter would collapse, is not smoothed.

    Returns:
        Triangles with point normals, RAS mm, faces outward (so the volume is positive), without border edges. The
        volume is within 0.5 % of the voxels' (3 % is promised): the level of the signed distance is moved until it
        is, which thickens or thins every part alike, where scaling the points would shift them.

    Raises:
        InputError: the mask is empty or does not fit the grid.
    """
    if mask.shape != stack.shape or (cavity is not None and cavity.shape != stack.shape):
        raise InputError(f"a mask of shape {mask.shape} does not fit a grid of shape {stack.shape}")
    if not mask.any():
        raise InputError(f"{_name(stack)}: an empty mask has no surface")
    axis = stack.through_plane
    spacing = stack.slices_first_spacing
    field = distance_field(
        np.moveaxis(mask, axis, 0), spacing, None if cavity is None else np.moveaxis(cavity, axis, 0)
    )
    target = float(np.count_nonzero(mask)) * float(np.prod(spacing))
    error, mesh = _with_volume(field, target, smoothing)
    if smoothing and error > _PROMISED_TOLERANCE:
        # The filter collapses pieces of a voxel or two, at every level that has not yet merged them.
        error, mesh = _with_volume(field, target, 0)
    if error > _PROMISED_TOLERANCE:
        raise RuntimeError(f"no surface within 3 % of {target:.0f} mm3 was found")

    slices_first = mesh.points / field.spacing * field.step + field.origin
    ijk = np.insert(slices_first[:, 1:], axis, slices_first[:, 0], axis=1)[:, ::-1]
    points = ijk_to_ras(stack.ijk_to_ras, ijk)
    triangles = mesh.triangles if _signed_volume(points, mesh.triangles) > 0 else mesh.triangles[:, ::-1]
    return _with_normals(_poly_data(points, triangles))


def point_cloud(surface: vtkPolyData, distance: float = 2.0) -> vtkPolyData:
    """Points on a surface, about `distance` mm apart, with normals where the surface has them.

    One vertex is kept in each cube of that size; they are the surface's own, so none lies off it.
    """
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    cubes = np.floor((points - points.min(axis=0)) / distance).astype(np.int64)
    _, kept = np.unique(cubes, axis=0, return_index=True)
    kept.sort()
    cloud = vtkPolyData()
    cloud.SetPoints(_points(points[kept]))
    cells = vtkCellArray()
    cells.SetData(
        numpy_to_vtkIdTypeArray(np.arange(len(kept) + 1, dtype=np.int64), deep=True),
        numpy_to_vtkIdTypeArray(np.arange(len(kept), dtype=np.int64), deep=True),
    )
    cloud.SetVerts(cells)
    normals = surface.GetPointData().GetNormals()
    if normals is not None:
        array = numpy_to_vtk(vtk_to_numpy(normals)[kept], deep=True)
        array.SetName("Normals")
        cloud.GetPointData().SetNormals(array)
    return cloud


def arrays_of(surface: vtkPolyData) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) float32 and triangles (m, 3) int32 of a surface, in which form it goes from process to process."""
    points = vtk_to_numpy(surface.GetPoints().GetData())
    return points.astype(np.float32), _triangles(surface).astype(np.int32)


def surface_from_arrays(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    """The surface of `arrays_of`, with point normals."""
    return _with_normals(_poly_data(points, triangles))


def volume_ml(surface: vtkPolyData) -> float:
    """Volume inside a closed surface, mL; negative if its faces look inward."""
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    return _signed_volume(points, _triangles(surface)) / 1000.0


@dataclass(frozen=True, eq=False)
class _Mesh:
    """Points (n, 3) in the field's mm (slice, row, col) and triangles (m, 3)."""

    points: np.ndarray
    triangles: np.ndarray

    @property
    def volume(self) -> float:
        return abs(_signed_volume(self.points, self.triangles))

    @property
    def area(self) -> float:
        a, b, c = (self.points[self.triangles[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2


def _with_volume(field: DistanceField, target: float, smoothing: int) -> tuple[float, _Mesh]:
    """The level surface of `field` whose volume is nearest to `target` (mm3), and its relative error.

    The volume falls as the level rises, by about the area for each mm: Newton steps with the area as slope, and
    bisection wherever a step would leave the bracket.
    """
    level, low, high = _FIRST_LEVEL_MM, float(field.values.min()), float(field.values.max())
    best: tuple[float, _Mesh] = (np.inf, _Mesh(np.zeros((1, 3)), np.zeros((0, 3), np.int64)))
    for _ in range(_MAX_TRIES):
        mesh = _level_surface(field, level, smoothing)
        error = mesh.volume / target - 1
        if abs(error) < best[0]:
            best = (abs(error), mesh)
        if abs(error) <= VOLUME_TOLERANCE:
            break
        low, high = (level, high) if error > 0 else (low, level)
        step = error * target / mesh.area if mesh.area else np.inf
        level = level + step if low < level + step < high else (low + high) / 2
    return best


def _level_surface(field: DistanceField, level: float, smoothing: int) -> _Mesh:
    """Triangles of one level, smoothed; none where the level is not reached."""
    image = vtkImageData()
    image.SetDimensions(*field.values.shape[::-1])
    image.SetSpacing(*field.spacing[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(field.values.ravel()))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    last = edges
    if smoothing:
        # Pass band 0.1 takes off the steps of pixels and slices; boundary smoothing has nothing to act on.
        last = vtkWindowedSincPolyDataFilter()
        last.SetInputConnection(edges.GetOutputPort())
        last.SetNumberOfIterations(smoothing)
        last.SetPassBand(0.1)
        last.BoundarySmoothingOff()
        last.FeatureEdgeSmoothingOff()
        last.NonManifoldSmoothingOn()
        last.NormalizeCoordinatesOn()
    last.Update()
    output = last.GetOutput()
    if not output.GetNumberOfPolys():
        return _Mesh(np.zeros((1, 3)), np.zeros((0, 3), np.int64))
    points = vtk_to_numpy(output.GetPoints().GetData()).astype(np.float64)[:, ::-1]
    return _Mesh(points, _triangles(output))


def _triangles(surface: vtkPolyData) -> np.ndarray:
    """Point indices (m, 3) of a surface made of triangles."""
    return vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)


def _signed_volume(points: np.ndarray, triangles: np.ndarray) -> float:
    """Volume by the divergence theorem, in the points' units cubed; positive if the faces look outward."""
    centred = points - points.mean(axis=0)
    a, b, c = (centred[triangles[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6.0


def _poly_data(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    """Points (n, 3) and triangles (m, 3) as VTK's own type."""
    surface = vtkPolyData()
    surface.SetPoints(_points(points))
    cells = vtkCellArray()
    cells.SetData(
        numpy_to_vtkIdTypeArray(np.arange(0, triangles.size + 1, 3, dtype=np.int64), deep=True),
        numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles, dtype=np.int64).ravel(), deep=True),
    )
    surface.SetPolys(cells)
    return surface


def _points(points: np.ndarray) -> vtkPoints:
    """Points (n, 3) as single-precision VTK points: what Slicer and every file format expect."""
    result = vtkPoints()
    result.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float32), deep=True))
    return result


def _with_normals(surface: vtkPolyData) -> vtkPolyData:
    """The same surface with point normals that look outward; triangles and points unchanged."""
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.AutoOrientNormalsOff()
    normals.Update()
    return normals.GetOutput()


def _name(stack: Stack) -> str:
    return stack.source or "the segmentation"
