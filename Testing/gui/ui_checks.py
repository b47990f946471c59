"""Checks a .ui file against the description of Slicer, without Slicer and without Qt."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from slicer_api import classes

SCENE_SLOT = "setMRMLScene(vtkMRMLScene*)"
LOADER_PROPERTIES = {"buddy"}
"""What a .ui file writes as a property and Qt's loader takes for itself."""
PASSIVE = {"QWidget", "QFrame", "QLabel", "QScrollArea", "QSplitter", "QStackedWidget", "QTabWidget", "qMRMLWidget"}
"""Classes that a user does nothing with."""
BUTTONS = {"QPushButton", "QToolButton", "QRadioButton", "ctkPushButton", "ctkMenuButton", "ctkCheckablePushButton"}


@dataclass(frozen=True)
class UiFile:
    """What a .ui file holds.

    Attributes:
        name: the file's name.
        kinds: class by widget name.
        connected: names that are the sender of a connection, or carry a parameter of the parameter node.
    """

    name: str
    kinds: dict[str, str]
    connected: frozenset[str]


def read_ui(path: Path) -> UiFile:
    """Read the widgets of a .ui file."""
    tree = ElementTree.parse(path)
    kinds = {widget.get("name", ""): widget.get("class", "") for widget in tree.iter("widget")}
    bound = {
        widget.get("name", "")
        for widget in tree.iter("widget")
        if any(item.get("name") == "SlicerParameterName" for item in widget.findall("property"))
    }
    senders = {connection.findtext("sender", "") for connection in tree.iter("connection")}
    return UiFile(path.name, kinds, frozenset(bound | senders))


def check_ui(path: Path) -> list[str]:
    """Everything in a .ui file that Slicer does not have or that a user would miss; empty where all is well."""
    tree = ElementTree.parse(path)
    ui = read_ui(path)
    problems = []
    for widget in tree.iter("widget"):
        name, kind = widget.get("name", ""), widget.get("class", "")
        if kind not in classes():
            problems.append(f"{name}: the class {kind} is not described")
            continue
        given = {item.get("name", ""): item for item in widget.findall("property")}
        for label, item in given.items():
            known = item.get("stdset") == "0" or label in LOADER_PROPERTIES or label in classes()[kind].properties
            if not known:
                problems.append(f"{name}: {kind} has no property {label}")
            elif classes()[kind].properties.get(label, "").endswith("(read-only)"):
                problems.append(f"{name}: the property {label} of {kind} cannot be set")
        if kind not in PASSIVE and not (given.get("toolTip") is not None and given["toolTip"].findtext("string")):
            problems.append(f"{name}: a {kind} without a tool tip")
    problems += _connections(tree, ui)
    return [f"{path.name}: {problem}" for problem in problems]


def _connections(tree: ElementTree.ElementTree, ui: UiFile) -> list[str]:
    problems, given_a_scene = [], set()
    for connection in tree.iter("connection"):
        ends = {}
        for role, member in (("sender", "signal"), ("receiver", "slot")):
            name, signature = connection.findtext(role, ""), connection.findtext(member, "")
            ends[role] = name
            kind = ui.kinds.get(name)
            if kind is None:
                problems.append(f"a connection names {name}, which does not exist")
            elif kind in classes() and signature not in getattr(classes()[kind], f"{member}s"):
                problems.append(f"{name}: {kind} has no {member} {signature}")
        if connection.findtext("slot") == SCENE_SLOT:
            given_a_scene.add(ends["receiver"])
    top = tree.find("widget")
    for name, kind in ui.kinds.items():
        needs = kind in classes() and SCENE_SLOT in classes()[kind].slots
        if needs and name not in given_a_scene and (top is None or name != top.get("name")):
            problems.append(f"{name}: a {kind} that no connection gives a scene stays empty")
    return problems
