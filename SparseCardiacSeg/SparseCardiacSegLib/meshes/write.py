"""Surfaces and point clouds as STL, PLY or VTP files that open in place in Slicer, and points as CSV.

Surfaces are RAS mm in memory and LPS mm in files: that is what Slicer (5.x, `vtkMRMLModelStorageNode`) writes by
default and says in the file: `SPACE=LPS` in the STL header, as a PLY comment, and as the field data array `SPACE` of a
VTP. Slicer reads that mark, so the surface lies on the image again; MeshLab, ParaView and 3D printing software see LPS,
the coordinates of DICOM and NIfTI's ITK readers. Turning R and A around is a rotation by 180 degrees about S: no face
changes its side.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
from vtkmodules.vtkIOGeometry import vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from ..anatomy import Structure
from ..errors import InputError
from ..files import write_atomically

FORMATS = (".stl", ".ply", ".vtp")
"""Suffixes that `write_surface` knows."""

_SPACE = "SPACE=LPS"


def write_surface(surface: vtkPolyData, path: Path | str) -> None:
    """Write a surface (or, as PLY or VTP, a point cloud) by suffix; binary, whole or not at all.

    Args:
        surface: RAS mm.
        path: ends in one of `FORMATS`.

    Raises:
        InputError: unknown suffix, a point cloud as STL (which holds triangles only), or the disk refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"cannot write a surface as '{path.name}': the name must end in {', '.join(FORMATS)}")
    if suffix == ".stl" and not surface.GetNumberOfPolys():
        raise InputError(f"cannot write points as '{path.name}': STL holds triangles only; use PLY or VTP")
    in_lps = _ras_to_lps(surface)
    with write_atomically(path) as temporary:
        if suffix == ".stl":
            writer = vtkSTLWriter()
            writer.SetFileTypeToBinary()
            writer.SetHeader(f"SparseCardiacSeg. {_SPACE}")
        elif suffix == ".ply":
            writer = vtkPLYWriter()
            writer.SetFileTypeToBinary()
            writer.AddComment(_SPACE)
        else:
            writer = vtkXMLPolyDataWriter()
            writer.SetCompressorTypeToZLib()
            space = vtkStringArray()
            space.SetName("SPACE")
            space.InsertNextValue("LPS")
            in_lps.GetFieldData().AddArray(space)
        writer.SetInputData(in_lps)
        writer.SetFileName(str(temporary))
        if not writer.Write():
            raise OSError(f"VTK could not write {temporary}")


def write_surfaces(surfaces: Mapping[Structure, vtkPolyData], folder: Path | str, stem: str, suffix: str) -> list[Path]:
    """Write each surface as `folder/<stem>_<structure><suffix>`.

    Returns:
        The files, in the order given.

    Raises:
        InputError: as `write_surface`.
    """
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    paths = [Path(folder) / f"{stem}_{structure}{suffix}" for structure in surfaces]
    for surface, path in zip(surfaces.values(), paths, strict=True):
        write_surface(surface, path)
    return paths


def write_points(cloud: vtkPolyData, path: Path | str) -> None:
    """Write a point cloud by suffix: PLY or VTP as `write_surface`, or CSV for tables and scripts.

    The CSV has one row a point: R, A, S in mm and, where the cloud has normals, their components nR, nA, nS.

    Args:
        cloud: RAS mm, as of `point_cloud`.
        path: ends in .ply, .vtp or .csv.

    Raises:
        InputError: as `write_surface`.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        write_surface(cloud, path)
        return
    columns, names = [vtk_to_numpy(cloud.GetPoints().GetData())], ["R", "A", "S"]
    normals = cloud.GetPointData().GetNormals()
    if normals is not None:
        columns.append(vtk_to_numpy(normals))
        names += ["nR", "nA", "nS"]
    rows = [",".join(f"{value:.4f}" for value in row) for row in np.hstack(columns)]
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")


def _ras_to_lps(surface: vtkPolyData) -> vtkPolyData:
    """A copy with R and A turned around, normals too."""
    turn = vtkTransform()
    turn.Scale(-1.0, -1.0, 1.0)
    apply = vtkTransformPolyDataFilter()
    apply.SetTransform(turn)
    apply.SetInputData(surface)
    apply.Update()
    return apply.GetOutput()
