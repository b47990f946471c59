"""How the tests drive the Prompt panel: Markups in a real scene, a real worker whose masks are discs of 6 pixels."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

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
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.mrml.prompt_geometry import world_from_slice
from SparseCardiacSegLib.mrml.volumes import volume_from_stack

WORKER = Path(__file__).resolve().parents[1] / "disc_worker.py"
NAMES = ("disc", "slow", "slow to decode", "stuck", "dies", "breaks", "short-axis")
MIDDLE = (48.0, 40.0)


@pytest.fixture
def volume(app):
    """An oblique short-axis stack in the scene."""
    image, _labels = phantom.heart(0.0, phantom.grid(oblique=True))
    return volume_from_stack(image, "Heart")


@pytest.fixture
def models(app, monkeypatch):
    """Models that need nothing, and a worker that has them."""
    from SparseCardiacSegLib.panels import models, prompt_models, requirements, worker_process

    choices = [models.ModelChoice(name, name.title(), f"Discs ({name}).", needs_torch=False) for name in NAMES]
    monkeypatch.setattr(prompt_models, "listed_prompt_models", lambda _folder: list(choices))
    monkeypatch.setattr(requirements, "ONNX_PACKAGES", ())
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    return choices


def opened(app):
    return slicer_shims.OpenModule(app, only=("study", "prompt"))


@pytest.fixture
def module(app, volume, models):
    """The module with the panel, at slice 4."""
    module = opened(app)
    module.session.showSlice(4)
    live()
    yield module
    module.close()


def ui(module):
    return module.ui_of("prompt")


def run_of(module):
    return module.panels["prompt"].run


def choose(module, model):
    """Pick a model in the list."""
    ui(module).modelSelector.setCurrentIndex(NAMES.index(model))


def click(module, slice_index, col, row, structure=Structure.LV, positive=True):
    """A click of the user in a view, while a list is placed; returns the list."""
    node = run_of(module).nodes.points(structure, positive)
    node.AddControlPointWorld(*world_from_slice(run_of(module).volume, [slice_index, col, row]))
    return node


def previewed(module, slice_index=4):
    """The mask numbers shown on a slice, [row, col]."""
    labels = run_of(module).preview.labels()
    return np.zeros((96, 96)) if labels is None else labels[slice_index]


def shown(module, structure=Structure.LV, slice_index=4):
    return previewed(module, slice_index) == ALL.numbers[structure]


def wait_for_answer(module):
    live()
    wait_until(lambda: run_of(module).answer() is not None and not run_of(module).is_waiting)


def disc(col, row, radius=6):
    rows, cols = np.mgrid[:96, :96]
    return np.hypot(rows - row, cols - col) < radius + 0.5


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def segmentations():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if not node.GetHideFromEditors()]
