"""The box that limits where an atrium is looked for: chosen or made by the user, and nothing written outside."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import InputError
from ..segmenter import JobState
from .parameters import View

if TYPE_CHECKING:
    from ..automatic.roi import VoxelBox
    from ..segmentation import Segmentation
    from ..segmenter import JobNews, SegmentJob, SegmentResult
    from .segment_run import SegmentTarget
    from .study_session import StudySession


PAUSE_MS = 200
"""Dragging a box sends an event with every pixel."""


class BoxChoice(VTKObservationMixin):
    """Connects the widgets of the box in SegmentPanel.ui; they are shown for the left atrium."""

    def __init__(self, ui: Any, session: StudySession) -> None:
        """Connect the widgets."""
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.session = session
        self._observed: Any = None
        self._running = False
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(PAUSE_MS)
        self.timer.connect("timeout()", lambda: self.update(self._running))
        ui.boxButton.connect("clicked()", self.onBox)

    def node(self) -> Any:
        """The box that limits the next run; None for none, and for every other view."""
        parameters = self.session.parameters
        return parameters.segmentBox if parameters is not None and parameters.view is View.LEFT_ATRIUM else None

    def onBox(self) -> None:
        """Make or show the volume's box, and choose it."""
        from ..mrml.region_box import box_for

        if self.session.volume is None or self.session.parameters is None:
            return
        try:
            self.session.parameters.segmentBox = box_for(self.session.volume)
        except InputError as error:
            self._say(str(error))

    def update(self, running: bool) -> None:
        """Show the widgets, and say what the box means."""
        self._running = running
        self._observe(self.node())
        parameters, volume = self.session.parameters, self.session.volume
        offered = parameters is not None and volume is not None and parameters.view is View.LEFT_ATRIUM
        for widget in (self.ui.boxLabel, self.ui.boxSelector, self.ui.boxButton):
            widget.visible = offered
        for widget in (self.ui.boxSelector, self.ui.boxButton):
            widget.enabled = not running
        self._say(self._sentence() if offered else "")

    def stop(self) -> None:
        """The nodes or the widgets are about to go."""
        self.timer.stop()
        self._observe(None)

    def _observe(self, node: Any) -> None:
        if node is self._observed:
            return
        self.removeObservers()
        self._observed = node
        if node is not None:
            for event in (vtk.vtkCommand.ModifiedEvent, node.PointModifiedEvent, node.TransformModifiedEvent):
                self.addObserver(node, event, self._onBox)

    def _onBox(self, _caller: Any, _event: Any) -> None:
        self.timer.start()

    def _sentence(self) -> str:
        """What the box means for this volume; empty without one."""
        from ..mrml.region_box import is_turned, voxel_box

        node = self.node()
        if node is None:
            return ""
        try:
            box = voxel_box(node, self.session.volume)
            turned = is_turned(node, self.session.volume)
        except InputError as error:
            return str(error)
        size = " x ".join(str(stop - start) for start, stop in zip(box.start, box.stop, strict=True))
        text = _("Only voxels in {name} are written ({size}).")
        text = text.format(name=node.GetName(), size=size)
        if turned:
            text += " " + _("The box is turned against the image: the upright box of voxels around it counts.")
        return text

    def _say(self, text: str) -> None:
        self.ui.boxInfoLabel.text = text
        self.ui.boxInfoLabel.visible = bool(text)


class BoxedJob:
    """A job whose result keeps, outside of a box, what the segmentation holds there when it is done.

    One frame is read at each look: it takes some 40 ms.
    """

    def __init__(self, job: SegmentJob, box: VoxelBox, target: SegmentTarget) -> None:
        """Set up.

        Args:
            job: looks inside the box only.
            box: on the grid of the volume.
            target: the nodes that it is for.
        """
        self._job = job
        self._box = box
        self._target = target
        self._news: JobNews | None = None
        self._merged: list[np.ndarray] = []
        self._cancelled = False

    def start(self) -> None:
        """Begin."""
        self._job.start()

    def cancel(self) -> None:
        """Ask for the end; `poll` reports it."""
        if self._news is None:
            self._job.cancel()
        self._cancelled = True

    def poll(self) -> list[JobNews]:
        """What has happened since the last call; never waits."""
        if self._news is None:
            news = self._job.poll()
            done = next((one for one in news if one.state is JobState.FINISHED), None)
            if done is None:
                return news
            self._news = done
        assert self._news.result is not None
        if self._cancelled:
            return [replace(self._news, state=JobState.CANCELLED, result=None)]
        found = self._news.result.segmentation
        if len(self._merged) < found.labels.n_frames:
            self._merged.append(self._frame(found, len(self._merged)))
            return [
                replace(self._news, state=JobState.RUNNING, message=_("Keeping what lies outside the box"), result=None)
            ]
        return [replace(self._news, result=self._whole(self._news.result))]

    def _frame(self, found: Segmentation, index: int) -> np.ndarray:
        """Labels of one frame: the model's inside the box, those of the node outside."""
        array = (found.labels.array[index] if found.labels.is_cine else found.labels.array).copy()
        target = self._target
        if target.output is None or target.output.GetScene() is None:
            return array
        from ..mrml.frame_labels import labels_of_frame

        frame = index if found.labels.is_cine else target.frame
        held = labels_of_frame(target.output, target.volume, target.browser, frame)
        if held is None:
            return array
        outside = np.ones(array.shape, bool)
        outside[self._box.slices] = False
        for structure in found.structures:
            array[outside & held.mask(structure)] = found.scheme.numbers[structure]
        return array

    def _whole(self, result: SegmentResult) -> SegmentResult:
        found = result.segmentation
        frames: Sequence[np.ndarray] = self._merged
        labels = found.labels.with_array(np.stack(frames) if found.labels.is_cine else frames[0])
        return replace(result, segmentation=replace(found, labels=labels))
