"""Labels of some frames of a cine on their way to the others: read, carried by the worker, written, one undo step."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..anatomy import ALL, Structure
from ..errors import InputError
from .cine_reading import readFrames
from .worker_job import RunState, WorkerJob

if TYPE_CHECKING:
    from ..mrml.carried_frames import FrameBook, FrameContent
    from ..mrml.edit_history import EditHistory
    from ..mrml.frame_writer import FrameWriter
    from ..segmentation import Segmentation
    from ..stack import Stack
    from ..worker.client import WorkerClient

COMMAND = "propagate"
_READING_SHARE, _WRITING_SHARE = 0.05, 0.1
"""Shares of the progress bar; the rest is the worker's."""


@dataclass(frozen=True, eq=False)
class CineTask:
    """What is carried, and where to.

    Attributes:
        node: the segmentation node, shown frame by frame by `browser`.
        volume: the node that shows the images.
        browser: their vtkMRMLSequenceBrowserNode.
        sources: the frames whose labels are carried; they keep every voxel.
        targets: the frames that are written.
        engine: a name of `propagation.engine.ENGINES`.
    """

    node: Any
    volume: Any
    browser: Any
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    engine: str


@dataclass(frozen=True, eq=False)
class CineFound:
    """What came of it.

    Attributes:
        written: the frames that hold the carried labels now.
        locked: the frames in which a locked segment was left as it was.
        edited: the frames that somebody edited since the run began, and that were therefore left alone.
        lv_ml: volume of the LV in each frame as it was carried, mL; empty where no source has an LV.
        folding: by frame, the share of pixels around the heart where the motion found folds; 0 for sources.
        seconds: what the worker took.
        warnings: sentences for the user.
    """

    written: tuple[int, ...]
    locked: tuple[int, ...]
    edited: tuple[int, ...]
    lv_ml: tuple[float, ...]
    folding: Mapping[int, float]
    seconds: float
    warnings: tuple[str, ...]

    def worstFolding(self) -> tuple[int, float] | None:
        """The frame that folds most, and how much; None where that is not known."""
        known = {frame: share for frame, share in self.folding.items() if np.isfinite(share)}
        return max(known.items(), key=lambda item: item[1]) if known else None

    def largestJump(self) -> tuple[int, int, float] | None:
        """The two neighbouring frames (the last and the first are such) between which the LV changes most, and by how
        many mL; None where the curve is not known."""
        if len(self.lv_ml) < 2:
            return None
        steps = [after - before for before, after in zip(self.lv_ml, (*self.lv_ml[1:], self.lv_ml[0]), strict=True)]
        frame = max(range(len(steps)), key=lambda index: abs(steps[index]))
        return frame, (frame + 1) % len(steps), abs(steps[frame])


@dataclass(frozen=True, eq=False)
class CineState(RunState):
    """Where it stands.

    Attributes:
        found: what came of it, once all is written.
    """

    found: CineFound | None = field(default=None)


class CineRun:
    """Nothing waits: the panel's timer calls `poll` until the state is finished."""

    def __init__(
        self,
        task: CineTask,
        getClient: Callable[[], WorkerClient],
        historyOf: Callable[[Any, Any, Any], EditHistory],
        book: FrameBook,
    ) -> None:
        """Set up; the first `poll` begins.

        Args:
            task: what to do.
            getClient: gives the worker.
            historyOf: gives the history of a segmentation, volume and browser node, which gets one step.
            book: looks into the frames; told what was written, so that the panel need not look again.
        """
        self.task = task
        self._getClient = getClient
        self._historyOf = historyOf
        self._book = book
        self._job: WorkerJob | None = None
        self._writer: FrameWriter | None = None
        self._edited: list[int] = []
        self._cancelled = False
        self._state = CineState(message=_("Reading the frames"))
        self._steps = self._run()

    def nodesAreThere(self) -> bool:
        """Whether everything that the run needs is still in the scene, the sequences of both nodes too."""
        task = self.task
        there = all(node.GetScene() is not None for node in (task.node, task.volume, task.browser))
        return there and all(task.browser.GetSequenceNode(node) is not None for node in (task.node, task.volume))

    def poll(self) -> CineState:
        """Go on a little: read a frame, look at the worker, or write a frame."""
        if not self._state.finished:
            try:
                self._state = next(self._steps)
            except InputError as error:
                self._state = CineState(self._state.fraction, error=str(error), finished=True)
        return self._state

    def cancel(self) -> None:
        """Stop, and take back what was written; keep polling until the state is finished."""
        self._cancelled = True
        if self._writer is not None:
            self._writer.cancel()
        elif self._job is not None:
            self._job.cancel()
            return
        self._steps.close()
        self._state = CineState(self._state.fraction, cancelled=True, finished=True)

    def _run(self) -> Iterator[CineState]:
        sources: dict[int, Segmentation] = {}
        codes = [content.code for content in self._contents()]
        cine = yield from self._read(sources)
        numbers = _numbers(sources)
        self._job = self._submit(cine, sources, numbers)
        yield CineState(_READING_SHARE, _("Finding the motion"))
        while not (job := self._job.poll()).finished:
            share = 1 - _READING_SHARE - _WRITING_SHARE
            yield CineState(_READING_SHARE + share * job.fraction, job.message or _("Finding the motion"))
        # The worker may have been done just before the cancellation reached it.
        cancelled = job.cancelled or self._cancelled
        if job.error or cancelled:
            yield CineState(job.fraction, "", job.error, job.details, cancelled, finished=True)
            return
        labels = cine.from_slices_first(job.arrays["labels"])
        if labels.shape != cine.array.shape:
            raise InputError(_("The worker returned labels that do not fit the images."))
        self._writer = self._makeWriter(labels, sources, numbers, codes)
        while not self._writer.step():
            self._contents()
            done = 1 - _WRITING_SHARE * (1 - self._writer.fraction)
            yield CineState(done, _("Writing the labels"))
        yield CineState(1.0, finished=True, found=self._finish(cine, labels, numbers, job.values))

    def _read(self, sources: dict[int, Segmentation]) -> Generator[CineState, None, Stack]:
        """Read the sources' labels into `sources`, then the images, frame by frame; returns the cine."""
        from ..mrml.frame_labels import labels_of_frame

        task = self.task
        for frame in task.sources:
            labels = labels_of_frame(task.node, task.volume, task.browser, frame)
            if labels is None:
                raise InputError(_("Frame {frame} holds no labels any more.").format(frame=frame))
            sources[frame] = labels
            yield CineState(0.0, _("Reading the frames"))
        return (
            yield from readFrames(
                task.volume, task.browser, lambda share: CineState(_READING_SHARE * share, _("Reading the frames"))
            )
        )

    def _submit(self, cine: Stack, sources: Mapping[int, Segmentation], numbers: Mapping[str, int]) -> WorkerJob:
        frames = sorted(sources)
        labels = np.stack([sources[frame].in_scheme(ALL).labels.slices_first() for frame in frames])
        params = {
            "frames": frames,
            "numbers": dict(numbers),
            "spacing": list(cine.slices_first_spacing),
            "engine": self.task.engine,
        }
        arrays = {"image": np.ascontiguousarray(cine.slices_first()), "labels": labels.astype(np.uint8)}
        return WorkerJob(self._getClient(), COMMAND, params, arrays)

    def _contents(self) -> list[FrameContent]:
        return self._book.contents(self.task.node, self.task.browser)

    def _makeWriter(
        self,
        labels: np.ndarray,
        sources: Mapping[int, Segmentation],
        numbers: Mapping[str, int],
        codes: Sequence[int],
    ) -> FrameWriter:
        from ..mrml.frame_labels import segments_of_frame
        from ..mrml.frame_writer import FrameWriter

        task = self.task

        def masks(frame: int) -> dict[Structure, np.ndarray]:
            # Finding the motion takes a minute, in which the window is free to draw in.
            if self._contents()[frame].code != codes[frame]:
                self._edited.append(frame)
                return {}
            return {Structure(name): labels[frame] == number for name, number in numbers.items()}

        # Settings of its own: the user's are meant for painting; other segments keep all their voxels.
        editor = slicer.vtkMRMLSegmentEditorNode()
        editor.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        like: dict[Structure, tuple[str, Any]] = {}
        for frame in sorted(sources, reverse=True):
            like |= segments_of_frame(task.node, task.browser, frame)
        targets = [frame for frame in task.targets if frame not in sources]
        history = self._historyOf(task.node, task.volume, task.browser)
        return FrameWriter(history, targets, masks, editor, like)

    def _finish(
        self, cine: Stack, labels: np.ndarray, numbers: Mapping[str, int], values: Mapping[str, Any]
    ) -> CineFound:
        from ..mrml.carried_frames import mark_carried

        results, task = self._writer.results, self.task
        contents = self._contents()
        locked = tuple(frame for frame, result in results.items() if result.locked)
        written = tuple(frame for frame in results if frame not in (*locked, *self._edited))
        mark_carried(task.node, task.browser, {frame: contents[frame] for frame in written})
        lv = numbers.get(Structure.LV.value)
        counts = [] if lv is None else [np.count_nonzero(frame == lv) for frame in labels]
        folding = values.get("folding") or []
        return CineFound(
            written=written,
            locked=locked,
            edited=tuple(self._edited),
            lv_ml=tuple(float(count) * cine.voxel_volume_ml for count in counts),
            folding={frame: float(share) for frame, share in enumerate(folding) if share is not None},
            seconds=float(values.get("seconds", 0.0)),
            warnings=tuple(values.get("warnings", ())),
        )


def _numbers(sources: Mapping[int, Segmentation]) -> dict[str, int]:
    """The label number of each structure that a source holds, by the structure's short name."""
    held = [part for part in Structure if any(labels.mask(part).any() for labels in sources.values())]
    return {part.value: ALL.numbers[part] for part in held}
