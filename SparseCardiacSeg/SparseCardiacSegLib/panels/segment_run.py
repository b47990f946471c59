"""One segmentation from the button to the node: the job of the worker and the nodes that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import slicer
from slicer.i18n import tr as _

from ..anatomy import DESCRIPTIONS
from ..segmenter import JobState

if TYPE_CHECKING:
    from ..mrml.edit_history import EditHistory
    from ..segmentation import Segmentation
    from ..segmenter import JobNews, SegmentResult


class Job(Protocol):
    """What a run needs of `segmenter.SegmentJob`."""

    def start(self) -> None:
        """Begin."""

    def poll(self) -> list[JobNews]:
        """What has happened since the last call; never waits."""

    def cancel(self) -> None:
        """Ask for the end; `poll` reports it."""


@dataclass(frozen=True, eq=False)
class RunState:
    """Where a run stands.

    Attributes:
        fraction: share done, 0 to 1.
        message: what is being done; empty where nothing new is known.
        result: what the model made, once it is done.
        error: one sentence for the user where it failed.
        details: the worker's last output where it helps.
        finished: whether nothing follows: a result, an error, or neither when it was cancelled.
    """

    fraction: float
    message: str = ""
    result: SegmentResult | None = None
    error: str = ""
    details: str = ""
    finished: bool = False


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
    """A job and its nodes; the panel polls it, and writes the result with it."""

    def __init__(self, job: Job, target: SegmentTarget) -> None:
        """Start the job.

        Args:
            job: made, not started.
            target: the nodes that it is for.

        Raises:
            InputError: the image cannot be segmented, or the worker cannot be started.
        """
        self.target = target
        self._job = job
        self._state = RunState(0.0)
        job.start()

    def input_is_there(self) -> bool:
        """Whether the volume, and the sequence of a cine, are still in the scene."""
        nodes = (self.target.volume, self.target.browser)
        return all(node is None or node.GetScene() is not None for node in nodes)

    def poll(self) -> RunState:
        """Where the run stands; never waits."""
        for news in self._job.poll():
            if news.state is JobState.RUNNING:
                self._state = RunState(news.fraction, news.message)
            elif news.state is JobState.FINISHED:
                self._state = RunState(1.0, result=news.result, finished=True)
            elif news.state is JobState.FAILED:
                self._state = self._failed(news)
            else:
                self._state = RunState(news.fraction, finished=True)
        return self._state

    def cancel(self) -> None:
        """Ask the worker to stop; keep polling until the state is finished, so that it is ended if it does not."""
        self._job.cancel()

    def write_result(
        self, result: SegmentResult, history_of: Callable[[Any, Any, Any], EditHistory] | None = None
    ) -> Any:
        """Put the segments into the output node, or a new one; returns it.

        Segments that are there and are not of these structures keep every voxel. One step of undo is kept.

        Args:
            result: what the model made.
            history_of: gives the history of a segmentation node, volume node and browser node to write through; None
                for one of its own.

        Raises:
            InputError: the output node cannot take a labelmap.
        """
        from ..mrml.display import show_outlines
        from ..mrml.edit_history import EditHistory
        from ..mrml.segmentations import empty_segmentation_sequence, segmentation_node, segmentation_sequence

        target, segmentation = self.target, result.segmentation
        if target.output is not None and target.output.GetScene() is not None:
            history = (history_of or EditHistory)(target.output, target.volume, target.browser)
            self._write(history, segmentation)
            return target.output
        name = _("{volume} segmentation").format(volume=target.volume.GetName())
        if segmentation.labels.is_cine:
            node = segmentation_sequence(segmentation, target.browser, name)
        elif target.browser is None:
            node = segmentation_node(segmentation, target.volume, name)
        else:
            node = empty_segmentation_sequence(target.browser, name)
            self._write((history_of or EditHistory)(node, target.volume, target.browser), segmentation)
        show_outlines(node)
        return node

    def _write(self, history: EditHistory, segmentation: Segmentation) -> None:
        # Settings of its own: the user's are meant for painting; other segments keep all their voxels.
        editor = slicer.vtkMRMLSegmentEditorNode()
        editor.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        frames = {self.target.frame: segmentation}
        if segmentation.labels.is_cine:
            frames = {frame: segmentation.frame(frame) for frame in range(segmentation.labels.n_frames)}
        masks = {frame: {part: one.mask(part) for part in one.structures} for frame, one in frames.items()}
        history.write_frames(masks, editor)

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

    @staticmethod
    def _failed(news: JobNews) -> RunState:
        """An InputError is its sentence; a failure of the worker comes with remedy and last output."""
        event = getattr(news.error, "event", None)
        if event is None:
            return RunState(news.fraction, error=str(news.error or news.message), finished=True)
        sentence = " ".join(part for part in (event.message, event.remedy) if part)
        return RunState(news.fraction, error=sentence, details=event.detail, finished=True)
