"""Our `.seg.nrrd` in Slicer's own reader, and Slicer's own in ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from io_grids import SHAPE, matrix_of
from SparseCardiacSegLib.anatomy import DESCRIPTIONS, MNMS, SCHEMES, Structure
from SparseCardiacSegLib.io import read_segmentation, terminology_entry, write_segmentation
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack
from vtk.util import numpy_support


def load(scene, path: Path):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    assert storage.ReadData(node)
    return node


def save(scene, node, path: Path, crop: bool = False) -> None:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetCropToMinimumExtent(crop)
    assert storage.WriteData(node)


def numpy_matrix(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def labels_of(scheme, kind: str) -> Segmentation:
    """Labels with empty slices and columns at the edge, which Slicer is tempted to crop away."""
    labels = np.zeros(SHAPE, np.uint8)
    numbers = np.array([0, *scheme.numbers.values()], np.uint8)
    labels[1:4, 2:, 1:5] = numbers[np.random.default_rng(0).integers(0, len(numbers), (3, 4, 4))]
    return Segmentation(Stack(labels, matrix_of(kind)), scheme)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("kind", ["oblique", "left_handed"])
def test_slicer_reads_names_colours_terminology_voxels_and_geometry(tmp_path, scheme, kind):
    written = labels_of(scheme, kind)
    write_segmentation(written, tmp_path / "a.seg.nrrd")
    segmentation = load(slicer.vtkMRMLScene(), tmp_path / "a.seg.nrrd").GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(scheme.numbers)
    for index, structure in enumerate(written.structures):
        segment = segmentation.GetNthSegment(index)
        tag = vtk.mutable("")
        assert segment.GetTag("TerminologyEntry", tag)
        assert str(tag) == terminology_entry(structure)
        assert segment.GetName() == DESCRIPTIONS[structure].name
        assert np.rint(np.multiply(segment.GetColor(), 255)).tolist() == list(DESCRIPTIONS[structure].colour)
        image = segment.GetRepresentation("Binary labelmap")
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        assert np.allclose(numpy_matrix(matrix), written.labels.ijk_to_ras, atol=1e-9)
        voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(SHAPE)
        assert np.array_equal(voxels == segment.GetLabelValue(), written.mask(structure))


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("kind", ["oblique", "flipped"])
def test_a_file_opened_and_saved_by_slicer_comes_back_on_the_same_grid_to_the_bit(tmp_path, crop, kind):
    written = labels_of(MNMS, kind)
    write_segmentation(written, tmp_path / "a.seg.nrrd")
    scene = slicer.vtkMRMLScene()
    save(scene, load(scene, tmp_path / "a.seg.nrrd"), tmp_path / "b.seg.nrrd", crop)
    again = read_segmentation(tmp_path / "b.seg.nrrd")
    assert again.scheme == MNMS
    assert np.array_equal(again.labels.array, written.labels.array)
    assert np.array_equal(again.labels.ijk_to_ras, written.labels.ijk_to_ras)


def test_overlapping_segments_made_in_slicer_are_read(tmp_path):
    scene = slicer.vtkMRMLScene()
    volume = slicer.vtkMRMLScalarVolumeNode()
    image = vtk.vtkImageData()
    image.SetDimensions(*SHAPE[::-1])
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    volume.SetAndObserveImageData(image)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(matrix_of("oblique").ravel())
    volume.SetIJKToRASMatrix(matrix)
    scene.AddNode(volume)
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    masks = {name: np.zeros(SHAPE, np.uint8) for name in ("LV", "Myocardium", "Stent")}
    masks["Myocardium"][1:3, 1:5, 1:6] = 1
    masks["LV"][1:3, 2:4, 2:4] = 1
    masks["Stent"][2, 3, 3] = 1
    for name, mask in masks.items():
        labelmap = slicer.vtkOrientedImageData()
        labelmap.SetDimensions(*SHAPE[::-1])
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = mask.ravel()
        labelmap.SetImageToWorldMatrix(matrix)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", labelmap)
        node.GetSegmentation().AddSegment(segment)
    save(scene, node, tmp_path / "a.seg.nrrd")
    segmentation = read_segmentation(tmp_path / "a.seg.nrrd")
    assert np.array_equal(segmentation.mask(Structure.LV), masks["LV"] == 1)
    assert np.array_equal(segmentation.mask(Structure.MYO), (masks["Myocardium"] == 1) & (masks["LV"] == 0))
    assert "Stent" in segmentation.warnings[0]
    assert np.array_equal(segmentation.labels.ijk_to_ras, matrix_of("oblique"))
