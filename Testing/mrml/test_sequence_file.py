"""Our cine `.seq.nrrd` in Slicer's own reader, and Slicer's own in ours."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from io_grids import SHAPE, stack_of
from SparseCardiacSegLib.io import read_stack, write_stack
from vtk.util import numpy_support


@pytest.mark.parametrize("kind", ["oblique", "left_handed"])
def test_slicer_reads_our_cine_and_we_read_what_it_saves(tmp_path, kind):
    cine = stack_of(kind, n_frames=3)
    write_stack(cine, tmp_path / "a.seq.nrrd")
    scene = slicer.vtkMRMLScene()
    sequence = slicer.vtkMRMLSequenceNode()
    scene.AddNode(sequence)
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "a.seq.nrrd"))
    assert storage.ReadData(sequence)
    assert sequence.GetNumberOfDataNodes() == 3
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    for frame in range(3):
        volume = sequence.GetNthDataNode(frame)
        voxels = numpy_support.vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars()).reshape(SHAPE)
        assert np.array_equal(voxels, cine.array[frame])
        assert float(sequence.GetNthIndexValue(frame)) == pytest.approx(cine.frame_times[frame])
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        values = [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]
        assert np.allclose(values, cine.ijk_to_ras, atol=1e-9)
    storage.SetFileName(str(tmp_path / "b.seq.nrrd"))
    assert storage.WriteData(sequence)
    again = read_stack(tmp_path / "b.seq.nrrd")
    assert np.array_equal(again.array, cine.array)
    assert np.allclose(again.ijk_to_ras, cine.ijk_to_ras, atol=1e-9)
    assert again.frame_times == pytest.approx(cine.frame_times)
