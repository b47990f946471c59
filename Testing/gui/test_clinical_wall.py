"""The Clinical panel's normal ranges, wall thickness, RV insertion and volume curve, with a real worker."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import live, wait_until
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.measures.volume_curve import volume_curve
from SparseCardiacSegLib.mrml.insertion_point import insertion_node
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack

GRID = {"shape": (10, 48, 48), "spacing": (10.0, 3.0, 3.0), "oblique": True}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the module with the Clinical section unfolded."""
    from SparseCardiacSegLib.panels import worker_process

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "SparseCardiacSeg"))
    monkeypatch.setattr(worker_process, "worker_command", lambda: [sys.executable, "-m", "SparseCardiacSegLib.worker"])
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


@pytest.fixture
def pair(app):
    """Segmentation nodes and labels of a heart at ED and ES."""
    made = []
    for name, moment in (("ED", 0.0), ("ES", 1.0)):
        image, labels = phantom.heart(moment, phantom.grid(**GRID))
        made.append((segmentation_node(labels, volume_from_stack(image, name), f"{name} labels"), labels))
    return made


@pytest.fixture
def module(pair, opened):
    """The module on the pair."""
    module = opened(pair[0][0])
    module.session.parameters.esSegmentation = pair[1][0]
    live(0.5)
    return module


def cells(module, measure):
    """A row of the table by the measure's name."""
    widget = module.ui_of("clinical").clinicalTable
    for row in range(widget.rowCount):
        if widget.item(row, 0).text() == measure:
            items = [widget.item(row, column) for column in range(6)]
            return [SimpleNamespace(text=item.text(), tip=item.toolTip()) for item in items]
    return None


def unfold(module):
    """Open the fold-out and wait until the wall is measured."""
    ui, panel = module.ui_of("clinical"), module.panels["clinical"]
    ui.wallGroupBox.collapsed = False
    wait_until(lambda: panel.wall.found is not None)
    return panel


def choose_sex(module, name):
    parameters = module.session.parameters
    parameters.sex = type(parameters.sex)[name]
    live(0.5)


def test_ranges_of_both_sexes_are_shown_until_the_sex_is_chosen_and_the_source_with_them(module):
    both = cells(module, "LV end-diastolic volume")[3]
    assert both.text.startswith("m ")
    assert ", f " in both.text
    choose_sex(module, "MALE")
    row = cells(module, "LV end-diastolic volume")
    assert row[3].text == both.text.split(",")[0].removeprefix("m ")
    assert "UK Biobank" in row[1].tip
    assert "men" in row[1].tip
    assert "women" not in row[1].tip


def test_a_value_is_marked_only_where_it_lies_outside_its_range(module):
    ui = module.ui_of("clinical")
    ui.heightSpinBox.value, ui.weightSpinBox.value = 250.0, 300.0  # a small heart in a large body
    choose_sex(module, "MALE")
    measures = module.panels["clinical"].measures
    (record,) = measures["normal_ranges"]["lv"]["mass_index_g_m2"]
    assert record["verdict"] == "below"
    row = cells(module, "LV mass")
    assert row[1].text == f"{measures['lv']['mass_g']:.1f}"
    assert row[3].text == "35-71 g/m²"
    assert row[4].text == f"{measures['lv']['mass_index_g_m2']:.1f} g/m² ▼"
    assert "below" in row[4].tip


def test_a_heart_rate_gives_cardiac_output_and_an_impossible_one_is_explained(module):
    assert cells(module, "LV cardiac output") is None
    ui = module.ui_of("clinical")
    ui.heartRateSpinBox.value = 60.0
    live(0.6)
    measures = module.panels["clinical"].measures
    assert cells(module, "LV cardiac output")[1].text == f"{measures['lv']['sv_ml'] * 60 / 1000:.1f}"
    ui.heartRateSpinBox.value = 5.0
    live(0.6)
    assert "heart rate of 5 is not possible" in ui.statusLabel.text


def test_the_wall_is_measured_only_while_its_fold_out_is_open_and_drawn_as_a_bullseye(module, pair):
    ui = module.ui_of("clinical")
    assert cells(module, "Wall thickness at ED, mean") is None
    assert module.panels["clinical"].measures["wall_thickness"] is None
    panel = unfold(module)
    expected = clinical_measures(pair[0][1], pair[1][1], wall=True)
    assert panel.measures["wall_thickness"] == expected["wall_thickness"]
    assert panel.measures["normal_ranges"] == expected["normal_ranges"]
    row = cells(module, "Wall thickness at ED, thickest segment")
    assert row[1].text.split()[0] == f"{expected['wall_thickness']['ed']['thickest_segment_mm']:.1f}"
    assert "≤ 12" in row[3].text
    wait_until(lambda: not ui.wallPictureLabel.isHidden())
    assert ui.wallTable.isHidden()
    ui.wallViewSelector.setCurrentIndex(2)
    wait_until(lambda: "thickening" in panel.wall._pictures)
    ui.wallGroupBox.collapsed = True
    assert cells(module, "Wall thickness at ED, mean") is None


def test_without_matplotlib_the_segments_are_a_table(module, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    absent = requirements.Package("matplotlib_that_is_absent", "matplotlib>=3.9", 60)
    monkeypatch.setattr(requirements, "FIGURES_PACKAGES", (absent,))
    panel = unfold(module)
    ui = module.ui_of("clinical")
    assert ui.wallPictureLabel.isHidden()
    assert ui.wallTable.rowCount == 17
    assert ui.wallTable.item(0, 0).text() == "1 basal anterior"
    mean = panel.measures["wall_thickness"]["ed"]["mean_mm"]["1"]
    assert ui.wallTable.item(0, 1).text() == f"{mean:.1f}"
    assert "Export section" in ui.wallStatusLabel.text


def test_the_insertion_is_shown_where_the_labels_put_it_and_dragging_it_recounts_the_segments(module, pair):
    ui = module.ui_of("clinical")
    assert not ui.insertionButton.enabled
    panel = unfold(module)
    found = panel.wall.found
    assert ui.insertionButton.enabled
    ui.insertionButton.click()
    volume = module.session.volume
    node = insertion_node(volume)
    assert ui.insertionButton.text == "Hide RV insertion"
    assert ui.insertionResetButton.isHidden()
    live(0.5)
    assert panel.wall.found is found, "showing the point changed the measures"
    places = found.record["ed"]["insertion_ras_mm"]
    assert list(node.GetNthControlPointPosition(0)) in [pytest.approx(place) for place in places.values()]
    moved = [value + shift for value, shift in zip(node.GetNthControlPointPosition(0), (18.0, -14.0, 6.0), strict=True)]
    node.SetNthControlPointPosition(0, *moved)
    wait_until(lambda: panel.wall.found is not None and panel.wall.found is not found)
    expected = clinical_measures(pair[0][1], pair[1][1], wall=True, insertion=moved)["wall_thickness"]
    assert panel.measures["wall_thickness"]["ed"] == expected["ed"]
    assert expected["ed"]["mean_mm"] != found.record["ed"]["mean_mm"]
    assert not ui.insertionResetButton.isHidden()
    ui.insertionResetButton.click()
    wait_until(lambda: panel.wall.found is not None and panel.wall.found.record == found.record)
    assert ui.insertionResetButton.isHidden()
    live(0.1)
    assert list(node.GetNthControlPointPosition(0)) in [pytest.approx(place) for place in places.values()]
    slicer.mrmlScene.RemoveNode(node)
    live(0.5)
    assert ui.insertionButton.text == "Show RV insertion"


def test_the_rates_of_a_labelled_cine_are_rows_and_its_curve_a_plot_of_slicers(app, opened):
    image, labels = phantom.cine(12, phantom.grid(**GRID))
    browser = sequence_from_stack(image, "Cine")
    module = opened(segmentation_sequence(labels, browser, "Cine labels"))
    ui = module.ui_of("clinical")
    ui.findEdEsButton.click()
    ui.heartRateSpinBox.value = 60.0
    live(0.8)
    times = image.frame_times
    parameters = module.session.parameters
    expected = volume_curve(labels, times, 60.0, ed=parameters.edFrame, es=parameters.esFrame).record()
    assert module.panels["clinical"].measures["volume_curve"]["peak_filling_rate_ml_s"] == pytest.approx(
        expected["peak_filling_rate_ml_s"]
    )
    assert cells(module, "LV peak filling rate")[1].text == f"{expected['peak_filling_rate_ml_s']:.1f}"
    assert ui.curveButton.enabled
    ui.curveButton.click()
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    series = chart.GetNthPlotSeriesNode(0)
    column = [series.GetTableNode().GetTable().GetColumnByName("LV").GetValue(row) for row in range(12)]
    assert column == pytest.approx([labels.frame(frame).volume_ml(Structure.LV) for frame in range(12)])
    ui.curveButton.click()
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1


def test_a_single_stack_has_no_curve_and_closing_the_scene_forgets_the_wall(module):
    ui = module.ui_of("clinical")
    assert ui.curveButton.isHidden()
    panel = unfold(module)
    slicer.mrmlScene.Clear()
    assert panel.wall.found is None
    assert not ui.insertionButton.enabled


def test_a_worker_that_is_stopped_is_told_and_opening_the_fold_out_again_measures(module):
    ui, panel = module.ui_of("clinical"), module.panels["clinical"]
    ui.wallGroupBox.collapsed = False
    panel.wall.timer.stop()
    panel.wall.onTimer()
    module.session.workers.client("job").kill()
    panel.wall.onTimer()
    assert "was stopped" in ui.wallStatusLabel.text
    ui.wallGroupBox.collapsed = True
    unfold(module)
    assert panel.wall.found is not None
