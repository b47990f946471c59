"""A stand-in for slicer.parameterNodeWrapper: the same storage, the same widgets by type, the same refusals.

The rules are those of Slicer 5.10 (`Base/Python/slicer/parameterNodeWrapper`): exact widget classes by type, spin boxes
whose range comes from the annotation and not from the .ui file, sliders that need a range, combo boxes that need an
Enum or a Choice, enums saved by name. Lists, dictionaries and parameter packs are refused: the module has none.
"""

# ruff: noqa: N815 (Slicer's own names)

from __future__ import annotations

import dataclasses
import enum
import pathlib
import typing
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import slicer
import slicer.util
import vtk
from parameter_connectors import ANNOTATIONS, Choice, Connector, Default, Maximum, Minimum, WithinRange, connect_widget

PATHS = (pathlib.Path, pathlib.PurePath)
RESERVED = {"allParameters", "isCached", "default", "dataType", "getValue", "setValue", "connectGui", "disconnectGui"}
RESERVED |= {"connectParametersToGui", "StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One attribute of the wrapper.

    Attributes:
        name: the attribute, and the key in the node.
        kind: its type without annotations.
        annotations: ranges, choices and the like.
        default: the first value.
    """

    name: str
    kind: type
    annotations: tuple[Any, ...]
    default: Any

    @property
    def is_node(self) -> bool:
        """Whether it is a reference to a node."""
        return issubclass(self.kind, slicer.vtkMRMLNode)

    def write(self, node: Any, value: Any) -> None:
        """Put a value into the parameter node.

        Raises:
            TypeError: a value of another type.
            ValueError: None where there must be a value, or a value outside of what an annotation allows.
        """
        self.check(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node: Any) -> Any:
        """The value in the parameter node; as in Slicer the default is written there where there is none."""
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    def check(self, value: Any) -> None:
        """Refuse what Slicer's validators refuse."""
        if value is None and not self.is_node:
            raise ValueError(f"{self.name} must not be None")
        accepted = (int, float) if self.kind is float else self.kind
        if value is not None and not isinstance(value, accepted):
            raise TypeError(f"{self.name} must be of type {self.kind.__name__}, not {value!r}")
        for limit in self.annotations:
            low = limit.minimum if isinstance(limit, WithinRange | Minimum) else value
            high = limit.maximum if isinstance(limit, WithinRange | Maximum) else value
            if isinstance(limit, WithinRange | Minimum | Maximum) and not low <= value <= high:
                raise ValueError(f"{self.name} must be within {limit}, not {value!r}")
            if isinstance(limit, Choice) and value not in limit.choices:
                raise ValueError(f"{self.name} must be one of {limit.choices}, not {value!r}")


def _parameter(described: type, name: str, hint: Any) -> Parameter:
    annotations: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *rest = typing.get_args(hint)
        annotations = tuple(rest)
    known = (bool, int, float, str, *PATHS)
    if not isinstance(hint, type) or not (hint in known or issubclass(hint, enum.Enum | slicer.vtkMRMLNode)):
        raise TypeError(f"the stand-in for parameterNodeWrapper keeps no {hint} ({name}); use JSON in a str")
    given = next((item.value for item in annotations if isinstance(item, Default)), None)
    if given is None and issubclass(hint, enum.Enum):
        given = next(iter(hint))
    if given is None and not issubclass(hint, slicer.vtkMRMLNode):
        given = hint()
    return Parameter(name, hint, annotations, getattr(described, name, given))


class _Wrapper:
    """The methods that @parameterNodeWrapper gives a class."""

    allParameters: dict[str, Parameter] = {}

    def __init__(self, node: Any) -> None:
        self.__dict__["parameterNode"] = node
        self.__dict__["_guis"] = {}
        self.__dict__["_nextTag"] = 0
        self.__dict__["_updating"] = False
        self.__dict__["_cache"] = {}
        for name, parameter in self.allParameters.items():
            if not node.HasParameter(name):
                parameter.write(node, parameter.default)
        self._readAll()
        # As in Slicer the observer does not keep the wrapper alive.
        itself = weakref.ref(self)
        tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: (one := itself()) and one._readAll())
        weakref.finalize(self, node.RemoveObserver, tag)

    def _readAll(self) -> None:
        """Slicer keeps the values, those of nodes too, until the parameter node says that it was modified."""
        self._cache.update({name: parameter.read(self.parameterNode) for name, parameter in self.allParameters.items()})

    def getValue(self, name: str) -> Any:
        self._known(name)
        return self._cache[name]

    def setValue(self, name: str, value: Any) -> None:
        parameter = self._known(name)
        with slicer.util.NodeModify(self.parameterNode):
            parameter.write(self.parameterNode, value)
            self._cache[name] = parameter.read(self.parameterNode)

    def dataType(self, name: str) -> type:
        return self._known(name).kind

    def default(self, name: str) -> Any:
        return self._known(name).default

    def _known(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def connectGui(self, gui: Any) -> None:
        """As in Slicer 5.10, this gives no tag back."""
        named = ((widget.property("SlicerParameterName"), widget) for widget in vars(gui).values())
        self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = {name: connect_widget(self._known(name), widget) for name, widget in mapping.items()}
        tag = self._nextTag
        self.__dict__["_nextTag"] = tag + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(self._callback(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update())
        return tag

    def disconnectGui(self, tag: int) -> None:
        for connector in self._guis.pop(tag, {}).values():
            connector.disconnect()

    def _callback(self, name: str, connector: Connector) -> Callable[[], None]:
        def changed() -> None:
            with slicer.util.NodeModify(self):
                if not self._updating:
                    self.setValue(name, connector.read())

        return changed

    def _update(self) -> None:
        if self._updating:
            return
        self.__dict__["_updating"] = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in list(self._guis.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self.__dict__["_updating"] = False

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> None:
        self.parameterNode.EndModify(before)

    def AddObserver(self, event: int, callback: Callable, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(described: type) -> type:
    """slicer.parameterNodeWrapper.parameterNodeWrapper."""
    hints = typing.get_type_hints(described, include_extras=True)
    taken = RESERVED & set(hints)
    if taken:
        raise ValueError(f"Cannot use reserved name '{taken.pop()}' in a parameterNodeWrapper")
    parameters = {name: _parameter(described, name, hint) for name, hint in hints.items()}
    reached = {
        name: property(
            lambda self, name=name: self.getValue(name), lambda self, value, name=name: self.setValue(name, value)
        )
        for name in parameters
    }
    own = {name: value for name, value in vars(described).items() if name not in ("__dict__", "__weakref__")}
    return type(described.__name__, (_Wrapper,), {**own, **reached, "allParameters": parameters})


def module() -> ModuleType:
    """The module slicer.parameterNodeWrapper."""
    made = ModuleType("slicer.parameterNodeWrapper")
    made.parameterNodeWrapper = parameterNodeWrapper
    for kind in ANNOTATIONS:
        setattr(made, kind.__name__, kind)
    return made
