"""Annotated volumes of a scene as training cases: which there are, and that nothing is moved or lost."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.mrml.labelled_pairs import PairBook, without_names
from SparseCardiacSegLib.mrml.segmentations import segmentation_from_volume, segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.segmentation import Segmentation

GRID = phantom.grid((9, 32, 32), (10.0, 4.0, 4.0), oblique=True)


def add(name, moment=0.0, slices=None):
    image, labels = phantom.heart(moment, GRID)
    if slices is not None:
        array = np.zeros_like(labels.labels.array)
        array[list(slices)] = labels.labels.array[list(slices)]
        labels = Segmentation(labels.labels.with_array(array), labels.scheme)
    volume = volume_from_stack(image, name)
    return image, labels, segmentation_node(labels, volume, f"{name} labels")


def test_a_pair_is_read_voxel_by_voxel_at_its_place():
    image, labels, _ = add("Heart")
    (pair,) = PairBook().pairs()
    read = pair.read()
    assert np.array_equal(read.image.array, image.array)
    assert np.array_equal(read.image.ijk_to_ras, image.ijk_to_ras)
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        assert np.array_equal(read.segmentation.mask(structure), labels.mask(structure))
    assert read.slices is None


def test_slices_without_labels_count_as_not_looked_at_where_that_is_said():
    add("Heart", slices=(3, 5))
    (pair,) = PairBook().pairs()
    assert pair.read(partial=True).slices == (3, 5)


def test_a_structure_that_nobody_drew_is_not_named():
    _, _, node = add("Heart")
    node.GetSegmentation().RemoveSegment("RV")
    (pair,) = PairBook().pairs()
    assert pair.structures == ("MYO", "LV")
    assert set(pair.read().segmentation.scheme.numbers) == {Structure.MYO, Structure.LV}
    assert ACDC.numbers[Structure.LV] == pair.read().segmentation.scheme.numbers[Structure.LV]


def test_empty_segmentations_and_those_without_a_volume_are_left_out():
    image, _ = phantom.heart(0.0, GRID)
    segmentation_from_volume(volume_from_stack(image, "Heart"), "Empty")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Alone")
    assert PairBook().pairs() == []


def test_every_labelled_frame_of_a_cine_is_a_pair_with_its_own_image():
    cine, labels = phantom.cine(3, GRID)
    browser = sequence_from_stack(cine, "Cine")
    segmentation_sequence(labels, browser, "Labels")
    pairs = PairBook().pairs()
    assert [pair.frame for pair in pairs] == [0, 1, 2]
    for frame, pair in enumerate(pairs):
        read = pair.read()
        assert np.array_equal(read.image.array, cine.array[frame])
        assert np.array_equal(read.segmentation.mask(Structure.LV), labels.frame(frame).mask(Structure.LV))


def test_the_state_changes_with_the_voxels_and_not_without():
    image, _, node = add("Heart")
    (pair,) = PairBook().pairs()
    before = pair.state()
    assert PairBook().pairs()[0].state() == before
    volume = slicer.util.getNode("Heart")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(image.shape, np.uint8), node, "LV", volume)
    assert pair.state() != before


@pytest.mark.parametrize(
    ("names", "cases"),
    [
        (("Doe ED", "Doe ES"), ["case01_v1", "case01_v2"]),
        (("Doe_frame01", "Doe_frame12", "Roe"), ["case01_v1", "case01_v2", "case02_v1"]),
        (("Doe", "Roe"), ["case01_v1", "case02_v1"]),
    ],
)
def test_cases_have_numbers_in_place_of_names_and_phases_of_one_patient_stay_together(names, cases):
    for name in names:
        add(name)
    pairs = PairBook().pairs()
    named = without_names(pairs, [pair.read() for pair in pairs])
    assert [f"{one.patient}_{one.name}" for one in named] == cases
