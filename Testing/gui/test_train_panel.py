"""The Train panel in the stand-in host: a real worker, and a process that stands for nnU-Net's training."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import phantom
import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
import training_process
from driving import live, wait_until
from PySide6 import QtCore
from pythonqt import unwrap
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.cli import train
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.mrml.segmentations import segmentation_node
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

LIBRARY = str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg")
GRID = {"shape": (9, 40, 40), "spacing": (10.0, 3.5, 3.5)}
EPOCHS = 4


def write_folder(folder):
    """Two patients with ED and ES each, of 9 slices."""
    for patient in (1, 2):
        for name, moment in (("01", 0.0), ("07", 1.0)):
            image, labels = phantom.heart(moment, phantom.grid(**GRID), seed=patient)
            write_stack(image, folder / f"patient{patient:03d}_frame{name}.nii.gz")
            write_segmentation(labels, folder / f"patient{patient:03d}_frame{name}_gt.nii.gz")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def opened(app, monkeypatch, tmp_path):
    """Opens the module with the Train section unfolded; the training process is a stand-in."""
    from SparseCardiacSegLib.panels import requirements, train_run, worker_process

    monkeypatch.setenv("PYTHONPATH", LIBRARY)
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv(training_process.BEHAVIOUR, raising=False)
    monkeypatch.setattr(requirements, "TRAINING_PACKAGES", ())
    command = [sys.executable, "-m", "SparseCardiacSegLib.worker"]
    monkeypatch.setattr(worker_process, "worker_command", lambda: command)
    monkeypatch.setattr(train_run, "trainingCommand", lambda: [sys.executable, training_process.__file__])
    modules = []

    def open_module():
        module = slicer_shims.OpenModule(app, ("study", "segment", "train"))
        modules.append(module)
        module.ui_of("train").trainFolderEdit.currentPath = str(tmp_path / "trainings")
        parameters = module.session.parameters
        parameters.trainDevice = type(parameters.trainDevice).CPU
        parameters.trainEpochs, parameters.trainIterations = EPOCHS, 10
        module.open("train")
        return module

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def module(opened, data):
    """The module about to learn from the folder of two patients."""
    module = opened()
    ui(module).trainDataEdit.currentPath = str(data)
    wait_for_plan(module)
    return module


def ui(module):
    return module.ui_of("train")


def wait_for_plan(module):
    live(0.02)
    wait_until(lambda: not module.panels["train"].plan.isBusy)


def start(module, behaviour="", monkeypatch=None):
    """Press Train; with `slow`, wait until the first epoch is told."""
    if monkeypatch is not None:
        monkeypatch.setenv(training_process.BEHAVIOUR, behaviour)
    ui(module).trainButton.click()
    if behaviour == "slow":
        wait_until(lambda: "Epoch 1 of" in ui(module).statusLabel.text)


def wait_for_end(module):
    wait_until(lambda: module.panels["train"].run is None)


def workspace(tmp_path, name="my-model"):
    return tmp_path / "trainings" / name


def tick(module, row, on):
    state = QtCore.Qt.CheckState.Checked if on else QtCore.Qt.CheckState.Unchecked
    unwrap(ui(module).pairsTable).item(row, 0).setCheckState(state)
    wait_for_plan(module)


def texts(module, column):
    table = unwrap(ui(module).pairsTable)
    return [table.item(row, column).text() for row in range(table.rowCount())]


def ticked(module):
    table = unwrap(ui(module).pairsTable)
    return [row for row in range(table.rowCount()) if table.item(row, 0).checkState() == QtCore.Qt.CheckState.Checked]


def test_without_a_folder_the_section_says_what_to_choose(opened):
    module = opened()
    assert not ui(module).trainButton.enabled
    assert ui(module).estimateLabel.text == "Choose the folder of annotated volumes."
    ui(module).trainDataEdit.currentPath = "/nowhere/at/all"
    assert "is not a folder" in ui(module).estimateLabel.text
    assert ui(module).pairsTable.isHidden()
    assert ui(module).unfinishedFrame.isHidden()


def test_the_sentence_follows_what_is_to_be_kept(module):
    parameters = module.session.parameters
    assert ui(module).planLabel.text.startswith("4 volumes of 2 patients, 36 of 36 slices annotated: RV, MYO, LV.")
    assert "guessed" in ui(module).planLabel.text
    assert ui(module).trainButton.enabled
    ui(module).volumesSpinBox.value = 2
    ui(module).slicesSpinBox.value = 2
    wait_for_plan(module)
    assert ui(module).planLabel.text.startswith("2 volumes of 1 patient, 4 of 18 slices annotated")
    ui(module).slicesSpinBox.value = 0
    ui(module).basalCheckBox.checked = False
    wait_for_plan(module)
    assert ui(module).planLabel.text.startswith("2 volumes of 1 patient, 12 of 18 slices annotated")
    assert parameters.trainBasal is False
    ui(module).middleCheckBox.checked = ui(module).apicalCheckBox.checked = False
    assert ui(module).estimateLabel.text == "Tick a region to keep."
    assert not ui(module).trainButton.enabled


def test_more_than_there_is_cannot_be_trained_on_and_the_sentence_says_so(module):
    ui(module).volumesSpinBox.value = 50
    wait_for_plan(module)
    assert "50 volumes asked for" in ui(module).planLabel.text
    assert not ui(module).trainButton.enabled
    assert "50 volumes asked for" in ui(module).trainButton.toolTip
    ui(module).volumesSpinBox.value = 4
    wait_for_plan(module)
    assert ui(module).trainButton.enabled


def test_the_picture_is_drawn_when_it_is_asked_for_and_follows_the_choice(module, app):
    assert ui(module).pictureLabel.isHidden()
    ui(module).pictureButton.click()
    wait_for_plan(module)
    assert not ui(module).pictureLabel.isHidden()
    before = unwrap(ui(module).pictureLabel).pixmap().toImage()
    assert before.width() > 100
    ui(module).slicesSpinBox.value = 1
    wait_for_plan(module)
    assert unwrap(ui(module).pictureLabel).pixmap().toImage() != before
    ui(module).openPictureButton.click()
    assert app.windows.opened[-1].endswith("kept.png")
    ui(module).pictureButton.click()
    assert ui(module).pictureLabel.isHidden()


def test_a_training_ends_with_a_model_that_the_segment_section_lists_and_uses(module, tmp_path):
    ui(module).volumesSpinBox.value = 2
    ui(module).slicesSpinBox.value = 3
    wait_for_plan(module)
    start(module)
    assert ui(module).trainButton.text == "Cancel"
    assert not ui(module).volumesSpinBox.enabled
    wait_for_end(module)
    text = ui(module).statusLabel.text
    assert "my-model (RV, MYO, LV; trained on this computer, 2 volumes) is ready" in text
    assert "Pseudo-Dice: RV 0.30, MYO 0.20." in text
    assert ui(module).trainButton.text == "Train"
    folder = workspace(tmp_path)
    arguments = json.loads((folder / "output.log").read_text().splitlines()[0])
    assert arguments[:2] == ["train", str(folder / "nnUNet_raw" / "Dataset101_Sparse")]
    parsed = argparse.ArgumentParser()
    train.add_parser(parsed.add_subparsers())
    asked = parsed.parse_args(arguments)  # the command line takes what the panel gives
    assert (asked.name, asked.epochs, asked.iterations, asked.device) == ("my-model", EPOCHS, 10, "cpu")
    record = json.loads((folder / "nnUNet_raw" / "Dataset101_Sparse" / "sparsity.json").read_text())
    assert [len(volume["kept"]) for volume in record["volumes"]] == [3, 3]
    card = json.loads((tmp_path / "models" / "my-model" / "card.json").read_text())
    assert card["data"].startswith("2 volumes of 1 patients, 6 of 18 slices annotated")
    assert str(tmp_path) not in json.dumps(card)
    assert module.session.parameters.model != "my-model"
    ui(module).useButton.click()
    assert module.session.parameters.model == "my-model"
    assert module.panels["segment"].models.selected().title.startswith("my-model")
    assert module.session.parameters.trainName == "my-model-2"  # the other name is taken now
    assert ui(module).unfinishedFrame.isHidden()


def test_self_teaching_takes_the_images_of_the_other_volumes_and_not_their_labels(module, tmp_path):
    ui(module).volumesSpinBox.value = 2
    ui(module).selfTaughtCheckBox.checked = True
    wait_for_plan(module)
    assert "Images of 2 more volumes, without their annotation." in ui(module).planLabel.text
    module.session.parameters.trainMode = type(module.session.parameters.trainMode).ZERO
    wait_for_plan(module)
    assert "mode ignore" in ui(module).planLabel.text
    assert not ui(module).trainButton.enabled
    module.session.parameters.trainMode = type(module.session.parameters.trainMode).IGNORE
    wait_for_plan(module)
    start(module)
    assert not ui(module).selfTaughtCheckBox.enabled
    wait_for_end(module)
    folder = workspace(tmp_path)
    arguments = json.loads((folder / "output.log").read_text().splitlines()[0])
    assert arguments[arguments.index("--trainer") + 1] == "SparseTrainer"
    written = folder / "nnUNet_raw" / "Dataset101_Sparse"
    record = json.loads((written / "sparsity.json").read_text())
    drawn = {volume["case"] for volume in record["volumes"] if volume["kept"]}
    ignored = json.loads((written / "dataset.json").read_text())["labels"]["ignore"]
    labels = {path.name[:-7]: np.unique(nibabel.load(path).dataobj) for path in (written / "labelsTr").iterdir()}
    assert len(labels) == 4
    assert [set(found) == {ignored} for name, found in sorted(labels.items())] == [
        name not in drawn for name in sorted(labels)
    ]


def test_while_it_runs_epoch_figures_and_an_estimate_are_told_and_the_curve_follows(module, monkeypatch):
    start(module, "slow", monkeypatch)
    text = ui(module).statusLabel.text
    assert "Epoch 1 of 4 is done. Loss 0.50." in text
    assert "About 4 min left" in text
    assert "an estimate" in text
    assert 20 < ui(module).progressBar.value < 30
    assert not ui(module).curveButton.isHidden()
    ui(module).curveButton.click()
    charts = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert [chart.GetTitle() for chart in charts] == ["Training of my-model"]
    names = [charts[0].GetNthPlotSeriesNode(i).GetName() for i in range(charts[0].GetNumberOfPlotSeriesNodes())]
    assert names == ["loss", "loss on other patches", "pseudo-Dice RV", "pseudo-Dice MYO", "pseudo-Dice LV"]
    table = charts[0].GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert table.GetNumberOfRows() == 1
    ui(module).trainButton.click()
    assert "About 60 s for 40 iterations" not in ui(module).estimateLabel.text
    ui(module).trainNameEdit.text = "another"
    wait_for_plan(module)
    assert "About 6 min for 40 iterations" in ui(module).estimateLabel.text  # 9 s an iteration


def test_cancel_ends_the_process_with_its_children_within_a_second_and_resume_goes_on(module, monkeypatch, tmp_path):
    start(module, "slow", monkeypatch)
    pid = module.panels["train"].run.pid
    wait_until(lambda: (workspace(tmp_path) / "child.pid").is_file())
    live(0.05)
    child = int((workspace(tmp_path) / "child.pid").read_text())
    assert psutil.pid_exists(child)
    started = time.monotonic()
    ui(module).trainButton.click()
    assert time.monotonic() - started < 1.0
    wait_until(lambda: not _alive(pid) and not _alive(child), seconds=1.0)
    assert ui(module).statusLabel.text.startswith("Stopped after epoch 1 of 4; the training can be resumed")
    assert ui(module).trainButton.text == "Train"
    assert "An unfinished training has this name" in ui(module).estimateLabel.text
    assert not ui(module).unfinishedFrame.isHidden()
    assert "1 of 4 epochs are done; on CPU, with 4 volumes." in ui(module).unfinishedLabel.text
    monkeypatch.setenv(training_process.BEHAVIOUR, "")
    ui(module).resumeButton.click()
    wait_for_end(module)
    assert "is ready" in ui(module).statusLabel.text
    calls = [json.loads(line) for line in (workspace(tmp_path) / "output.log").read_text().splitlines()]
    assert len(calls) == 2
    assert calls[0] == calls[1]


def test_leaving_the_module_and_closing_the_scene_do_not_stop_a_training(module, monkeypatch):
    start(module, "slow", monkeypatch)
    pid = module.panels["train"].run.pid
    module.leave()
    live(0.2)
    module.enter()
    assert "Epoch 1 of 4" in ui(module).statusLabel.text
    assert ui(module).trainButton.text == "Cancel"
    slicer.mrmlScene.Clear(0)
    live(0.2)
    assert module.panels["train"].run is not None
    assert _alive(pid)


def test_closing_the_application_ends_the_training_and_the_next_one_offers_to_resume_it(module, opened, monkeypatch):
    start(module, "slow", monkeypatch)
    pid = module.panels["train"].run.pid
    module.panels["train"].cleanup()
    wait_until(lambda: not _alive(pid), seconds=1.0)
    again = opened()
    assert not ui(again).unfinishedFrame.isHidden()
    assert ui(again).unfinishedSelector.currentText == "my-model"


def test_another_slicer_cannot_resume_a_training_that_is_on(module, opened, monkeypatch):
    start(module, "slow", monkeypatch)
    other = opened()
    assert not ui(other).unfinishedFrame.isHidden()
    ui(other).resumeButton.click()
    assert "another process is training 'my-model'" in ui(other).statusLabel.text
    assert module.panels["train"].run is not None


def test_an_unfinished_training_is_discarded_after_a_question_only(module, app, monkeypatch, tmp_path):
    start(module, "slow", monkeypatch)
    ui(module).trainButton.click()
    app.windows.answer("confirmOkCancelDisplay", False, True)
    ui(module).discardButton.click()
    assert workspace(tmp_path).is_dir()
    ui(module).discardButton.click()
    assert not workspace(tmp_path).exists()
    assert str(workspace(tmp_path)) in app.windows.texts("confirmOkCancelDisplay")[0]
    assert ui(module).unfinishedFrame.isHidden()
    wait_for_plan(module)
    assert ui(module).trainButton.enabled


@pytest.mark.parametrize(
    ("behaviour", "said", "epoch"),
    [
        ("disk full", "The disk is full. Free some space on the disk of", 1),
        ("memory", "killed from outside, often because memory ran out", 1),
        ("cuda", "The memory of the graphics card is used up.", 1),
        ("no torch", "The Python package torch is missing. Install the packages", 0),
        ("refuses", "The training stopped: the data set holds two volumes only", 0),
        ("says failed", "The training stopped: the loss is not a number any more", 1),
    ],
)
def test_a_failure_is_told_with_cause_remedy_and_last_output_and_can_be_resumed(
    module, monkeypatch, behaviour, said, epoch
):
    start(module, behaviour, monkeypatch)
    wait_for_end(module)
    text = ui(module).statusLabel.text
    assert said in text
    assert ("Stopped after epoch 1 of 4" in text) is (epoch == 1)
    assert "can be resumed" in text
    assert not ui(module).detailsGroupBox.isHidden()
    assert "train" in unwrap(ui(module).detailsText).toPlainText()
    assert not ui(module).unfinishedFrame.isHidden()
    assert ui(module).trainButton.text == "Train"


def test_missing_packages_are_named_with_their_size_and_block_training(module, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    missing = (requirements.Package("torch_that_is_not_there", "torch_that_is_not_there>=2", 1200),)
    monkeypatch.setattr(requirements, "TRAINING_PACKAGES", missing)
    module.leave()
    module.enter()
    assert "torch_that_is_not_there (about 1.2 GB)" in ui(module).requirementsLabel.text
    assert not ui(module).installButton.isHidden()
    assert not ui(module).trainButton.enabled
    assert ui(module).trainButton.toolTip == "Install the missing packages first."


@pytest.mark.parametrize(
    ("name", "said"),
    [("My Model", "is no model name"), ("sax-acdc-24", "exists already"), ("", "is no model name")],
)
def test_a_name_that_a_model_cannot_have_is_refused_before_the_training(module, name, said):
    ui(module).trainNameEdit.text = name
    wait_for_plan(module)
    assert said in ui(module).estimateLabel.text
    assert not ui(module).trainButton.enabled


def test_a_folder_of_the_name_that_holds_something_else_is_not_written_to(module, tmp_path):
    (workspace(tmp_path, "taken")).mkdir(parents=True)
    (workspace(tmp_path, "taken") / "mine.txt").write_text("mine")
    ui(module).trainNameEdit.text = "taken"
    wait_for_plan(module)
    assert "holds something already" in ui(module).estimateLabel.text


def test_cancel_before_the_data_set_is_written_leaves_nothing_that_is_in_the_way(module, tmp_path):
    start(module)
    ui(module).trainButton.click()
    assert "nothing was kept" in ui(module).statusLabel.text
    wait_until(lambda: not module.panels["train"].timer.active)
    module.leave()
    module.enter()
    wait_for_plan(module)
    assert ui(module).trainButton.enabled
    assert ui(module).unfinishedFrame.isHidden()


@pytest.fixture
def scene(app):
    """ED and ES of one patient as stacks, the ES one labelled in two slices only; nothing else."""
    for name, moment in (("Doe^Jane ED", 0.0), ("Doe^Jane ES", 1.0)):
        image, labels = phantom.heart(moment, phantom.grid(**GRID))
        if moment:
            array = labels.labels.array.copy()
            array[:3] = array[5:] = 0
            labels = type(labels)(labels.labels.with_array(array), labels.scheme)
        volume = volume_from_stack(image, name)
        segmentation_node(labels, volume, f"{name} labels")


@pytest.fixture
def with_scene(opened, scene):
    from SparseCardiacSegLib.panels.parameters import TrainingSource

    module = opened()
    module.session.parameters.trainSource = TrainingSource.SCENE
    wait_for_plan(module)
    return module


def test_pairs_of_the_scene_are_listed_with_ticks_and_the_sentence_follows_them(with_scene):
    module = with_scene
    assert texts(module, 0) == ["Doe^Jane ED: Doe^Jane ED labels", "Doe^Jane ES: Doe^Jane ES labels"]
    assert texts(module, 1) == ["RV, MYO, LV", "RV, MYO, LV"]
    assert texts(module, 2) == ["Doe^Jane", "Doe^Jane"]
    assert ticked(module) == [0, 1]
    assert ui(module).trainDataEdit.isHidden()
    held = int(phantom.heart(0.0, phantom.grid(**GRID))[1].labels.array.any((1, 2)).sum())
    assert ui(module).planLabel.text.startswith(f"2 volumes of 1 patient, {held + 2} of 18 slices annotated")
    ui(module).partialCheckBox.checked = False
    wait_for_plan(module)
    assert ui(module).planLabel.text.startswith("2 volumes of 1 patient, 18 of 18 slices annotated")
    tick(module, 0, on=False)
    assert ui(module).planLabel.text.startswith("1 volume of 1 patient, 9 of 9 slices annotated")
    module.leave()
    module.enter()
    assert ticked(module) == [1]
    tick(module, 1, on=False)
    assert ui(module).estimateLabel.text == "Tick a volume to learn from."


def test_a_second_segmentation_of_a_volume_is_not_ticked_by_itself(with_scene):
    volume = slicer.util.getNode("Doe^Jane ED")
    segmentation_node(phantom.heart(0.0, phantom.grid(**GRID))[1], volume, "By a model")
    wait_until(lambda: len(texts(with_scene, 0)) == 3)
    assert texts(with_scene, 0)[2] == "Doe^Jane ED: By a model"
    assert ticked(with_scene) == [0, 1]


def test_what_is_learned_from_the_scene_is_written_voxel_by_voxel_without_the_names_of_patients(
    with_scene, monkeypatch, tmp_path
):
    start(with_scene, "slow", monkeypatch)
    dataset = workspace(tmp_path) / "nnUNet_raw" / "Dataset101_Sparse"
    files = sorted(path.name for path in (dataset / "labelsTr").iterdir())
    assert files == ["case01_v1.nii.gz", "case01_v2.nii.gz"]
    for path in workspace(tmp_path).rglob("*.json"):
        assert "Jane" not in path.read_text()
    labels = nibabel.load(dataset / "labelsTr" / "case01_v2.nii.gz")
    array = np.asanyarray(labels.dataobj).T
    image, expected = phantom.heart(1.0, phantom.grid(**GRID))
    ignored = 4
    assert (array[:3] == ignored).all()
    assert (array[5:] == ignored).all()
    numbers = json.loads((dataset / "dataset.json").read_text())["labels"]
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        assert np.array_equal(array[3:5] == numbers[structure.value], expected.mask(structure)[3:5])
    written = nibabel.load(dataset / "imagesTr" / "case01_v2_0000.nii.gz")
    assert np.array_equal(np.asanyarray(written.dataobj).T, image.array)
    assert np.allclose(written.affine, image.ijk_to_ras, atol=1e-3)


def test_closing_the_scene_while_it_is_read_stops_the_training(with_scene, tmp_path):
    panel = with_scene.panels["train"]
    panel.timer.stop()
    ui(with_scene).trainButton.click()
    assert panel.run is not None
    slicer.mrmlScene.Clear(0)
    assert panel.run is None
    assert "the scene was closed" in ui(with_scene).statusLabel.text
    assert not (workspace(tmp_path) / "nnUNet_raw").exists()


def test_drawn_frames_of_a_cine_count_as_volumes_and_carried_ones_do_not(opened):
    from SparseCardiacSegLib.mrml.carried_frames import FrameBook, mark_carried
    from SparseCardiacSegLib.panels.parameters import TrainingSource

    image, labels = phantom.cine(4, phantom.grid(**GRID))
    browser = sequence_from_stack(image, "Cine")
    module = opened()
    session = module.session
    session.ensureSegmentation()
    for frame in (0, 2, 3):
        one = labels.frame(frame)
        session.writeFrames({frame: {part: one.mask(part) for part in one.structures}})
    contents = FrameBook().contents(session.segmentation, browser)
    mark_carried(session.segmentation, browser, {3: contents[3]})
    session.parameters.trainSource = TrainingSource.SCENE
    wait_for_plan(module)
    assert texts(module, 0) == ["Cine, frame 0: Cine segmentation", "Cine, frame 2: Cine segmentation"]
    assert texts(module, 2) == ["Cine", "Cine"]
    ui(module).partialCheckBox.checked = False
    wait_for_plan(module)
    assert ui(module).planLabel.text.startswith("2 volumes of 1 patient, 18 of 18 slices annotated")


def _alive(pid):
    """Whether a process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
