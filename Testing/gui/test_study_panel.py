"""The Study panel in the stand-in host: what is chosen, the frame, ED and ES, the views and undo."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml import host
from SparseCardiacSegLib.mrml.bundle import save_scene
from SparseCardiacSegLib.mrml.host import archive_cache
from SparseCardiacSegLib.mrml.segmentations import segment_structures
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

WORKER = Path(__file__).with_name("threshold_worker.py")


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the module on what the scene holds."""
    from SparseCardiacSegLib.panels import worker_process

    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    modules = []

    def open_module():
        modules.append(slicer_shims.OpenModule(app))
        return modules[-1]

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def stack(app):
    image, _labels = phantom.heart(0.0, phantom.grid(oblique=True))
    return volume_from_stack(image, "Heart")


@pytest.fixture
def cine(app):
    image, _labels = phantom.cine(4, phantom.grid(oblique=True))
    return sequence_from_stack(image, "Cine")


def block(volume, slice_index=3):
    mask = np.zeros(tuple(reversed(volume.GetImageData().GetDimensions())), bool)
    mask[slice_index, 10:20, 10:20] = True
    return mask


def test_without_a_volume_nothing_can_be_done_and_nothing_fails(opened):
    module = opened()
    ui = module.ui_of("study")
    assert not ui.alignViewsButton.enabled
    assert not ui.undoButton.enabled
    assert ui.infoLabel.isHidden()
    assert module.widget.workbench.session.nFrames == 0


def test_the_first_volume_is_chosen_and_described(stack, opened):
    ui = opened().ui_of("study")
    assert ui.inputSelector.currentNode() is stack
    assert "10 slices of 10.0 mm, 96 x 96 pixels" in ui.infoLabel.text
    assert ui.frameSlider.isHidden()
    assert ui.edFrameSpinBox.isHidden()


def test_a_cine_is_walked_through_and_its_phases_are_taken_from_what_is_shown(cine, opened):
    module = opened()
    ui, session = module.ui_of("study"), module.widget.workbench.session
    assert not ui.frameSlider.isHidden()
    assert "4 frames" in ui.infoLabel.text
    ui.frameSlider.value = 2
    assert cine.GetSelectedItemNumber() == 2
    assert ui.frameLabel.text == "2 of 3"
    ui.esFrameShownButton.click()
    assert session.parameters.esFrame == 2
    assert ui.esFrameSpinBox.value == 2
    cine.SetSelectedItemNumber(1)
    assert ui.frameSlider.value == 1
    assert not ui.edFrameShowButton.enabled
    ui.esFrameShowButton.click()
    assert session.frame == 2


def test_a_write_makes_a_segmentation_beside_the_volume_and_can_be_undone_and_redone(stack, opened):
    module = opened()
    ui, session = module.ui_of("study"), module.widget.workbench.session
    session.write({Structure.LV: block(stack)}, slices=[3])
    node = ui.outputSelector.currentNode()
    assert node.GetName() == "Heart segmentation"
    assert ui.undoButton.enabled
    ui.undoButton.click()
    assert segment_structures(node) == {}
    assert not ui.undoButton.enabled
    ui.redoButton.click()
    assert set(segment_structures(node).values()) == {Structure.LV}


def test_what_the_user_paints_elsewhere_is_news_and_ends_the_undo(stack, opened):
    module = opened()
    ui, session = module.ui_of("study"), module.widget.workbench.session
    session.write({Structure.LV: block(stack)})
    news = []
    session.changed.connect(news.append)
    (segment,) = segment_structures(session.segmentation)
    painted = block(stack, 4).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, session.segmentation, segment, stack)
    until = time.monotonic() + 10
    while "segments" not in news:
        assert time.monotonic() < until
        slicer.app.processEvents()
    assert not ui.undoButton.enabled


def test_each_frame_of_a_cine_gets_its_own_labels(cine, opened):
    session = opened().widget.workbench.session
    volume = session.volume
    session.write({Structure.LV: block(volume)})
    session.showFrame(2)
    session.write({Structure.LV: block(volume, 5)})
    frames = session.labelledFrames()
    assert sorted(frames) == [0, 2]
    assert np.array_equal(frames[0].mask(Structure.LV), block(volume))
    assert np.array_equal(frames[2].mask(Structure.LV), block(volume, 5))


def test_aligning_the_views_shows_the_stacks_own_slices(stack, opened):
    module = opened()
    session = module.widget.workbench.session
    assert session.shownSlice() is None
    module.ui_of("study").alignViewsButton.click()
    assert session.shownSlice() == 5
    session.showSlice(2)
    assert session.shownSlice() == 2


def test_the_views_are_aligned_where_no_layout_shows_them(stack, opened, app, monkeypatch):
    module = opened()
    monkeypatch.setattr(type(app), "layoutManager", lambda _self: None)
    module.ui_of("study").alignViewsButton.click()
    assert module.session.shownSlice() == 5


def test_coming_back_to_the_module_puts_no_further_observers_on_the_parameter_node(stack, opened, monkeypatch):
    module = opened()
    made = []
    ask = module.session._getParameterNode
    monkeypatch.setattr(module.session, "_getParameterNode", lambda: made.append(1) or ask())
    for _again in range(3):
        module.leave()
        module.enter()
    assert not made
    slicer.mrmlScene.Clear()
    assert made == [1]
    assert module.session.parameters.parameterNode.GetScene() is slicer.mrmlScene


def test_the_workers_end_with_the_application_even_where_qt_deleted_the_widgets_before(stack, opened, monkeypatch):
    class Deleted:
        """What PythonQt makes of a widget that is gone."""

        def __bool__(self):
            return False

        def __getattr__(self, name):
            raise ValueError(f"Trying to get attribute '{name}' of a destroyed QWidget object")

    module = opened()
    workbench, workers = module.widget.workbench, module.session.workers
    panels = list(workbench.panels.values())
    stopped = []
    monkeypatch.setattr(workers, "stop", lambda: stopped.append(1))
    for panel in panels:
        monkeypatch.setattr(panel, "widget", Deleted())
        monkeypatch.setattr(panel, "ui", Deleted())
    module.widget.cleanup()
    assert stopped == [1]
    assert not any(panel.Observations for panel in panels)
    monkeypatch.undo()
    for panel in panels:
        panel.cleanup()


def test_phases_and_order_are_saved_with_the_scene(cine, opened):
    module = opened()
    ui = module.ui_of("study")
    ui.edFrameSpinBox.value = 3
    ui.sliceOrderSelector.setCurrentIndex(2)
    node = slicer.mrmlScene.GetSingletonNode("SparseCardiacSeg", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("edFrame") == "3"
    assert node.GetParameter("sliceOrder") == "APEX_FIRST"
    assert module.widget.workbench.session.baseFirst is False


def test_a_cine_of_a_loaded_scene_is_followed_frame_by_frame(cine, opened, tmp_path):
    module = opened()
    with host.archive_cache():
        assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "cine.mrb"), None)
        slicer.mrmlScene.Clear()
        assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "cine.mrb"), False)
    session = module.session
    assert session.nFrames == 4
    heard = []
    session.changed.connect(heard.append)
    session.browser.SetSelectedItemNumber(2)
    assert "frame" in heard
    assert module.ui_of("study").frameSlider.value == 2


def test_closing_the_scene_empties_the_panel(stack, opened):
    module = opened()
    module.widget.workbench.session.write({Structure.LV: block(stack)})
    slicer.mrmlScene.Clear()
    assert module.widget.workbench.session.volume is None
    assert not module.ui_of("study").undoButton.enabled
    assert module.ui_of("study").infoLabel.isHidden()


def test_the_view_decides_which_structures_are_offered_and_keeps_a_model_that_suits(stack, opened):
    module = opened()
    study, prompt = module.ui_of("study"), module.ui_of("prompt")
    assert prompt.laButton.isHidden()
    assert not prompt.lvButton.isHidden()
    before = module.ui_of("segment").modelSelector.currentText
    study.viewSelector.setCurrentIndex(1)
    assert not prompt.laButton.isHidden()
    assert prompt.lvButton.isHidden()
    assert prompt.laButton.checked
    study.viewSelector.setCurrentIndex(0)
    assert prompt.lvButton.checked
    assert module.ui_of("segment").modelSelector.currentText == before


def test_a_scene_that_is_loaded_is_followed_though_its_nodes_come_after_the_parameters(stack, opened, tmp_path):
    module = opened()
    session = module.widget.workbench.session
    session.write({Structure.LV: block(stack)})
    path = tmp_path / "study.mrb"
    save_scene(path)
    slicer.mrmlScene.Clear()
    with archive_cache():
        assert slicer.mrmlScene.ReadFromMRB(str(path), False)
    assert session.volume.GetName() == "Heart"
    assert session.segmentation is not None
    slicer.app.processEvents()
    ui = module.ui_of("study")
    assert ui.inputSelector.currentNode() is session.volume
    assert ui.outputSelector.currentNode() is session.segmentation
    told = []
    session.changed.connect(told.append)
    session.segmentation.GetSegmentation().AddEmptySegment("", "Scar")
    end = time.monotonic() + 5
    while "segments" not in told and time.monotonic() < end:
        slicer.app.processEvents()
    assert "segments" in told


CARRY_WORKER = Path(__file__).with_name("carry_worker.py")


@pytest.fixture
def phases(opened, cine, monkeypatch):
    """The module on a cine of four frames, with a worker that can find phases; behaviours are carry_worker's."""
    from SparseCardiacSegLib.panels import worker_process

    module = opened()
    folders = [str(CARRY_WORKER.parent), str(CARRY_WORKER.parents[2] / "SparseCardiacSeg")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(CARRY_WORKER)])
    return module


def wait_for_phases(module, seconds=30):
    end = time.monotonic() + seconds
    while module.panels["study"].finder.driver.run is not None:
        assert time.monotonic() < end, "waited too long"
        slicer.app.processEvents()
        time.sleep(0.01)


def test_ed_and_es_are_found_from_the_images_while_nothing_is_labelled(phases):
    ui, parameters = phases.ui_of("study"), phases.session.parameters
    ui.findPhasesButton.click()
    assert ui.findPhasesButton.text == "Cancel"
    wait_for_phases(phases)
    array = phases.session.cine().array
    assert (parameters.edFrame, parameters.esFrame) == (0, int(array.mean(axis=(1, 2, 3)).argmin()))
    assert "Found from the images" in ui.statusLabel.text
    assert ui.findPhasesButton.text == "Find ED and ES"


def test_ed_and_es_are_found_by_the_lv_where_frames_are_labelled_and_it_is_said_how_many(phases, cine):
    _image, labels = phantom.cine(4, phantom.grid(oblique=True))
    ui, session = phases.ui_of("study"), phases.session
    session.ensureSegmentation()
    session.writeFrames({frame: {Structure.LV: labels.frame(frame).mask(Structure.LV)} for frame in (1, 2, 3)})
    ui.findPhasesButton.click()
    volumes = [labels.frame(frame).volume_ml(Structure.LV) for frame in range(4)]
    assert session.parameters.edFrame == max((1, 2, 3), key=volumes.__getitem__)
    assert session.parameters.esFrame == min((1, 2, 3), key=volumes.__getitem__)
    assert "Of 3 labelled frames" in ui.statusLabel.text
    assert "not labelled (1)" in ui.statusLabel.text


def test_the_search_for_ed_and_es_can_be_cancelled_and_its_failure_is_a_sentence(phases, monkeypatch):
    monkeypatch.setenv("CARRY_WORKER", "slow")
    ui = phases.ui_of("study")
    ui.findPhasesButton.click()
    ui.findPhasesButton.click()
    assert "Cancelled" in ui.statusLabel.text
    assert phases.session.parameters.edFrame == -1
    phases.session.workers.stop()
    monkeypatch.setenv("CARRY_WORKER", "refuses")
    ui.findPhasesButton.click()
    wait_for_phases(phases)
    assert ui.statusLabel.text == "these images cannot be registered"
