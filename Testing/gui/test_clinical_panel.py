"""The Clinical panel in the stand-in host: figures of single stacks, cines and atria, height and weight, copying."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import csv
import io
import json
import os

import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from PySide6 import QtTest, QtWidgets
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

GRID = {"shape": (10, 48, 48), "spacing": (10.0, 3.0, 3.0), "oblique": True}


def add(moment, name):
    """A stack with its labels; volume, segmentation node, labels."""
    image, labels = phantom.heart(moment, phantom.grid(**GRID))
    volume = volume_from_stack(image, name)
    return volume, segmentation_node(labels, volume, f"{name} segmentation"), labels


@pytest.fixture
def pair(app):
    """A heart at ED and the same at ES, as single stacks."""
    return add(0.0, "Heart ED"), add(1.0, "Heart ES")


@pytest.fixture
def cine(app):
    """A cine of six frames, of which frames 0, 2 and 3 are labelled; browser, node, labels."""
    image, labels = phantom.cine(6, phantom.grid(**GRID))
    array = labels.labels.array.copy()
    array[[1, 4, 5]] = 0
    kept = type(labels)(labels.labels.with_array(array), labels.scheme)
    browser = sequence_from_stack(image, "Cine")
    return browser, segmentation_sequence(kept, browser, "Cine segmentation"), labels


@pytest.fixture
def opened(app):
    modules = []

    def open_module(node):
        module = slicer_shims.OpenModule(app, ("study", "clinical"))
        modules.append(module)
        module.session.parameters.outputSegmentation = node
        module.open("clinical")
        return module

    yield open_module
    for module in modules:
        module.close()


NORMAL = 3
"""The column of the normal ranges."""


def table(module):
    """Rows by name of the measure: value, unit, index, and what it was measured on; without marks."""
    widget = module.ui_of("clinical").clinicalTable
    columns = [column for column in range(6) if column != NORMAL]
    rows = [[widget.item(row, column).text().rstrip(" ▲▼") for column in columns] for row in range(widget.rowCount)]
    return {row[0]: row[1:] for row in rows}


def settle(module):
    """Let the session's and the panel's pauses pass."""
    QtTest.QTest.qWait(200)
    while module.panels["clinical"].timer.active:
        QtTest.QTest.qWait(20)


def test_ed_alone_gives_volumes_and_says_what_is_missing(pair, opened):
    module = opened(pair[0][1])
    rows = table(module)
    edv = pair[0][2].volume_ml(Structure.LV)
    assert rows["LV end-diastolic volume"] == [f"{edv:.1f}", "mL", "-", rows["LV end-diastolic volume"][3]]
    assert rows["LV end-diastolic volume"][3].startswith("ED, slices 1 to ")
    assert rows["LV ejection fraction"][0] == "-"
    warnings = module.ui_of("clinical").warningsLabel.text
    assert "only one frame (ED)" in warnings
    assert "Papillary muscles" in warnings
    assert module.ui_of("clinical").framesLabel.isHidden()


def test_with_es_height_and_weight_every_figure_is_there(pair, opened):
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    ui.esSegmentationSelector.setCurrentNode(pair[1][1])
    ui.heightSpinBox.value = 170.0
    ui.weightSpinBox.value = 70.0
    settle(module)
    expected = clinical_measures(pair[0][2], pair[1][2], height_cm=170, weight_kg=70)
    rows = table(module)
    assert rows["LV ejection fraction"][:2] == [f"{expected['lv']['ef_pct']:.1f}", "%"]
    assert rows["RV stroke volume"][0] == f"{expected['rv']['sv_ml']:.1f}"
    assert rows["LV mass"][:3] == [
        f"{expected['lv']['mass_g']:.1f}",
        "g",
        f"{expected['lv']['mass_index_g_m2']:.1f} g/m²",
    ]
    assert rows["Body surface area"][:2] == ["1.82", "m²"]


def test_the_two_stacks_are_found_by_their_volumes_whichever_is_shown(pair, opened):
    module = opened(pair[1][1])
    module.session.parameters.inputVolume = pair[1][0]
    ui = module.ui_of("clinical")
    ui.findEdEsButton.click()
    assert module.session.parameters.edSegmentation is pair[0][1]
    assert module.session.parameters.esSegmentation is pair[1][1]
    assert "ED is Heart ED segmentation" in ui.statusLabel.text
    assert 40 < float(table(module)["LV ejection fraction"][0]) < 80


def test_two_readings_of_one_volume_are_not_taken_for_ed_and_es(app, opened):
    volume, node, _labels = add(0.0, "Heart")
    segmentation_node(phantom.heart(1.0, phantom.grid(**GRID))[1], volume, "Second reading")
    module = opened(node)
    ui = module.ui_of("clinical")
    ui.findEdEsButton.click()
    assert "Only one volume on this grid" in ui.statusLabel.text
    assert module.session.parameters.esSegmentation is None


def test_an_impossible_height_is_explained_and_unknown_is_no_error(pair, opened):
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    assert ui.heightSpinBox.text == "unknown"
    ui.heightSpinBox.value = 1.7
    ui.weightSpinBox.value = 70.0
    settle(module)
    assert "1.7 cm is not possible; give it in centimetres" in ui.statusLabel.text
    assert table(module) == {}
    assert not ui.copyCsvButton.enabled
    ui.heightSpinBox.value = 0.0
    settle(module)
    assert ui.statusLabel.isHidden()
    assert "height and weight are both needed" in ui.warningsLabel.text


def test_the_frames_of_a_cine_are_found_named_and_measured(cine, opened):
    _browser, node, labels = cine
    module = opened(node)
    ui = module.ui_of("clinical")
    assert "Choose the frames" in ui.statusLabel.text
    assert "not known" in ui.framesLabel.text
    assert ui.esSegmentationSelector.isHidden()
    ui.findEdEsButton.click()
    assert (module.session.parameters.edFrame, module.session.parameters.esFrame) == (0, 2)
    assert "3 labelled frames" in ui.statusLabel.text
    assert "ED frame 0, ES frame 2" in ui.framesLabel.text
    rows = table(module)
    esv = labels.frame(2).volume_ml(Structure.LV)
    assert rows["LV end-systolic volume"][0] == f"{esv:.1f}"
    assert "ES (frame 2)" in rows["LV end-systolic volume"][3]


def test_a_frame_that_nobody_labelled_is_named(cine, opened):
    module = opened(cine[1])
    module.session.parameters.edFrame = 4
    settle(module)
    assert "Nothing is segmented in these frames: ED 4" in module.ui_of("clinical").statusLabel.text


def test_an_atrium_of_its_own_is_measured_and_graded_with_the_guidelines_year(pair, opened):
    image, labels = phantom.left_atrium((20, 40, 40), (5.0, 2.5, 2.5), oblique=True)
    node = segmentation_node(labels, volume_from_stack(image, "Atrium"), "Atrium segmentation")
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    ui.laSegmentationSelector.setCurrentNode(node)
    ui.heightSpinBox.value = 170.0
    ui.weightSpinBox.value = 70.0
    settle(module)
    row = table(module)["LA volume"]
    assert row[0] == f"{labels.volume_ml(Structure.LA):.1f}"
    assert row[2].endswith("mL/m²")
    assert "(ASE/EACVI 2015)" in row[3]
    assert "(ASE/EACVI 2005)" in row[3]


def test_figures_follow_the_segmentation_and_the_table_node_with_them(pair, opened):
    _volume, _node, labels = pair[0]
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    ui.clinicalTableButton.click()
    (node,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    before = table(module)["LV end-diastolic volume"][0]
    module.session.write({Structure.LV: labels.mask(Structure.LV) & False}, slices=[4])
    settle(module)
    after = table(module)["LV end-diastolic volume"][0]
    assert float(after) < float(before)
    values = {}
    for row in range(node.GetNumberOfRows()):
        values[node.GetCellText(row, 0), node.GetCellText(row, 1)] = node.GetCellText(row, 2)
    assert float(values["LV", "edv_ml"]) == pytest.approx(float(after), abs=0.06)
    ui.clinicalTableButton.click()
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == [node]


def test_a_table_node_that_was_removed_is_made_anew(pair, opened):
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    ui.clinicalTableButton.click()
    slicer.mrmlScene.RemoveNode(module.session.parameters.clinicalTable)
    ui.clinicalTableButton.click()
    (node,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert node.GetNumberOfRows() > 0
    assert node.GetName() in ui.statusLabel.text


def test_the_clipboard_gets_a_table_and_json_that_others_can_read(pair, opened):
    module = opened(pair[0][1])
    ui = module.ui_of("clinical")
    ui.copyCsvButton.click()
    rows = list(csv.DictReader(io.StringIO(QtWidgets.QApplication.clipboard().text())))
    edv = next(row for row in rows if (row["structure"], row["measure"]) == ("LV", "edv_ml"))
    assert float(edv["value"]) == pytest.approx(pair[0][2].volume_ml(Structure.LV))
    assert edv["unit"] == "mL"
    ui.copyJsonButton.click()
    assert json.loads(QtWidgets.QApplication.clipboard().text())["lv"]["edv_ml"] == pytest.approx(float(edv["value"]))


def test_without_anything_to_measure_the_panel_says_what_to_do(app, opened):
    module = opened(None)
    ui = module.ui_of("clinical")
    assert "Choose a volume first" in ui.statusLabel.text
    volume, node, _labels = add(0.0, "Heart")
    module.session.parameters.inputVolume = volume
    assert "no segmentation yet" in ui.statusLabel.text
    module.session.parameters.outputSegmentation = node
    assert table(module)
    slicer.mrmlScene.RemoveNode(node)
    assert table(module) == {}
    slicer.mrmlScene.Clear()
    assert "Choose a volume first" in ui.statusLabel.text


def test_the_same_segmentation_for_ed_and_es_is_refused(pair, opened):
    module = opened(pair[0][1])
    module.ui_of("clinical").esSegmentationSelector.setCurrentNode(pair[0][1])
    settle(module)
    assert "chosen as ED and as ES" in module.ui_of("clinical").statusLabel.text


def test_the_only_labelled_frame_of_a_cine_is_measured_without_a_choice(app, opened):
    image, labels = phantom.cine(4, phantom.grid(**GRID))
    array = labels.labels.array.copy()
    array[[0, 2, 3]] = 0
    kept = type(labels)(labels.labels.with_array(array), labels.scheme)
    module = opened(segmentation_sequence(kept, sequence_from_stack(image, "Cine"), "Cine segmentation"))
    rows = table(module)
    assert rows["LV end-diastolic volume"][0] == f"{labels.frame(1).volume_ml(Structure.LV):.1f}"
    assert "only one frame (ED)" in module.ui_of("clinical").warningsLabel.text


def test_a_stack_with_nothing_but_an_atrium_is_measured_as_one(app, opened):
    image, labels = phantom.left_atrium((20, 40, 40), (5.0, 2.5, 2.5), oblique=True)
    node = segmentation_node(labels, volume_from_stack(image, "Atrium"), "Atrium segmentation")
    module = opened(node)
    assert list(table(module)) == ["LA volume"]
    assert "nothing is labelled" not in module.ui_of("clinical").warningsLabel.text
