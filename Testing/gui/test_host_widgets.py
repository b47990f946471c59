"""The stand-in widgets do what panels rely on, over real MRML nodes; and so does the stand-in parameter node."""

# ruff: noqa: ARG001, N815 (fixtures that start the application; Slicer's own names)

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import Annotated

import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import parameter_connectors as annotations
import pythonqt
import slicer
import slicer_shims
import vtk
from parameter_wrapper import parameterNodeWrapper
from PySide6 import QtCore
from SparseCardiacSegLib.mrml.segmentations import segmentation_node
from SparseCardiacSegLib.mrml.volumes import volume_from_stack


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One application for all: it takes half a second to make."""
    with slicer_shims.application(tmp_path_factory.mktemp("slicer")) as application:
        yield application


@pytest.fixture
def app(running):
    slicer.mrmlScene.Clear()
    return running


@pytest.fixture
def qt(app):
    import qt

    return qt


@pytest.fixture
def ctk(app):
    import ctk

    return ctk


@pytest.fixture
def scene(app):
    return slicer.mrmlScene


def watched(widget, signal):
    """A list that fills with what a signal says."""
    said = []
    widget.connect(signal, lambda *values: said.append(values if len(values) > 1 else values[0]))
    return said


def test_a_folded_section_hides_its_contents_and_keeps_what_was_hidden(qt, ctk):
    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    shown, hidden, late = (qt.QLabel(text, section) for text in "abc")
    for label in (shown, hidden, late):
        layout.addWidget(label)
    hidden.visible = late.visible = False
    said = watched(section, "contentsCollapsed(bool)")
    section.show()
    section.collapsed = True
    assert (section.checked, shown.visible, hidden.visible) == (False, False, False)
    late.visible = True
    assert not late.visible
    section.click()
    assert (section.collapsed, shown.visible, hidden.visible, late.visible) == (False, True, False, True)
    assert said == [True, False]


@pytest.mark.parametrize("name", ["ctkSliderWidget", "ctkDoubleSpinBox", "ctkDoubleSlider"])
def test_a_number_stays_in_its_range_and_tells_once(ctk, name):
    widget = getattr(ctk, name)()
    widget.minimum, widget.maximum = 0.0, 2.0
    said = watched(widget, "valueChanged(double)")
    widget.value = 5
    widget.setValue(2.0)
    assert widget.value == 2.0
    assert said == [2.0]


def test_a_slider_has_no_setter_that_slicers_lacks(ctk):
    with pytest.raises(AttributeError, match="ctkSliderWidget has no 'setRange'"):
        ctk.ctkSliderWidget().setRange(0, 1)


def test_a_range_keeps_its_ends_in_order(ctk):
    widget = ctk.ctkRangeWidget()
    widget.setRange(0, 200)
    widget.setValues(20, 120)
    said = watched(widget, "valuesChanged(double,double)")
    widget.minimumValue = 150
    assert (widget.minimumValue, widget.maximumValue) == (150, 150)
    assert said[-1] == (150, 150)


def test_paths_and_folders_tell_of_changes(app, ctk, tmp_path):
    line, button = ctk.ctkPathLineEdit(), ctk.ctkDirectoryButton()
    line_said, button_said = watched(line, "currentPathChanged(QString)"), watched(button, "directoryChanged(QString)")
    line.currentPath = "/a/b"
    button.directory = str(tmp_path)
    button.directory = str(tmp_path)
    app.windows.answer("ctkPathLineEdit", "/c")
    line.browse()
    assert (line_said, line.currentPath) == (["/a/b", "/c"], "/c")
    assert button_said == [str(tmp_path)]


def test_a_colour_button_tells_its_colour(qt, ctk):
    button = ctk.ctkColorPickerButton()
    said = watched(button, "colorChanged(QColor)")
    button.color = qt.QColor(255, 0, 0)
    assert button.colorName == "#ff0000"
    assert said == [qt.QColor(255, 0, 0)]


def test_a_checkable_push_button_is_checked_by_its_box(qt, ctk):
    button = ctk.ctkCheckablePushButton()
    said = watched(button, "checkBoxToggled(bool)")
    button.checkState = qt.Qt.Checked
    assert (said, button.checked) == ([True], True)


def test_a_node_selector_follows_the_scene_and_lets_go_of_it(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    assert not selector.enabled
    selector.noneEnabled = True
    selector.setMRMLScene(scene)
    said = watched(selector, "currentNodeChanged(vtkMRMLNode*)")
    first = scene.AddNewNodeByClass("vtkMRMLTextNode", "first")
    scene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    assert (selector.nodeCount(), selector.currentNode()) == (1, None)
    selector.setCurrentNode(first)
    assert selector.currentNodeID == first.GetID()
    scene.RemoveNode(first)
    assert said == [first, None]
    selector.addAttribute("vtkMRMLTextNode", "kind", "report")
    scene.AddNewNodeByClass("vtkMRMLTextNode", "plain")
    scene.AddNewNodeByClass("vtkMRMLTextNode", "report").SetAttribute("kind", "report")
    scene.AddNewNodeByClass("vtkMRMLTextNode", "other")
    assert [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())] == ["report"]
    selector.deleteLater()
    slicer.app.processEvents()
    scene.AddNewNodeByClass("vtkMRMLTextNode", "after")


def test_a_checkable_node_selector_gives_the_checked_nodes(qt, scene):
    selector = slicer.qMRMLCheckableNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    selector.setMRMLScene(scene)
    nodes = [scene.AddNewNodeByClass("vtkMRMLTextNode", name) for name in "ab"]
    said = []
    selector.connect("checkedNodesChanged()", lambda: said.append(len(selector.checkedNodes())))
    selector.setCheckState(nodes[1], qt.Qt.Checked)
    assert selector.checkedNodes() == (nodes[1],)
    selector.uncheck(nodes[1])
    assert (selector.noneChecked(), said) == (True, [1, 0])


def test_a_segment_selector_follows_the_segmentation(scene):
    image, labels = phantom.heart(0.0)
    node = segmentation_node(labels, volume_from_stack(image, "Heart"), "Heart segmentation")
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(scene)
    said = watched(selector, "currentSegmentChanged(QString)")
    selector.setCurrentNode(node)
    ids = node.GetSegmentation().GetSegmentIDs()
    assert selector.segmentIDs() == tuple(ids)
    selector.setCurrentSegmentID(ids[1])
    assert selector.currentSegmentID() == ids[1]
    node.GetSegmentation().RemoveSegment(ids[1])
    assert selector.currentSegmentID() == ids[0]
    assert said == [ids[0], ids[1], ids[0]]
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(node)
    table.setSelectedSegmentIDs([ids[2]])
    assert table.selectedSegmentIDs() == (ids[2],)


def test_a_table_view_shows_the_cells_of_its_node(scene):
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", "Dice")
    column = vtk.vtkDoubleArray()
    column.SetName("Dice")
    column.InsertNextValue(0.91)
    view = slicer.qMRMLTableView()
    view.setMRMLScene(scene)
    view.setMRMLTableNode(node)
    node.AddColumn(column)
    model = pythonqt.unwrap(view).model()
    assert view.mrmlTableNode() is node
    assert (model.rowCount(), model.columnCount()) == (1, 1)
    assert model.index(0, 0).data() == "0.91"
    assert model.headerData(0, QtCore.Qt.Orientation.Horizontal) == "Dice"


def test_sequence_widgets_move_the_browser(scene):
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Cine")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Frames")
    for index in range(3):
        sequence.SetDataNodeAtValue(slicer.vtkMRMLTextNode(), str(index))
    browser.AddSynchronizedSequenceNode(sequence)
    seek, play = slicer.qMRMLSequenceBrowserSeekWidget(), slicer.qMRMLSequenceBrowserPlayWidget()
    for widget in (seek, play):
        widget.setMRMLScene(scene)
        widget.setMRMLSequenceBrowserNode(browser)
    seek.setSelectedItemNumber(2)
    play.onVcrPrevious()
    assert browser.GetSelectedItemNumber() == 1
    assert seek.slider().value == 1
    play.onVcrPlayPause()
    assert browser.GetPlaybackActive()


def test_a_click_in_place_mode_makes_a_point_and_ends_it(app, scene):
    placer = slicer.qSlicerMarkupsPlaceWidget()
    placer.setMRMLScene(scene)
    said = watched(placer, "activeMarkupsPlaceModeChanged(bool)")
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Positive")
    defined = []
    node.AddObserver(node.PointPositionDefinedEvent, lambda *_: defined.append(node.GetNumberOfControlPoints()))
    with pytest.raises(AssertionError, match="nothing is being placed"):
        app.click((1.0, 2.0, 3.0))
    placer.setCurrentNode(node)
    placer.setPlaceModeEnabled(True)
    assert placer.placeModeEnabled
    app.click((1.0, 2.0, 3.0))
    assert node.GetNthControlPointPosition(0) == (1.0, 2.0, 3.0)
    assert (defined, said, placer.placeModeEnabled) == ([1], [True, False], False)
    placer.placeModePersistency = True
    placer.placeModeEnabled = True
    app.click((0.0, 0.0, 0.0))
    app.click((4.0, 0.0, 0.0))
    assert placer.placeModeEnabled
    placer.deleteLastPoint()
    assert node.GetNumberOfControlPoints() == 2


def test_a_simple_markups_widget_lists_the_points(scene):
    widget = slicer.qSlicerSimpleMarkupsWidget()
    widget.setMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Positive")
    widget.setCurrentNode(node)
    node.AddControlPointWorld(vtk.vtkVector3d(1, 2, 3))
    assert widget.tableWidget().item(0, 1).text() == "1.0"
    assert widget.currentNode() is node


class Method(enum.Enum):
    FIRST = 1
    SECOND = 2

    def label(self):
        return self.name.title()


@pytest.fixture
def parameters(scene):
    @parameterNodeWrapper
    class Parameters:
        shown: bool = True
        slices: int = 3
        bounded: Annotated[int, annotations.WithinRange(0, 10)] = 3
        opacity: Annotated[float, annotations.WithinRange(0, 1)] = 0.5
        anyNumber: float = 0.5
        title: str = "Heart"
        choice: Annotated[str, annotations.Choice(["a", "b"])] = "a"
        folder: Path = Path("/a")
        method: Method = Method.SECOND
        volume: slicer.vtkMRMLScalarVolumeNode

    return Parameters(scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


@pytest.mark.parametrize(
    ("name", "module", "kind", "read", "value", "shown"),
    [
        ("shown", "qt", "QCheckBox", "checked", False, False),
        ("shown", "qt", "QPushButton", "checked", False, False),
        ("slices", "qt", "QSpinBox", "value", 7, 7),
        ("bounded", "qt", "QSlider", "value", 7, 7),
        ("opacity", "ctk", "ctkSliderWidget", "value", 0.25, 0.25),
        ("opacity", "slicer", "qMRMLSliderWidget", "value", 0.25, 0.25),
        ("opacity", "ctk", "ctkDoubleSpinBox", "value", 0.25, 0.25),
        ("opacity", "qt", "QDoubleSpinBox", "value", 0.25, 0.25),
        ("title", "qt", "QLineEdit", "text", "Lung", "Lung"),
        ("choice", "qt", "QComboBox", "currentText", "b", "b"),
        ("method", "qt", "QComboBox", "currentText", Method.FIRST, "First"),
        ("method", "ctk", "ctkComboBox", "currentText", Method.FIRST, "First"),
        ("folder", "ctk", "ctkPathLineEdit", "currentPath", Path("/b"), "/b"),
        ("folder", "ctk", "ctkDirectoryButton", "directory", Path("/b"), "/b"),
    ],
)
def test_a_parameter_and_its_widget_follow_each_other(parameters, name, module, kind, read, value, shown):
    widget = getattr(sys.modules[module], kind)()
    before = getattr(parameters, name)
    tag = parameters.connectParametersToGui({name: widget})
    first = getattr(widget, read)
    setattr(parameters, name, value)
    assert getattr(widget, read) == shown
    if kind in ("QComboBox", "ctkComboBox"):
        widget.currentIndex = widget.findText(first)
    else:
        setattr(widget, read, first)
    assert getattr(parameters, name) == before
    parameters.disconnectGui(tag)
    setattr(parameters, name, value)
    assert getattr(widget, read) == first


def test_a_node_parameter_follows_its_selector(parameters, scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.noneEnabled = True
    selector.setMRMLScene(scene)
    parameters.connectParametersToGui({"volume": selector})
    volume = volume_from_stack(phantom.heart(0.0)[0], "Heart")
    selector.setCurrentNode(volume)
    assert parameters.volume is volume
    parameters.volume = None
    assert selector.currentNode() is None


@pytest.mark.parametrize(
    ("name", "module", "kind"),
    [
        ("slices", "qt", "QSlider"),
        ("anyNumber", "ctk", "ctkSliderWidget"),
        ("title", "qt", "QComboBox"),
        ("title", "qt", "QPlainTextEdit"),
        ("shown", "qt", "QRadioButton"),
        ("shown", "qt", "QToolButton"),
        ("anyNumber", "qt", "QSpinBox"),
        ("folder", "qt", "QLineEdit"),
        ("volume", "slicer", "qMRMLSegmentSelectorWidget"),
    ],
)
def test_a_pair_that_slicer_cannot_connect_is_refused(parameters, name, module, kind):
    with pytest.raises(RuntimeError):
        parameters.connectParametersToGui({name: getattr(sys.modules[module], kind)()})


def test_the_range_of_the_ui_file_is_overwritten_by_the_annotation(qt, parameters):
    free, bounded = qt.QSpinBox(), qt.QSpinBox()
    for box in (free, bounded):
        box.setRange(1, 5)
    parameters.connectParametersToGui({"slices": free, "bounded": bounded})
    assert (free.minimum, free.maximum) == (-(2**31), 2**31 - 1)
    assert (bounded.minimum, bounded.maximum) == (0, 10)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("slices", None, ValueError),
        ("slices", 2.5, TypeError),
        ("bounded", 11, ValueError),
        ("choice", "c", ValueError),
        ("title", 3, TypeError),
        ("method", "FIRST", TypeError),
        ("folder", "/b", TypeError),
    ],
)
def test_a_wrong_value_is_refused_as_by_slicers_validators(parameters, name, value, error):
    with pytest.raises(error):
        setattr(parameters, name, value)


def test_values_are_kept_in_the_node_as_slicer_writes_them(parameters):
    node = parameters.parameterNode
    kept = {name: node.GetParameter(name) for name in ("shown", "bounded", "opacity", "title", "folder", "method")}
    assert kept == {
        "shown": "True",
        "bounded": "3",
        "opacity": "0.5",
        "title": "Heart",
        "folder": "/a",
        "method": "SECOND",
    }
    node.SetParameter("method", "FIRST")
    again = type(parameters)(node)
    assert again.method is Method.FIRST


def test_a_type_that_the_module_must_not_use_is_refused():
    with pytest.raises(TypeError, match="JSON in a str"):

        @parameterNodeWrapper
        class Parameters:
            frames: list[int]
