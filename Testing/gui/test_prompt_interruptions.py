"""The Prompt panel when something comes between: a dead worker, another module, nodes that go, files, keys."""

# ruff: noqa: ARG001, F811 (fixtures, imported, that prepare the scene)

from __future__ import annotations

import os

import numpy as np
import phantom

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import live, wait_until
from prompt_driving import (  # noqa: F401 (fixtures)
    MIDDLE,
    choose,
    click,
    disc,
    models,
    module,
    opened,
    previewed,
    run_of,
    segmentations,
    shown,
    ui,
    volume,
    wait_for_answer,
)
from PySide6 import QtWidgets
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml import placing
from SparseCardiacSegLib.mrml.segmentations import segment_mask
from SparseCardiacSegLib.mrml.volumes import volume_from_stack
from SparseCardiacSegLib.prompting.prompts import Prompt


def test_a_dead_worker_is_told_with_its_last_words_and_the_next_click_starts_another(module):
    choose(module, "dies")
    click(module, 4, *MIDDLE)
    wait_until(lambda: "ended unexpectedly" in ui(module).statusLabel.text)
    assert not ui(module).acceptButton.enabled
    choose(module, "disc")
    live(0.2)
    click(module, 4, 60.0, 40.0)
    wait_for_answer(module)
    assert shown(module).any()
    assert ui(module).detailsGroupBox.isHidden()


def test_a_failure_inside_the_model_is_a_sentence_and_the_panel_goes_on(module):
    choose(module, "breaks")
    click(module, 4, *MIDDLE)
    wait_until(lambda: "deep inside" in ui(module).statusLabel.text + ui(module).detailsText.toPlainText())
    choose(module, "disc")
    wait_for_answer(module)
    assert shown(module).any()


def test_a_structure_that_the_model_was_not_made_for_is_warned_of(module):
    choose(module, "short-axis")
    click(module, 4, *MIDDLE, Structure.LA)
    wait_for_answer(module)
    assert "LA" in ui(module).statusLabel.text.split("\n", 1)[1]


def test_leaving_the_module_takes_keys_mouse_and_preview_away_and_coming_back_brings_the_preview(module):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    ui(module).positiveButton.click()
    module.leave()
    assert placing.placed_node() is None
    assert not run_of(module).preview.node.GetDisplayNode().GetVisibility()
    assert not module.panels["prompt"].timer.active
    module.enter()
    wait_for_answer(module)
    assert run_of(module).preview.node.GetDisplayNode().GetVisibility()
    assert np.array_equal(shown(module), disc(*MIDDLE))


def test_leaving_in_mid_click_drops_it_and_coming_back_asks_again(module):
    choose(module, "slow")
    click(module, 4, *MIDDLE)
    live(0.1)
    assert run_of(module).is_waiting
    module.leave()
    assert not run_of(module).is_waiting
    module.enter()
    wait_for_answer(module)
    assert shown(module).any()


def test_closing_the_scene_in_mid_click_is_safe_and_the_next_volume_works(module):
    choose(module, "slow")
    click(module, 4, *MIDDLE)
    live(0.1)
    slicer.mrmlScene.Clear()
    live(0.3)
    assert run_of(module) is None
    assert not ui(module).positiveButton.enabled
    image, _labels = phantom.heart(0.0)
    module.session.parameters.inputVolume = volume_from_stack(image, "Another")
    choose(module, "disc")
    module.session.showSlice(3)
    click(module, 3, *MIDDLE)
    wait_for_answer(module)
    assert shown(module, slice_index=3).any()


def test_removing_the_volume_in_mid_click_is_safe(module, volume):
    choose(module, "slow")
    click(module, 4, *MIDDLE)
    live(0.1)
    slicer.mrmlScene.RemoveNode(volume)
    live(0.5)
    assert run_of(module) is None
    assert not ui(module).acceptButton.enabled


def test_removing_the_segmentation_gives_a_new_one_at_the_next_accept(module, volume):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    ui(module).acceptButton.click()
    slicer.mrmlScene.RemoveNode(segmentations()[0])
    live(0.3)
    click(module, 4, 60.0, 40.0)
    wait_for_answer(module)
    ui(module).acceptButton.click()
    (node,) = segmentations()
    assert segment_mask(node, "LV", volume)[4].any()


def test_a_list_that_the_user_deletes_takes_its_prompts_along(module):
    node = click(module, 4, *MIDDLE)
    wait_for_answer(module)
    slicer.mrmlScene.RemoveNode(node)
    live(0.3)
    assert not previewed(module).any()
    click(module, 4, 60.0, 40.0)
    wait_for_answer(module)
    assert np.array_equal(shown(module), disc(60.0, 40.0))


def test_new_voxels_are_asked_about_anew(module, volume):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    before = run_of(module)._session
    slicer.util.arrayFromVolume(volume)[:] = slicer.util.arrayFromVolume(volume)[::-1].copy()
    slicer.util.arrayFromVolumeModified(volume)
    wait_for_answer(module)
    assert run_of(module)._session is not before


def test_the_preview_button_hides_the_masks_and_is_remembered_in_the_scene(module):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    ui(module).previewButton.click()
    assert not run_of(module).preview.node.GetDisplayNode().GetVisibility()
    assert module.session.parameters.promptPreview is False
    ui(module).previewButton.click()
    assert run_of(module).preview.node.GetDisplayNode().GetVisibility()


def test_prompts_are_saved_to_a_file_and_loaded_from_it(module, tmp_path):
    click(module, 4, *MIDDLE)
    run_of(module).nodes.set_box(Structure.RV, 2, (10.0, 20.0, 30.0, 40.0))
    live(0.2)
    panel = module.panels["prompt"]
    panel.savePrompts(str(tmp_path / "prompts.json"))
    run_of(module).nodes.clear(0, 4)
    run_of(module).nodes.clear(0, 2)
    panel.loadPrompts(str(tmp_path / "prompts.json"))
    assert tuple(run_of(module).prompts()) == (
        Prompt(2, Structure.RV, box=(10.0, 20.0, 30.0, 40.0)),
        Prompt(4, Structure.LV, (MIDDLE,)),
    )
    assert "2 prompts were loaded" in ui(module).statusLabel.text
    (tmp_path / "wrong.json").write_text('{"prompts": [{"slice": 99, "structure": "LV", "positive": [[1, 1]]}]}')
    panel.loadPrompts(str(tmp_path / "wrong.json"))
    assert "slices 0 to 9" in ui(module).statusLabel.text
    assert len(run_of(module).prompts()) == 2


def test_keys_work_inside_the_module_and_only_there(app, volume, models, monkeypatch):
    from PySide6 import QtTest

    window = slicer_shims.qt_module.wrap(QtWidgets.QMainWindow())
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: window)
    module = opened(app)
    module.session.showSlice(4)
    bare = slicer_shims.pythonqt.unwrap(window)
    bare.show()
    bare.activateWindow()
    live(0.2)
    shortcuts = module.panels["prompt"].shortcuts
    made = list(shortcuts._made)
    assert len(made) == len(shortcuts.keys) == 13
    QtTest.QTest.keyClick(bare, "3")
    QtTest.QTest.keyClick(bare, "n")
    live()
    assert placing.placed_node().GetName() == "RV - points"
    module.leave()
    live()
    assert shortcuts._made == []
    QtTest.QTest.keyClick(bare, "p")
    live()
    assert placing.placed_node() is None
    module.close()
    bare.close()


def test_without_a_volume_the_buttons_say_what_is_missing(app, models):
    module = opened(app)
    assert not ui(module).positiveButton.enabled
    assert ui(module).positiveButton.toolTip == "Choose a volume first."
    module.close()
