"""Cut `Testing/data/slicer_api.json` from the description of a running Slicer.

    python Testing/gui/copy_api.py path/to/slicer-api.json [another.json]

The full description (Slicer 5.10, Qt 5.15, read through PythonQt) lists every name of 90 widget classes. Here are the
classes that the stand-in host offers, each with what it adds to the largest class that it contains, so that the file
stays small enough for a repository. `slicer_api.classes()` puts them together again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

OUT = Path(__file__).resolve().parents[1] / "data" / "slicer_api.json"
CLASSES = (
    "ctkCheckablePushButton", "ctkCollapsibleButton", "ctkCollapsibleGroupBox",
    "ctkColorPickerButton", "ctkComboBox", "ctkDirectoryButton", "ctkDoubleSlider", "ctkDoubleSpinBox",
    "ctkExpandButton", "ctkMenuButton", "ctkMessageBox", "ctkPathLineEdit", "ctkPushButton", "ctkRangeWidget",
    "ctkSliderWidget",
    "QAbstractItemView", "QAction", "QButtonGroup", "QCheckBox", "QComboBox", "QDialog", "QDialogButtonBox",
    "QDoubleSpinBox", "QFileDialog", "QFormLayout", "QFrame", "QGridLayout", "QGroupBox", "QHBoxLayout", "QLabel",
    "QLineEdit", "QListWidget", "QMenu", "QMessageBox", "QPlainTextEdit", "QProgressBar", "QProgressDialog",
    "QPushButton", "QRadioButton", "QScrollArea", "QSettings", "QSlider", "QSpinBox", "QSplitter", "QStackedWidget",
    "QTabWidget", "QTableView", "QTableWidget", "QTextBrowser", "QTextEdit", "QTimer", "QToolButton", "QTreeWidget",
    "QVBoxLayout", "QWidget",
    "qMRMLCheckableNodeComboBox", "qMRMLLayoutManager", "qMRMLNodeComboBox", "qMRMLPlotView", "qMRMLPlotWidget",
    "qMRMLRangeWidget", "qMRMLSegmentSelectorWidget", "qMRMLSegmentsTableView", "qMRMLSequenceBrowserPlayWidget",
    "qMRMLSequenceBrowserSeekWidget", "qMRMLSliceView", "qMRMLSliceWidget", "qMRMLSliderWidget", "qMRMLSpinBox",
    "qMRMLTableView", "qMRMLTableWidget", "qMRMLThreeDView", "qMRMLThreeDWidget", "qMRMLWidget",
    "qSlicerLayoutManager", "qSlicerMarkupsPlaceWidget", "qSlicerSimpleMarkupsWidget",
)  # fmt: skip
LISTS = ("signals", "slots", "python_names")
NAMESPACES = ("slicer", "slicer.app", "slicer.modules", "slicer.util")


def cut(full: dict[str, Any]) -> dict[str, Any]:
    """The part of the description that these tests need, without what classes have in common."""
    every = {name.rsplit(".", 1)[-1]: _public(value) for name, value in full["classes"].items()}
    chosen = {name: every[name] for name in CLASSES}
    classes = {}
    for name, value in chosen.items():
        inside = [other for other in chosen if other != name and _contains(value, chosen[other])]
        adds_to = max(inside, key=lambda other: _size(chosen[other]), default="")
        classes[name] = {"adds_to": adds_to, **_difference(value, chosen.get(adds_to, {}))}
    gone = {name: _gone_in_qt6(name, chosen[name]["signals"]) for name in classes if name[0] == "Q"}
    about = "Cut by Testing/gui/copy_api.py. " + full["about"]
    return {
        "about": about,
        "version": full["version"],
        "classes": classes,
        "gone_in_qt6": {name: signals for name, signals in gone.items() if signals},
        **{name: sorted(full[name]) for name in NAMESPACES},
    }


def _gone_in_qt6(name: str, signals: list[str]) -> list[str]:
    """Signals of Qt 5 that Qt 6 does not have: Slicer is built with either."""
    real = next(getattr(part, name) for part in (QtWidgets, QtGui, QtCore) if hasattr(part, name))
    return [signal for signal in signals if real.staticMetaObject.indexOfSignal(signal) < 0]


def _public(value: dict[str, Any]) -> dict[str, Any]:
    lists = {key: sorted({name for name in value[key] if not name.startswith("_")}) for key in LISTS}
    return {"properties": value["properties"], **lists}


def _contains(large: dict[str, Any], small: dict[str, Any]) -> bool:
    if not small["properties"].items() <= large["properties"].items():
        return False
    # Two classes with the same names must not add to each other.
    return all(set(small[key]) <= set(large[key]) for key in LISTS) and _size(small) < _size(large)


def _difference(large: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    own = {name: kind for name, kind in large["properties"].items() if name not in small.get("properties", {})}
    lists = {key: [name for name in large[key] if name not in small.get(key, ())] for key in LISTS}
    return {"properties": own, **lists}


def _size(value: dict[str, Any]) -> int:
    return sum(len(value[key]) for key in ("properties", *LISTS))


def main(path: Path, out: Path = OUT) -> int:
    """Write the file of the repository, or another one."""
    described = cut(json.loads(path.read_text()))
    out.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in described.items())
    out.write_text("{\n" + lines + "\n}\n")
    return 0


def _lines(value: Any) -> str:
    """One class a line, so that a difference between two versions can be read."""
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items()) + "\n}"


if __name__ == "__main__":
    raise SystemExit(main(*map(Path, sys.argv[1:])))
