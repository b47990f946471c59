"""The box that limits the search for a left atrium: offered for that view, nothing written outside, turned boxes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import live, wait_until
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.region_box import voxel_box
from SparseCardiacSegLib.mrml.segmentations import segmentation_from_node
from SparseCardiacSegLib.mrml.volumes import array_from_matrix, matrix_from_array, volume_from_stack

WORKER = Path(__file__).with_name("threshold_worker.py")


@pytest.fixture
def module(app, monkeypatch):
    """The module on a heart, shown as a left atrium, with a model that labels by grey value."""
    from SparseCardiacSegLib.panels import model_selector, requirements, worker_process
    from SparseCardiacSegLib.panels.models import ModelChoice

    choices = [ModelChoice("threshold", "Threshold", "Labels by grey value.", needs_torch=False)]
    monkeypatch.setattr(model_selector, "listed_models", lambda: list(choices))
    monkeypatch.setattr(requirements, "ONNX_PACKAGES", ())
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    volume_from_stack(phantom.heart(0.0, phantom.grid(oblique=True))[0], "Heart")
    opened = slicer_shims.OpenModule(app, ("study", "segment"))
    yield opened
    opened.close()


def show_atrium(module):
    parameters = module.session.parameters
    parameters.view = type(parameters.view).LEFT_ATRIUM
    live()


def segment(module):
    """Press the button; the muscle that was found, and what the panel says."""
    module.ui.applyButton.click()
    wait_until(lambda: module.panel.run is None)
    assert module.session.segmentation is not None, module.ui.statusLabel.text
    return segmentation_from_node(module.session.segmentation, module.session.volume).mask(Structure.MYO)


def test_the_box_is_offered_for_the_left_atrium_only(module):
    ui = module.ui
    assert ui.boxSelector.isHidden()
    assert ui.boxButton.isHidden()
    show_atrium(module)
    assert not ui.boxSelector.isHidden()
    assert ui.boxInfoLabel.isHidden()
    ui.boxButton.click()
    (node,) = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    assert ui.boxSelector.currentNode() is node
    assert "Only voxels in Heart box are written" in ui.boxInfoLabel.text
    ui.boxButton.click()
    assert len(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")) == 1


def test_nothing_is_written_outside_the_box_and_what_was_there_stays(module):
    show_atrium(module)
    whole = segment(module)
    module.session.write({Structure.MYO: np.zeros_like(whole)})
    module.ui.boxButton.click()
    node = module.session.parameters.segmentBox
    node.SetSize(30.0, 30.0, 200.0)
    module.session.write({Structure.MYO: np.zeros_like(whole)})
    inside = np.zeros_like(whole)
    inside[voxel_box(node, module.session.volume).slices] = True
    assert (whole & inside).any()
    assert (whole & ~inside).any()
    assert np.array_equal(segment(module), whole & inside)
    drawn = np.zeros_like(whole)
    drawn[0, 0, :5] = True
    module.session.write({Structure.MYO: drawn})
    assert np.array_equal(segment(module), (whole & inside) | drawn)
    module.session.undo()
    assert np.array_equal(
        segmentation_from_node(module.session.segmentation, module.session.volume).mask(Structure.MYO), drawn
    )


def test_a_turned_box_is_told_and_one_outside_is_refused(module):
    show_atrium(module)
    module.ui.boxButton.click()
    node = module.session.parameters.segmentBox
    angle = np.deg2rad(25)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    node.GetObjectToNodeMatrix().DeepCopy(matrix_from_array(array_from_matrix(node.GetObjectToNodeMatrix()) @ turn))
    node.Modified()
    wait_until(lambda: "turned against the image" in module.ui.boxInfoLabel.text, 5)
    node.SetCenter(5000.0, 0.0, 0.0)
    wait_until(lambda: "outside Heart" in module.ui.boxInfoLabel.text, 5)
    module.ui.applyButton.click()
    assert module.panel.run is None
    assert "outside Heart" in module.ui.statusLabel.text


def test_the_box_of_an_atrium_does_not_limit_a_short_axis(module):
    show_atrium(module)
    module.ui.boxButton.click()
    parameters = module.session.parameters
    parameters.view = type(parameters.view).SHORT_AXIS
    live()
    assert module.panel.request().box is None
    assert module.ui.boxInfoLabel.isHidden()
