"""The Measure panel in the stand-in host: figures from a real worker, tables, plots, differences, side by side."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from driving import wait_until
from SparseCardiacSegLib.anatomy import MNMS, Structure
from SparseCardiacSegLib.measures.frames import compare_frames
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.segmentation import Segmentation

WORKER = [sys.executable, "-m", "SparseCardiacSegLib.worker"]
LIBRARY = str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg")


def shifted(labels, columns=2):
    return Segmentation(labels.labels.with_array(np.roll(labels.labels.array, columns, axis=-1)), labels.scheme)


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LIBRARY)
    with slicer_shims.application(tmp_path) as application:
        yield application


@pytest.fixture
def heart(app):
    """Volume, prediction and reference of an oblique stack."""
    image, labels = phantom.heart(0.0, phantom.grid((8, 64, 64), (12.0, 2.0, 2.0), oblique=True))
    volume = volume_from_stack(image, "Heart")
    nodes = [segmentation_node(part, volume, name) for part, name in ((shifted(labels), "Mine"), (labels, "Theirs"))]
    return volume, *nodes, labels


@pytest.fixture
def opened(app, monkeypatch):
    """Opens the panel on what the scene holds."""
    from SparseCardiacSegLib.panels import worker_process

    monkeypatch.setattr(worker_process, "worker_command", lambda: WORKER)
    modules = []

    def open_module(prediction=None, reference=None):
        modules.append(slicer_shims.OpenModule(app, only=["measure"]))
        parameters = modules[-1].session.parameters
        parameters.outputSegmentation = prediction
        parameters.referenceNode = reference
        modules[-1].open("measure")
        return modules[-1]

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def module(opened, heart):
    return opened(heart[1], heart[2])


def compare(module):
    module.ui_of("measure").computeButton.click()
    wait_until(lambda: module.panels["measure"].run is None)


def tables():
    return slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_comparing_shows_the_figures_of_the_library_in_table_and_sentences(module, heart):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    assert ui.computeButton.enabled
    assert not ui.csvButton.visible
    ui.computeButton.click()
    assert ui.computeButton.text == "Cancel"
    wait_until(lambda: panel.run is None)
    expected = compare_frames({0: (shifted(heart[3]), heart[3])}, "Heart")
    assert panel.figures.found.rows[0].dice == expected.rows[0].dice
    assert len(panel.figures.found.rows) == len(expected.rows)
    table = ui.metricsTableView.mrmlTableNode()
    assert table.GetNumberOfRows() == len(expected.rows)
    assert float(table.GetTable().GetColumnByName("dice").GetValue(0)) == expected.rows[0].dice
    whole = next(row for row in expected.rows if (row.structure, row.region) == ("LV", "all"))
    assert f"Left ventricle: Dice {whole.dice:.3f}, HD95 {whole.hd95_mm:.1f} mm" in ui.summaryLabel.text
    assert "Compared Mine with Theirs" in ui.statusLabel.text
    ui.tableSelector.setCurrentIndex(1)
    assert ui.metricsTableView.mrmlTableNode().GetNumberOfRows() == len(expected.slice_rows)


def test_comparing_again_with_other_settings_fills_the_same_tables(module):
    from SparseCardiacSegLib.panels.parameters import RegionMethod, SurfaceKind

    compare(module)
    first = {node.GetID() for node in tables()}
    module.session.parameters.surfaceDefinition = SurfaceKind.SURFEL
    module.session.parameters.regionMethod = RegionMethod.THIRDS
    compare(module)
    assert {node.GetID() for node in tables()} == first
    rows = module.panels["measure"].figures.found.rows
    assert {row.surface_definition for row in rows} == {"surfel"}
    assert {row.regions_method for row in rows} == {"thirds"}


def test_slices_that_the_user_put_into_a_region_count_there(module):
    compare(module)
    before = {row.slice: row.region for row in module.panels["measure"].figures.found.slice_rows}
    index = next(key for key, region in before.items() if region == "middle")
    volume = module.session.volume
    module.session.parameters.regionOverrides = f'{{"{volume.GetID()}": {{"{index}": "apex"}}}}'
    compare(module)
    after = {row.slice: row.region for row in module.panels["measure"].figures.found.slice_rows}
    assert {key for key in before if before[key] != after[key]} == {index}
    assert after[index] == "apex"


def test_csv_files_hold_what_the_tables_show(module, app, tmp_path):
    compare(module)
    app.windows.answer("getExistingDirectory", str(tmp_path / "figures"))
    module.ui_of("measure").csvButton.click()
    with (tmp_path / "figures" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = module.panels["measure"].figures.found
    assert [float(row["dice"]) for row in rows] == [row.dice for row in found.rows]
    with (tmp_path / "figures" / "slices.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found.slice_rows)
    assert "metrics.csv" in module.ui_of("measure").statusLabel.text


def test_an_unwritable_folder_is_a_sentence(module, app, tmp_path):
    compare(module)
    (tmp_path / "file").write_text("")
    app.windows.answer("getExistingDirectory", str(tmp_path / "file"))
    module.ui_of("measure").csvButton.click()
    assert "is a file, not a folder" in module.ui_of("measure").statusLabel.text


def test_what_is_missing_is_told_before_and_flags_afterwards(opened, heart):
    module = opened(heart[1], None)
    ui = module.ui_of("measure")
    assert not ui.computeButton.enabled
    assert ui.computeButton.toolTip == "Choose a reference first."
    module.session.parameters.referenceNode = heart[1]
    assert "the segmentation itself" in ui.computeButton.toolTip
    module.session.parameters.referenceNode = heart[2]
    heart[1].GetSegmentation().RemoveSegment("RV")
    compare(module)
    row = next(row for row in module.panels["measure"].figures.found.rows if row.structure == "RV")
    assert (row.dice, row.flag) == (0.0, "missing")
    assert "missing: one of the two is empty" in ui.flagsLabel.text


def test_a_label_map_is_a_reference_in_the_scheme_that_is_chosen(opened, heart):
    from SparseCardiacSegLib.panels.parameters import ReferenceScheme

    _volume, prediction, _theirs, labels = heart
    image = labels.in_scheme(MNMS).labels
    drawn = volume_from_stack(image, "Drawn", label_map=True)
    module = opened(prediction, drawn)
    ui = module.ui_of("measure")
    assert ui.schemeSelector.visible
    compare(module)
    assert "guessed as 'mnms'" in ui.statusLabel.text
    right = next(row.dice for row in module.panels["measure"].figures.found.rows if row.structure == "LV")
    assert right > 0.8
    module.session.parameters.referenceScheme = ReferenceScheme.ACDC
    compare(module)
    wrong = next(row.dice for row in module.panels["measure"].figures.found.rows if row.structure == "LV")
    assert wrong < 0.1
    module.session.parameters.referenceNode = heart[2]
    assert not ui.schemeSelector.visible


def test_a_reference_drawn_elsewhere_is_a_sentence_and_nothing_changes(module, heart):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, 900], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    transform.SetMatrixTransformToParent(matrix)
    heart[2].SetAndObserveTransformNodeID(transform.GetID())
    compare(module)
    assert "Theirs lies outside of Heart" in module.ui_of("measure").statusLabel.text
    assert tables() == []


def test_cancel_frees_the_panel_and_a_later_comparison_works(module):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    ui.computeButton.click()
    wait_until(lambda: panel.run is None or panel.run._job is not None)
    ui.computeButton.click()
    assert panel.run is None
    assert "Cancelled" in ui.statusLabel.text
    wait_until(lambda: not panel.timer.active)
    assert tables() == []
    compare(module)
    assert panel.figures.found is not None


def test_removing_the_reference_while_it_is_compared_stops_the_comparison(module, heart):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    ui.computeButton.click()
    slicer.mrmlScene.RemoveNode(heart[2])
    wait_until(lambda: panel.run is None)
    assert "a node was removed" in ui.statusLabel.text
    assert not ui.computeButton.enabled


def test_a_worker_that_dies_is_told_with_a_remedy_and_replaced_by_the_next(module):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    ui.computeButton.click()
    wait_until(lambda: panel.run is None or panel.run._job is not None)
    os.kill(module.session.workers.client("job").pid, 9)
    wait_until(lambda: panel.run is None)
    assert "ended unexpectedly" in ui.statusLabel.text
    compare(module)
    assert panel.figures.found is not None


def test_editing_afterwards_marks_the_figures_as_outdated(module):
    compare(module)
    module.session.write({Structure.LV: np.zeros((8, 64, 64), bool)})
    assert "has changed since" in module.ui_of("measure").statusLabel.text


def test_differences_and_contours_are_shown_explained_and_taken_back(module, heart):
    from SparseCardiacSegLib.mrml.own_nodes import find_own
    from SparseCardiacSegLib.panels.parameters import DifferenceView

    ui, mine = module.ui_of("measure"), heart[1]
    before = mine.GetDisplayNode().GetVisibility2DFill()
    ui.differenceSelector.setCurrentIndex(2)
    assert module.session.parameters.difference is DifferenceView.COLOURS
    shown = find_own("vtkMRMLSegmentationNode", "difference", mine)
    assert "prediction_only" in shown.GetSegmentation().GetSegmentIDs()
    assert not mine.GetDisplayNode().GetVisibility2DFill()
    assert "Violet" in ui.legendLabel.text
    module.session.write({one: heart[3].mask(one) for one in heart[3].structures})
    assert list(shown.GetSegmentation().GetSegmentIDs()) == ["agreement"]
    ui.differenceSelector.setCurrentIndex(1)
    assert not shown.GetDisplayNode().GetVisibility()
    assert mine.GetDisplayNode().GetVisibility2DOutline()
    ui.differenceSelector.setCurrentIndex(0)
    assert mine.GetDisplayNode().GetVisibility2DFill() == before
    assert not ui.legendLabel.visible


def test_the_worst_slice_is_shown_and_named(module, heart):
    labels = heart[3]
    spoilt = labels.labels.array.copy()
    spoilt[5] = np.roll(spoilt[5], 12, axis=1)
    module.session.write({one: spoilt == labels.scheme.numbers[one] for one in labels.structures})
    compare(module)
    module.ui_of("measure").worstSliceButton.click()
    assert module.session.shownSlice() == 5
    assert "Slice 5: Dice RV" in module.ui_of("measure").statusLabel.text


def test_side_by_side_links_both_views_and_the_button_brings_the_layout_back(module, heart):
    from SparseCardiacSegLib.mrml import layouts
    from SparseCardiacSegLib.mrml.slice_views import shown_slice

    ui = module.ui_of("measure")
    before = slicer.app.layoutManager().layout
    ui.sideBySideButton.click()
    left, right = (layouts.slice_node(name) for name in (layouts.PREDICTION_VIEW, layouts.REFERENCE_VIEW))
    assert layouts.arrangement_of() is layouts.Arrangement.SIDE_BY_SIDE
    assert layouts.REFERENCE_VIEW in slicer.app.layoutManager().sliceViewNames()
    assert not heart[1].GetDisplayNode().IsDisplayableInView(right.GetID())
    module.session.showSlice(2)
    assert shown_slice(right, heart[0]) == shown_slice(left, heart[0]) == 2
    ui.sideBySideButton.click()
    assert slicer.app.layoutManager().layout == before
    assert heart[1].GetDisplayNode().IsDisplayableInView(right.GetID())


def test_a_layout_chosen_by_the_user_ends_side_by_side(module, heart):
    ui = module.ui_of("measure")
    ui.sideBySideButton.click()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not ui.sideBySideButton.checked
    assert heart[2].GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed")


def test_tables_and_plots_are_shown_in_slicers_own_views(module):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    compare(module)
    ui.showTableButton.click()
    assert slicer.app.layoutManager().tableViewCount == 1
    ui.curvePlotButton.click()
    assert slicer.app.layoutManager().plotViewCount == 1
    ui.regionPlotButton.click()
    view = slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode()
    assert view.GetPlotChartNode() is panel.figures.nodes.bars
    slicer.mrmlScene.RemoveNode(panel.figures.nodes.curve)
    ui.curvePlotButton.click()
    assert "was removed" in ui.statusLabel.text


def test_of_a_cine_every_frame_that_both_label_is_compared(opened, app):
    image, labels = phantom.cine(4, phantom.grid((8, 64, 64), (12.0, 2.0, 2.0), oblique=True))
    browser = sequence_from_stack(image, "Cine")
    sparse = labels.labels.array.copy()
    sparse[1:3] = 0
    prediction = segmentation_sequence(shifted(labels), browser, "Mine")
    reference = segmentation_sequence(Segmentation(labels.labels.with_array(sparse), labels.scheme), browser, "Theirs")
    module = opened(prediction, reference)
    compare(module)
    ui = module.ui_of("measure")
    assert "(frames 0, 3)" in ui.statusLabel.text
    assert "±" in ui.summaryLabel.text
    assert {row.case for row in module.panels["measure"].figures.found.rows} == {"Cine_frame00", "Cine_frame03"}
    browser.SetSelectedItemNumber(1)
    ui.worstSliceButton.click()
    assert module.session.frame == 0


def test_closing_the_scene_while_comparing_is_safe_and_the_panel_starts_afresh(module):
    ui, panel = module.ui_of("measure"), module.panels["measure"]
    ui.differenceSelector.setCurrentIndex(2)
    ui.sideBySideButton.click()
    ui.computeButton.click()
    slicer.mrmlScene.Clear()
    assert panel.run is None
    assert not ui.computeButton.enabled
    assert not ui.csvButton.visible
    wait_until(lambda: not panel.timer.active)
