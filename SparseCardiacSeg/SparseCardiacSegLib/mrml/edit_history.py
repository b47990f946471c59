"""Undo and redo of the module's writes, one step a user action, over all frames of a cine.

A single stack's steps are undo states of the gate's `vtkSlicerSegmentEditorLogic`. That logic forgets them when a
sequence shows another frame, so a cine's steps keep copies of the segmentation, before and after, for each frame.

A step is offered only while the segmentation still is what that step left: both restore whole segments, so undoing
over somebody else's later edit would take that edit away too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..anatomy import Structure
from .segment_gate import UNDO_STATES, SegmentGate, WriteResult
from .segmentations import BINARY_LABELMAP
from .volumes import array_of


@dataclass(frozen=True, eq=False)
class _State:
    """What a frame held: its checksum and, for a cine, a copy (vtkSegmentation)."""

    fingerprint: int
    copy: Any


@dataclass(frozen=True, eq=False)
class _Step:
    """One action: what the frames that it changed held before and after."""

    before: Mapping[int, _State]
    after: Mapping[int, _State]


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
        before = self._state()
        result = self._gate.write(masks, slices, mode, editor_node)
        if result.saved:
            self._add({self.frame: before}, {self.frame: self._state()})
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
        shown = self.frame
        before, after, results = {}, {}, {}
        try:
            for frame, parts in masks.items():
                self.show(frame)
                now = self._state()
                results[frame] = self._gate.write(parts, editor_node=editor_node)
                if results[frame].saved:
                    before[frame], after[frame] = now, self._state()
                after_frame()
        finally:
            self.show(shown)
            if before:
                self._add(before, after)
        return results

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

    def fingerprint(self) -> int:
        """A checksum of what the frame shown holds: segment IDs, label values, extents and voxels."""
        segmentation = self.node.GetSegmentation()
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

    def _state(self) -> _State:
        copy = None
        if self.browser is not None:
            copy = slicer.vtkSegmentation()
            copy.DeepCopy(self.node.GetSegmentation())
        return _State(self.fingerprint(), copy)

    def _add(self, before: Mapping[int, _State], after: Mapping[int, _State]) -> None:
        self._done.append(_Step(before, after))
        del self._done[:-UNDO_STATES]
        self._undone.clear()

    def _unchanged(self, expected: Mapping[int, _State]) -> bool:
        """Whether the frame shown is as expected; the others are looked at when their turn comes."""
        return self.frame not in expected or self.fingerprint() == expected[self.frame].fingerprint

    def _restore(
        self, now: Mapping[int, _State], wanted: Mapping[int, _State], move_gate: Callable[[], object]
    ) -> None:
        """Step back or forth in every frame that still is as the history left it; one edited since keeps that edit."""
        if self.browser is None:
            move_gate()
            return
        shown = self.frame
        for frame, expected in now.items():
            self.show(frame)
            if self.fingerprint() == expected.fingerprint:
                self.node.GetSegmentation().DeepCopy(wanted[frame].copy)
                self.node.Modified()
        self.show(shown)
