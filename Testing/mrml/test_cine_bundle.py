"""A cine in a bundle: image and labels played by one browser, surfaces that beat, times in seconds."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import vtk
from dicom_files import series
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.mrml import host
from SparseCardiacSegLib.mrml.bundle import BundleImage, read_bundle, write_bundle
from SparseCardiacSegLib.mrml.segmentations import CLOSED_SURFACE, segment_mask
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, stack_from_sequence, stack_from_volume
from SparseCardiacSegLib.segmentation import Segmentation

FRAMES = 5


def node(name):
    found = host.current_scene().GetFirstNodeByName(name)
    assert found is not None, f"the bundle lacks {name}"
    return found


def show_frame(browser, index):
    browser.SetSelectedItemNumber(index)
    host.module_logic("Sequences").UpdateProxyNodesFromSequences(browser)


def surface_volume(segmentation_node, structure):
    surface = segmentation_node.GetSegmentation().GetSegment(structure.value).GetRepresentation(CLOSED_SURFACE)
    assert surface is not None
    mass = vtk.vtkMassProperties()
    mass.SetInputData(surface)
    mass.Update()
    return mass.GetVolume() / 1000


@pytest.fixture
def beat():
    return phantom.cine(FRAMES, phantom.grid((8, 64, 64), (10.0, 2.0, 2.0), oblique=True))


def test_the_surfaces_of_a_bundled_cine_follow_the_heart_beat(tmp_path, beat):
    cine, labels = beat
    write_bundle(tmp_path / "cine.mrb", [BundleImage("Cine", cine, labels)])
    read_bundle(tmp_path / "cine.mrb")
    browser, shown = node("Cine browser"), node("Cine segmentation")
    assert shown.GetDisplayNode().GetVisibility3D()
    assert shown.GetDisplayNode().GetPreferredDisplayRepresentationName3D() == CLOSED_SURFACE
    assert shown.GetDisplayNode().GetSegmentOpacity3D("MYO") == pytest.approx(0.3)
    for index in (0, phantom.es_frame(FRAMES), FRAMES - 1):
        show_frame(browser, index)
        assert np.array_equal(stack_from_volume(node("Cine")).array, cine.array[index])
        assert np.array_equal(segment_mask(shown, "LV", node("Cine")), labels.mask(Structure.LV)[index])
        assert surface_volume(shown, Structure.LV) == pytest.approx(
            labels.frame(index).volume_ml(Structure.LV), rel=0.05
        )


def test_one_browser_plays_image_and_labels_in_a_loop_at_the_hearts_rate(tmp_path, beat):
    write_bundle(tmp_path / "cine.mrb", [BundleImage("Cine", *beat)])
    read_bundle(tmp_path / "cine.mrb")
    browser = node("Cine browser")
    assert browser.GetSequenceNode(node("Cine")) is node("Cine sequence")
    assert browser.GetSequenceNode(node("Cine segmentation")) is node("Cine segmentation sequence")
    assert browser.GetNumberOfItems() == FRAMES
    assert browser.GetPlaybackLooped()
    assert browser.GetPlaybackRateFps() == pytest.approx(FRAMES / 0.9, rel=1e-3)
    for name in ("Cine sequence", "Cine segmentation sequence"):
        assert node(name).GetIndexUnit() == "s"
        assert [float(node(name).GetNthIndexValue(k)) for k in range(FRAMES)] == pytest.approx(beat[0].frame_times)


def test_frames_that_nobody_labelled_stay_without_a_surface(tmp_path, beat):
    cine, labels = beat
    array = labels.labels.array.copy()
    array[2:] = 0
    write_bundle(tmp_path / "cine.mrb", [BundleImage("Cine", cine, Segmentation(cine.with_array(array), ACDC))])
    read_bundle(tmp_path / "cine.mrb")
    shown = node("Cine segmentation")
    show_frame(node("Cine browser"), 1)
    assert surface_volume(shown, Structure.LV) > 10
    show_frame(node("Cine browser"), 3)
    surface = shown.GetSegmentation().GetSegment("LV").GetRepresentation(CLOSED_SURFACE)
    assert surface is None or surface.GetNumberOfPoints() == 0


def test_a_dicom_cine_keeps_its_trigger_times_as_seconds_on_the_sequence(tmp_path):
    stack = read_stack(series(tmp_path / "sax"))
    browser = sequence_from_stack(stack, "Cine")
    sequence = browser.GetMasterSequenceNode()
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    assert [float(sequence.GetNthIndexValue(k)) for k in range(3)] == pytest.approx((0, 0.031, 0.062))
    assert browser.GetPlaybackRateFps() == pytest.approx(1 / 0.031)
    back = stack_from_sequence(sequence)
    assert back.frame_times == pytest.approx(stack.frame_times)
    assert np.array_equal(back.array, stack.array)
    assert np.array_equal(back.ijk_to_ras, stack.ijk_to_ras)


@pytest.mark.shared
def test_a_real_dicom_slice_over_time_becomes_a_sequence_of_one_beat(shared_data):
    stack = read_stack(shared_data / "sunnybrook_ep_pig" / "dicom_one_slice_sax")
    sequence = sequence_from_stack(stack, "Pig").GetMasterSequenceNode()
    assert sequence.GetNumberOfDataNodes() == 20
    times = [float(sequence.GetNthIndexValue(k)) for k in range(20)]
    assert times[:3] == pytest.approx((0, 0.031, 0.063), abs=1e-3)
    assert times[-1] == pytest.approx(0.6, abs=0.01)
