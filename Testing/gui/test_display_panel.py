"""The Display panel in the stand-in host: surfaces from a real worker, looks, the beating heart, layouts."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import wait_until
from SparseCardiacSegLib.anatomy import SHORT_AXIS, Structure
from SparseCardiacSegLib.meshes.surface import volume_ml
from SparseCardiacSegLib.mrml.segmentations import CLOSED_SURFACE, segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

WORKER = [sys.executable, "-m", "SparseCardiacSegLib.worker"]
LIBRARY = str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg")
GRID = phantom.grid((8, 64, 64), (12.0, 2.0, 2.0), oblique=True)


def surface_of(node, segment_id):
    return node.GetSegmentation().GetSegment(segment_id).GetRepresentation(CLOSED_SURFACE)


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LIBRARY)
    with slicer_shims.application(tmp_path) as application:
        yield application


@pytest.fixture
def heart(app):
    """Volume, segmentation node and labels of an oblique stack."""
    image, labels = phantom.heart(0.0, GRID)
    volume = volume_from_stack(image, "Heart")
    return volume, segmentation_node(labels, volume, "Mine"), labels


@pytest.fixture
def cine(app):
    """Browser, segmentation node and labels of a cine of three frames."""
    image, labels = phantom.cine(3, GRID)
    browser = sequence_from_stack(image, "Cine")
    return browser, segmentation_sequence(labels, browser, "Mine"), labels


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the panel on what the scene holds."""
    from SparseCardiacSegLib.panels import worker_process

    monkeypatch.setattr(worker_process, "worker_command", lambda: WORKER)
    modules = []

    def open_module(segmentation):
        modules.append(slicer_shims.OpenModule(app, only=["display"]))
        modules[-1].session.parameters.show3D = False
        modules[-1].session.parameters.outputSegmentation = segmentation
        modules[-1].open("display")
        return modules[-1]

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def module(opened, heart):
    return opened(heart[1])


def show_surfaces(module, shown=True):
    module.ui_of("display").show3DCheckBox.checked = shown
    wait_until(lambda: not module.panels["display"].keeper.isBusy)


def test_choosing_a_segmentation_alone_starts_no_worker(opened, heart):
    module = opened(heart[1])
    module.session.changed.emit("nodes")
    assert not module.panels["display"].keeper.isBusy
    assert not module.session.workers.client("job").is_running


def test_showing_surfaces_makes_them_in_the_worker_with_the_voxels_volumes(module, heart):
    show_surfaces(module)
    _, node, labels = heart
    for structure in SHORT_AXIS:
        assert volume_ml(surface_of(node, structure.value)) == pytest.approx(labels.volume_ml(structure), rel=0.03)
    assert node.GetDisplayNode().GetVisibility3D()
    assert module.session.workers.client("job").is_running
    assert not module.ui_of("display").progressBar.visible
    show_surfaces(module, False)
    assert not node.GetDisplayNode().GetVisibility3D()
    assert surface_of(node, "LV") is None


def test_surfaces_are_made_anew_after_an_edit_and_only_then(module, heart):
    show_surfaces(module)
    keeper = module.panels["display"].keeper
    asked = []
    client = module.session.workers.client("job")
    submit = client.submit
    client.submit = lambda command, *rest: (asked.append(command), submit(command, *rest))[1]
    module.session.changed.emit("segments")
    wait_until(lambda: not keeper.isBusy)
    assert asked == []
    mask = heart[2].mask(Structure.LV).copy()
    mask[:3] = False
    module.session.write({Structure.LV: mask})
    wait_until(lambda: not keeper.isBusy)
    assert asked == ["make_surfaces"]
    expected = np.count_nonzero(mask) * heart[2].labels.voxel_volume_ml
    assert volume_ml(surface_of(heart[1], "LV")) == pytest.approx(expected, rel=0.03)


def test_less_smoothing_gives_another_surface_of_the_same_volume(module, heart):
    show_surfaces(module)
    smooth = surface_of(heart[1], "LV").GetNumberOfPoints(), list(surface_of(heart[1], "LV").GetPoint(100))
    module.ui_of("display").smoothingSlider.value = 0
    wait_until(lambda: not module.panels["display"].keeper.isBusy)
    rough = surface_of(heart[1], "LV")
    assert (rough.GetNumberOfPoints(), list(rough.GetPoint(100))) != smooth
    assert volume_ml(rough) == pytest.approx(heart[2].volume_ml(Structure.LV), rel=0.03)


def test_visibility_and_opacities_go_to_the_display_node_and_come_from_it(module, heart):
    ui, display = module.ui_of("display"), heart[1].GetDisplayNode()
    show_surfaces(module)
    assert ui.myoOpacitySlider.value == pytest.approx(0.3)
    assert not ui.laCheckBox.visible
    ui.lvCheckBox.checked = False
    ui.rvOpacitySlider.value = 0.5
    ui.opacitySlider.value = 0.7
    ui.fillSlider.value = 0.0
    ui.outlineSlider.value = 4
    assert not display.GetSegmentVisibility("LV")
    assert display.GetSegmentOpacity3D("RV") == pytest.approx(0.5)
    assert display.GetOpacity3D() == pytest.approx(0.7)
    assert not display.GetVisibility2DFill()
    assert display.GetSliceIntersectionThickness() == 4
    display.SetSegmentVisibility("LV", True)
    display.SetSegmentOpacity3D("MYO", 0.9)
    assert ui.lvCheckBox.checked
    assert ui.myoOpacitySlider.value == pytest.approx(0.9)


def test_an_empty_segmentation_and_a_removed_one_are_no_trouble(module, heart):
    _, node, _ = heart
    node.GetSegmentation().RemoveAllSegments()
    show_surfaces(module)
    assert not module.ui_of("display").lvCheckBox.visible
    slicer.mrmlScene.RemoveNode(node)
    assert not module.ui_of("display").centerButton.enabled
    show_surfaces(module, False)


def test_a_segmentation_removed_while_its_surfaces_are_made_is_no_trouble(module, heart):
    panel = module.panels["display"]
    module.ui_of("display").show3DCheckBox.checked = True
    wait_until(lambda: panel.keeper._job is not None)
    slicer.mrmlScene.RemoveNode(heart[1])
    wait_until(lambda: not panel.keeper.isBusy)
    assert not heart[1].GetSegmentation().ContainsRepresentation("Closed surface")
    assert module.ui_of("display").statusLabel.text == ""


def test_a_worker_that_dies_is_told_and_the_next_surfaces_are_made(module, heart):
    panel = module.panels["display"]
    module.ui_of("display").show3DCheckBox.checked = True
    wait_until(lambda: panel.keeper._job is not None)
    os.kill(module.session.workers.client("job").pid, 9)
    wait_until(lambda: not panel.keeper.isBusy)
    assert "ended unexpectedly" in module.ui_of("display").statusLabel.text
    show_surfaces(module, False)
    show_surfaces(module)
    assert surface_of(heart[1], "LV").GetNumberOfPoints() > 500


def test_play_makes_every_frames_surfaces_first_and_then_the_heart_beats(opened, cine):
    browser, node, labels = cine
    module = opened(node)
    ui, panel = module.ui_of("display"), module.panels["display"]
    show_surfaces(module)
    assert ui.beatingGroupBox.visible
    ui.playButton.click()
    assert not browser.GetPlaybackActive()
    wait_until(lambda: not panel.keeper.isBusy)
    assert browser.GetPlaybackActive()
    assert ui.playButton.text == "Pause"
    for frame in (1, 2, 0):
        browser.SetSelectedItemNumber(frame)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        expected = labels.frame(frame).volume_ml(Structure.LV)
        assert volume_ml(surface_of(node, "LV")) == pytest.approx(expected, rel=0.03)
    ui.frameRateSlider.value = 25
    assert browser.GetPlaybackRateFps() == 25
    ui.playButton.click()
    assert not browser.GetPlaybackActive()
    ui.playButton.click()
    wait_until(lambda: not panel.keeper.isBusy)
    assert browser.GetPlaybackActive()


def test_a_cine_that_is_chosen_while_another_gets_its_surfaces_does_not_begin_to_beat(opened, cine):
    browser, node, _labels = cine
    image, _ = phantom.cine(3, phantom.grid(oblique=True))
    other = sequence_from_stack(image, "Other")
    module = opened(node)
    ui, panel = module.ui_of("display"), module.panels["display"]
    show_surfaces(module)
    ui.playButton.click()
    assert panel.beat.isWaiting
    module.session.parameters.inputVolume = other.GetProxyNode(other.GetMasterSequenceNode())
    wait_until(lambda: not panel.keeper.isBusy)
    assert module.session.browser is other
    assert not other.GetPlaybackActive()
    assert not browser.GetPlaybackActive()


def test_without_surfaces_the_heart_beats_at_once(opened, cine):
    module = opened(cine[1])
    module.ui_of("display").playButton.click()
    assert cine[0].GetPlaybackActive()
    assert not module.panels["display"].keeper.isBusy


def test_another_frame_gets_its_surface_when_it_is_shown(opened, cine):
    browser, node, labels = cine
    module = opened(node)
    show_surfaces(module)
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    wait_until(lambda: surface_of(node, "LV") is not None)
    expected = labels.frame(2).volume_ml(Structure.LV)
    assert volume_ml(surface_of(node, "LV")) == pytest.approx(expected, rel=0.03)


def test_the_left_atrium_can_be_shown_as_points(opened, app):
    from SparseCardiacSegLib.mrml.own_nodes import find_own

    image, labels = phantom.left_atrium()
    volume = volume_from_stack(image, "Atrium")
    node = segmentation_node(labels, volume, "LA")
    module = opened(node)
    ui = module.ui_of("display")
    assert ui.pointCloudCheckBox.visible
    ui.pointCloudCheckBox.checked = True
    wait_until(lambda: not module.panels["display"].keeper.isBusy)
    cloud = find_own("vtkMRMLModelNode", "LA points", node)
    assert cloud.GetPolyData().GetNumberOfPoints() > 50
    assert cloud.GetDisplayNode().GetVisibility()
    assert not node.GetDisplayNode().GetVisibility3D() or surface_of(node, "LA") is None
    ui.pointCloudCheckBox.checked = False
    assert not cloud.GetDisplayNode().GetVisibility()


def test_volume_rendering_is_offered_where_slicer_has_it(opened, heart):
    module = opened(heart[1])
    ui = module.ui_of("display")
    assert not ui.volumeRenderingGroupBox.visible
    logic = slicer.vtkSlicerVolumeRenderingLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    slicer.modules.volumerendering = SimpleNamespace(logic=lambda: logic)
    module.session.changed.emit("nodes")
    assert ui.volumeRenderingGroupBox.visible
    ui.volumeRenderingCheckBox.checked = True
    display = logic.GetFirstVolumeRenderingDisplayNode(heart[0])
    assert display.GetVisibility()
    assert display.GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity().GetValue(900) > 0.2
    ui.opacityShiftSlider.value = 0.8
    assert display.GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity().GetValue(900) == 0
    ui.volumeRenderingCheckBox.checked = False
    assert not display.GetVisibility()


def test_layouts_are_chosen_shown_and_restored(module, heart):
    from SparseCardiacSegLib.mrml import layouts

    ui = module.ui_of("display")
    reference = segmentation_node(heart[2], heart[0], "Theirs")
    module.session.parameters.referenceNode = reference
    before = slicer.app.layoutManager().layout
    for index, arrangement in enumerate(layouts.Arrangement, start=1):
        ui.layoutSelector.setCurrentIndex(index)
        module.panels["display"].onArrange(index)
        assert layouts.arrangement_of() is arrangement
        assert ui.layoutSelector.currentIndex == index
        beside = arrangement in layouts.SIDE_BY_SIDE
        assert reference.GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed") != beside
    ui.restoreLayoutButton.click()
    assert slicer.app.layoutManager().layout == before
    assert not ui.restoreLayoutButton.enabled


def test_closing_the_scene_while_surfaces_are_made_is_safe(module):
    panel = module.panels["display"]
    module.ui_of("display").show3DCheckBox.checked = True
    wait_until(lambda: panel.keeper._job is not None)
    slicer.mrmlScene.Clear()
    assert not panel.keeper.isBusy
    wait_until(lambda: not panel.keeper.timer.active)


def frame_surfaces(browser, node):
    """Volume of the LV's surface in each frame that has one."""
    sequence = browser.GetSequenceNode(node)
    found = {}
    for frame in range(browser.GetNumberOfItems()):
        part = node if frame == browser.GetSelectedItemNumber() else sequence.GetNthDataNode(frame)
        surface = surface_of(part, "LV")
        if surface is not None:
            found[frame] = volume_ml(surface)
    return found


def test_frames_that_are_written_get_their_surfaces_in_the_background_even_while_the_heart_beats(opened, cine):
    browser, node, labels = cine
    module = opened(node)
    keeper = module.panels["display"].keeper
    show_surfaces(module)
    module.ui_of("display").playButton.click()
    wait_until(lambda: not keeper.isBusy)
    assert browser.GetPlaybackActive()
    larger = labels.frame(0).mask(Structure.LV)
    module.session.writeFrames({frame: {Structure.LV: larger} for frame in range(3)})
    assert keeper.isBusy
    wait_until(lambda: not keeper.isBusy)
    expected = np.count_nonzero(larger) * labels.labels.voxel_volume_ml
    assert frame_surfaces(browser, node) == pytest.approx(dict.fromkeys(range(3), expected), rel=0.03)
    browser.SetPlaybackActive(False)


def test_surfaces_come_back_after_undo_and_redo(opened, cine):
    browser, node, labels = cine
    module = opened(node)
    keeper = module.panels["display"].keeper
    module.ui_of("display").show3DCheckBox.checked = True
    larger = labels.frame(0).mask(Structure.LV)
    smaller = labels.frame(1).mask(Structure.LV)
    for mask in (larger, smaller):
        module.session.writeFrames({frame: {Structure.LV: mask} for frame in range(3)})
        wait_until(lambda: not keeper.isBusy)
    for step, mask in ((module.session.undo, larger), (module.session.redo, smaller)):
        assert step()
        module.panels["display"].prepareFrames()
        wait_until(lambda: not keeper.isBusy)
        expected = np.count_nonzero(mask) * labels.labels.voxel_volume_ml
        assert frame_surfaces(browser, node) == pytest.approx(dict.fromkeys(range(3), expected), rel=0.03)


def test_the_heart_beats_at_its_own_rate_until_another_is_chosen(opened, cine):
    browser, node, _labels = cine
    times = [float(browser.GetMasterSequenceNode().GetNthIndexValue(frame)) for frame in range(3)]
    true = 2 / (times[2] - times[0])
    browser.SetPlaybackRateFps(13)
    module = opened(node)
    ui = module.ui_of("display")
    assert browser.GetPlaybackRateFps() == pytest.approx(true)
    assert not ui.trueRateButton.enabled
    ui.frameRateSlider.value = 30
    module.session.changed.emit("nodes")
    assert browser.GetPlaybackRateFps() == 30
    assert ui.trueRateButton.enabled
    ui.trueRateButton.click()
    assert browser.GetPlaybackRateFps() == pytest.approx(true)


def test_choosing_another_study_while_surfaces_are_made_gives_them_up(opened, cine):
    browser, node, _labels = cine
    image, labels = phantom.heart(0.0, GRID)
    other = volume_from_stack(image, "Other")
    module = opened(node)
    panel = module.panels["display"]
    module.ui_of("display").show3DCheckBox.checked = True
    panel.prepareFrames()
    wait_until(lambda: panel.keeper._job is not None)
    module.session.parameters.outputSegmentation = None
    module.session.parameters.inputVolume = other
    wait_until(lambda: not panel.keeper.isBusy)
    assert not module.ui_of("display").progressBar.visible
    assert module.ui_of("display").statusLabel.text == ""
    assert frame_surfaces(browser, node) == {}
    module.session.parameters.outputSegmentation = segmentation_node(labels, other, "Theirs")
    show_surfaces(module, False)
    show_surfaces(module)
    assert surface_of(module.session.segmentation, "LV") is not None
