"""Checks a panel's Python against its .ui file and the description of Slicer, by reading it; nothing is run.

What it follows: `self.ui.NAME` and `ui.NAME`, names and attributes of self that hold such a widget or a new
`qt.QX()`, loops over tuples of widgets, and what a few functions of Slicer return. What it cannot follow, it leaves
alone: the stand-in host refuses wrong names when the code runs.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from PySide6 import QtCore
from slicer_api import EXTRA, EXTRA_OBJECTS, classes, gone_in_qt6
from ui_checks import UiFile

Kinds = frozenset[str]
NOTHING: Kinds = frozenset()
RETURNS = {
    ("slicer.app", "layoutManager"): "qSlicerLayoutManager",
    ("qSlicerLayoutManager", "sliceWidget"): "qMRMLSliceWidget",
    ("qSlicerLayoutManager", "threeDWidget"): "qMRMLThreeDWidget",
    ("qSlicerLayoutManager", "plotWidget"): "qMRMLPlotWidget",
    ("qSlicerLayoutManager", "tableWidget"): "qMRMLTableWidget",
    ("qMRMLSliceWidget", "sliceView"): "qMRMLSliceView",
    ("qMRMLThreeDWidget", "threeDView"): "qMRMLThreeDView",
    ("qMRMLPlotWidget", "plotView"): "qMRMLPlotView",
    ("qMRMLTableWidget", "tableView"): "qMRMLTableView",
    ("QTableWidget", "item"): "QTableWidgetItem",
    ("QTableWidget", "horizontalHeader"): "QHeaderView",
    ("QTableWidget", "verticalHeader"): "QHeaderView",
    ("QTableView", "horizontalHeader"): "QHeaderView",
    ("QTableView", "verticalHeader"): "QHeaderView",
    ("qMRMLTableView", "horizontalHeader"): "QHeaderView",
    ("qMRMLTableView", "verticalHeader"): "QHeaderView",
}
"""Class that a method gives back, by class and method."""
MODULES = ("qt", "ctk", "slicer")
TRUTH = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.If, ast.IfExp, ast.While, ast.BinOp, ast.FormattedValue, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.Lambda)
STATIC_ONLY = {"QFile", "QUiLoader", "Qt", "QDesktopServices", "QStandardPaths", "QApplication", "QCoreApplication"}
STATIC_ONLY |= {"QEvent", "QToolTip"}


class CodeCheck:
    """One Python file.

    Attributes:
        problems: what is wrong, with line numbers.
        used: names of widgets that the code takes from a `ui`.
    """

    def __init__(self, path: Path, uis: list[UiFile], every: bool) -> None:
        """Read and check a file.

        Args:
            path: the file.
            uis: the .ui files that its `ui` may be.
            every: whether each of them must hold a name that the code uses; else one is enough.
        """
        self.problems: list[str] = []
        self.used: set[str] = set()
        self._path = path
        self._uis = uis
        self._every = every
        self._tree = ast.parse(path.read_text(), str(path))
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        self._names: dict[ast.AST | None, dict[str, list[Kinds]]] = defaultdict(lambda: defaultdict(list))
        self._collect()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Attribute):
                self._attribute(node)
            elif isinstance(node, ast.Call):
                self._call(node)
        self.problems.sort()

    def _say(self, node: ast.AST, problem: str) -> None:
        text = f"{self._path.name}:{node.lineno}: {problem}"
        if text not in self.problems:
            self.problems.append(text)

    def _scope(self, node: ast.AST, kind: type | tuple[type, ...]) -> ast.AST | None:
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, kind):
                return node
        return None

    def _collect(self) -> None:
        """Remember what names and attributes of self hold; a name that holds anything else is not followed."""
        for node in ast.walk(self._tree):
            pairs: list[tuple[ast.expr, ast.expr | None]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
                pairs = [(node.target, node.value)]
            elif isinstance(node, ast.For | ast.comprehension):
                items = node.iter.elts if isinstance(node.iter, ast.Tuple | ast.List) else [None]
                pairs = [(node.target, item) for item in items]
            elif isinstance(node, ast.arg):
                self._names[self._scope(node, FUNCTIONS)][node.arg].append(NOTHING)
            for target, value in pairs:
                self._remember(target, value)

    def _remember(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            for part, item in zip(target.elts, values, strict=False):
                self._remember(part, item)
            return
        kinds = NOTHING if value is None else self._kinds(value)
        # None only says that there is no widget yet.
        if isinstance(value, ast.Constant) and value.value is None:
            return
        if isinstance(target, ast.Name):
            self._names[self._scope(target, FUNCTIONS)][target.id].append(kinds)
        elif isinstance(target, ast.Attribute) and _is_self(target.value):
            self._names[self._scope(target, ast.ClassDef)][target.attr].append(kinds)

    def _kinds(self, node: ast.expr) -> Kinds:
        """Classes that an expression may be of; empty where that is not known."""
        if isinstance(node, ast.Attribute) and _is_ui(node.value):
            return frozenset(ui.kinds[node.attr] for ui in self._uis if node.attr in ui.kinds)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            made = _module_class(node.func)
            if made in classes():
                return frozenset({made})
            owners = {"slicer.app"} if _is_application(node.func.value) else self._kinds(node.func.value)
            found = {RETURNS.get((owner, node.func.attr), "") for owner in owners}
            return frozenset(found) if found and "" not in found else NOTHING
        if isinstance(node, ast.Name):
            scope = self._scope(node, FUNCTIONS)
            while scope is not None and node.id not in self._names[scope]:
                scope = self._scope(scope, FUNCTIONS)
            return self._held(self._names[scope].get(node.id, []))
        if isinstance(node, ast.Attribute) and _is_self(node.value):
            return self._held(self._names[self._scope(node, ast.ClassDef)].get(node.attr, []))
        return NOTHING

    @staticmethod
    def _held(values: list[Kinds]) -> Kinds:
        return NOTHING if NOTHING in values else frozenset().union(*values)

    def _attribute(self, node: ast.Attribute) -> None:
        if _is_ui(node.value):
            self.used.add(node.attr)
            missing = [ui.name for ui in self._uis if node.attr not in ui.kinds]
            if missing if self._every else len(missing) == len(self._uis):
                self._say(node, f"{' and '.join(missing) or 'no .ui file'} has no widget {node.attr}")
            return
        if isinstance(node.value, ast.Name) and node.value.id == "qt":
            self._qt_name(node)
        for kind in self._kinds(node.value):
            self._member(node, kind)

    def _member(self, node: ast.Attribute, kind: str) -> None:
        described, parent = classes()[kind], self._parents[node]
        is_property = node.attr in described.properties
        if node.attr not in described.names:
            self._say(node, f"{kind} has no {node.attr}")
        elif isinstance(node.ctx, ast.Store):
            if not is_property:
                self._say(node, f"{kind}.{node.attr} is no property and cannot be set")
            elif described.properties[node.attr].endswith("(read-only)"):
                self._say(node, f"the property {kind}.{node.attr} cannot be set")
        elif is_property and isinstance(parent, ast.Call) and parent.func is node:
            self._say(node, f"{kind}.{node.attr} is a property: no brackets in PythonQt")
        elif not is_property and isinstance(parent, TRUTH) and not _is_signal(described, node.attr):
            self._say(node, f"{kind}.{node.attr} is a method: it is always true without brackets")

    def _call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Attribute):
            return
        kinds = self._kinds(node.func.value)
        made = _module_class(node.func)
        if node.keywords and (kinds or made in classes()):
            self._say(node, f"PythonQt takes no named arguments: {ast.unparse(node.func)}")
        if node.func.attr not in ("connect", "disconnect") or not node.args:
            return
        signature = node.args[0]
        for kind in kinds:
            if isinstance(signature, ast.Constant) and isinstance(signature.value, str):
                self._signal(node, kind, signature.value)

    def _signal(self, node: ast.Call, kind: str, signature: str) -> None:
        if signature not in classes()[kind].signals:
            self._say(node, f"{kind} has no signal {signature}")
        elif signature in gone_in_qt6(kind):
            self._say(node, f"{kind} has no signal {signature} in Qt 6")

    def _qt_name(self, node: ast.Attribute) -> None:
        known = {*EXTRA, *EXTRA_OBJECTS, *STATIC_ONLY, *(name for name in classes() if name[0] == "Q")}
        if node.attr not in known:
            self._say(node, f"qt.{node.attr} is not described")
        above = self._parents[node]
        if node.attr == "Qt" and isinstance(above, ast.Attribute) and isinstance(above.value, ast.Attribute):
            found = getattr(QtCore.Qt, above.attr, None)
            if found is None or isinstance(found, type):
                self._say(node, f"PythonQt's qt.Qt has no {above.attr}")


def helper_files(panel: Path) -> Iterator[tuple[Path, bool]]:
    """Files beside a panel that it imports, each with whether it hands its `ui` to something of that file."""
    tree = ast.parse(panel.read_text())
    given = {
        ast.unparse(node.func).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and any(_is_ui(argument) for argument in node.args)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level != 1:
            continue
        if node.module is None:
            for alias in node.names:
                yield panel.with_name(f"{alias.name}.py"), (alias.asname or alias.name) in given
        else:
            names = {alias.asname or alias.name for alias in node.names}
            yield panel.with_name(f"{node.module}.py"), bool(names & given)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_application(node: ast.expr) -> bool:
    """Whether it is `slicer.app`."""
    return isinstance(node, ast.Attribute) and node.attr == "app" and getattr(node.value, "id", "") == "slicer"


def _is_ui(node: ast.expr) -> bool:
    """Whether it is `ui`, `self.ui`, `panel.ui` or `self._ui`."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ("ui", "_ui")


def _module_class(node: ast.Attribute) -> str:
    """The class that `qt.QTimer`, `ctk.ctkSliderWidget` or `slicer.qMRMLTableView` names; else an empty text."""
    direct = isinstance(node.value, ast.Name) and node.value.id in MODULES
    return node.attr if direct else ""


def _is_signal(described: object, name: str) -> bool:
    return any(signature.split("(")[0] == name for signature in described.signals)
