"""Surfaces made by the worker and kept up to date: of the segmentation, of its reference, of every frame of a cine."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from .worker_job import WorkerJob
from .workers import JOB

if TYPE_CHECKING:
    from ..segmentation import Segmentation
    from .study_session import StudySession

POLL_MS = 40
"""Ready surfaces appear within a frame or two of being made; a look takes well under a millisecond."""


@dataclass(eq=False)
class _Task:
    """Surfaces of some frames of one segmentation node, for the study that was chosen when they were asked for."""

    node: Any
    volume: Any
    browser: Any
    frames: list[int]
    smoothing: int
    labels: dict[int, Segmentation] = field(default_factory=dict)
    prints: dict[int, int] = field(default_factory=dict)


class SurfaceKeeper:
    """Makes the surfaces that are missing or no longer right, one request to the worker at a time.

    A surface is right while voxels, grid and smoothing are what it was made of: a number made of these is kept for
    every node and frame. So nothing is made twice, and putting a surface into a segment starts nothing anew.
    """

    def __init__(
        self,
        session: StudySession,
        onProgress: Callable[[float | None, str], None],
        onFailure: Callable[[str, str], None],
        onMade: Callable[[Any, int, dict], None],
    ) -> None:
        """Set up; nothing is started.

        Args:
            session: the study.
            onProgress: called with the share done (None: nothing is under way) and what is being done.
            onFailure: called with a sentence and the worker's last output.
            onMade: called with node, frame and surfaces (vtkPolyData by structure, the node's own RAS).
        """
        self.session = session
        self._onProgress = onProgress
        self._onFailure = onFailure
        self._onMade = onMade
        self._prints: dict[tuple[str, int], int] = {}
        self._tasks: list[_Task] = []
        self._current: _Task | None = None
        self._job: WorkerJob | None = None
        self._ready: list[tuple[int, dict]] = []
        self._unread: list[int] = []
        self._ending: list[WorkerJob] = []
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)

    @property
    def isBusy(self) -> bool:
        """Whether surfaces are being made."""
        return self._current is not None or bool(self._tasks)

    def want(self, node: Any, frames: list[int], smoothing: int) -> None:
        """See to it that a node has surfaces of some frames, unless they are being made already."""
        waiting = [*self._tasks, *([self._current] if self._current else [])]
        frames = [
            frame
            for frame in frames
            if not any(task.node is node and task.smoothing == smoothing and frame in task.frames for task in waiting)
        ]
        if frames:
            self._tasks.append(_Task(node, self.session.volume, self.session.browser, frames, smoothing))
            self.timer.start()

    def forget(self, node: Any = None) -> None:
        """Hold all surfaces of a node (None: of every node) for outdated."""
        self._prints = {
            key: value for key, value in self._prints.items() if node is not None and key[0] != node.GetID()
        }

    def stop(self) -> None:
        """Stop what is under way; what was made stays."""
        self._tasks.clear()
        self._ready.clear()
        self._current = None
        if self._job is not None:
            self._job.cancel()
            self._ending.append(self._job)  # polled on, so that a worker that does not stop is ended
        self._job = None
        self._onProgress(None, "")

    def onTimer(self) -> None:
        """Go on: read one frame, or look at the worker; never waits."""
        self._ending = [job for job in self._ending if not job.poll().finished]
        if self._current is not None and not self._isWanted(self._current):
            self._drop()
            return
        try:
            if self._job is not None:
                self._look(self._job)
            elif self._ready and self._current is not None:
                self._put(self._current)
            elif self._current is not None:
                self._read(self._current)
            elif self._tasks:
                self._current = self._tasks.pop(0)
                self._current.labels.clear()
                self._unread = list(self._current.frames)
            elif not self._ending:
                self.timer.stop()
        except InputError as error:
            self._fail(str(error), "")

    def _isWanted(self, task: _Task) -> bool:
        """Whether the node is still there, and the study is still the one for which surfaces were asked."""
        chosen = self.session.volume is task.volume and self.session.browser is task.browser
        return chosen and task.volume is not None and task.node.GetScene() is not None

    def _drop(self) -> None:
        """Give the present task up; surfaces that were put stay."""
        self._ready.clear()
        if self._job is not None:
            # Not cancelled: a worker that does not stop within a second is ended, with whatever else waits for it.
            self._ending.append(self._job)
        self._job = None
        self._done()

    def _read(self, task: _Task) -> None:
        """Read one frame of a task; when all are read, send those whose surfaces are not right to the worker."""
        from ..mrml.frame_labels import frames_of, labels_of_frame
        from ..mrml.surface_models import fingerprint, holds_surfaces, in_node_space

        volume, browser = task.volume, task.browser
        if self._unread:
            frame = self._unread.pop(0)
            held = frame in frames_of(task.node, browser)
            labels = labels_of_frame(task.node, volume, browser, frame) if held else None
            if labels is not None:
                labels = in_node_space(labels, task.node, volume)
                code = fingerprint(labels, task.smoothing)
                # Writing into a frame that is not shown takes its surfaces away; undoing brings back what it was.
                there = holds_surfaces(task.node, browser, frame)
                if self._prints.get((task.node.GetID(), frame)) != code or not there:
                    task.labels[frame], task.prints[frame] = labels, code
            self._onProgress(0.0, _("Reading the labels"))
            return
        if not task.labels:
            self._done()
            return
        from ..worker.surface_handlers import surfaces_request

        params, arrays = surfaces_request(task.labels, task.smoothing)
        self._job = WorkerJob(self.session.workers.client(JOB), "make_surfaces", params, arrays)

    def _look(self, job: WorkerJob) -> None:
        state = job.poll()
        if not state.finished:
            self._onProgress(state.fraction, _("Making surfaces"))
            return
        task, self._job = self._current, None
        if state.error:
            self._fail(state.error, state.details)
            return
        if task is None or state.cancelled:
            self._done()
            return
        from ..worker.surface_handlers import read_surfaces

        self._ready = list(read_surfaces(state.arrays).items())
        if not self._ready:
            self._done()

    def _put(self, task: _Task) -> None:
        """Hand one frame on: its normals take 0.1 s, those of thirty frames at once would freeze the window for 3 s."""
        from ..mrml.surface_models import polydata

        frame, meshes = self._ready.pop(0)
        self._prints[(task.node.GetID(), frame)] = task.prints[frame]
        self._onMade(task.node, frame, polydata(meshes))
        if not self._ready:
            self._done()

    def _done(self) -> None:
        self._current = None
        if not self._tasks:
            self._onProgress(None, "")

    def _fail(self, message: str, details: str) -> None:
        self._tasks.clear()
        self._current = None
        self._job = None
        self._onFailure(message, details)
        self._onProgress(None, "")
