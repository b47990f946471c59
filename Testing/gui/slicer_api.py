"""What a running Slicer offers to Python: the names of its widget classes, and of Qt's small value classes.

The widget classes come from `Testing/data/slicer_api.json`, which was read from Slicer itself. That description has no
shortcuts, icons, table items and the like; `EXTRA` names what these offer in Qt 5 and Qt 6 alike, after Qt's reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

API_FILE = Path(__file__).resolve().parents[1] / "data" / "slicer_api.json"
EVERY_OBJECT = "blockSignals children className connect delete deleteLater disconnect dynamicPropertyNames findChild "
EVERY_OBJECT += "findChildren inherits installEventFilter isWidgetType objectName parent property setObjectName "
EVERY_OBJECT += "setParent setProperty signalsBlocked"
_TABLE_ITEM = "background checkState clone column data flags font foreground icon isSelected row "
_TABLE_ITEM += "setBackground setCheckState setData setFlags setFont setForeground setIcon setSelected setStatusTip "
_TABLE_ITEM += "setText setTextAlignment setToolTip setWhatsThis tableWidget text textAlignment toolTip whatsThis"
EXTRA = {
    "QTableWidgetItem": _TABLE_ITEM,
    "QListWidgetItem": _TABLE_ITEM.replace("tableWidget", "listWidget").replace("column ", "").replace("row ", "")
    + " isHidden setHidden",
    "QTreeWidgetItem": "addChild checkState child childCount data flags icon parent setBackground setCheckState "
    "setData setExpanded setFlags setForeground setIcon setText setTextAlignment setToolTip takeChild text treeWidget",
    "QColor": "alpha alphaF blue blueF darker fromHsvF green greenF hue isValid lighter name red redF setAlpha "
    "setAlphaF setBlue setGreen setNamedColor setRed setRgb setRgbF",
    "QBrush": "color setColor setStyle style",
    "QFont": "bold family italic pixelSize pointSize pointSizeF setBold setFamily setItalic setPixelSize setPointSize "
    "setPointSizeF setUnderline setWeight",
    "QIcon": "actualSize addFile addPixmap isNull pixmap",
    "QPixmap": "copy fill height isNull load rect save scaled scaledToHeight scaledToWidth size toImage width",
    "QImage": "fill height isNull load save scaled size width",
    "QPainter": "drawEllipse drawLine drawPixmap drawRect drawText end fillRect setBrush setPen setRenderHint",
    "QPen": "color setColor setWidth",
    "QSize": "height isEmpty isNull isValid scale setHeight setWidth width",
    "QPoint": "isNull setX setY x y",
    "QRect": "bottom center height isEmpty left right size top width x y",
    "QKeySequence": "count isEmpty matches toString",
    "QUrl": "fileName host isEmpty isLocalFile isValid path scheme toLocalFile toString",
    "QFileInfo": "absoluteFilePath absolutePath baseName dir exists fileName filePath isDir isFile isReadable "
    "isWritable path size suffix",
    "QDir": "absoluteFilePath absolutePath cd entryList exists filePath mkdir mkpath path",
    "QSizePolicy": "controlType hasHeightForWidth setHeightForWidth setHorizontalPolicy setHorizontalStretch "
    "setRetainSizeWhenHidden setVerticalPolicy setVerticalStretch",
    "QCursor": "pos setPos shape setShape",
    "QElapsedTimer": "elapsed hasExpired invalidate isValid restart start",
    "QModelIndex": "column data isValid parent row",
}
"""Methods of the value classes by class name, without properties and signals."""
EXTRA_OBJECTS = {
    "QShortcut": (
        {"autoRepeat": "bool", "context": "Qt::ShortcutContext", "enabled": "bool", "key": "QKeySequence"},
        ("activated()", "activatedAmbiguously()"),
        "id parentWidget setAutoRepeat setContext setEnabled setKey setWhatsThis whatsThis",
    ),
    "QClipboard": ({}, ("changed(QClipboard::Mode)", "dataChanged()"), "clear setText text"),
    "QHeaderView": (
        {"visible": "bool", "stretchLastSection": "bool", "defaultSectionSize": "int", "minimumSectionSize": "int"},
        ("sectionClicked(int)", "sectionResized(int,int,int)", "sectionDoubleClicked(int)"),
        "count hide hideSection isSectionHidden resizeSection resizeSections sectionResizeMode sectionSize "
        "setDefaultSectionSize setMinimumSectionSize setSectionHidden setSectionResizeMode setSortIndicator "
        "setStretchLastSection setVisible show showSection sortIndicatorOrder sortIndicatorSection setEnabled",
    ),
    "QItemSelectionModel": (
        {"hasSelection": "bool (read-only)"},
        ("currentRowChanged(QModelIndex,QModelIndex)", "selectionChanged(QItemSelection,QItemSelection)"),
        "clear clearSelection currentIndex hasSelection isSelected reset select selectedIndexes selectedRows",
    ),
    "QObject": ({"objectName": "QString"}, ("destroyed()", "objectNameChanged(QString)"), ""),
}
"""Properties, signals and methods of the classes with signals that the description lacks."""


@dataclass(frozen=True)
class Described:
    """What one class offers to Python.

    Attributes:
        properties: type by property name; " (read-only)" ends the type of those that cannot be set.
        signals: signatures, as `connect` wants them.
        slots: signatures, as a .ui file's connections want them.
        names: every attribute that Python sees, properties and methods.
    """

    properties: dict[str, str]
    signals: frozenset[str]
    slots: frozenset[str]
    names: frozenset[str]


@lru_cache(maxsize=1)
def described() -> dict:
    """The whole file."""
    return json.loads(API_FILE.read_text())


@lru_cache(maxsize=1)
def classes() -> dict[str, Described]:
    """Every class that is described, by its name."""
    stored = described()["classes"]

    def whole(name: str) -> Described:
        own = stored[name]
        base = whole(own["adds_to"]) if own["adds_to"] else Described({}, frozenset(), frozenset(), frozenset())
        return Described(
            {**base.properties, **own["properties"]},
            base.signals | set(own["signals"]),
            base.slots | set(own["slots"]),
            base.names | set(own["python_names"]),
        )

    found = {name: whole(name) for name in stored}
    plain = frozenset(EVERY_OBJECT.split())
    for name, (properties, signals, methods) in EXTRA_OBJECTS.items():
        names = plain | set(properties) | set(methods.split()) | {signal.split("(")[0] for signal in signals}
        slots = {f"{method}(bool)" for method in names & {"setEnabled", "setVisible"}}
        found[name] = Described(properties, frozenset(signals), frozenset(slots), names)
    for name, methods in EXTRA.items():
        found[name] = Described({}, frozenset(), frozenset(), frozenset(methods.split()))
    return found


def gone_in_qt6(name: str) -> frozenset[str]:
    """Signals of a class, Qt's own or derived of it, that are Qt 5's and no longer Qt 6's."""
    gone, value = described()["gone_in_qt6"], described()["classes"].get(name)
    above = gone_in_qt6(value["adds_to"]) if value is not None and value["adds_to"] else frozenset()
    return above | frozenset(gone.get(name, ()))


def names_in(namespace: str) -> frozenset[str]:
    """Names in `slicer`, `slicer.app`, `slicer.util` or `slicer.modules` of a running Slicer."""
    return frozenset(described()[namespace])
