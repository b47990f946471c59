"""One segmentation from the button to the node: the job of the worker and the nodes that it is for."""

# ruff: noqa: N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import slicer
from slicer.i18n import tr as _

from ..anatomy import DESCRIPTIONS
from ..errors import InputError
from ..segmenter import JobState
from .worker_job import RunState, failure_sentence

if TYPE_CHECKING:
    from ..mrml.edit_history import EditHistory
    from ..mrml.frame_writer import FrameWriter
    from ..segmenter import JobNews, SegmentResult

_WRITING_SHARE = 0.1
"""Share of the progress bar for writing; 20 to 60 ms a frame, where a model takes seconds."""


class Job(Protocol):
    """What a run needs of `segmenter.SegmentJob`."""

    def start(self) -> None:
        """Begin."""

    def poll(self) -> list[JobNews]:
        """What has happened since the last call; never waits."""

    def cancel(self) -> None:
        """Ask for the end; `poll` reports it."""


@dataclass(frozen=True, eq=False)
class SegmentState(RunState):
    """Where a run stands.

    Attributes:
        result: what the model made, once it is written.
        node: the segmentation node that holds it then.
    """

    result: SegmentResult | None = None
    node: Any = None


@dataclass(frozen=True, eq=False)
class SegmentTarget:
    """The nodes that a run is for.

    Attributes:
        volume: the volume that is segmented.
        output: the segmentation node to write to; None makes a new one.
        browser: what shows a cine frame by frame; None for a single stack.
        frame: the frame that was shown at the start, for a run of one frame.
    """

    volume: Any
    output: Any
    browser: Any = None
    frame: int = 0


class SegmentRun:
    """A job and its nodes, polled until the labels are in the scene: frame by frame, as one step of undo."""

    def __init__(
        self, job: Job, target: SegmentTarget, historyOf: Callable[[Any, Any, Any], EditHistory] | None = None
    ) -> None:
        """Start the job.

        Args:
            job: made, not started.
            target: the nodes that it is for.
            historyOf: gives the history of a segmentation node, volume node and browser node to write through; None
                for one of its own.

        Raises:
            InputError: the image cannot be segmented, or the worker cannot be started.
        """
        self.target = target
        self._job = job
        self._historyOf = historyOf
        self._state = SegmentState()
        self._result: SegmentResult | None = None
        self._writer: FrameWriter | None = None
        self._node: Any = None
        job.start()

    def input_is_there(self) -> bool:
        """Whether the volume, and the sequence of a cine, are still in the scene."""
        nodes = (self.target.volume, self.target.browser)
        return all(node is None or node.GetScene() is not None for node in nodes)

    def poll(self) -> SegmentState:
        """Where the run stands; never waits, and writes for some hundredths of a second at most."""
        if self._state.finished:
            return self._state
        try:
            self._state = self._look() if self._result is None else self._write(self._result)
        except InputError as error:
            self._state = SegmentState(self._state.fraction, error=str(error), finished=True)
        return self._state

    def cancel(self) -> None:
        """Stop, and take back what was written; keep polling until the state is finished."""
        if self._writer is None:
            self._job.cancel()
            return
        self._writer.cancel()
        self._state = SegmentState(self._state.fraction, cancelled=True, finished=True)
        if self._node is not self.target.output and self._node.GetScene() is not None:
            from ..mrml.frame_labels import remove_with_frames

            remove_with_frames(self._node, self.target.browser)  # made by this run, seconds ago

    def summary(self, result: SegmentResult) -> str:
        """What was found, and every warning, for the status line."""
        segmentation = result.segmentation
        if segmentation.labels.is_cine:
            segmentation = segmentation.frame(self.target.frame)
        volumes = [(DESCRIPTIONS[part].name, segmentation.volume_ml(part)) for part in segmentation.structures]
        found = [f"{name} {volume:.0f} mL" for name, volume in volumes if volume > 0]
        text = _("Done in {seconds} s: {found}.").format(
            seconds=f"{result.seconds:.1f}", found=", ".join(found) or _("nothing was found")
        )
        return "\n".join([text, *result.warnings])

    def _look(self) -> SegmentState:
        state = self._state
        for news in self._job.poll():
            fraction = news.fraction * (1 - _WRITING_SHARE)
            if news.state is JobState.RUNNING:
                state = SegmentState(fraction, news.message)
            elif news.state is JobState.FINISHED:
                self._result = news.result
                state = SegmentState(fraction, _("Writing the labels"))
            elif news.state is JobState.FAILED:
                state = self._failed(news)
            else:
                state = SegmentState(fraction, cancelled=True, finished=True)
        return state

    def _write(self, result: SegmentResult) -> SegmentState:
        """Go on writing. Segments that are there and are not of these structures keep every voxel."""
        if self._writer is None:
            self._writer = self._begin(result)
        elif self._node.GetScene() is None:
            raise InputError(_("Stopped, because the segmentation was removed."))
        if not self._writer.step():
            fraction = 1 - _WRITING_SHARE * (1 - self._writer.fraction)
            return SegmentState(fraction, _("Writing the labels"))
        return SegmentState(1.0, finished=True, result=result, node=self._node)

    def _begin(self, result: SegmentResult) -> FrameWriter:
        from ..mrml.display import show_outlines
        from ..mrml.edit_history import EditHistory
        from ..mrml.frame_writer import FrameWriter
        from ..mrml.segmentations import empty_segmentation_sequence, segmentation_from_volume

        target, segmentation = self.target, result.segmentation
        self._node = target.output
        if target.output is None or target.output.GetScene() is None:
            name = _("{volume} segmentation").format(volume=target.volume.GetName())
            if target.browser is None:
                self._node = segmentation_from_volume(target.volume, name)
            else:
                self._node = empty_segmentation_sequence(target.browser, name)
            show_outlines(self._node)
        # Settings of its own: the user's are meant for painting; other segments keep all their voxels.
        editor = slicer.vtkMRMLSegmentEditorNode()
        editor.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        is_cine = segmentation.labels.is_cine
        frames = range(segmentation.labels.n_frames) if is_cine else [target.frame]

        def masks(frame: int) -> dict:
            one = segmentation.frame(frame) if is_cine else segmentation
            return {structure: one.mask(structure) for structure in one.structures}

        history = (self._historyOf or EditHistory)(self._node, target.volume, target.browser)
        return FrameWriter(history, frames, masks, editor)

    @staticmethod
    def _failed(news: JobNews) -> SegmentState:
        """An InputError is its sentence; a failure of the worker comes with remedy and last output."""
        event = getattr(news.error, "event", None)
        if event is None:
            return SegmentState(news.fraction, error=str(news.error or news.message), finished=True)
        return SegmentState(news.fraction, error=failure_sentence(event), details=event.detail, finished=True)
