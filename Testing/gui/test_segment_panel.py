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

import pythonqt
import slicer
import slicer_shims
from PySide6 import QtWidgets
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.segmentations import segment_mask, segment_structures
from SparseCardiacSegLib.mrml.volumes import volume_from_stack
from SparseCardiacSegLib.worker.client import WorkerClient

WORKER = Path(__file__).with_name("threshold_worker.py")


def wait_until(condition, seconds=30.0):
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)


@pytest.fixture
def app(tmp_path):
    with slicer_shims.application(tmp_path) as application:
        yield application


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


def test_pressing_segment_shows_progress_and_leaves_a_segmentation_where_the_heart_is(module, volume):
    shown = []
    assert module.ui.applyButton.enabled
    assert module.ui.inputSelector.currentNode() is volume
    module.ui.applyButton.click()
    assert module.ui.applyButton.text == "Cancel"
    assert not module.ui.inputSelector.enabled
    while module.panel.run is not None:
        QtWidgets.QApplication.processEvents()
        shown.append(module.ui.progressBar.value)
    assert len(set(shown)) > 2
    assert shown == sorted(shown)
    assert module.ui.applyButton.text == "Segment"
    assert module.ui.inputSelector.enabled
    (node,) = segmentation_nodes()
    assert module.ui.outputSelector.currentNode() is node
    assert set(segment_structures(node).values()) == {Structure.MYO, Structure.LV}
    stack_labels = slicer.util.arrayFromVolume(volume)
    expected = (stack_labels.astype(np.float32) > 220) & (stack_labels.astype(np.float32) < 500)
    (myo,) = [key for key, part in segment_structures(node).items() if part == Structure.MYO]
    assert np.array_equal(segment_mask(node, myo, volume), expected)
    assert node.GetDisplayNode().GetVisibility3D()
    assert "Myocardium" in module.ui.statusLabel.text


def test_unticking_show_in_3d_hides_the_surfaces(module):
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    (node,) = segmentation_nodes()
    module.ui.show3DCheckBox.checked = False
    assert not node.GetDisplayNode().GetVisibility3D()
    module.ui.show3DCheckBox.checked = True
    assert node.GetDisplayNode().GetVisibility3D()


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
    client = module.widget.logic.segmentLogic._client
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
    module.ui.inputSelector.setCurrentNode(fresh)
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
    output = module.ui.outputSelector.addNode()
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
    assert module.ui.outputSelector.currentNode() is segmentation_nodes()[0]


def test_segmenting_into_a_segmentation_keeps_what_the_user_made_there(module, volume):
    from SparseCardiacSegLib.mrml.segmentations import segmentation_from_volume

    node = segmentation_from_volume(volume, "Mine")
    mine = node.GetSegmentation().AddEmptySegment("scar", "Scar")
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    mask[4, 30:60, 30:60] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, mine, volume)
    module.ui.outputSelector.setCurrentNode(node)
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
    assert module.widget.segmentPanel is None


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


def test_every_widget_has_a_tool_tip(module):
    for name, widget in vars(module.ui).items():
        kind = widget.className()
        if kind in ("QLabel", "QPushButton", "QComboBox", "QCheckBox", "QProgressBar", "qMRMLNodeComboBox"):
            assert name.startswith("qt_") or widget.toolTip or pythonqt.unwrap(widget).parent().toolTip(), name


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for PythonSlicer is a shell script")
def test_the_modules_own_self_test_passes_with_the_embedded_model(app, monkeypatch, tmp_path):
    """What Reload and Test runs, with the real model; only the file reader and PythonSlicer are stood in for."""
    from SparseCardiacSegLib.io import read_stack
    from SparseCardiacSegLib.panels import self_test

    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(slicer.util, "loadVolume", lambda path: volume_from_stack(read_stack(path), "Sample"))
    opened = slicer_shims.OpenModule(app)
    said = []
    test = opened.file.SparseCardiacSegTest()
    test.delayDisplay = lambda message, *_: said.append(message)
    try:
        test.runTest()
    finally:
        opened.close()
    assert self_test._cannot_segment() == ""
    assert said[-1] == "Passed"


def test_opening_the_module_takes_under_a_second_and_imports_no_model_library(app, volume):
    before = set(sys.modules)
    started = time.perf_counter()
    opened = slicer_shims.OpenModule(app)
    assert time.perf_counter() - started < 1.0
    opened.close()
    fresh = {name.split(".")[0] for name in set(sys.modules) - before}
    assert not fresh & {"torch", "nnunetv2", "onnxruntime", "matplotlib", "skimage", "SimpleITK"}


def test_the_list_says_what_an_embedded_model_was_trained_on_and_under_which_licence(app):
    opened = slicer_shims.OpenModule(app)
    info = opened.ui.modelInfoLabel.text
    opened.close()
    assert info.startswith("Segments RV, MYO, LV. Trained on ACDC")
    assert "CC BY-NC-SA" in info
