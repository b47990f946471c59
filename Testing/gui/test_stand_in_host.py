"""The stand-in host is as strict as Slicer: what PythonQt refuses, it refuses."""

# ruff: noqa: ARG001 (fixtures that start the application)

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import copy_api
import pythonqt
import slicer
import slicer_api
import slicer_shims
import widgets
from PySide6 import QtCore, QtWidgets


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """One application for all: it takes half a second to make, and these tests leave nothing in the scene."""
    with slicer_shims.application(tmp_path_factory.mktemp("slicer")) as application:
        yield application


@pytest.fixture
def qt(app):
    import qt

    return qt


def test_the_description_lies_in_the_repository_and_is_small():
    assert slicer_api.API_FILE.is_relative_to(slicer_shims.MODULE_FOLDER.parent)
    assert slicer_api.API_FILE.stat().st_size < 400_000
    assert slicer_api.described()["version"].startswith("5.10")


@pytest.mark.shared
def test_the_description_is_what_was_read_from_slicer(shared_data, tmp_path):
    full = shared_data.parent / "slicer-api.json"
    # A process of its own: PySide6 forgets the signals of classes whose widgets were made and deleted.
    subprocess.run([sys.executable, copy_api.__file__, full, tmp_path / "cut.json"], check=True)
    assert (tmp_path / "cut.json").read_text() == slicer_api.API_FILE.read_text()
    read = json.loads(full.read_text())
    for name in copy_api.CLASSES:
        (stored,) = [value for key, value in read["classes"].items() if key.rsplit(".", 1)[-1] == name]
        whole = slicer_api.classes()[name]
        assert whole.properties == stored["properties"]
        assert whole.signals == set(stored["signals"])
        assert whole.names == {one for one in stored["python_names"] if not one.startswith("_")}


@pytest.mark.parametrize("kind", widgets.CUSTOM_WIDGETS, ids=lambda kind: kind.__name__)
def test_a_stand_in_widget_has_no_name_that_slicers_lacks(kind):
    described = slicer_api.classes()[kind.__name__]
    of_qt = {"staticMetaObject", *dir(QtWidgets.QWidget), *dir(QtWidgets.QAbstractButton)}
    own = {name for name in vars(kind) if not name.startswith("_")} - of_qt
    slots = {signature.split("(")[0] for signature in described.slots}
    assert own - described.names - slots == set()


def test_a_property_is_an_attribute_and_a_method_is_not(qt):
    label = qt.QLabel("Heart")
    assert label.text == "Heart"
    with pytest.raises(TypeError, match="not callable"):
        label.text()
    with pytest.raises(AttributeError, match="no writable property"):
        label.setText = "Lung"
    with pytest.raises(AttributeError, match="Slicer's QLabel has no 'caption'"):
        _ = label.caption
    with pytest.raises(AttributeError, match="Slicer's QLabel has no 'caption'"):
        label.caption = "Heart"
    with pytest.raises(AttributeError, match="no writable property"):
        label.width = 30
    label.name = "heartLabel"
    assert label.objectName == "heartLabel"


@pytest.mark.parametrize("value", [None, "yes", [1], np.True_, np.int64(1)])
def test_a_bool_takes_no_other_things(qt, value):
    box = qt.QCheckBox()
    with pytest.raises(TypeError):
        box.checked = value


def test_numbers_of_numpy_are_refused_where_pythonqt_refuses_them(qt):
    box = qt.QSpinBox()
    with pytest.raises(TypeError, match="plain Python value"):
        box.setValue(np.int64(3))
    box.value = 3.0
    assert box.value == 3
    with pytest.raises(TypeError, match="a text"):
        qt.QLabel().text = 3


def test_named_arguments_are_refused(qt):
    with pytest.raises(TypeError, match="no named arguments"):
        qt.QPushButton(text="Go")


def test_a_signal_goes_by_a_signature_that_both_qts_know(qt):
    box = qt.QComboBox()
    with pytest.raises(ValueError, match="no signal currentIndexChange"):
        box.connect("currentIndexChange(int)", print)
    with pytest.raises(ValueError, match="in Qt 6"):
        box.connect("currentIndexChanged(QString)", print)
    seen = []
    box.addItems(["a", "b"])
    box.connect("currentIndexChanged(int)", seen.append)
    box.currentTextChanged.connect(seen.append)
    box.currentIndex = 1
    assert seen == [1, "b"]
    assert box.disconnect("currentIndexChanged(int)", seen.append)
    assert not box.disconnect("currentIndexChanged(int)", print)
    box.currentIndex = 0
    assert seen == [1, "b", "a"]


def test_a_slot_gets_as_many_arguments_as_it_takes(qt):
    button, seen = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked(bool)", lambda: seen.append("none"))
    button.connect("clicked(bool)", lambda checked: seen.append(checked))
    button.connect("clicked()", lambda *arguments: seen.append(arguments))
    button.click()
    assert seen == ["none", True, ()]


def test_enumerators_have_pythonqts_short_names_only(qt):
    assert qt.Qt.AlignLeft == QtCore.Qt.AlignmentFlag.AlignLeft
    assert qt.QMessageBox.Ok | qt.QMessageBox.Cancel
    with pytest.raises(AttributeError):
        _ = qt.Qt.AlignmentFlag.AlignLeft
    with pytest.raises(AttributeError):
        _ = qt.QMessageBox.StandardButton.Ok
    with pytest.raises(AttributeError):
        _ = qt.QDesktopWidget


def test_a_table_made_in_code_shows_its_items(qt):
    table = qt.QTableWidget(1, 2)
    table.setHorizontalHeaderLabels(["Slice", "Dice"])
    item = qt.QTableWidgetItem("0.91")
    item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
    table.setItem(0, 1, item)
    assert table.item(0, 1).text() == "0.91"
    assert (table.rowCount, table.columnCount) == (1, 2)
    with pytest.raises(TypeError):
        table.rowCount()
    with pytest.raises(AttributeError, match="QTableWidgetItem has no 'setCaption'"):
        item.setCaption("a")


def test_a_shortcut_of_the_main_window_answers_its_key(app, qt):
    app.window.show()
    seen = []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+N"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: seen.append("N"))
    app.press("Ctrl+N")
    shortcut.enabled = False
    app.press("Ctrl+N")
    assert seen == ["N"]


def test_settings_come_back_as_texts_as_after_a_restart(app, qt):
    app.userSettings().setValue("SparseCardiacSeg/keep", True)
    assert qt.QSettings().value("SparseCardiacSeg/keep") == "true"
    assert qt.QSettings().value("SparseCardiacSeg/none", "default") == "default"
    with pytest.raises(TypeError):
        qt.QSettings().value("SparseCardiacSeg/keep", False, bool)


def test_windows_are_answered_beforehand_and_remembered(app, qt):
    assert qt.QFileDialog.getSaveFileName(None, "Save the table") == ""
    app.windows.answer("getSaveFileName", "/tmp/table.csv")
    assert qt.QFileDialog.getSaveFileName(None, "Save the table") == "/tmp/table.csv"
    slicer.util.infoDisplay("Done.")
    assert app.windows.texts("infoDisplay") == ["Done."]
    with pytest.raises(AssertionError, match="no answer: Remove it"):
        slicer.util.confirmOkCancelDisplay("Remove it?")
    app.windows.answer("confirmOkCancelDisplay", False)
    assert slicer.util.confirmOkCancelDisplay("Remove it?") is False


def test_the_application_has_only_slicers_names(app):
    with pytest.raises(AttributeError, match=r"slicer\.app has no 'layout'"):
        _ = app.layout


def test_the_views_of_a_layout_have_real_nodes_and_logics(app):
    manager = app.layoutManager()
    assert set(manager.sliceViewNames()) == {"Red", "Green", "Yellow"}
    red = manager.sliceWidget("Red")
    assert red.mrmlSliceNode() is slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.sliceLogic().GetSliceCompositeNode() is red.mrmlSliceCompositeNode()
    assert manager.plotWidget(0) is None
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    assert manager.plotWidget(0).mrmlPlotViewNode().IsA("vtkMRMLPlotViewNode")
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
    assert manager.threeDWidget(0).mrmlViewNode().IsA("vtkMRMLViewNode")
    with pytest.raises(AttributeError, match="qMRMLSliceWidget has no 'sliceNode'"):
        red.sliceNode()


def test_setting_slice_layers_reaches_every_view(app):
    import phantom
    from SparseCardiacSegLib.mrml.volumes import volume_from_stack

    volume = volume_from_stack(phantom.heart(0.0)[0], "Heart")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    logics = [app.layoutManager().sliceWidget(name).sliceLogic() for name in app.layoutManager().sliceViewNames()]
    assert {logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in logics} == {volume.GetID()}
    slicer.util.resetSliceViews()


def test_an_unknown_widget_cannot_be_loaded(app, tmp_path):
    path = tmp_path / "Wrong.ui"
    path.write_text('<ui version="4.0"><class>W</class><widget class="ctkInvented" name="W"/></ui>')
    with pytest.raises(ValueError, match="no ctkInvented"):
        slicer.util.loadUI(str(path))


def test_a_ui_files_connection_is_made_once_and_checked(app, tmp_path):
    text = """<ui version="4.0"><class>W</class><widget class="QWidget" name="W">
    <widget class="QPushButton" name="b"><property name="checkable"><bool>true</bool></property></widget>
    <widget class="QCheckBox" name="c"/></widget><connections><connection><sender>b</sender>
    <signal>clicked()</signal><receiver>c</receiver><slot>{slot}</slot></connection></connections></ui>"""
    path = tmp_path / "W.ui"
    path.write_text(text.format(slot="toggle()"))
    ui = slicer.util.childWidgetVariables(slicer.util.loadUI(str(path)))
    ui.b.click()
    assert ui.c.checked
    path.write_text(text.format(slot="invented()"))
    with pytest.raises(ValueError, match="no slot invented"):
        slicer.util.loadUI(str(path))


def test_objects_are_equal_by_what_they_wrap(qt):
    parent = qt.QWidget()
    label = qt.QLabel("a", parent)
    assert label.parent() == parent
    assert label in parent.children()
    assert pythonqt.unwrap(label).parent() is pythonqt.unwrap(parent)
    assert qt.QColor(1, 2, 3) == qt.QColor(1, 2, 3)
