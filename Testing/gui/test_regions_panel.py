"""The Regions panel in the stand-in host: table, stripe, order, slices set by hand, the table node, and saving."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os

import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from PySide6 import QtTest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.regions import COLOURS, Region, label_regions


@pytest.fixture
def heart(app):
    """Volume, segmentation node and labels of an oblique heart, apex first."""
    image, labels = phantom.heart(0.0, phantom.grid(oblique=True, base_first=False))
    volume = volume_from_stack(image, "Heart")
    return volume, segmentation_node(labels, volume, "Heart segmentation"), labels


@pytest.fixture
def opened(app):
    modules = []

    def open_module():
        modules.append(slicer_shims.OpenModule(app, ("study", "regions")))
        return modules[-1]

    yield open_module
    for module in modules:
        module.close()


@pytest.fixture
def module(heart, opened):
    """The module with the Regions section open on the heart."""
    module = opened()
    module.session.parameters.outputSegmentation = heart[1]
    module.open("regions")
    return module


def rows(module):
    table = module.ui_of("regions").regionsTable
    return [tuple(table.item(row, column).text() for column in range(3)) for row in range(table.rowCount)]


def row_of(module, index):
    return [row[0] for row in rows(module)].index(str(index))


def stripe_is_shown(app, view="Red"):
    window = app.layoutManager().sliceWidget(view).sliceView().renderWindow()
    return window.GetRenderers().GetFirstRenderer().GetViewProps().GetNumberOfItems() > 0


def table_nodes():
    return slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_the_table_lists_every_slice_from_base_to_apex_in_its_colour(module, heart):
    expected = label_regions(heart[2])
    assert [int(row[0]) for row in rows(module)] == list(expected.order())
    assert not expected.base_first
    names = {"Base": Region.BASE, "Middle": Region.MIDDLE, "Apex": Region.APEX, "No region": None}
    assert [names[row[1]] for row in rows(module)] == [expected.regions[int(row[0])] for row in rows(module)]
    table = module.ui_of("regions").regionsTable
    basal = table.item(row_of(module, expected.slices("base")[0]), 1).background().color()
    assert (basal.red(), basal.green(), basal.blue()) == COLOURS[Region.BASE]
    assert "slice 9, found from the segmentation" in module.ui_of("regions").orderLabel.text
    assert "area" in module.ui_of("regions").orderLabel.toolTip


def test_choosing_a_method_and_flipping_the_order_change_the_table(module):
    ui = module.ui_of("regions")
    ui.regionMethodSelector.currentIndex = 1
    assert {row[2] for row in rows(module)} == {"thirds"}
    assert [row[1] for row in rows(module)].count("Base") == 4
    ui.flipOrderButton.click()
    assert rows(module)[0][0] == "0"
    assert "the segmentation says the opposite" in ui.orderLabel.text
    ui.flipOrderButton.click()
    assert rows(module)[0][0] == "9"


def test_clicking_a_row_shows_its_slice_and_scrolling_selects_the_row(module):
    ui = module.ui_of("regions")
    ui.regionsTable.setCurrentCell(2, 1)
    ui.regionsTable.cellClicked(2, 1)
    assert module.session.shownSlice() == int(rows(module)[2][0])
    module.session.showSlice(3)
    assert ui.regionsTable.currentRow() == row_of(module, 3)
    assert ui.overrideLabel.text == "Slice 3 is:"


def test_a_slice_set_by_hand_is_marked_kept_with_the_scene_and_taken_back(module, heart):
    ui = module.ui_of("regions")
    assert not ui.resetOverridesButton.enabled
    module.session.showSlice(5)
    ui.apexButton.click()
    assert rows(module)[row_of(module, 5)] == ("5", "Apex", "by hand")
    module.session.showSlice(4)
    ui.noneButton.click()
    assert rows(module)[row_of(module, 4)] == ("4", "No region", "by hand")
    assert f'"{heart[0].GetID()}": {{"4": "", "5": "apex"}}' in module.session.parameters.regionOverrides
    ui.resetOverridesButton.click()
    assert not any(row[2] == "by hand" for row in rows(module))
    assert not ui.resetOverridesButton.enabled


def test_damaged_or_foreign_overrides_do_no_harm(module, heart):
    for text in (
        "{",
        "[1]",
        '{"vtkMRMLScalarVolumeNode99": {"1": "apex"}}',
        f'{{"{heart[0].GetID()}": {{"77": "apex"}}}}',
    ):
        module.session.parameters.regionOverrides = text
        assert len(rows(module)) == 10
        assert not any(row[2] == "by hand" for row in rows(module))


def test_the_stripe_is_drawn_while_the_section_is_open_and_vanishes_with_it(module, app):
    module.session.showSlice(5)
    assert stripe_is_shown(app)
    assert not stripe_is_shown(app, "Green")
    ui = module.ui_of("regions")
    ui.stripeCheckBox.checked = False
    assert not stripe_is_shown(app)
    ui.stripeCheckBox.checked = True
    assert stripe_is_shown(app)
    module.leave()
    assert not stripe_is_shown(app)
    module.enter()
    assert stripe_is_shown(app)
    module.panels["regions"].section.collapsed = True
    assert not stripe_is_shown(app)


def test_closing_the_scene_takes_stripe_and_table_away(module, app):
    module.session.showSlice(5)
    assert stripe_is_shown(app)
    slicer.mrmlScene.Clear()
    assert not stripe_is_shown(app)
    assert rows(module) == []
    assert "Choose a volume first" in module.ui_of("regions").statusLabel.text


def test_the_table_follows_the_users_edits_and_keeps_its_own_node(module, heart):
    _volume, _node, labels = heart
    ui = module.ui_of("regions")
    ui.regionTableButton.click()
    (table,) = table_nodes()
    assert module.session.parameters.regionTable is table
    before = [row[1] for row in rows(module)]
    basal = max(label_regions(labels).slices("base"))
    module.session.write({part: labels.mask(part) & False for part in labels.structures}, slices=[basal])
    assert [row[1] for row in rows(module)] != before
    ui.regionTableButton.click()
    assert table_nodes() == [table]
    shown = [int(row[0]) for row in rows(module) if row[1] != "No region"]
    column = table.GetTable().GetColumnByName("slice")
    assert [column.GetValue(index) for index in range(column.GetNumberOfTuples())] == shown
    slicer.mrmlScene.RemoveNode(table)
    module.session.showSlice(2)
    ui.baseButton.click()
    assert table_nodes() == []


def test_what_cannot_be_told_is_said_in_a_sentence(module, heart):
    _volume, node, labels = heart
    status = module.ui_of("regions").statusLabel
    module.session.write({part: labels.mask(part) & False for part in labels.structures})
    assert "has no slice with LV, MYO or RV" in status.text
    assert rows(module) == []
    module.session.parameters.outputSegmentation = None
    assert "no segmentation yet" in status.text
    slicer.mrmlScene.RemoveNode(node)
    assert not module.ui_of("regions").regionTableButton.enabled


def test_a_folded_section_computes_nothing(heart, opened, monkeypatch):
    module = opened()
    from SparseCardiacSegLib.panels import region_choices

    told = []
    real = region_choices.regionsOf
    monkeypatch.setattr(region_choices, "regionsOf", lambda *given: told.append(1) or real(*given))
    module.session.parameters.outputSegmentation = heart[1]
    assert told == []
    module.open("regions")
    assert len(told) == 1


def test_a_cine_shows_the_regions_of_the_frame_once_it_rests(app, opened):
    image, labels = phantom.cine(4, phantom.grid((10, 48, 48), (10.0, 3.0, 3.0)))
    browser = sequence_from_stack(image, "Cine")
    node = segmentation_sequence(labels, browser, "Cine segmentation")
    module = opened()
    module.session.parameters.outputSegmentation = node
    module.open("regions")
    first = rows(module)
    for frame in (1, 2):
        module.session.showFrame(frame)
        assert rows(module) == first
    QtTest.QTest.qWait(300)
    expected = label_regions(labels.frame(2))
    assert [int(row[0]) for row in rows(module) if row[1] == "Base"] == expected.slices("base")
    assert labels.frame(2).mask(Structure.LV).any()
