"""slicer.app.layoutManager() without windows: Slicer's real layout logic, slice logics and view nodes, no rendering."""

# ruff: noqa: N815 (Slicer's own names)

from __future__ import annotations

from typing import Any

import slicer
import slicer.util
import vtk
from slicer_api import classes

FOUR_UP = 3
"""vtkMRMLLayoutNode.SlicerLayoutFourUpView: what Slicer starts with, three slice views and a 3D view."""


class Described:
    """An object that has only the names that Slicer's class has."""

    CLASS = ""

    def __getattribute__(self, name: str) -> Any:
        known = name.startswith("_") or name == "CLASS" or name in classes()[type(self).CLASS].names
        if not known:
            raise AttributeError(name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        # Python comes here after every AttributeError, that of `__getattribute__` included.
        if name not in classes()[type(self).CLASS].names:
            raise AttributeError(f"Slicer's {type(self).CLASS} has no '{name}'")
        raise AttributeError(f"the stand-in for {type(self).CLASS} lacks '{name}': add it to Testing/gui")


class SliceView(Described):
    """What a slice widget draws on; nothing is drawn, but its renderer holds what is put into it."""

    CLASS = "qMRMLSliceView"

    def __init__(self, node: Any) -> None:
        self._node = node
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.AddRenderer(vtk.vtkRenderer())

    def renderWindow(self) -> Any:
        return self._window

    def mrmlSliceNode(self) -> Any:
        return self._node

    def forceRender(self) -> None:
        """Nothing is drawn."""

    scheduleRender = forceRender


class SliceWidget(Described):
    """One slice view: its real slice logic, with slice node and composite node."""

    CLASS = "qMRMLSliceWidget"

    def __init__(self, logic: Any) -> None:
        self._logic = logic
        self._view = SliceView(logic.GetSliceNode())

    @property
    def sliceViewName(self) -> str:
        return self._logic.GetSliceNode().GetLayoutName()

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def sliceView(self) -> SliceView:
        return self._view


class ThreeDView(Described):
    """A 3D view without a picture."""

    CLASS = "qMRMLThreeDView"

    def __init__(self, node: Any) -> None:
        self._node = node

    def mrmlViewNode(self) -> Any:
        return self._node

    def resetFocalPoint(self) -> None:
        """Nothing is drawn."""

    resetCamera = forceRender = scheduleRender = resetFocalPoint

    def lookFromAxis(self, axis: Any) -> None:
        """Nothing is drawn."""

    def rotateToViewAxis(self, axis: int) -> None:
        """Nothing is drawn."""


class ViewWidget(Described):
    """A 3D, plot or table view with its real node."""

    def __init__(self, node: Any) -> None:
        self._node = node


class ThreeDWidget(ViewWidget):
    CLASS = "qMRMLThreeDWidget"

    def mrmlViewNode(self) -> Any:
        return self._node

    def threeDView(self) -> ThreeDView:
        return ThreeDView(self._node)


class PlotWidget(ViewWidget):
    CLASS = "qMRMLPlotWidget"

    def mrmlPlotViewNode(self) -> Any:
        return self._node


class TableWidget(ViewWidget):
    CLASS = "qMRMLTableWidget"

    def mrmlTableViewNode(self) -> Any:
        return self._node


class LayoutManager(Described):
    """The views that layouts have asked for so far; their nodes and logics are real."""

    CLASS = "qSlicerLayoutManager"

    def __init__(self, scene: Any, application_logic: Any) -> None:
        self._scene = scene
        self._application_logic = application_logic
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._slices: dict[str, Any] = {}
        self._widgets: dict[str, SliceWidget] = {}
        self._node = self._logic.GetLayoutNode()
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._complete())
        self._node.SetViewArrangement(FOUR_UP)
        self._complete()

    def _complete(self) -> None:
        """Make the slice logics that the views of the layout need, as Slicer's slice widgets do."""
        for node in self._of("vtkMRMLSliceNode"):
            if node.GetLayoutName() in self._slices:
                continue
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            logic.SetMRMLScene(self._scene)
            logic.SetSliceNode(node)
            self._application_logic.GetSliceLogics().AddItem(logic)
            self._slices[node.GetLayoutName()] = logic
            self._widgets[node.GetLayoutName()] = SliceWidget(logic)

    def _of(self, class_name: str) -> list[Any]:
        """The nodes of every view that was made so far; as in Slicer, a view stays when the layout hides it."""
        return slicer.util.getNodesByClass(class_name, self._scene)

    @property
    def layout(self) -> int:
        return self._node.GetViewArrangement()

    def setLayout(self, layout: int) -> None:
        self._node.SetViewArrangement(layout)

    def layoutLogic(self) -> Any:
        return self._logic

    def mrmlScene(self) -> Any:
        return self._scene

    def mrmlSliceLogics(self) -> Any:
        return self._application_logic.GetSliceLogics()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(node.GetLayoutName() for node in self._of("vtkMRMLSliceNode"))

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._widgets.get(name)

    @property
    def threeDViewCount(self) -> int:
        return len(self._of("vtkMRMLViewNode"))

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        return _at(ThreeDWidget, self._of("vtkMRMLViewNode"), index)

    @property
    def plotViewCount(self) -> int:
        return len(self._of("vtkMRMLPlotViewNode"))

    def plotWidget(self, index: int) -> PlotWidget | None:
        return _at(PlotWidget, self._of("vtkMRMLPlotViewNode"), index)

    @property
    def tableViewCount(self) -> int:
        return len(self._of("vtkMRMLTableViewNode"))

    def tableWidget(self, index: int) -> TableWidget | None:
        return _at(TableWidget, self._of("vtkMRMLTableViewNode"), index)

    def resetSliceViews(self) -> None:
        for logic in self._slices.values():
            logic.FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Nothing is drawn."""


def _at(kind: type[ViewWidget], nodes: list[Any], index: int) -> ViewWidget | None:
    """As Slicer: None where there is no such view."""
    return kind(nodes[index]) if 0 <= index < len(nodes) else None


def place_point(scene: Any, position: tuple[float, float, float]) -> int:
    """What a click in a view does in place mode: a point of the active markups node, in world RAS millimetres.

    Returns:
        Index of the point.

    Raises:
        AssertionError: no widget is in place mode, so a click would move the view.
    """
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place, "nothing is being placed"
    node = scene.GetNodeByID(selection.GetActivePlaceNodeID())
    index = node.AddControlPointWorld(vtk.vtkVector3d(*position))
    if not interaction.GetPlaceModePersistence():
        interaction.SwitchToViewTransformMode()
    return index
