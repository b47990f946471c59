"""One comparison under way: the labels are read frame by frame, then the worker measures."""

# ruff: noqa: N802, N815 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError
from .worker_job import RunState, WorkerJob

if TYPE_CHECKING:
    from ..measures.frames import FrameComparison
    from ..worker.client import WorkerClient

_READING_SHARE = 0.3
"""Share of the progress bar for reading; a frame of two segmentations takes 80 ms to read, 180 ms to measure."""


@dataclass(frozen=True)
class MeasureSettings:
    """What is compared, and how.

    Attributes:
        prediction, reference: segmentation nodes.
        volume: the volume node, on whose grid both are compared.
        browser: the volume's sequence browser; None for a single stack.
        regionsMethod, definition, baseFirst, overrides: as for `measures.frames.compare_frames`.
    """

    prediction: Any
    reference: Any
    volume: Any
    browser: Any
    regionsMethod: str
    definition: str
    baseFirst: bool | None
    overrides: Mapping[int, str | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MeasureState(RunState):
    """Where a comparison stands.

    Attributes:
        found: the figures, once they are there.
        frames: the frames compared, in the order of the figures' cases.
        warnings: sentences for the user.
    """

    found: FrameComparison | None = None
    frames: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


class MeasureRun:
    """Nothing waits: the panel's timer calls `poll` until the state is finished."""

    def __init__(self, getClient: Callable[[], WorkerClient], settings: MeasureSettings) -> None:  # noqa: N803
        """Look at the nodes; nothing is started yet.

        Raises:
            InputError: they cannot be compared.
        """
        from ..mrml.comparison import PairCollector

        self.settings = settings
        self._getClient = getClient
        self._collector = PairCollector(settings.prediction, settings.reference, settings.volume, settings.browser)
        self._job: WorkerJob | None = None
        self._frames: tuple[int, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._state = MeasureState(message=_("Reading the labels"))

    def nodesAreThere(self) -> bool:
        """Whether everything that is compared is still in the scene."""
        nodes = (self.settings.prediction, self.settings.reference, self.settings.volume)
        return all(node.GetScene() is not None for node in nodes)

    def poll(self) -> MeasureState:
        """Where the comparison stands; reads one frame, or looks at the worker."""
        if self._state.finished:
            return self._state
        try:
            self._state = self._read() if self._job is None else self._look(self._job)
        except InputError as error:
            self._state = MeasureState(error=str(error), finished=True)
        return self._state

    def cancel(self) -> None:
        """Stop; keep polling until the state is finished."""
        if self._job is None:
            self._state = MeasureState(message=_("Cancelled."), cancelled=True, finished=True)
        else:
            self._job.cancel()

    def _read(self) -> MeasureState:
        if self._collector.fraction < 1:
            self._collector.step()
            return MeasureState(_READING_SHARE * self._collector.fraction, _("Reading the labels"))
        from ..worker.metric_handlers import comparison_request

        pairs, self._warnings = self._collector.result()
        settings = self.settings
        self._frames = tuple(sorted(pairs))
        params, arrays = comparison_request(
            pairs,
            settings.volume.GetName(),
            settings.regionsMethod,
            settings.definition,
            settings.baseFirst,
            settings.overrides,
        )
        self._job = WorkerJob(self._getClient(), "compare_frames", params, arrays)
        return MeasureState(_READING_SHARE, _("Measuring"))

    def _look(self, job: WorkerJob) -> MeasureState:
        state = job.poll()
        if not state.finished:
            return MeasureState(_READING_SHARE + (1 - _READING_SHARE) * state.fraction, _("Measuring"))
        if state.error or state.cancelled:
            return MeasureState(0.0, state.message, state.error, state.details, state.cancelled, finished=True)
        from ..worker.metric_handlers import read_comparison

        found = read_comparison(state.values, state.arrays)
        warnings = tuple(dict.fromkeys([*self._warnings, *found.warnings]))
        return MeasureState(1.0, finished=True, found=found, frames=self._frames, warnings=warnings)
