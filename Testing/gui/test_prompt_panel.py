"""The Prompt panel, driven as a user does: Markups in a real scene, a real worker whose masks are discs of 6 pixels."""

# ruff: noqa: ARG001, F811 (fixtures, imported, that prepare the scene)

from __future__ import annotations

import os
import sys

import numpy as np
import phantom

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from driving import live, wait_until
from prompt_driving import (  # noqa: F401 (fixtures)
    MIDDLE,
    choose,
    click,
    dice,
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
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.mrml import placing
from SparseCardiacSegLib.mrml.prompt_geometry import world_from_slice
from SparseCardiacSegLib.mrml.segmentations import segment_mask, segment_structures
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.stack import Stack


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
