"""`surfaces --points`: points on each surface as PLY, VTP or CSV, in RAS millimetres."""

from __future__ import annotations

import csv

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.io import write_segmentation
from SparseCardiacSegLib.meshes import point_cloud, surfaces, write_points
from vtkmodules.util.numpy_support import vtk_to_numpy


@pytest.fixture(scope="module")
def heart():
    return phantom.heart(0.0, phantom.grid((8, 48, 48), (12.0, 3.0, 3.0), oblique=True, left_handed=True))[1]


def read_table(path):
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    return rows[0], np.array(rows[1:], float)


def test_the_csv_holds_points_and_normals_in_ras(heart, tmp_path):
    cloud = point_cloud(surfaces(heart)[Structure.LV], 4.0)
    write_points(cloud, tmp_path / "lv.csv")
    names, table = read_table(tmp_path / "lv.csv")
    assert names == ["R", "A", "S", "nR", "nA", "nS"]
    np.testing.assert_allclose(table[:, :3], vtk_to_numpy(cloud.GetPoints().GetData()), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(table[:, 3:], axis=1), 1, atol=1e-2)
    outwards = ((table[:, :3] - table[:, :3].mean(0)) * table[:, 3:]).sum(1)
    assert (outwards > 0).mean() > 0.9


@pytest.mark.parametrize("form", ["ply", "vtp", "csv"])
def test_the_command_writes_points_beside_the_surfaces(heart, tmp_path, form, capsys):
    write_segmentation(heart, tmp_path / "heart.nii.gz")
    command = ["surfaces", str(tmp_path / "heart.nii.gz"), "--scheme", "acdc", "--out", str(tmp_path / "out")]
    assert main([*command, "--points", form]) == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name for name in written if "points" in name] == [f"heart_{s}_points.{form}" for s in ("LV", "MYO", "RV")]
    assert len(written) == 6
    assert f"heart_LV_points.{form}" in capsys.readouterr().out


def test_a_larger_distance_gives_fewer_points(heart, tmp_path):
    write_segmentation(heart, tmp_path / "heart.nii.gz")
    counts = []
    for distance in ("2", "6"):
        command = ["surfaces", str(tmp_path / "heart.nii.gz"), "--scheme", "acdc", "--out", str(tmp_path / distance)]
        assert main([*command, "--points", "csv", "--point-distance", distance]) == 0
        counts.append(len(read_table(tmp_path / distance / "heart_LV_points.csv")[1]))
    assert counts[1] < counts[0] / 4


def test_no_points_are_written_unless_asked_for_and_an_impossible_distance_is_refused(heart, tmp_path, capsys):
    write_segmentation(heart, tmp_path / "heart.nii.gz")
    command = ["surfaces", str(tmp_path / "heart.nii.gz"), "--scheme", "acdc", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert not list((tmp_path / "out").glob("*points*"))
    assert main([*command[:-1], str(tmp_path / "none"), "--points", "csv", "--point-distance", "0"]) == 2
    assert "distance of points" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
