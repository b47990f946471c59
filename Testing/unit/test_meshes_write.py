"""Surface files: LPS with Slicer's mark, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.meshes import point_cloud, surfaces, volume_ml, write_surface, write_surfaces
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader


@pytest.fixture(scope="module")
def heart() -> dict[Structure, vtkPolyData]:
    on = phantom.grid((8, 48, 48), (12.0, 3.0, 3.0), oblique=True, left_handed=True)
    return surfaces(phantom.heart(0.0, on)[1])


def points(surface: vtkPolyData) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)


def read(path: Path) -> tuple[vtkPolyData, str]:
    """A surface file and the coordinate system that it claims, found where Slicer looks for it."""
    if path.suffix == ".stl":
        reader = vtkSTLReader()
    elif path.suffix == ".ply":
        reader = vtkPLYReader()
    else:
        reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    surface = reader.GetOutput()
    if path.suffix == ".stl":
        claim = path.read_bytes()[:80].decode("ascii", "replace")
    elif path.suffix == ".ply":
        comments = reader.GetComments()
        claim = " ".join(comments.GetValue(n) for n in range(comments.GetNumberOfValues()))
    else:
        claim = f"SPACE={surface.GetFieldData().GetAbstractArray('SPACE').GetValue(0)}"
    return surface, claim


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".vtp"])
def test_files_hold_lps_points_and_say_so_as_slicer_does(heart, tmp_path: Path, suffix: str):
    original = heart[Structure.LV]
    path = tmp_path / f"lv{suffix}"
    write_surface(original, path)
    surface, claim = read(path)
    assert "SPACE=LPS" in claim
    turned = points(surface) * [-1, -1, 1]
    assert np.allclose(turned.min(axis=0), points(original).min(axis=0), atol=1e-3)
    assert np.allclose(turned.max(axis=0), points(original).max(axis=0), atol=1e-3)
    assert volume_ml(surface) == pytest.approx(volume_ml(original), rel=1e-4), "faces still look outward"
    assert surface.GetNumberOfPolys() == original.GetNumberOfPolys()


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".vtp"])
def test_slicers_own_reader_puts_the_surface_where_it_was(heart, tmp_path: Path, suffix: str):
    import slicer

    path = tmp_path / f"lv{suffix}"
    write_surface(heart[Structure.LV], path)
    storage = slicer.vtkMRMLModelStorageNode()
    node = slicer.vtkMRMLModelNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    assert storage.GetCoordinateSystem() == slicer.vtkMRMLStorageNode.CoordinateSystemLPS
    assert np.allclose(points(node.GetPolyData()).mean(axis=0), points(heart[Structure.LV]).mean(axis=0), atol=1e-3)


def test_writing_does_not_change_the_surface_in_memory(heart, tmp_path: Path):
    before = points(heart[Structure.RV]).copy()
    write_surface(heart[Structure.RV], tmp_path / "rv.vtp")
    assert np.array_equal(points(heart[Structure.RV]), before)
    assert heart[Structure.RV].GetFieldData().GetAbstractArray("SPACE") is None


def test_every_structure_gets_its_own_file(heart, tmp_path: Path):
    paths = write_surfaces(heart, tmp_path, "case7", "stl")
    assert [path.name for path in paths] == ["case7_RV.stl", "case7_MYO.stl", "case7_LV.stl"]
    assert sorted(tmp_path.iterdir()) == sorted(paths), "nothing else is left behind"


@pytest.mark.parametrize("suffix", [".ply", ".vtp"])
def test_a_point_cloud_is_written_and_read_back(heart, tmp_path: Path, suffix: str):
    cloud = point_cloud(heart[Structure.LV], 5.0)
    path = tmp_path / f"cloud{suffix}"
    write_surface(cloud, path)
    assert read(path)[0].GetNumberOfPoints() == cloud.GetNumberOfPoints()


def test_points_as_stl_and_unknown_suffixes_are_refused_with_the_remedy(heart, tmp_path: Path):
    with pytest.raises(InputError, match="PLY or VTP"):
        write_surface(point_cloud(heart[Structure.LV]), tmp_path / "cloud.stl")
    with pytest.raises(InputError, match=r"\.stl, \.ply, \.vtp"):
        write_surface(heart[Structure.LV], tmp_path / "lv.obj")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder_is_a_clear_error(heart, tmp_path: Path):
    (tmp_path / "occupied").write_text("not a folder")
    with pytest.raises(InputError, match="occupied"):
        write_surface(heart[Structure.LV], tmp_path / "occupied" / "lv.stl")
