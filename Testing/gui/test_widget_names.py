"""Every widget, property, method, signal and slot that the panels name exists: in their .ui files and in Slicer.

Read from the files alone; what Slicer has is in `Testing/data/slicer_api.json`.
"""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

import pytest
from code_checks import CodeCheck, helper_files
from slicer_api import names_in
from ui_checks import BUTTONS, check_ui, read_ui

MODULE = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
PANELS = sorted((MODULE / "SparseCardiacSegLib" / "panels").rglob("*.py"))
UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
NEWER_THAN_THE_DESCRIPTION = {"packaging"}
"""Names of Slicer 5.12 that the code asks for before it uses them."""


@lru_cache
def ui_of_panel(path):
    """The .ui file that a panel's class names; None where the file holds no panel."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "UI" and node.value.value:
            return MODULE / "Resources" / "UI" / node.value.value
    return None


@lru_cache
def helpers_of(panel):
    """Files that a panel imports, with whether they get its widgets."""
    return tuple(helper_files(panel))


@lru_cache
def check_of(path):
    """Check a Python file against the .ui files that its widgets come from."""
    own = ui_of_panel(path)
    if own is not None:
        return CodeCheck(path, [read_ui(own)], every=True)
    given, importing = [], []
    for panel in PANELS:
        ui = ui_of_panel(panel)
        for helper, gets_ui in helpers_of(panel) if ui is not None else []:
            if helper == path:
                importing.append(ui)
                given += [ui] if gets_ui else []
    chosen = given or importing or UI_FILES
    return CodeCheck(path, [read_ui(ui) for ui in dict.fromkeys(chosen)], every=bool(given))


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)
def test_a_ui_file_holds_only_what_slicer_has_and_explains_every_widget(path):
    assert check_ui(path) == []


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)
def test_a_panel_is_one_collapsible_section_without_a_margin(path):
    top = ElementTree.parse(path).find("widget")
    assert (top.get("class"), top.get("name")) == ("qMRMLWidget", path.stem)
    sections = [widget for widget in top.findall("layout/item/widget") if widget.get("class") == "ctkCollapsibleButton"]
    assert len(sections) == 1
    margins = {item.get("name"): item.findtext("number") for item in top.findall("layout/property")}
    assert {margins.get(f"{side}Margin") for side in ("left", "top", "right", "bottom")} == {"0"}
    opened = path.stem in ("StudyPanel", "SegmentPanel", "PromptPanel")
    collapsed = {item.get("name"): item.findtext("bool") for item in sections[0].findall("property")}.get("collapsed")
    assert (collapsed != "true") is opened


@pytest.mark.parametrize("path", PANELS, ids=lambda path: path.name)
def test_a_panels_code_uses_only_widgets_that_exist_and_names_that_slicer_has(path):
    assert check_of(path).problems == []


def test_every_button_does_something():
    used = set().union(*(check_of(path).used for path in PANELS))
    text = "\n".join(path.read_text() for path in PANELS)
    idle = [
        f"{path.name}: {name}"
        for path in UI_FILES
        for name, kind in read_ui(path).kinds.items()
        if kind in BUTTONS and name not in used | read_ui(path).connected and f'"{name}"' not in text
    ]
    assert idle == []


@pytest.mark.parametrize("path", [*PANELS, MODULE / "SparseCardiacSeg.py"], ids=lambda path: path.name)
def test_names_of_slicer_and_its_utilities_exist(path):
    parts = {"i18n", "util", "app", "modules", "ScriptedLoadableModule", "parameterNodeWrapper", "testing"}
    known = {
        "slicer": names_in("slicer") | parts | NEWER_THAN_THE_DESCRIPTION,
        "slicer.util": names_in("slicer.util"),
        "slicer.app": names_in("slicer.app"),
    }
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            of = ast.unparse(node.value)
            if of in known and node.attr not in known[of]:
                wrong.append(f"{path.name}:{node.lineno}: {of}.{node.attr}")
    assert wrong == []


NO_BRACKETS = "is a property: no brackets in PythonQt"
NO_CALL = "is a method: it is always true without brackets"
WRONG_UI = """<ui version="4.0"><class>Wrong</class>
<widget class="qMRMLWidget" name="Wrong">
 <widget class="QPushButton" name="goButton"><property name="toolTip"><string>Go.</string></property></widget>
 <widget class="QCheckBox" name="box"><property name="toolTip"><string>Tick.</string></property></widget>
 {extra}
</widget>
<connections>{connections}</connections></ui>"""


def made_ui(folder, extra="", connections=""):
    path = folder / "Wrong.ui"
    path.write_text(WRONG_UI.format(extra=extra, connections=connections))
    return path


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ('<widget class="QPushButton" name="b"/>', "b: a QPushButton without a tool tip"),
        ('<widget class="qMRMLInventedWidget" name="x"/>', "x: the class qMRMLInventedWidget is not described"),
        (
            '<widget class="QLabel" name="l"><property name="caption"><string>a</string></property></widget>',
            "l: QLabel has no property caption",
        ),
        (
            '<widget class="QLabel" name="l"><property name="width"><number>3</number></property></widget>',
            "l: the property width of QLabel cannot be set",
        ),
        (
            '<widget class="qMRMLNodeComboBox" name="n">'
            '<property name="toolTip"><string>a</string></property></widget>',
            "n: a qMRMLNodeComboBox that no connection gives a scene stays empty",
        ),
    ],
)
def test_the_check_finds_what_is_wrong_in_a_ui_file(tmp_path, extra, problem):
    assert check_ui(made_ui(tmp_path)) == []
    assert check_ui(made_ui(tmp_path, extra)) == [f"Wrong.ui: {problem}"]


@pytest.mark.parametrize(
    ("signal", "receiver", "slot", "problem"),
    [
        ("toggled(bool)", "goButton", "setVisible(bool)", ""),
        ("toggled(int)", "goButton", "setVisible(bool)", "box: QCheckBox has no signal toggled(int)"),
        ("toggled(bool)", "goButton", "setVisibility(bool)", "goButton: QPushButton has no slot setVisibility(bool)"),
        ("toggled(bool)", "stopButton", "setVisible(bool)", "a connection names stopButton, which does not exist"),
    ],
)
def test_the_check_finds_what_is_wrong_in_a_connection(tmp_path, signal, receiver, slot, problem):
    ends = {"sender": "box", "signal": signal, "receiver": receiver, "slot": slot}
    connection = "".join(f"<{tag}>{text}</{tag}>" for tag, text in ends.items())
    path = made_ui(tmp_path, connections=f"<connection>{connection}</connection>")
    assert check_ui(path) == ([f"Wrong.ui: {problem}"] if problem else [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("self.ui.goButton.text = 'Go'", ""),
        ("self.ui.stopButton.text = 'Stop'", "Wrong.ui has no widget stopButton"),
        ("self.ui.goButton.caption = 'Go'", "QPushButton has no caption"),
        ("self.ui.goButton.width = 3", "the property QPushButton.width cannot be set"),
        ("self.ui.goButton.setText = 'Go'", "QPushButton.setText is no property and cannot be set"),
        ("print(self.ui.goButton.text())", f"QPushButton.text {NO_BRACKETS}"),
        ("print(self.ui.box.isChecked())", ""),
        ("print(1 if self.ui.box.isChecked else 0)", f"QCheckBox.isChecked {NO_CALL}"),
        ("self.ui.goButton.connect('clicked()', print)", ""),
        ("self.ui.goButton.connect('pushed()', print)", "QPushButton has no signal pushed()"),
        ("self.ui.goButton.setText(text='Go')", "PythonQt takes no named arguments: self.ui.goButton.setText"),
        ("box = self.ui.box; box.value = 3", "QCheckBox has no value"),
        ("box = self.ui.box; f = lambda: box.value; print(f)", "QCheckBox has no value"),
        ("for part in (self.ui.box, self.ui.goButton): part.tristate = True", "QPushButton has no tristate"),
        ("ui = self.ui; ui.stopButton.click()", "Wrong.ui has no widget stopButton"),
        ("self.timer = qt.QTimer(); self.timer.setIntervall(5)", "QTimer has no setIntervall"),
        ("self.timer = qt.QTimer(); self.timer.connect('timeOut()', print)", "QTimer has no signal timeOut()"),
        (
            "part = qt.QComboBox(); part.connect('activated(QString)', print)",
            "QComboBox has no signal activated(QString) in Qt 6",
        ),
        ("print(qt.QDesktopWidget())", "qt.QDesktopWidget is not described"),
        ("print(qt.Qt.AlignmentFlag.AlignLeft)", "PythonQt's qt.Qt has no AlignmentFlag"),
        ("print(qt.Qt.AlignLeft, qt.Qt.Key_A)", ""),
        ("slicer.app.layoutManager().sliceWidget('Red').sliceNode()", "qMRMLSliceWidget has no sliceNode"),
        ("print(slicer.app.layoutManager().layout())", f"qSlicerLayoutManager.layout {NO_BRACKETS}"),
    ],
)
def test_the_check_finds_what_is_wrong_in_a_panels_code(tmp_path, line, problem):
    path = tmp_path / "wrong_panel.py"
    path.write_text(f"import qt, slicer\n\nclass WrongPanel:\n    def setupWidgets(self):\n        {line}\n")
    found = CodeCheck(path, [read_ui(made_ui(tmp_path))], every=True).problems
    assert found == ([f"wrong_panel.py:5: {problem}"] if problem else [])


def test_a_helper_is_checked_against_the_panels_that_give_it_their_widgets(tmp_path):
    panel = tmp_path / "a_panel.py"
    panel.write_text("from .chooser import Chooser\nfrom .other import CONSTANT\nchoose = Chooser(self.ui, print)\n")
    assert dict(helper_files(panel)) == {tmp_path / "chooser.py": True, tmp_path / "other.py": False}
    helper = tmp_path / "chooser.py"
    helper.write_text("def choose(ui):\n    ui.onlyInOne.click()\n")
    one = made_ui(tmp_path, '<widget class="QPushButton" name="onlyInOne"/>')
    uis = [read_ui(one), read_ui(made_ui(tmp_path))]
    assert CodeCheck(helper, uis, every=True).problems == ["chooser.py:2: Wrong.ui has no widget onlyInOne"]
    assert CodeCheck(helper, uis, every=False).problems == []
