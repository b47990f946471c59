"""Masks on their way into many frames of a cine: a few at a time, so that a window lives, and one step of undo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from ..anatomy import Structure
from .segment_gate import WriteResult
from .segmentations import STRUCTURE_TAG, segment_structures, segment_tag

if TYPE_CHECKING:
    from .edit_history import EditHistory, FrameState

Masks = Mapping[Structure, np.ndarray]

LOOK_S = 0.02
"""How long one look may go on; a frame of 12 slices of 216 x 256 pixels takes 30 to 60 ms by itself."""


class FrameWriter:
    """Writes frame by frame through the gate; `step` until it is done, or `cancel`, which takes everything back.

    Frames that are not shown are written where the sequence keeps them, so the cine does not run while it is written.

    Example:
        writer = FrameWriter(history, range(20), lambda frame: {Structure.LV: masks[frame]})
        while not writer.step():
            process_events()

    Attributes:
        results: what was done, by frame.
    """

    def __init__(
        self,
        history: EditHistory,
        frames: Iterable[int],
        masks_of: Callable[[int], Masks],
        editor_node: Any = None,
        like: Mapping[Structure, tuple[str, Any]] | None = None,
    ) -> None:
        """Set up; nothing is written yet.

        Args:
            history: of the segmentation; gets one step for all frames.
            frames: what to write.
            masks_of: gives what `SegmentGate.write` takes, for a frame, when its turn has come.
            editor_node: as for `SegmentGate.write`.
            like: segment ID and vtkSegment that a structure's new segments take ID, name, colour and terminology from,
                so that a cine played has one segment a structure and not one a frame; None for the extension's own.
        """
        self.results: dict[int, WriteResult] = {}
        self._history = history
        self._waiting = list(frames)
        self._total = len(self._waiting)
        self._masks_of = masks_of
        self._editor_node = editor_node
        self._like = dict(like or {})
        self._before: dict[int, FrameState] = {}
        self._after: dict[int, FrameState] = {}
        self._ended = False

    @property
    def fraction(self) -> float:
        """Share of the frames written, 0 to 1."""
        return 1.0 - len(self._waiting) / self._total if self._total else 1.0

    def step(self, seconds: float = LOOK_S) -> bool:
        """Write frames for that long, one at least; True when all are written and the step of undo is there.

        Raises:
            InputError: as `SegmentGate.write`; what was written is one step of undo then, too.
        """
        end = time.monotonic() + seconds
        try:
            while self._waiting and not self._ended:
                self._write(self._waiting.pop(0))
                if time.monotonic() >= end:
                    break
        except BaseException:
            self._finish()
            raise
        if not self._waiting:
            self._finish()
        return self._ended

    def cancel(self) -> None:
        """Take back what was written; a frame that somebody edited meanwhile keeps that edit."""
        if not self._ended:
            self._ended = True
            self._history.restore(self._after, self._before)

    def _write(self, frame: int) -> None:
        with self._history.opened(frame, self._editor_node) as (node, gate):
            now = self._history.state_of(node)
            masks = self._masks_of(frame)
            self._make_segments(node, masks)
            result = gate.write(masks, editor_node=self._editor_node)
            self.results[frame] = result
            if result.saved:
                self._before[frame], self._after[frame] = now, self._history.state_of(node)

    def _make_segments(self, node: Any, masks: Masks) -> None:
        """Give the frame the segments that it lacks, described as in `like`."""
        held = set(segment_structures(node).values())
        segmentation = node.GetSegmentation()
        for structure, (segment_id, model) in self._like.items():
            wanted = structure in masks and structure not in held and masks[structure].any()
            if not wanted or segmentation.GetSegment(segment_id) is not None:
                continue
            segmentation.AddEmptySegment(segment_id, model.GetName(), model.GetColor())
            segment = segmentation.GetSegment(segment_id)
            segment.SetTag(STRUCTURE_TAG, structure.value)
            terminology = slicer.vtkSegment.GetTerminologyEntryTagName()
            if segment_tag(model, terminology):
                segment.SetTag(terminology, segment_tag(model, terminology))

    def _finish(self) -> None:
        if not self._ended:
            self._ended = True
            if self._before:
                self._history.add_step(self._before, self._after)
