"""The Export panel in the stand-in host with a real worker: files, cancelling, questions, what is missing, failures."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import nibabel
import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pythonqt
import slicer
import slicer_shims
from driving import wait_until
from PySide6 import QtWidgets
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

WORKER = Path(__file__).with_name("export_worker.py")
GRID = {"shape": (9, 40, 40), "spacing": (10.0, 3.5, 3.5), "oblique": True}


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the module with the Export section unfolded."""
    from SparseCardiacSegLib.panels import worker_process

    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, str(WORKER)])
    modules = []

    def open_module(node):
        module = slicer_shims.OpenModule(app, ("study", "clinical", "export"))
        modules.append(module)
        module.session.parameters.outputSegmentation = node
        module.open("export")
        return module

    yield open_module
    for module in modules:
        module.close()


def add(moment, name):
    image, labels = phantom.heart(moment, phantom.grid(**GRID))
    volume = volume_from_stack(image, name)
    return volume, segmentation_node(labels, volume, f"{name} segmentation"), labels


@pytest.fixture
def pair(app):
    """A heart at ED and the same at ES, as single stacks."""
    return add(0.0, "Heart ED"), add(1.0, "Heart ES")


@pytest.fixture
def module(pair, opened, tmp_path):
    """The module on the pair, about to export labels and tables into tmp_path/out."""
    module = opened(pair[0][1])
    module.session.parameters.esSegmentation = pair[1][1]
    module.session.parameters.exportName = "Case 7"
    for part in ("Report", "Bundle", "Meshes"):
        setattr(module.session.parameters, f"export{part}", False)
    module.ui_of("export").exportFolderEdit.currentPath = str(tmp_path / "out")
    return module


def export(module):
    """Press the button and wait until the files are there."""
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    wait_until(lambda: panel.run is None)
    return panel


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def hold(module, name):
    """Let the worker do something else in place of exporting (see export_worker.py)."""
    module.session.parameters.exportName = name


def test_labels_tables_surfaces_and_scene_land_in_the_studys_folder_at_once(module, pair, tmp_path):
    folder = tmp_path / "out" / "Case_7"
    module.session.parameters.exportMeshes = module.session.parameters.exportBundle = True
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    assert panel.ui.exportButton.text == "Cancel"
    assert not panel.ui.exportNameEdit.enabled
    while panel.run is not None:
        QtWidgets.QApplication.processEvents()
        assert not any((folder / name).exists() for name in ("clinical.json", "study.mrb")) or panel.run is None
    structures = ("RV", "MYO", "LV")
    assert files(tmp_path / "out") == {
        *(f"Case_7/Case_7_{phase}{suffix}" for phase in ("ED", "ES") for suffix in ("_seg.nii.gz", ".seg.nrrd")),
        *(f"Case_7/surfaces/Case_7_{phase}_{part}.stl" for phase in ("ED", "ES") for part in structures),
        *(f"Case_7/{name}" for name in ("regions_ed.csv", "regions_es.csv", "clinical.json", "clinical.csv")),
        "Case_7/study.mrb",
    }
    labels = nibabel.load(folder / "Case_7_ES_seg.nii.gz")
    assert np.array_equal(np.asanyarray(labels.dataobj).T, pair[1][2].labels.array)
    assert np.allclose(labels.affine, pair[1][2].labels.ijk_to_ras, atol=1e-3)
    assert 40 < json.loads((folder / "clinical.json").read_text())["lv"]["ef_pct"] < 80
    assert "15 files were written" in panel.ui.statusLabel.text
    assert panel.ui.exportButton.text == "Export"


def test_the_scene_bundle_holds_the_study_and_nothing_else_and_leaves_the_scene_alone(module, tmp_path):
    other = add(0.5, "Another patient")[0]
    before = slicer.mrmlScene.GetNumberOfNodes()
    module.session.parameters.exportBundle = True
    module.session.parameters.exportLabels = False
    export(module)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    with ZipFile(tmp_path / "out" / "Case_7" / "study.mrb") as archive:
        names = " ".join(archive.namelist())
    assert "Case 7 ED.nrrd" in names.replace("%20", " ")
    assert other.GetName() not in names.replace("%20", " ")


def test_the_report_is_made_of_the_nodes_and_can_be_opened(module, app, tmp_path):
    module.session.parameters.exportReport = True
    panel = export(module)
    page = (tmp_path / "out" / "Case_7" / "report.html").read_text(encoding="utf-8")
    assert "Heart ED segmentation" in page
    assert "3D Slicer 5.10.0" in page
    panel.ui.openReportButton.click()
    panel.ui.openFolderButton.click()
    assert [path.rstrip("/").rsplit("/", 1)[-1] for path in app.windows.opened] == ["report.html", "Case_7"]


def test_files_of_an_earlier_export_are_replaced_only_after_a_question(module, app, tmp_path):
    folder = tmp_path / "out" / "Case_7"
    folder.mkdir(parents=True)
    (folder / "clinical.csv").write_text("mine")
    (folder / "notes.txt").write_text("mine too")
    app.windows.answer("confirmOkCancelDisplay", False, True)
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    assert panel.run is None
    assert "already holds clinical.csv. Replace them?" in app.windows.texts("confirmOkCancelDisplay")[0]
    assert (folder / "clinical.csv").read_text() == "mine"
    export(module)
    assert (folder / "clinical.csv").read_text().startswith("structure,")
    assert (folder / "notes.txt").read_text() == "mine too"


def test_a_file_that_appears_meanwhile_is_not_overwritten(module, tmp_path):
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    folder = tmp_path / "out" / "Case_7"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clinical.csv").write_text("mine")
    wait_until(lambda: panel.run is None)
    assert "appeared" in panel.ui.statusLabel.text
    assert files(folder) == {"clinical.csv"}
    assert (folder / "clinical.csv").read_text() == "mine"


def test_cancel_frees_the_panel_at_once_and_leaves_no_file(module, tmp_path):
    hold(module, "slow")
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    wait_until(lambda: panel.ui.progressBar.value > 0)
    started = time.monotonic()
    panel.ui.exportButton.click()
    assert time.monotonic() - started < 0.5
    assert panel.ui.exportButton.text == "Export"
    assert "nothing was written" in panel.ui.statusLabel.text
    wait_until(lambda: not panel.timer.active, 10)
    assert not (tmp_path / "out").exists()


def test_a_worker_that_does_not_listen_is_ended_and_its_files_are_removed(module, tmp_path):
    hold(module, "stuck")
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    wait_until(lambda: panel.ui.progressBar.value > 0)
    panel.ui.exportButton.click()
    wait_until(lambda: not panel.timer.active, 10)
    assert not module.session.workers.client("job").is_running
    assert not (tmp_path / "out").exists()


def test_a_fault_in_the_program_is_told_once_and_leaves_no_file(module, tmp_path, monkeypatch):
    from SparseCardiacSegLib.panels.export_run import ExportRun

    def fault(*_arguments):
        raise RuntimeError("a fault")

    monkeypatch.setattr(ExportRun, "_finish", fault)
    panel = export(module)
    assert "fault in the program" in panel.ui.statusLabel.text
    assert panel.ui.exportButton.text == "Export"
    wait_until(lambda: not panel.timer.active)
    assert not (tmp_path / "out").exists()
    assert len(pythonqt.slot_errors) == 1
    pythonqt.slot_errors.clear()


def test_a_worker_that_dies_is_reported_and_the_next_export_works(module, tmp_path):
    hold(module, "dies")
    panel = export(module)
    assert "worker" in panel.ui.statusLabel.text
    assert not panel.ui.detailsGroupBox.isHidden()
    assert not (tmp_path / "out").exists()
    hold(module, "Case 7")
    export(module)
    assert (tmp_path / "out" / "Case_7" / "clinical.json").is_file()


def test_a_graphics_driver_that_takes_the_worker_down_costs_only_the_3d_picture(module, tmp_path):
    hold(module, "no_opengl")
    module.session.parameters.exportReport = module.session.parameters.exportMeshes = True
    panel = export(module)
    written = files(tmp_path / "out" / "no_opengl")
    assert {"report.html", "pictures/montage_ed.png", "surfaces/no_opengl_ED_LV.stl"} <= written
    assert "pictures/surfaces_ed.png" not in written
    assert "no 3D picture" in panel.ui.statusLabel.text


def test_closing_the_scene_or_the_module_stops_the_export_and_leaves_nothing(module, tmp_path):
    hold(module, "slow")
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    wait_until(lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear()
    assert "scene was closed" in panel.ui.statusLabel.text
    wait_until(lambda: not panel.timer.active, 10)
    assert not (tmp_path / "out").exists()


def test_leaving_the_application_while_exporting_leaves_nothing(pair, opened, tmp_path):
    module = opened(pair[0][1])
    module.ui_of("export").exportFolderEdit.currentPath = str(tmp_path / "out")
    hold(module, "slow")
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    wait_until(lambda: panel.ui.progressBar.value > 0)
    panel.cleanup()
    assert not (tmp_path / "out").exists()


def test_what_the_report_lacks_is_said_and_the_rest_is_exported(pair, opened, tmp_path, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    absent = requirements.Package("matplotlib_that_is_absent", "matplotlib>=3.9", 60)
    monkeypatch.setattr(requirements, "FIGURES_PACKAGES", (absent,))
    module = opened(pair[0][1])
    ui = module.ui_of("export")
    assert "matplotlib_that_is_absent" in ui.requirementsLabel.text
    assert "60 MB" in ui.requirementsLabel.text
    assert not ui.installButton.isHidden()
    assert not ui.reportCheckBox.enabled
    ui.exportFolderEdit.currentPath = str(tmp_path / "out")
    module.session.parameters.exportBundle = module.session.parameters.exportMeshes = False
    export(module)
    assert (tmp_path / "out" / "Heart_ED" / "clinical.json").is_file()
    assert not (tmp_path / "out" / "Heart_ED" / "report.html").exists()


def test_the_button_says_why_it_cannot_be_pressed(pair, opened, tmp_path):
    module = opened(None)
    ui = module.ui_of("export")
    assert not ui.exportButton.enabled
    assert "Segment the volume" in ui.exportButton.toolTip
    module.session.parameters.outputSegmentation = pair[0][1]
    assert "Choose a folder" in ui.exportButton.toolTip
    ui.exportFolderEdit.currentPath = "relative"
    assert "whole path" in ui.exportButton.toolTip
    ui.exportFolderEdit.currentPath = str(tmp_path / "out")
    assert ui.exportButton.enabled
    for name in ("Labels", "Tables", "Meshes", "Report", "Bundle"):
        setattr(module.session.parameters, f"export{name}", False)
    ui.exportButton.click()
    assert "Choose what to export" in ui.statusLabel.text


def test_a_folder_that_cannot_be_written_is_explained(module, tmp_path):
    (tmp_path / "out").write_text("a file")
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    assert "is a file, not a folder" in panel.ui.statusLabel.text
    assert panel.ui.exportButton.enabled


def test_an_empty_segmentation_is_refused_in_a_sentence(module, pair):
    module.session.write({part: pair[0][2].mask(part) & False for part in pair[0][2].structures})
    panel = module.panels["export"]
    panel.ui.exportButton.click()
    assert panel.run is None
    assert "Heart ED segmentation is empty" in panel.ui.statusLabel.text


def test_a_cine_is_exported_with_its_phases_found(app, opened, tmp_path):
    image, labels = phantom.cine(5, phantom.grid(**GRID))
    browser = sequence_from_stack(image, "Cine")
    module = opened(segmentation_sequence(labels, browser, "Cine segmentation"))
    module.session.parameters.exportReport = False
    module.ui_of("export").exportFolderEdit.currentPath = str(tmp_path / "out")
    export(module)
    folder = tmp_path / "out" / "Cine"
    assert np.asanyarray(nibabel.load(folder / "Cine_cine_seg.nii.gz").dataobj).shape == (40, 40, 9, 5)
    assert np.array_equal(
        np.asanyarray(nibabel.load(folder / "Cine_ES_seg.nii.gz").dataobj).T, labels.frame(2).labels.array
    )
    clinical = json.loads((folder / "clinical.json").read_text())
    assert clinical["inputs"]["es"]["frame"] == 2
    assert clinical["lv"]["edv_ml"] == pytest.approx(labels.frame(0).volume_ml(Structure.LV))
    assert (folder / "study.mrb").is_file()


def test_a_video_of_a_cine_is_written_and_is_in_the_report(app, opened, tmp_path):
    image, labels = phantom.cine(4, phantom.grid(**GRID))
    browser = sequence_from_stack(image, "Cine")
    module = opened(segmentation_sequence(labels, browser, "Cine segmentation"))
    ui, parameters = module.ui_of("export"), module.session.parameters
    for part in ("Bundle", "Meshes", "Labels", "Tables"):
        setattr(parameters, f"export{part}", False)
    assert not ui.mp4CheckBox.isHidden()
    ui.mp4CheckBox.checked = ui.gifCheckBox.checked = True
    ui.exportFolderEdit.currentPath = str(tmp_path / "out")
    export(module)
    folder = tmp_path / "out" / "Cine"
    assert (folder / "cine.mp4").read_bytes()[4:8] == b"ftyp"
    assert (folder / "cine.gif").read_bytes()[:4] == b"GIF8"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:video/mp4") == 1
    assert "data:image/gif" not in page
    assert "pictures/volume_curve.png" in files(folder)
    assert "pictures/wall_thickness.png" in files(folder)


def test_videos_are_offered_for_a_left_atrium_slice_by_slice_and_not_for_a_single_short_axis(
    app, module, pair, opened, tmp_path
):
    ui = module.ui_of("export")
    assert ui.mp4CheckBox.isHidden()
    module.session.parameters.exportGif = True
    export(module)
    assert not list((tmp_path / "out").rglob("*.gif"))
    image, labels = phantom.left_atrium((12, 40, 40), (6.0, 3.0, 3.0), oblique=True)
    module.session.parameters.inputVolume = volume_from_stack(image, "Atrium")
    module.session.parameters.outputSegmentation = segmentation_node(labels, module.session.volume, "Atrium labels")
    module.session.parameters.esSegmentation = None
    view = type(module.session.parameters.view)
    module.session.parameters.view = view.LEFT_ATRIUM
    assert not ui.gifCheckBox.isHidden()
    module.session.parameters.exportName = "Atrium"
    export(module)
    assert (tmp_path / "out" / "Atrium" / "left_atrium.gif").read_bytes()[:4] == b"GIF8"
    module.session.parameters.outputSegmentation = pair[0][1]
    module.session.parameters.inputVolume = pair[0][0]
    ui.exportButton.click()
    assert "no left atrium to make a video of" in ui.statusLabel.text


def test_an_mp4_cannot_be_chosen_without_its_encoder_and_a_gif_can(app, opened, tmp_path, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    absent = requirements.Package("encoder_that_is_absent", "imageio-ffmpeg>=0.5", 165)
    monkeypatch.setattr(requirements, "VIDEO_PACKAGES", (absent,))
    image, labels = phantom.cine(3, phantom.grid(**GRID))
    browser = sequence_from_stack(image, "Cine")
    module = opened(segmentation_sequence(labels, browser, "Cine segmentation"))
    ui = module.ui_of("export")
    assert "An MP4 video needs encoder_that_is_absent too (about 165 MB)" in ui.requirementsLabel.text
    assert not ui.mp4CheckBox.enabled
    assert ui.gifCheckBox.enabled
    assert not ui.installVideoButton.isHidden()
    assert ui.installButton.isHidden()
    module.session.parameters.exportMp4 = True
    assert module.panels["export"]._parts().videos == ()


def test_patient_and_insertion_set_by_hand_are_those_of_the_clinical_section(module, pair, tmp_path):
    from SparseCardiacSegLib.measures.clinical import clinical_measures
    from SparseCardiacSegLib.mrml.insertion_point import show_insertion

    parameters = module.session.parameters
    parameters.heightCm, parameters.weightKg, parameters.heartRate = 170.0, 70.0, 60.0
    parameters.sex = type(parameters.sex).FEMALE
    places = clinical_measures(pair[0][2], wall=True)["wall_thickness"]["ed"]["insertion_ras_mm"]
    point = [value + shift for value, shift in zip(places["4"], (18.0, -14.0, 6.0), strict=True)]
    show_insertion(pair[0][0], places["4"]).SetNthControlPointPosition(0, *point)
    export(module)
    found = json.loads((tmp_path / "out" / "Case_7" / "clinical.json").read_text())
    expected = clinical_measures(
        *(pair[0][2], pair[1][2]),
        height_cm=170.0,
        weight_kg=70.0,
        sex="female",
        heart_rate=60.0,
        wall=True,
        insertion=point,
    )
    assert found["sex"] == "female"
    assert found["lv"]["co_l_min"] == pytest.approx(expected["lv"]["co_l_min"])
    assert found["wall_thickness"]["ed"]["insertion_set_by_hand"]
    assert found["wall_thickness"]["ed"]["mean_mm"] == pytest.approx(expected["wall_thickness"]["ed"]["mean_mm"])
