"""The Cine panel in the stand-in host: labels of a few frames carried to the others, by a real worker process."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import functools
import os
import sys
import time
from pathlib import Path

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import carry_worker
import pythonqt
import slicer
import slicer_shims
from driving import wait_until
from PySide6 import QtCore
from pythonqt import unwrap
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.segmentations import empty_segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

WORKER = Path(__file__).with_name("carry_worker.py")
LIBRARY = str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg")
N_FRAMES, ED, ES = 6, 0, 3


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([LIBRARY, str(WORKER.parent)]))
    monkeypatch.delenv(carry_worker.BEHAVIOUR, raising=False)
    with slicer_shims.application(tmp_path) as application:
        yield application


@pytest.fixture
def cine(app):
    """Browser and labels of a cine of six frames."""
    image, labels = phantom.cine(N_FRAMES, phantom.grid((8, 64, 64), (12.0, 2.0, 2.0), oblique=True))
    return sequence_from_stack(image, "Cine"), labels


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the module on what the scene holds, with engines that need nothing."""
    from SparseCardiacSegLib.panels import requirements, worker_process

    monkeypatch.setattr(requirements, "REGISTRATION_PACKAGES", ())
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    modules = []

    def open_module():
        modules.append(slicer_shims.OpenModule(app, only=["study", "cine"]))
        modules[-1].open("cine")
        return modules[-1]

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def module(opened, cine):
    """The module with ED and ES drawn and named."""
    module = opened()
    draw(module, cine[1], ED, ES)
    module.session.parameters.edFrame, module.session.parameters.esFrame = ED, ES
    return module


def masks(labels, frame):
    one = labels.frame(frame)
    return {part: one.mask(part) for part in one.structures}


def draw(module, labels, *frames):
    module.session.ensureSegmentation()
    module.session.writeFrames({frame: masks(labels, frame) for frame in frames})


def ui(module):
    return module.ui_of("cine")


def carry(module):
    ui(module).applyButton.click()
    wait_until(lambda: module.panels["cine"].run is None)


def kinds(module):
    frames = module.panels["cine"].frames
    frames.look()
    return "".join(kind[0] for kind in frames.kinds)


def held(module):
    """The labels of each frame."""
    return {frame: one.labels.array.copy() for frame, one in module.session.labelledFrames().items()}


def ticked(module):
    table = unwrap(ui(module).framesTable)
    return [row for row in range(table.rowCount()) if table.item(row, 0).checkState() == QtCore.Qt.CheckState.Checked]


def tick(module, row, on=True):
    state = QtCore.Qt.CheckState.Checked if on else QtCore.Qt.CheckState.Unchecked
    unwrap(ui(module).framesTable).item(row, 0).setCheckState(state)


def test_without_a_cine_the_section_is_folded_and_says_so(app, opened):
    image, _labels = phantom.heart(0.0)
    volume_from_stack(image, "Heart")
    module = opened()
    assert not ui(module).noCineLabel.isHidden()
    assert "For a cine only" in ui(module).noCineLabel.text
    assert ui(module).cineFrame.isHidden()
    module.session.changed.emit("nodes")
    assert module.panels["cine"].section.collapsed


def test_the_table_tells_which_frames_hold_what_and_ed_and_es_are_ticked(module):
    table = unwrap(ui(module).framesTable)
    assert table.rowCount() == N_FRAMES
    assert [table.item(row, 0).text() for row in range(N_FRAMES)] == ["0 (ED)", "1", "2", "3 (ES)", "4", "5"]
    assert table.item(ED, 1).text() == "drawn: RV, MYO, LV"
    assert table.item(1, 1).text() == ""
    assert float(table.item(ED, 2).text()) > float(table.item(ES, 2).text()) > 0
    assert ticked(module) == [ED, ES]
    assert "4 frames will be written" in ui(module).planLabel.text


def test_while_ed_or_es_is_not_drawn_every_drawn_frame_is_ticked_and_the_user_may_change_that(module, cine):
    draw(module, cine[1], 4)
    assert ticked(module) == [ED, ES]
    module.session.parameters.esFrame = 5
    assert ticked(module) == [ED, ES, 4]
    tick(module, ES, on=False)
    assert ticked(module) == [ED, 4]
    assert "stay as they are: 3" in ui(module).planLabel.text
    module.session.changed.emit("segments")
    assert ticked(module) == [ED, 4]


def test_labels_are_carried_to_every_other_frame_and_the_sources_keep_every_voxel(module, cine):
    before = held(module)
    module.session.showFrame(2)
    carry(module)
    after = held(module)
    assert sorted(after) == list(range(N_FRAMES))
    assert module.session.frame == 2
    for frame in (ED, ES):
        assert np.array_equal(after[frame], before[frame])
    lv = cine[1].scheme.numbers[Structure.LV]
    for frame, source in ((1, ED), (2, ED), (4, ES), (5, ES)):
        axis = module.session.stack().through_plane
        moved = np.roll(before[source], frame - source, axis=1 if axis == 2 else 2)
        assert np.array_equal(after[frame] == lv, moved == lv), frame
    assert kinds(module) == "dccdcc"
    text = ui(module).statusLabel.text
    assert "Labels of 0 (ED), 3 (ES) carried to 4 frames in 1.5 s" in text
    assert f"{100 * carry_worker.FOLDING * 5 / 6:.2f} % at most (frame 5)" in text
    assert "Largest step of the LV volume" in text
    assert "the motion is large between frames 1 and 2" in text


def test_one_undo_takes_all_frames_back_and_redo_brings_them(module):
    before = held(module)
    carry(module)
    after = held(module)
    assert module.session.canUndo
    assert module.session.undo()
    now = held(module)
    assert sorted(now) == [ED, ES]
    assert all(np.array_equal(now[frame], before[frame]) for frame in now)
    assert kinds(module) == "deedee"
    assert module.session.redo()
    now = held(module)
    assert all(np.array_equal(now[frame], after[frame]) for frame in range(N_FRAMES))
    assert kinds(module) == "dccdcc"


def test_carried_frames_are_no_sources_until_they_are_corrected_and_then_they_are_not_overwritten(module, cine):
    carry(module)
    assert ticked(module) == [ED, ES]
    module.session.showFrame(4)
    module.session.write({Structure.LV: cine[1].frame(1).mask(Structure.LV)})
    mine = held(module)[4]
    assert kinds(module) == "dccddc"
    assert "stay as they are: 4" in ui(module).planLabel.text
    carry(module)
    assert np.array_equal(held(module)[4], mine)
    assert kinds(module) == "dccddc"
    tick(module, 4)
    carry(module)
    assert np.array_equal(held(module)[4], mine)
    lv = cine[1].scheme.numbers[Structure.LV]
    assert (held(module)[5] == lv).sum() == (mine == lv).sum()


def test_only_empty_frames_or_all_are_written_where_that_is_asked(module, cine):
    from SparseCardiacSegLib.panels.parameters import CineTarget

    draw(module, cine[1], 1)
    tick(module, 1, on=False)
    before = held(module)[1]
    carry(module)
    carried = held(module)
    assert np.array_equal(carried[1], before)
    module.session.parameters.cineTarget = CineTarget.EMPTY
    assert not ui(module).applyButton.enabled
    assert "no frame to write to" in ui(module).applyButton.toolTip
    module.session.parameters.cineTarget = CineTarget.ALL
    assert "will be REPLACED: 1" in ui(module).planLabel.text
    carry(module)
    assert not np.array_equal(held(module)[1], before)
    assert kinds(module) == "dccdcc"


def test_segments_of_other_things_and_locked_ones_keep_every_voxel(module, cine):
    from SparseCardiacSegLib.mrml.segment_gate import set_locked
    from SparseCardiacSegLib.mrml.segmentations import segment_mask
    from SparseCardiacSegLib.panels.parameters import CineTarget

    node, session = module.session.segmentation, module.session
    session.showFrame(1)
    session.write(masks(cine[1], 1))
    set_locked(node.GetSegmentation().GetSegment("MYO"), True)
    session.showFrame(2)
    node.GetSegmentation().AddEmptySegment("scar", "Scar")
    scar = np.zeros(session.stack().shape, np.uint8)
    scar[4, 20:40, 20:40] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(scar, node, "scar", session.volume)
    session.showFrame(0)
    tick(module, 1, on=False)
    session.parameters.cineTarget = CineTarget.ALL
    carry(module)
    session.showFrame(1)
    assert np.array_equal(segment_mask(node, "MYO", session.volume), cine[1].frame(1).mask(Structure.MYO))
    assert not np.array_equal(segment_mask(node, "LV", session.volume), cine[1].frame(1).mask(Structure.LV))
    assert "Locked segments were left as they are in frames 1" in ui(module).statusLabel.text
    session.showFrame(2)
    assert np.array_equal(segment_mask(node, "scar", session.volume), scar != 0)
    assert sorted(held(module)) == list(range(N_FRAMES))


def test_carried_frames_have_the_segments_of_the_frames_that_they_came_from(opened, cine):
    module = opened()
    browser, labels = cine
    node = empty_segmentation_sequence(browser, "Mine")
    module.session.parameters.outputSegmentation = node
    node.GetSegmentation().AddEmptySegment("Segment_1", "left ventricle", (0.1, 0.2, 0.3))
    mask = labels.frame(0).mask(Structure.LV).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "Segment_1", module.session.volume)
    wait_until(lambda: ui(module).applyButton.enabled)
    carry(module)
    for frame in (5, 1):
        module.session.showFrame(frame)
        segmentation = node.GetSegmentation()
        assert list(segmentation.GetSegmentIDs()) == ["Segment_1"]
        assert segmentation.GetSegment("Segment_1").GetName() == "left ventricle"
        assert segmentation.GetSegment("Segment_1").GetColor() == pytest.approx((0.1, 0.2, 0.3))


def test_cancel_while_the_motion_is_found_frees_the_panel_within_a_second(module, monkeypatch):
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "stuck")
    before = held(module)
    ui(module).applyButton.click()
    wait_until(lambda: ui(module).statusLabel.text == "stuck")
    started = time.monotonic()
    ui(module).applyButton.click()
    assert time.monotonic() - started < 0.3
    assert ui(module).applyButton.text == "Carry labels"
    assert "Cancelled; nothing was changed" in ui(module).statusLabel.text
    wait_until(lambda: not module.panels["cine"].timer.active, seconds=4)
    assert all(np.array_equal(one, before[frame]) for frame, one in held(module).items())
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "")
    carry(module)
    assert kinds(module) == "dccdcc"


def test_cancel_while_frames_are_written_takes_them_back(module, monkeypatch):
    from SparseCardiacSegLib.mrml.frame_writer import FrameWriter

    monkeypatch.setattr(FrameWriter, "step", functools.partialmethod(FrameWriter.step, seconds=0.0))
    panel, before = module.panels["cine"], held(module)
    ui(module).applyButton.click()
    wait_until(lambda: panel.run._writer is not None and panel.run._writer.results)
    panel.timer.stop()
    assert len(held(module)) > 2
    ui(module).applyButton.click()
    now = held(module)
    assert sorted(now) == [ED, ES]
    assert all(np.array_equal(now[frame], before[frame]) for frame in now)
    wait_until(lambda: not panel.timer.active)
    assert kinds(module) == "deedee"


def test_labels_that_come_just_after_cancel_are_not_written(module, monkeypatch):
    from SparseCardiacSegLib.panels.worker_job import WorkerJob

    monkeypatch.setattr(WorkerJob, "cancel", lambda _job: None)  # it reaches the worker too late
    panel = module.panels["cine"]
    ui(module).applyButton.click()
    wait_until(lambda: panel.run._job is not None)
    ui(module).applyButton.click()
    wait_until(lambda: not panel.timer.active)
    assert kinds(module) == "deedee"


@pytest.mark.parametrize("stage", ["reading", "motion", "writing"])
@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_removing_a_sequence_stops_the_run_at_any_stage(module, monkeypatch, stage, which):
    from SparseCardiacSegLib.mrml.frame_writer import FrameWriter

    monkeypatch.setattr(FrameWriter, "step", functools.partialmethod(FrameWriter.step, seconds=0.0))
    panel, session = module.panels["cine"], module.session
    sequence = session.browser.GetSequenceNode(getattr(session, which))
    ui(module).applyButton.click()
    if stage == "motion":
        wait_until(lambda: panel.run._job is not None)
    if stage == "writing":
        wait_until(lambda: panel.run._writer is not None and panel.run._writer.results)
    slicer.mrmlScene.RemoveNode(sequence)
    wait_until(lambda: panel.run is None)
    assert "a node was removed" in ui(module).statusLabel.text
    wait_until(lambda: not panel.timer.active)


def test_a_fault_in_the_program_is_told_once_and_frees_the_panel(module, monkeypatch):
    from SparseCardiacSegLib.panels.cine_run import CineRun

    def fault(*_arguments):
        raise RuntimeError("a fault")

    monkeypatch.setattr(CineRun, "_makeWriter", fault)
    carry(module)
    assert "fault in the program" in ui(module).statusLabel.text
    assert ui(module).applyButton.text == "Carry labels"
    assert ui(module).progressBar.isHidden()
    wait_until(lambda: not module.panels["cine"].timer.active)
    assert len(pythonqt.slot_errors) == 1
    pythonqt.slot_errors.clear()


def test_a_frame_that_is_drawn_while_the_motion_is_found_is_left_alone(module, cine, monkeypatch):
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "slow")
    ui(module).applyButton.click()
    wait_until(lambda: ui(module).progressBar.value > 5)
    draw(module, cine[1], 4)
    mine = held(module)[4]
    wait_until(lambda: module.panels["cine"].run is None)
    assert np.array_equal(held(module)[4], mine)
    assert sorted(held(module)) == list(range(N_FRAMES))
    assert "edited meanwhile and stay as they are: 4" in ui(module).statusLabel.text
    assert kinds(module) == "dccddc"


def test_another_choice_of_volume_in_mid_run_does_not_disturb_it(module):
    parameters = module.session.parameters
    volume = parameters.inputVolume
    ui(module).applyButton.click()
    wait_until(lambda: ui(module).progressBar.value > 5)
    parameters.inputVolume = None
    wait_until(lambda: module.panels["cine"].run is None)
    assert "carried to 4 frames" in ui(module).statusLabel.text
    parameters.inputVolume = volume
    module.open("cine")
    assert kinds(module) == "dccdcc"


def test_a_dead_worker_is_a_sentence_with_its_last_words_and_the_next_run_works(module, monkeypatch):
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "dies")
    carry(module)
    assert "ended unexpectedly" in ui(module).statusLabel.text
    assert "the last words of the worker" in ui(module).detailsText.toPlainText()
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "")
    carry(module)
    assert kinds(module) == "dccdcc"


def test_images_that_cannot_be_registered_are_a_sentence(module, monkeypatch):
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "refuses")
    carry(module)
    assert ui(module).statusLabel.text == "these images cannot be registered"
    assert kinds(module) == "deedee"


def test_closing_the_scene_or_removing_the_segmentation_stops_the_run(module, monkeypatch):
    monkeypatch.setenv(carry_worker.BEHAVIOUR, "slow")
    ui(module).applyButton.click()
    wait_until(lambda: ui(module).progressBar.value > 5)
    slicer.mrmlScene.RemoveNode(module.session.segmentation)
    wait_until(lambda: module.panels["cine"].run is None)
    assert "a node was removed" in ui(module).statusLabel.text
    wait_until(lambda: not module.panels["cine"].timer.active)
    slicer.mrmlScene.Clear()
    assert module.panels["cine"].section.collapsed


def test_what_keeps_from_starting_is_told(opened, cine):
    module = opened()
    assert "Label a frame first" in ui(module).applyButton.toolTip
    draw(module, cine[1], 2)
    assert ui(module).applyButton.enabled
    tick(module, 2, on=False)
    assert "Tick a frame" in ui(module).planLabel.text
    assert not ui(module).applyButton.enabled


def test_an_engine_that_misses_packages_says_which_and_installs_them(module, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    lacking = requirements.Package("cv2", "no-such-package>=1", 155)
    monkeypatch.setattr(requirements, "REGISTRATION_PACKAGES", (lacking,))
    monkeypatch.setattr(requirements.Package, "is_usable", lambda package: package is not lacking)
    names = module.panels["cine"]._engines
    ui(module).engineSelector.setCurrentIndex(names.index("dis"))
    module.enter()
    assert "cv2 (about 155 MB)" in ui(module).requirementsLabel.text
    assert not ui(module).applyButton.enabled
    ui(module).engineSelector.setCurrentIndex(names.index("demons"))
    assert ui(module).requirementsLabel.isHidden()
    assert ui(module).applyButton.enabled
    assert module.session.parameters.cineEngine == "demons"


def test_baselines_are_not_offered_and_the_default_comes_first(module):
    from SparseCardiacSegLib.propagation.engine import DEFAULT_ENGINE, ENGINES

    assert module.panels["cine"]._engines[0] == DEFAULT_ENGINE
    assert set(module.panels["cine"]._engines) == {name for name, one in ENGINES.items() if not one.baseline}


def test_the_time_is_told_once_it_is_known(module):
    assert ui(module).estimateLabel.isHidden()
    carry(module)
    assert module.session.undo()
    assert "About 2 s" in ui(module).estimateLabel.text


def test_the_marks_survive_saving_and_loading(module, tmp_path):
    from SparseCardiacSegLib.mrml.bundle import save_scene
    from SparseCardiacSegLib.mrml.host import archive_cache

    carry(module)
    path = tmp_path / "scene.mrb"
    save_scene(path)
    slicer.mrmlScene.Clear()
    with archive_cache():
        assert slicer.mrmlScene.ReadFromMRB(str(path), False)
    wait_until(lambda: module.session.segmentation is not None)
    module.open("cine")
    assert kinds(module) == "dccdcc"


def test_the_volume_curve_is_plotted_over_the_time_of_the_heart_beat(module):
    carry(module)
    ui(module).curveButton.click()
    view = slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode()
    chart = view.GetPlotChartNode()
    table = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert table.GetNumberOfRows() == N_FRAMES
    curve = [table.GetColumnByName("LV").GetValue(row) for row in range(N_FRAMES)]
    expected = module.session.labelledFrames()
    assert curve == pytest.approx([expected[frame].volume_ml(Structure.LV) for frame in range(N_FRAMES)])
    ui(module).curveButton.click()
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1


def test_frames_a_second_apart_are_plotted_by_their_number(module, monkeypatch):
    from SparseCardiacSegLib.mrml import volumes

    monkeypatch.setattr(volumes, "frame_times", lambda _sequence: tuple(map(float, range(N_FRAMES))))
    ui(module).curveButton.click()
    chart = slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode().GetPlotChartNode()
    assert chart.GetXAxisTitle() == "frame"
    assert chart.GetNthPlotSeriesNode(0).GetXColumnName() == "frame"


def test_clicking_a_row_shows_its_frame_and_the_frame_shown_is_marked(module):
    table = unwrap(ui(module).framesTable)
    table.cellClicked.emit(4, 1)
    assert module.session.frame == 4
    module.session.showFrame(2)
    assert table.currentRow() == 2
