"""What the panels share: the chosen nodes, the frame and slice shown, the workers, and the one way to write."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import InputError
from .signal import Signal
from .workers import Workers

if TYPE_CHECKING:
    import numpy as np

    from ..anatomy import Structure
    from ..mrml.edit_history import EditHistory
    from ..mrml.segment_gate import WriteResult
    from ..segmentation import Segmentation
    from ..stack import Stack

SETTLE_MS = 150
"""Segment events come in bursts (a brush stroke sends dozens); tables are refreshed once they pause."""


class StudySession(VTKObservationMixin):
    """One study: a volume or cine, its segmentation, and what is done with them.

    Attributes:
        parameters: the wrapped parameter node; None while the scene is being closed.
        workers: the worker processes.
        changed: emitted with "nodes" (volume or segmentation chosen or gone), "segments" (voxels or segments changed,
            by this module or by the user's own editing), "frames" (this module has written many frames of a cine; comes
            after "segments"), "frame", "slice", "view" or "parameters".
    """

    def __init__(self, getParameterNode: Callable[[], Any], workers: Workers) -> None:  # noqa: N803
        """Set up; `connect` joins the scene.

        Args:
            getParameterNode: gives the scene's wrapped parameter node.
            workers: the worker processes.
        """
        VTKObservationMixin.__init__(self)
        self.parameters: Any = None
        self.workers = workers
        self.changed = Signal()
        self._getParameterNode = getParameterNode
        self._history: EditHistory | None = None
        self._chosen: tuple[Any, Any, Any] = (None, None, None)
        self._frame = 0
        self._view: Any = None
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.connect("timeout()", lambda: self.changed.emit("segments"))

    def connect(self) -> None:
        """Join the scene's parameter node; the scene's first volume is chosen where none is."""
        # Not asked for anew without need: Slicer's wrapper puts an observer on the node for every parameter.
        if self.parameters is not None and self.parameters.parameterNode.GetScene() is not None:
            # A scene that is loaded brings the parameter node before the voxels, browsers and other nodes it names.
            if (self.volume, self.segmentation, self.browser) != self._chosen:
                self._follow()
            return
        self.disconnect()
        parameters = self._getParameterNode()
        if parameters.inputVolume is None:
            parameters.inputVolume = self._firstVolume()
        self.parameters = parameters
        self._view = parameters.view
        self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameters)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodeRemoved)
        self._follow()

    def disconnect(self) -> None:
        """Let go of every node, as before a scene closes."""
        self._settle.stop()
        self.removeObservers()
        self.parameters = None
        self._history = None
        self._chosen = (None, None, None)

    @property
    def volume(self) -> Any:
        """The chosen vtkMRMLScalarVolumeNode (for a cine the one that shows the frame); None where there is none."""
        node = self.parameters.inputVolume if self.parameters is not None else None
        return node if _isInScene(node) and node.GetImageData() is not None else None

    @property
    def browser(self) -> Any:
        """The vtkMRMLSequenceBrowserNode that shows the volume; None for a single stack."""
        if self.volume is None:
            return None
        from ..mrml.host import module_logic

        found = module_logic("Sequences").GetFirstBrowserNodeForProxyNode(self.volume)
        return found if found is not None and found.GetNumberOfItems() > 1 else None

    @property
    def segmentation(self) -> Any:
        """The chosen vtkMRMLSegmentationNode; None where the next write makes one."""
        node = self.parameters.outputSegmentation if self.parameters is not None else None
        return node if _isInScene(node) else None

    @property
    def nFrames(self) -> int:
        """Number of frames; 1 for a single stack, 0 without a volume."""
        if self.volume is None:
            return 0
        return 1 if self.browser is None else self.browser.GetNumberOfItems()

    @property
    def frame(self) -> int:
        """The frame shown; 0 for a single stack."""
        return 0 if self.browser is None else max(0, self.browser.GetSelectedItemNumber())

    def showFrame(self, frame: int) -> None:
        """Show a frame of the cine.

        Raises:
            InputError: there is no such frame.
        """
        if not 0 <= frame < self.nFrames:
            raise InputError(_("There is no frame {frame}.").format(frame=frame))
        if self.browser is not None and frame != self.frame:
            self.browser.SetSelectedItemNumber(frame)

    @property
    def baseFirst(self) -> bool | None:
        """Whether slice 0 is basal, where the user has said so; None to find it from the segmentation."""
        return self.parameters.sliceOrder.value if self.parameters is not None else None

    def stack(self) -> Stack:
        """The frame shown, in the volume node's own RAS.

        Raises:
            InputError: no volume is chosen, or it cannot be read.
        """
        from ..mrml.volumes import stack_from_volume

        return stack_from_volume(self._requireVolume())

    def cine(self) -> Stack:
        """All frames as one cine; the single frame where there is one only.

        Raises:
            InputError: no volume is chosen, or the frames differ in their grids.
        """
        from ..mrml.volumes import stack_from_sequence

        volume, browser = self._requireVolume(), self.browser
        return self.stack() if browser is None else stack_from_sequence(browser.GetSequenceNode(volume))

    def labels(self) -> Segmentation:
        """The segmentation of the frame shown, on the volume's grid.

        Raises:
            InputError: no volume or no segmentation is chosen, or it holds no structure of the heart.
        """
        from ..mrml.segmentations import segmentation_from_node

        volume = self._requireVolume()
        if self.segmentation is None:
            raise InputError(_("There is no segmentation yet: segment the volume, or choose a segmentation."))
        return segmentation_from_node(self.segmentation, volume)

    def labelledFrames(self, node: Any = None) -> dict[int, Segmentation]:
        """The frames in which a segmentation (None for the chosen one) holds a structure, each on the volume's grid.

        Raises:
            InputError: no volume is chosen.
        """
        from ..mrml.segmentations import segment_structures, segmentation_from_node

        volume, browser = self._requireVolume(), self.browser
        node = self.segmentation if node is None else node
        if node is None:
            return {}
        sequence = browser.GetSequenceNode(node) if browser is not None else None
        if sequence is None:
            frames = {self.frame: segmentation_from_node(node, volume)} if segment_structures(node) else {}
        else:
            # The nodes inside a sequence are under no transform, and the grid of the volume's own RAS is theirs too.
            grid = self.stack()
            parts = {index: sequence.GetNthDataNode(index) for index in range(sequence.GetNumberOfDataNodes())}
            frames = {
                index: segmentation_from_node(part, grid=grid)
                for index, part in parts.items()
                if segment_structures(part)
            }
        return {frame: labels for frame, labels in frames.items() if labels.labels.array.any()}

    def ensureSegmentation(self) -> Any:
        """The chosen segmentation node; where there is none, a new one beside the volume, which is then chosen.

        Raises:
            InputError: no volume is chosen.
        """
        if self.segmentation is not None:
            return self.segmentation
        from ..mrml.display import show_outlines
        from ..mrml.segmentations import empty_segmentation_sequence, segmentation_from_volume

        volume = self._requireVolume()
        name = _("{volume} segmentation").format(volume=volume.GetName())
        if self.browser is None:
            node = segmentation_from_volume(volume, name)
        else:
            node = empty_segmentation_sequence(self.browser, name)
        show_outlines(node)
        self.parameters.outputSegmentation = node
        return node

    def write(
        self,
        masks: Mapping[Structure, np.ndarray],
        slices: Iterable[int] | None = None,
        mode: str = "replace",
        editorNode: Any = None,  # noqa: N803
    ) -> WriteResult:
        """Write masks into the frame shown, as one user action that `undo` takes back.

        Args:
            masks: for each structure a boolean array [slice, row, col] on the volume's grid.
            slices: indices along the through-plane axis that may change; None for all.
            mode: "replace", "add" or "erase" (see `mrml.segment_gate.SegmentGate.write`).
            editorNode: vtkMRMLSegmentEditorNode whose masking and overwrite settings count; None for those of the
                Segment Editor while it edits this segmentation.

        Raises:
            InputError: no volume is chosen, a mask does not fit it, or the segmentation is made of surfaces.
        """
        result = self.history().write(masks, slices, mode, editorNode)
        self.changed.emit("segments")
        return result

    def writeFrames(
        self,
        masks: Mapping[int, Mapping[Structure, np.ndarray]],
        editorNode: Any = None,  # noqa: N803
        afterFrame: Callable[[], object] = lambda: None,  # noqa: N803
    ) -> dict[int, WriteResult]:
        """Write masks into several frames, as one user action; see `write` and `EditHistory.write_frames`.

        Takes 20 to 60 ms a frame; a panel writes through a `mrml.frame_writer.FrameWriter` instead, a few frames at a
        time.
        """
        results = self.history().write_frames(masks, editorNode, afterFrame)
        self.changed.emit("segments")
        self.changed.emit("frames")
        return results

    def history(self) -> EditHistory:
        """Undo and redo of the chosen segmentation on the chosen volume; both are made sure of.

        Raises:
            InputError: no volume is chosen.
        """
        from ..mrml.edit_history import EditHistory

        node, volume, browser = self.ensureSegmentation(), self._requireVolume(), self.browser
        if self._history is None or (self._history.node, self._history.volume) != (node, volume):
            in_sequence = browser is not None and browser.GetSequenceNode(node) is not None
            self._history = EditHistory(node, volume, browser if in_sequence else None)
        return self._history

    def historyOf(self, node: Any, volume: Any, browser: Any) -> EditHistory:
        """The session's history where these are the nodes chosen now, else a new one."""
        from ..mrml.edit_history import EditHistory

        if (node, volume) == (self.segmentation, self.volume):
            return self.history()
        return EditHistory(node, volume, browser)

    @property
    def canUndo(self) -> bool:
        """Whether `undo` would take a write back."""
        return self._history is not None and self._history.can_undo

    @property
    def canRedo(self) -> bool:
        """Whether `redo` would do an undone write again."""
        return self._history is not None and self._history.can_redo

    def undo(self) -> bool:
        """Take the last write back; False where there is none, or the segmentation was edited otherwise since."""
        done = self._history is not None and self._history.undo()
        if done:
            self.changed.emit("segments")
        return done

    def redo(self) -> bool:
        """Do the last undone write again; False where there is none."""
        done = self._history is not None and self._history.redo()
        if done:
            self.changed.emit("segments")
        return done

    def sliceNode(self, view: str = "Red") -> Any:
        """The vtkMRMLSliceNode of a slice view; None where there is no such view."""
        return slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{view}")

    def shownSlice(self, view: str = "Red") -> int | None:
        """Index along the through-plane axis of the slice that a view shows; None where it shows none."""
        from ..mrml.slice_views import shown_slice

        node, volume = self.sliceNode(view), self.volume
        return None if node is None or volume is None else shown_slice(node, volume)

    def showSlice(self, index: int, view: str = "Red") -> None:
        """Show a slice of the stack in a view, which is turned to the stack's plane where it looks another way.

        Raises:
            InputError: no volume is chosen, or there is no such slice.
        """
        from ..mrml.slice_views import align_to_stack, show_slice, slice_points
        from ..mrml.volumes import through_plane_of

        volume, node = self._requireVolume(), self.sliceNode(view)
        if not 0 <= index < len(slice_points(volume, through_plane_of(volume))):
            raise InputError(_("{volume} has no slice {index}.").format(volume=volume.GetName(), index=index))
        if node is None:
            return
        if self.shownSlice(view) is None:
            align_to_stack(node, volume)
        show_slice(node, volume, index)

    def alignViews(self) -> None:
        """Turn the Red view to the stack's slices, and Green and Yellow to the two long planes across them.

        Raises:
            InputError: no volume is chosen.
        """
        from ..mrml.host import application_logic
        from ..mrml.slice_views import align_to_stack, slice_points
        from ..mrml.volumes import through_plane_of

        volume = self._requireVolume()
        through = through_plane_of(volume)
        axes = (through, *(axis for axis in range(3) if axis != through))
        slicer.util.setSliceViewerLayers(background=volume, fit=False)
        for view, axis in zip(("Red", "Green", "Yellow"), axes, strict=True):
            node = self.sliceNode(view)
            if node is not None:
                align_to_stack(node, volume, axis)
                # The layout that is shown may have no such view, and a Slicer without a window has no layouts.
                logic = application_logic().GetSliceLogic(node)
                if logic is not None:
                    logic.FitSliceToBackground()
        # Fitting moves the view to the middle of the volume, which may lie between two slices.
        self.showSlice(len(slice_points(volume, through)) // 2)

    def _requireVolume(self) -> Any:
        if self.volume is None:
            raise InputError(_("Choose a volume first."))
        return self.volume

    def _firstVolume(self) -> Any:
        """The scene's first volume, to save a click; label maps are of a derived class and do not count."""
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return next((node for node in volumes if node.GetClassName() == "vtkMRMLScalarVolumeNode"), None)

    def _onParameters(self, _caller: Any = None, _event: Any = None) -> None:
        if self.parameters is None:
            return
        if self.parameters.view is not self._view:
            self._view = self.parameters.view
            self.changed.emit("view")
        if (self.volume, self.segmentation, self.browser) != self._chosen:
            self._follow()
        else:
            self.changed.emit("parameters")

    def _onNodeRemoved(self, _caller: Any, _event: Any) -> None:
        # Slicer's wrapper keeps a node that is gone until the parameter node is modified, which comes too early here.
        if self.parameters is not None and (self.volume, self.segmentation, self.browser) != self._chosen:
            self.parameters.parameterNode.Modified()

    def _follow(self) -> None:
        """Observe the nodes that are chosen now, and no others."""
        for node in self._chosen:
            if node is not None:
                self._forget(node)
        volume, segmentation, browser = self._chosen = (self.volume, self.segmentation, self.browser)
        if segmentation is not None:
            for event in (
                slicer.vtkSegmentation.SourceRepresentationModified,
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
            ):
                self.addObserver(segmentation, event, self._onSegments)
        if browser is not None:
            self.addObserver(browser, vtk.vtkCommand.ModifiedEvent, self._onBrowser)
        red = self.sliceNode()
        if red is not None and not self.hasObserver(red, vtk.vtkCommand.ModifiedEvent, self._onSlice):
            self.addObserver(red, vtk.vtkCommand.ModifiedEvent, self._onSlice)
        self._frame = self.frame
        if volume is None or segmentation is None:
            self._history = None
        self.changed.emit("nodes")

    def _forget(self, node: Any) -> None:
        for observed, event, method, *_rest in list(self.Observations):
            if observed is node and method in (self._onSegments, self._onBrowser):
                self.removeObserver(observed, event, method)

    def _onSegments(self, _caller: Any, _event: Any) -> None:
        self._settle.start()

    def _onBrowser(self, _caller: Any, _event: Any) -> None:
        if self.frame != self._frame:
            self._frame = self.frame
            self.changed.emit("frame")

    def _onSlice(self, _caller: Any, _event: Any) -> None:
        self.changed.emit("slice")


def _isInScene(node: Any) -> bool:
    """Whether a node is one, and was not removed from its scene."""
    return node is not None and node.GetScene() is not None
