"""The Prompt panel, driven as a user does: Markups in a real scene, a real worker whose masks are discs of 6 pixels."""

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
from PySide6 import QtWidgets
from SparseCardiacSegLib.anatomy import ACDC, ALL, Structure
from SparseCardiacSegLib.mrml import placing
from SparseCardiacSegLib.mrml.prompt_geometry import world_from_slice
from SparseCardiacSegLib.mrml.segmentations import segment_mask, segment_structures
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.stack import Stack

WORKER = Path(__file__).resolve().parents[1] / "disc_worker.py"
NAMES = ("disc", "slow", "slow to decode", "stuck", "dies", "breaks", "short-axis")
MIDDLE = (48.0, 40.0)


def live(seconds=0.05):
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def wait_until(condition, seconds=30.0):
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


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


def test_a_point_shows_its_mask_at_once_and_leaves_the_segmentation_alone(module):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    assert np.array_equal(shown(module), disc(*MIDDLE))
    assert segmentations() == []
    assert "ms; the model expects an overlap (IoU) of LV 0.60" in ui(module).statusLabel.text
    assert ui(module).sliceLabel.text == "Slice 4 of 0 to 9: LV 1+"
    assert ui(module).acceptButton.enabled


def test_accept_writes_this_slice_alone_as_one_step_that_undo_takes_back(module, volume):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    ui(module).acceptButton.click()
    (node,) = segmentations()
    assert set(segment_structures(node).values()) == {Structure.LV}
    mask = segment_mask(node, "LV", volume)
    assert np.array_equal(mask[4], disc(*MIDDLE))
    assert mask.sum() == disc(*MIDDLE).sum()
    assert not previewed(module).any()
    assert not ui(module).acceptButton.enabled
    ui(module).undoButton.click()
    assert not any(segment_mask(node, key, volume).any() for key in segment_structures(node))
    assert np.array_equal(shown(module), disc(*MIDDLE))
    ui(module).redoButton.click()
    assert np.array_equal(segment_mask(node, "LV", volume)[4], disc(*MIDDLE))


def test_a_second_structure_and_a_negative_point_change_the_masks(module):
    click(module, 4, *MIDDLE)
    click(module, 4, 60.0, 40.0, Structure.RV)
    click(module, 4, 44.0, 40.0, positive=False)
    wait_for_answer(module)
    assert shown(module, Structure.RV).any()
    assert not shown(module)[40, 44]
    assert ui(module).sliceLabel.text == "Slice 4 of 0 to 9: RV 1+, LV 1+ 1-"


def test_dragging_sends_one_click_at_a_time_and_ends_where_the_point_is(module, monkeypatch):
    choose(module, "slow to decode")
    node = click(module, 4, 20.0, 40.0)
    wait_for_answer(module)
    session = run_of(module)._session
    asked, click_itself = [], session.click
    monkeypatch.setattr(session, "click", lambda *given: asked.append(session.is_waiting) or click_itself(*given))
    for step in range(40):
        node.SetNthControlPointPositionWorld(0, *world_from_slice(run_of(module).volume, [4, 21.0 + step, 40.0]))
        live(0.02)
    wait_for_answer(module)
    assert np.array_equal(shown(module), disc(60.0, 40.0))
    assert asked
    assert not any(asked)
    assert len(asked) < 10


def test_removing_the_last_point_takes_the_mask_away(module):
    node = click(module, 4, *MIDDLE)
    wait_for_answer(module)
    node.RemoveNthControlPoint(0)
    live(0.2)
    assert not previewed(module).any()
    assert not ui(module).acceptButton.enabled
    assert ui(module).sliceLabel.text == "Slice 4 of 0 to 9: no prompts"


def test_the_buttons_place_into_the_list_of_their_structure_until_esc(module):
    ui(module).rvButton.click()
    ui(module).negativeButton.click()
    node = placing.placed_node()
    assert node.GetName() == "RV - points"
    assert placing.interaction_node().GetPlaceModePersistence()
    ui(module).myoButton.click()
    assert placing.placed_node().GetName() == "MYO - points"
    assert [ui(module).rvButton.checked, ui(module).myoButton.checked] == [False, True]
    ui(module).positiveButton.click()
    assert placing.placed_node().GetName() == "MYO + points"
    assert [ui(module).negativeButton.checked, ui(module).positiveButton.checked] == [False, True]
    placing.interaction_node().SwitchToViewTransformMode()
    assert not ui(module).positiveButton.checked
    ui(module).positiveButton.click()
    ui(module).positiveButton.click()
    assert placing.placed_node() is None
    assert not ui(module).positiveButton.checked


def test_a_box_drawn_with_two_clicks_gives_its_mask(module, volume):
    ui(module).boxButton.click()
    node = placing.placed_node()
    assert node.IsA("vtkMRMLMarkupsROINode")
    node.AddControlPointWorld(*world_from_slice(volume, [4, 30.0, 25.0]))
    live()
    assert run_of(module).here() == ()
    node.AddControlPointWorld(*world_from_slice(volume, [4, 50.0, 35.0]))
    placing.interaction_node().SwitchToViewTransformMode()
    wait_for_answer(module)
    assert not ui(module).boxButton.checked
    assert shown(module)[25:36, 30:51].all()
    assert shown(module).sum() == 11 * 21
    node.SetCenter(*(np.array(node.GetCenter()) + 1e-3))
    node.InvokeEvent(node.PointEndInteractionEvent)
    live(0.3)
    assert len(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")) == 1


def test_a_box_that_was_given_up_leaves_nothing_behind(module):
    ui(module).boxButton.click()
    placing.interaction_node().SwitchToViewTransformMode()
    assert not ui(module).boxButton.checked
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == []


def test_accept_and_next_goes_towards_the_apex_with_prompts_to_correct(module, volume):
    module.session.parameters.sliceOrder = type(module.session.parameters.sliceOrder).APEX_FIRST
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    ui(module).acceptNextButton.click()
    assert module.session.shownSlice() == 3
    (prompt,) = run_of(module).here()
    assert prompt.positive == (MIDDLE,)
    assert prompt.box == (37.0, 29.0, 59.0, 51.0)
    wait_for_answer(module)
    assert np.array_equal(shown(module, slice_index=3), disc(*MIDDLE))
    assert segment_mask(segmentations()[0], "LV", volume).any(axis=(1, 2)).tolist() == [i == 4 for i in range(10)]
    ui(module).copyBaseButton.click()
    assert module.session.shownSlice() == 4
    assert "was kept" in ui(module).statusLabel.text
    assert len(run_of(module).here()[0].positive) == 1


def test_at_the_end_of_the_stack_copying_says_so(module):
    module.session.parameters.sliceOrder = type(module.session.parameters.sliceOrder).BASE_FIRST
    module.session.showSlice(9)
    click(module, 9, *MIDDLE)
    wait_for_answer(module)
    ui(module).copyApexButton.click()
    assert "no further slice" in ui(module).statusLabel.text
    assert module.session.shownSlice() == 9


def test_clear_and_undo_point_take_back_what_was_placed(module):
    click(module, 4, *MIDDLE)
    live(0.2)
    click(module, 4, 60.0, 40.0)
    wait_for_answer(module)
    ui(module).undoPromptButton.click()
    assert len(run_of(module).here()[0].positive) == 1
    ui(module).redoPromptButton.click()
    assert len(run_of(module).here()[0].positive) == 2
    ui(module).clearButton.click()
    live(0.2)
    assert run_of(module).here() == ()
    ui(module).undoPromptButton.click()
    assert len(run_of(module).here()[0].positive) == 2


def test_another_slice_shows_its_own_prompts_and_both_previews_stay(module):
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    module.session.showSlice(6)
    live()
    assert ui(module).sliceLabel.text == "Slice 6 of 0 to 9: no prompts"
    assert not ui(module).acceptButton.enabled
    click(module, 6, 30.0, 40.0)
    wait_for_answer(module)
    assert np.array_equal(shown(module, slice_index=6), disc(30.0, 40.0))
    assert np.array_equal(shown(module, slice_index=4), disc(*MIDDLE))


def test_preparing_all_slices_shows_how_far_it_is_and_can_be_paused(module):
    choose(module, "slow")
    bar, button = ui(module).progressBar, ui(module).prepareButton
    button.click()
    assert button.text == "Pause preparing"
    wait_until(lambda: not bar.isHidden() and bar.value >= 2)
    assert bar.maximum == 10
    button.click()
    assert button.text == "Prepare all slices"
    live(0.8)
    value = bar.value
    live(0.8)
    assert bar.value == value < 10
    button.click()
    wait_until(lambda: bar.isHidden())
    assert bar.value == 10
    assert button.text == "Prepare all slices"


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


def test_the_frames_of_a_cine_have_prompts_of_their_own(app, models):
    cine, _labels = phantom.cine(n_frames=4)
    browser = sequence_from_stack(cine, "Cine")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    module = opened(app)
    module.session.showSlice(4)
    live()
    click(module, 4, *MIDDLE)
    wait_for_answer(module)
    module.session.showFrame(2)
    live(0.2)
    assert run_of(module).here() == ()
    assert not previewed(module).any()
    click(module, 4, 60.0, 40.0)
    wait_for_answer(module)
    assert np.array_equal(shown(module), disc(60.0, 40.0))
    ui(module).acceptButton.click()
    assert set(module.session.labelledFrames()) == {2}
    ui(module).copyFrameButton.click()
    assert module.session.frame == 3
    assert run_of(module).here()[0].box is not None
    wait_for_answer(module)
    module.session.showFrame(0)
    live(0.3)
    assert np.array_equal(shown(module), disc(*MIDDLE))
    assert [prompt.frame for prompt in run_of(module).prompts()] == [0, 2, 3]
    assert volume.GetScene() is not None
    module.close()


def test_a_left_atrium_volume_is_prompted_as_well(app, models):
    image, _labels = phantom.left_atrium()
    volume = volume_from_stack(Stack(image.array, image.ijk_to_ras, source="atrium"), "Atrium")
    module = opened(app)
    module.session.showSlice(5)
    module.ui_of("study").viewSelector.setCurrentIndex(1)
    assert ui(module).laButton.checked
    live()
    rows, cols = image.slices_first().shape[1:]
    click(module, 5, cols / 2, rows / 2, Structure.LA)
    wait_for_answer(module)
    ui(module).acceptButton.click()
    (node,) = segmentations()
    assert set(segment_structures(node).values()) == {Structure.LA}
    assert segment_mask(node, "LA", volume).any()
    module.close()


def test_without_a_volume_the_buttons_say_what_is_missing(app, models):
    module = opened(app)
    assert not ui(module).positiveButton.enabled
    assert ui(module).positiveButton.toolTip == "Choose a volume first."
    module.close()


def test_the_embedded_model_segments_the_bundled_case_from_one_click(app, sample_case, monkeypatch):
    """The real model and worker; only PythonSlicer is stood in for."""
    from SparseCardiacSegLib.io import read_segmentation, read_stack
    from SparseCardiacSegLib.panels import worker_process
    from SparseCardiacSegLib.prompting.prompt_file import read_prompts

    prompts = sample_case / "SC-HF-I-01_ED_prompts.json"

    command = [sys.executable, "-m", "SparseCardiacSegLib.worker"]
    monkeypatch.setattr(worker_process, "worker_command", lambda: command)
    stack = read_stack(sample_case / "SC-HF-I-01_ED.nii.gz")
    reference = read_segmentation(sample_case / "SC-HF-I-01_ED_gt.nii.gz", ACDC)
    volume_from_stack(stack, "Sample")
    module = opened(app)
    assert ui(module).modelInfoLabel.text.startswith("Made for RV, MYO, LV. Trained on")
    module.session.showSlice(4)
    live()
    (place,) = next(p.positive for p in read_prompts(prompts) if p.slice == 4 and p.structure == Structure.LV)
    click(module, 4, *place)
    wait_for_answer(module)
    one_click = dice(shown(module), reference.mask(Structure.LV)[4])
    module.panels["prompt"].loadPrompts(str(prompts))
    wait_for_answer(module)
    assert dice(shown(module), reference.mask(Structure.LV)[4]) > 0.9
    assert one_click > 0.7
    module.close()
