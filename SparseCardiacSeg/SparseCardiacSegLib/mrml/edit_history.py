"""Undo and redo of the module's writes, one step a user action, over all frames of a cine.

A single stack's steps are undo states of the gate's `vtkSlicerSegmentEditorLogic`. That logic forgets them when a
sequence shows another frame, so a cine's steps keep copies of the segmentation, before and after, for each frame.

A step is offered only while the segmentation still is what that step left: both restore whole segments, so undoing
over somebody else's later edit would take that edit away too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..anatomy import Structure
from .frame_writer import FrameWriter
from .masking import editor_settings
from .segment_gate import UNDO_STATES, SegmentGate, WriteResult
from .segmentations import BINARY_LABELMAP, CLOSED_SURFACE
from .volumes import array_of, parent_to_world


@dataclass(frozen=True, eq=False)
class FrameState:
    """What a frame held: its checksum and, for a cine, a copy (vtkSegmentation)."""

    fingerprint: int
    copy: Any


@dataclass(frozen=True, eq=False)
class _Step:
    """One action: what the frames that it changed held before and after."""

    before: Mapping[int, FrameState]
    after: Mapping[int, FrameState]


class EditHistory:
    """Writes masks through gates, and takes them back.

    Example:
        history = EditHistory(segmentation_node, volume_node, browser_node)
        history.write({Structure.LV: mask}, slices=[4])
        history.undo()
    """

    def __init__(self, node: Any, volume: Any, browser: Any = None) -> None:
        """Begin with no steps.

        Args:
            node: the vtkMRMLSegmentationNode.
            volume: the volume node on whose grid masks come.
            browser: the vtkMRMLSequenceBrowserNode that shows both frame by frame; None for a single stack.
        """
        self.node = node
        self.volume = volume
        self.browser = browser
        self._gate = SegmentGate(node, volume, save_state=None if browser is None else lambda: None)
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

    @property
    def frame(self) -> int:
        """The frame that is shown; 0 for a single stack."""
        return 0 if self.browser is None else self.browser.GetSelectedItemNumber()

    def show(self, frame: int) -> None:
        """Show a frame of the cine."""
        if self.browser is not None and frame != self.frame:
            self.browser.SetSelectedItemNumber(frame)

    def write(
        self,
        masks: Mapping[Structure, np.ndarray],
        slices: Iterable[int] | None = None,
        mode: str = "replace",
        editor_node: Any = None,
    ) -> WriteResult:
        """Write masks into the frame shown, as one action (see `SegmentGate.write`)."""
        self._keep_changes()
        before = self.state_of()
        result = self._gate.write(masks, slices, mode, editor_node)
        if result.saved:
            self.add_step({self.frame: before}, {self.frame: self.state_of()})
        return result

    def write_frames(
        self,
        masks: Mapping[int, Mapping[Structure, np.ndarray]],
        editor_node: Any = None,
        after_frame: Callable[[], object] = lambda: None,
    ) -> dict[int, WriteResult]:
        """Write masks into several frames of a cine, as one action; the frame shown is shown again at the end.

        Args:
            masks: for each frame what `write` takes.
            editor_node: as for `SegmentGate.write`.
            after_frame: called after each frame, such as to let a window live.
        """
        writer = FrameWriter(self, masks, masks.__getitem__, editor_node)
        while not writer.step(0.0):
            after_frame()
        after_frame()
        return writer.results

    def _keep_changes(self) -> None:
        """Have the browser keep what is written into the frame shown, in a sequence that the user made, too.

        Slicer's default throws edits away when another frame is shown.
        """
        sequence = self.browser.GetSequenceNode(self.node) if self.browser is not None else None
        if sequence is not None and not self.browser.GetSaveChanges(sequence):
            self.browser.SetSaveChanges(sequence, True)

    @contextmanager
    def opened(self, frame: int, editor_node: Any = None) -> Iterator[tuple[Any, SegmentGate]]:
        """A frame's segmentation node and the gate to it, for the length of a `with` block.

        The node is the one that keeps the frame in its sequence. Where only the node in the scene will do, that one
        shows the frame meanwhile: the frame is shown anyway, the settings ask what is visible, or the segmentation is
        under another transform than the images, which nodes within a sequence know nothing of.

        Args:
            frame: which one.
            editor_node: the settings with which is going to be written, as for `SegmentGate.write`.
        """
        settings = editor_settings(self.node) if editor_node is None else editor_node
        node, volume = self._kept(self.node, frame), self._kept(self.volume, frame)
        if node is not None and volume is not None and _knows_its_grid(node) and self._may_write_unseen(settings):
            # Slicer would make a surface anew for each segment that changes; it is out of date anyway.
            drop_surfaces(node)
            yield node, SegmentGate(node, volume, settings, save_state=lambda: None)
            self.browser.GetSequenceNode(self.node).StorableModified()
            return
        shown = self.frame
        self.show(frame)
        self._keep_changes()
        try:
            yield self.node, self._gate
        finally:
            self.show(shown)

    def add_step(self, before: Mapping[int, FrameState], after: Mapping[int, FrameState]) -> None:
        """Count a change of some frames as one action.

        Args:
            before, after: what each of the frames held, of `state_of`.
        """
        self._done.append(_Step(before, after))
        del self._done[:-UNDO_STATES]
        self._undone.clear()

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would take the last action back."""
        return bool(self._done) and self._unchanged(self._done[-1].after)

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would do the last undone action again."""
        return bool(self._undone) and self._unchanged(self._undone[-1].before)

    def undo(self) -> bool:
        """Take the last action back in every frame it changed; False where there is none, or others edited since."""
        if not self.can_undo:
            return False
        step = self._done.pop()
        self._restore(step.after, step.before, self._gate.undo)
        self._undone.append(step)
        return True

    def redo(self) -> bool:
        """Do the last undone action again; False where there is none, or others edited since."""
        if not self.can_redo:
            return False
        step = self._undone.pop()
        self._restore(step.before, step.after, self._gate.redo)
        self._done.append(step)
        return True

    def restore(self, now: Mapping[int, FrameState], wanted: Mapping[int, FrameState]) -> None:
        """Give frames back what they held; one that is not as in `now`, as it was edited since, keeps that edit."""
        self._restore(now, wanted, self._gate.undo)

    def state_of(self, node: Any = None) -> FrameState:
        """What a frame holds, given its node (None: that in the scene), to be restored later."""
        node = self.node if node is None else node
        copy = None
        if self.browser is not None:
            copy = slicer.vtkSegmentation()
            copy.DeepCopy(node.GetSegmentation())
        return FrameState(fingerprint(node), copy)

    def _kept(self, node: Any, frame: int) -> Any:
        """The node that a sequence keeps for a frame that is not shown; None where there is none."""
        sequence = self.browser.GetSequenceNode(node) if self.browser is not None and frame != self.frame else None
        value = self.browser.GetMasterSequenceNode().GetNthIndexValue(frame) if sequence is not None else ""
        return sequence.GetDataNodeAtValue(value) if value else None

    def _may_write_unseen(self, settings: Any) -> bool:
        """Whether a write needs to know neither what is visible nor any transform."""
        if settings is not None and (
            settings.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
            or settings.GetOverwriteMode() == slicer.vtkMRMLSegmentEditorNode.OverwriteVisibleSegments
        ):
            return False
        return np.allclose(parent_to_world(self.node), parent_to_world(self.volume), atol=1e-9)

    def _unchanged(self, expected: Mapping[int, FrameState]) -> bool:
        """Whether the frame shown is as expected; the others are looked at when their turn comes."""
        if self.browser is not None and self.browser.GetSequenceNode(self.node) is None:
            return False  # nothing is left to take an action back in
        return self.frame not in expected or fingerprint(self.node) == expected[self.frame].fingerprint

    def _restore(
        self, now: Mapping[int, FrameState], wanted: Mapping[int, FrameState], move_gate: Callable[[], object]
    ) -> None:
        """Step back or forth in every frame that still is as the history left it; one edited since keeps that edit."""
        if self.browser is None:
            move_gate()
            return
        if self.browser.GetSequenceNode(self.node) is None:
            return  # the segmentation, its frames or the browser were removed
        shown = self.frame
        for frame, expected in now.items():
            node = self._kept(self.node, frame)
            if node is None:
                self.show(frame)
                node = self.node
            if fingerprint(node) == expected.fingerprint:
                node.GetSegmentation().DeepCopy(wanted[frame].copy)
                node.Modified()
                self.browser.GetSequenceNode(self.node).StorableModified()
        self.show(shown)


def drop_surfaces(node: Any) -> None:
    """Remove the closed surfaces of a segmentation that is made of labelmaps."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != CLOSED_SURFACE:
        segmentation.RemoveRepresentation(CLOSED_SURFACE)


def _knows_its_grid(node: Any) -> bool:
    segmentation = node.GetSegmentation()
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return bool(segmentation.GetNumberOfSegments() or segmentation.GetConversionParameter(geometry))


def fingerprint(node: Any) -> int:
    """A checksum of what a segmentation node holds: segment IDs, label values, extents and voxels."""
    segmentation = node.GetSegmentation()
    value = 0
    seen: dict[Any, int] = {}
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        name = f"{segmentation.GetNthSegmentID(index)} {segment.GetLabelValue()}"
        value = zlib.crc32(name.encode(), value)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is None or image.GetNumberOfPoints() == 0:
            continue
        if image not in seen:  # segments share layers
            content = np.ascontiguousarray(array_of(image))
            seen[image] = zlib.crc32(content, zlib.crc32(repr(image.GetExtent()).encode()))
        value = zlib.crc32(str(seen[image]).encode(), value)
    return value
