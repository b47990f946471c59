"""Everything in the scene that concerns prompting: points that move, nodes that come and go, the mouse mode."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from .prompt_run import PromptRun


class PromptWatch(VTKObservationMixin):
    """Calls back when prompts, the image or the mouse mode change."""

    def __init__(
        self,
        moved: Callable[[], None],
        settled: Callable[[], None],
        mouse: Callable[[], None],
    ) -> None:
        """Set up; nothing is observed yet.

        Args:
            moved: a point or box moves, nodes came or went, or the image changed.
            settled: a point was placed or removed, or the user let go of a point or box.
            mouse: the mouse mode changed.
        """
        VTKObservationMixin.__init__(self)
        self._moved = moved
        self._settled = settled
        self._mouse = mouse
        self._run: PromptRun | None = None
        self._watched: list[Any] = []
        self._stale = False

    def begin(self, run: PromptRun) -> None:
        """Watch what concerns a run."""
        from ..mrml.placing import interaction_node

        self.end()
        self._run = run
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            self.addObserver(slicer.mrmlScene, event, self.onNodes)
        for event in (run.volume.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent):
            self.addObserver(run.volume, event, self.onMoved)
        if interaction_node() is not None:
            self.addObserver(interaction_node(), vtk.vtkCommand.ModifiedEvent, self.onMouse)
        self._stale = True

    def end(self) -> None:
        """Watch nothing."""
        self.removeObservers()
        self._run = None
        self._watched = []

    def update(self) -> None:
        """Watch the prompt nodes that are in the scene now; cheap where none came or went."""
        if not self._stale or self._run is None:
            return
        self._stale = False
        nodes = self._run.nodes.nodes()
        for node in nodes:
            if node not in self._watched:
                # Something may have been placed before it was watched.
                self._settled()
                for event in (node.PointModifiedEvent, node.PointPositionUndefinedEvent, vtk.vtkCommand.ModifiedEvent):
                    self.addObserver(node, event, self.onMoved)
                for event in (node.PointPositionDefinedEvent, node.PointEndInteractionEvent, node.PointRemovedEvent):
                    self.addObserver(node, event, self.onSettled)
        for node in self._watched:
            if node not in nodes:
                self._forget(node)
        self._watched = nodes

    def onNodes(self, _caller: Any, _event: Any) -> None:
        """Nodes came or went, hundreds at once perhaps: `update` looks which."""
        self._stale = True
        self._moved()

    def onMoved(self, _caller: Any, _event: Any) -> None:
        """A point or box moves, or the image changes."""
        self._moved()

    def onSettled(self, _caller: Any, _event: Any) -> None:
        """The user placed, removed or let go of something."""
        self._settled()

    def onMouse(self, _caller: Any, _event: Any) -> None:
        """The mouse may do something else now."""
        self._mouse()

    def _forget(self, node: Any) -> None:
        for observed, event, method, *_rest in list(self.Observations):
            if observed is node:
                self.removeObserver(observed, event, method)
