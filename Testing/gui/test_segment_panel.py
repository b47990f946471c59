"""The module file and its panel, driven as a user does: real widgets, a real scene, a real worker process."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import wait_until
from PySide6 import QtWidgets
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.segmentations import segment_mask, segment_structures
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.worker.client import WorkerClient

WORKER = Path(__file__).with_name("threshold_worker.py")


@pytest.fixture
def volume(app):
    """An oblique short-axis stack in the scene."""
    image, _labels = phantom.heart(0.0, phantom.grid(oblique=True))
    return volume_from_stack(image, "Heart")


@pytest.fixture
def module(app, volume, monkeypatch):
    """The module, open, with models that need nothing and a worker that labels by grey value."""
    from SparseCardiacSegLib.panels import model_selector, requirements, worker_process
    from SparseCardiacSegLib.panels.models import ModelChoice

    names = ("threshold", "slow", "stuck", "refuses", "dies")
    choices = [ModelChoice(name, name.title(), f"Labels by grey value ({name}).", needs_torch=False) for name in names]
    monkeypatch.setattr(model_selector, "listed_models", lambda: list(choices))
    monkeypatch.setattr(requirements, "ONNX_PACKAGES", ())
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    opened = slicer_shims.OpenModule(app)
    yield opened
    opened.close()


def choose(module, model):
    """Pick a model in the list."""
    names = [module.ui.modelSelector.itemText(index).lower() for index in range(module.ui.modelSelector.count)]
    module.ui.modelSelector.setCurrentIndex(names.index(model))


def segmentation_nodes():
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def shown_in_3d(node):
    surface = node.GetSegmentation().ContainsRepresentation("Closed surface")
    return bool(surface and node.GetDisplayNode().GetVisibility3D())


def test_pressing_segment_shows_progress_and_leaves_a_segmentation_where_the_heart_is(module, volume):
    shown = []
    assert module.ui.applyButton.enabled
    assert module.ui_of("study").inputSelector.currentNode() is volume
    module.ui.applyButton.click()
    assert module.ui.applyButton.text == "Cancel"
    while module.panel.run is not None:
        QtWidgets.QApplication.processEvents()
        shown.append(module.ui.progressBar.value)
    assert len(set(shown)) > 2
    assert shown == sorted(shown)
    assert module.ui.applyButton.text == "Segment"
    (node,) = segmentation_nodes()
    assert module.ui_of("study").outputSelector.currentNode() is node
    assert set(segment_structures(node).values()) == {Structure.MYO, Structure.LV}
    stack_labels = slicer.util.arrayFromVolume(volume)
    expected = (stack_labels.astype(np.float32) > 220) & (stack_labels.astype(np.float32) < 500)
    (myo,) = [key for key, part in segment_structures(node).items() if part == Structure.MYO]
    assert np.array_equal(segment_mask(node, myo, volume), expected)
    wait_until(lambda: shown_in_3d(node))
    assert "Myocardium" in module.ui.statusLabel.text


def test_unticking_show_in_3d_hides_the_surfaces(module):
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    (node,) = segmentation_nodes()
    wait_until(lambda: shown_in_3d(node))
    module.ui.show3DCheckBox.checked = False
    wait_until(lambda: not shown_in_3d(node))
    module.ui.show3DCheckBox.checked = True
    wait_until(lambda: shown_in_3d(node))


def test_cancel_frees_the_window_at_once_and_changes_nothing(module):
    choose(module, "slow")
    module.ui.applyButton.click()
    wait_until(lambda: module.ui.progressBar.value > 0)
    started = time.monotonic()
    module.ui.applyButton.click()
    assert time.monotonic() - started < 0.5
    assert module.ui.applyButton.text == "Segment"
    assert "Cancelled" in module.ui.statusLabel.text
    wait_until(lambda: not module.panel.timer.active)
    assert segmentation_nodes() == []


def test_a_worker_that_does_not_listen_is_ended_after_cancel(module):
    choose(module, "stuck")
    module.ui.applyButton.click()
    wait_until(lambda: module.ui.progressBar.value > 0)
    client = module.widget.logic.workers.client("segment")
    assert client.is_running
    module.ui.applyButton.click()
    wait_until(lambda: not module.panel.timer.active, 10)
    assert not client.is_running


def test_after_a_cancel_one_can_segment_again(module):
    choose(module, "slow")
    module.ui.applyButton.click()
    wait_until(lambda: module.ui.progressBar.value > 0)
    module.ui.applyButton.click()
    choose(module, "threshold")
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert len(segmentation_nodes()) == 1


def test_bad_input_is_a_sentence_in_the_panel(module):
    choose(module, "refuses")
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert module.ui.statusLabel.text == "this image is no heart"
    assert module.ui.detailsGroupBox.isHidden()
    assert module.ui.applyButton.enabled
    assert segmentation_nodes() == []


def test_a_dead_worker_is_a_sentence_with_its_last_words_in_the_details(module):
    choose(module, "dies")
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert "ended unexpectedly" in module.ui.statusLabel.text
    assert "the last words of the worker" in module.ui.detailsText.toPlainText()
    assert not module.ui.detailsGroupBox.isHidden()
    choose(module, "threshold")
    module.ui.applyButton.click()
    assert module.ui.detailsGroupBox.isHidden()
    wait_until(lambda: module.panel.run is None)
    assert len(segmentation_nodes()) == 1


def test_closing_the_scene_in_mid_run_stops_it_and_the_panel_goes_on_with_the_new_scene(module):
    choose(module, "slow")
    module.ui.applyButton.click()
    wait_until(lambda: module.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear()
    assert module.panel.run is None
    assert "scene was closed" in module.ui.statusLabel.text
    wait_until(lambda: not module.panel.timer.active)
    assert segmentation_nodes() == []
    assert not module.ui.applyButton.enabled
    image, _labels = phantom.heart(0.0)
    fresh = volume_from_stack(image, "Another")
    module.ui_of("study").inputSelector.setCurrentNode(fresh)
    choose(module, "threshold")
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert len(segmentation_nodes()) == 1


def test_removing_the_volume_in_mid_run_stops_it(module, volume):
    choose(module, "slow")
    module.ui.applyButton.click()
    wait_until(lambda: module.ui.progressBar.value > 0)
    slicer.mrmlScene.RemoveNode(volume)
    wait_until(lambda: module.panel.run is None)
    assert "volume was removed" in module.ui.statusLabel.text
    assert not module.ui.applyButton.enabled


def test_removing_the_output_in_mid_run_gives_a_new_segmentation(module):
    output = module.ui_of("study").outputSelector.addNode()
    module.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(output)
    wait_until(lambda: module.panel.run is None)
    (node,) = segmentation_nodes()
    assert node is not output
    assert len(segment_structures(node)) == 2


def test_leaving_the_module_in_mid_run_still_gives_the_result(module):
    module.ui.applyButton.click()
    module.widget.parent.isEntered = False
    wait_until(lambda: module.panel.run is None)
    assert len(segmentation_nodes()) == 1
    module.enter()
    assert module.ui_of("study").outputSelector.currentNode() is segmentation_nodes()[0]


def test_segmenting_into_a_segmentation_keeps_what_the_user_made_there(module, volume):
    from SparseCardiacSegLib.mrml.segmentations import segmentation_from_volume

    node = segmentation_from_volume(volume, "Mine")
    mine = node.GetSegmentation().AddEmptySegment("scar", "Scar")
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    mask[4, 30:60, 30:60] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, mine, volume)
    module.ui_of("study").outputSelector.setCurrentNode(node)
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert segmentation_nodes() == [node]
    assert node.GetSegmentation().GetSegment(mine).GetName() == "Scar"
    assert np.array_equal(segment_mask(node, mine, volume), mask.astype(bool))
    assert set(segment_structures(node).values()) == {Structure.MYO, Structure.LV}


def test_the_choices_are_kept_in_the_scene_and_come_back(module, app):
    choose(module, "refuses")
    module.ui.deviceSelector.setCurrentIndex(1)
    parameters = slicer.mrmlScene.GetSingletonNode("SparseCardiacSeg", "vtkMRMLScriptedModuleNode")
    assert parameters.GetParameter("model") == "refuses"
    assert parameters.GetParameter("device") == "CPU"
    module.widget.cleanup()
    again = slicer_shims.OpenModule(app)
    assert again.ui.modelSelector.currentText == "Refuses"
    assert again.ui.deviceSelector.currentText == "Processor (CPU)"
    again.close()


def test_a_script_that_changes_a_parameter_changes_the_panel(module):
    module.widget.logic.getParameterNode().model = "slow"
    assert module.ui.modelSelector.currentText == "Slow"


def test_reload_leaves_no_observer_behind(module):
    module.widget.cleanup()
    slicer.mrmlScene.Clear()
    assert module.widget.workbench is None


def test_a_model_that_misses_packages_cannot_be_run_and_says_what_to_install(module, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    lacking = requirements.Package("no_such_package", "no-such-package>=1", 20)
    monkeypatch.setattr(requirements, "ONNX_PACKAGES", (lacking,))
    module.enter()
    assert not module.ui.applyButton.enabled
    assert "no_such_package" in module.ui.requirementsLabel.text
    assert "20 MB" in module.ui.requirementsLabel.text
    asked, installed = [], []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *_: asked.append(text), raising=False)
    monkeypatch.setattr(requirements, "_install", installed.append)
    module.ui.installButton.click()
    assert "no-such-package>=1" in asked[0]
    assert installed == []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_: True, raising=False)
    module.ui.installButton.click()
    assert installed == [["no-such-package>=1"]]


def test_a_folder_that_is_no_model_is_explained(module, monkeypatch, tmp_path):
    qt = sys.modules["qt"]
    monkeypatch.setattr(qt, "QFileDialog", SimpleNamespace(getExistingDirectory=lambda *_: str(tmp_path)))
    module.ui.modelFolderButton.click()
    assert "plans.json" in module.ui.statusLabel.text
    assert module.ui.modelSelector.currentText == "Threshold"


def test_the_worker_starts_with_pythonslicer_and_without_slicers_itk_plugins(app, monkeypatch, tmp_path):
    from SparseCardiacSegLib.panels import worker_process

    with pytest.raises(InputError, match="PythonSlicer"):
        worker_process.worker_interpreter()
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.symlink_to(sys.executable)
    monkeypatch.setenv("ITK_AUTOLOAD_PATH", "/somewhere")
    client = worker_process.make_client()
    assert isinstance(client, WorkerClient)
    assert client._command[0] == str(launcher)
    assert "ITK_AUTOLOAD_PATH" not in client._environment()


def test_startup_loads_the_terminology_and_offers_the_bundled_case_once(module, app):
    from SparseCardiacSegLib.anatomy import TERMINOLOGY_CONTEXT

    assert slicer.modules.terminologies.logic().IsTerminologyContextLoaded(TERMINOLOGY_CONTEXT)
    app.emit("startupCompleted()")
    sources = slicer.modules.sampleDataSources["Cardiac MR"]
    assert [source.sampleName for source in sources] == ["ShortAxisED", "ShortAxisES"]
    assert all(source.uris.startswith("file:///") for source in sources)


@pytest.fixture
def cine(app, volume):
    """A cine of three frames in the scene, instead of the stack."""
    slicer.mrmlScene.RemoveNode(volume)
    image, _labels = phantom.cine(3, phantom.grid(oblique=True))
    return sequence_from_stack(image, "Cine")


def frame_lv_ml(module):
    """Volume of the left ventricle in each frame that has labels."""
    frames = module.widget.workbench.session.labelledFrames()
    return {frame: labels.volume_ml(Structure.LV) for frame, labels in frames.items()}


def test_every_frame_of_a_cine_is_segmented_into_a_sequence(cine, module):
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    volumes = frame_lv_ml(module)
    assert list(volumes) == [0, 1, 2]
    assert volumes[0] > 1.2 * volumes[1]
    (node,) = segmentation_nodes()
    assert module.widget.workbench.session.segmentation is node
    assert cine.GetSequenceNode(node) is not None


def test_one_frame_of_a_cine_is_written_where_the_run_began_whatever_is_shown_at_its_end(cine, module):
    session = module.widget.workbench.session
    session.showFrame(1)
    module.ui.allFramesCheckBox.checked = False
    module.ui.applyButton.click()
    session.showFrame(2)
    wait_until(lambda: module.panel.run is None)
    assert session.frame == 2
    assert list(frame_lv_ml(module)) == [1]


def test_segmenting_a_cine_again_is_one_step_of_undo(cine, module):
    session = module.widget.workbench.session
    module.ui.allFramesCheckBox.checked = False
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    before = frame_lv_ml(module)
    module.ui.allFramesCheckBox.checked = True
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert list(frame_lv_ml(module)) == [0, 1, 2]
    module.ui_of("study").undoButton.click()
    assert frame_lv_ml(module) == before
    assert session.canRedo


def test_a_segmentation_of_one_frame_cannot_take_a_cine(cine, module):
    module.ui_of("study").outputSelector.addNode()
    module.ui.applyButton.click()
    assert "is a cine" in module.ui.statusLabel.text
    assert module.panel.run is None


def test_the_estimate_is_learned_from_the_last_run(module):
    assert "first run" in module.ui.estimateLabel.text
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert "as last time on this computer" in module.ui.estimateLabel.text


def test_the_repairs_are_handed_to_the_model(module):
    module.ui.closingCheckBox.checked = True
    module.ui.fillHolesCheckBox.checked = False
    settings = module.panel.request().postprocess
    assert settings.closing
    assert not settings.fill_holes
    assert settings.largest_component


def test_the_list_says_what_an_embedded_model_was_trained_on_and_under_which_licence(app):
    opened = slicer_shims.OpenModule(app)
    info = opened.ui.modelInfoLabel.text
    opened.close()
    assert info.startswith("Segments RV, MYO, LV. Trained on ACDC")
    assert "CC BY-NC-SA" in info
