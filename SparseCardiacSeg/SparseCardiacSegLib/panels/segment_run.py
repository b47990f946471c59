"""One segmentation from the button to the node: the job of the worker and the nodes that it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import slicer
from slicer.i18n import tr as _

from ..anatomy import DESCRIPTIONS
from ..segmenter import JobState

if TYPE_CHECKING:
    from ..mrml.segment_gate import SegmentGate
    from ..segmenter import JobNews, SegmentResult


class Job(Protocol):
    """What a run needs of `segmenter.SegmentJob`."""

    def start(self) -> None:
        """Begin."""

    def poll(self) -> list[JobNews]:
        """What has happened since the last call; never waits."""

    def cancel(self, grace_s: float = 1.0) -> None:
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


class SegmentRun:
    """A job and its nodes; the panel polls it, and writes the result with it."""

    def __init__(self, job: Job, volume_node: Any, output_node: Any) -> None:
        """Start the job.

        Args:
            job: made, not started.
            volume_node: the volume that is segmented.
            output_node: the segmentation node to write to; None makes a new one.

        Raises:
            InputError: the image cannot be segmented, or the worker cannot be started.
        """
        self.gate: SegmentGate | None = None
        self._job = job
        self._volume = volume_node
        self._output = output_node
        self._state = RunState(0.0)
        job.start()

    def input_is_there(self) -> bool:
        """Whether the volume is still in the scene."""
        return self._volume.GetScene() is not None

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

    def write_result(self, result: SegmentResult) -> Any:
        """Put the segments into the output node, or a new one; returns it.

        Segments that are there and are not of these structures keep every voxel. One undo state is saved.

        Raises:
            InputError: the output node cannot take a labelmap.
        """
        from ..mrml.display import show_outlines
        from ..mrml.segment_gate import SegmentGate
        from ..mrml.segmentations import segmentation_node

        if self._output is None or self._output.GetScene() is None:
            name = _("{volume} segmentation").format(volume=self._volume.GetName())
            node = segmentation_node(result.segmentation, self._volume, name)
            show_outlines(node)
            return node
        # Settings of its own: the user's are meant for painting; other segments keep all their voxels.
        editor = slicer.vtkMRMLSegmentEditorNode()
        editor.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self.gate = SegmentGate(self._output, self._volume, editor_node=editor)
        segmentation = result.segmentation
        self.gate.write({structure: segmentation.mask(structure) for structure in segmentation.structures})
        return self._output

    def summary(self, result: SegmentResult) -> str:
        """What was found, and every warning, for the status line."""
        segmentation = result.segmentation
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
