"""One request to a worker from a panel: started, polled by the panel's timer, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    import numpy as np

    from ..worker.client import WorkerClient
    from ..worker.events import Event


@dataclass(frozen=True, eq=False)
class RunState:
    """Where something that a panel started stands; runs add what they have found.

    Attributes:
        fraction: share done, 0 to 1.
        message: what is being done; empty where nothing new is known.
        error: one or two sentences for the user (cause and remedy) where it failed.
        details: the worker's last output where it helps.
        cancelled: whether it was cancelled.
        finished: whether nothing follows.
    """

    fraction: float = 0.0
    message: str = ""
    error: str = ""
    details: str = ""
    cancelled: bool = False
    finished: bool = False


@dataclass(frozen=True, eq=False)
class WorkerJobState(RunState):
    """Where a job stands.

    Attributes:
        values, arrays: the reply, once it is done.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class WorkerJob:
    """A request under way. Nothing waits: the panel's timer calls `poll` until the state is finished."""

    def __init__(
        self,
        client: WorkerClient,
        command: str,
        params: Mapping[str, Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Send the request; the worker's process is started where it does not run.

        Raises:
            InputError: the worker cannot be started, or the disk refused the arrays.
        """
        self.state = WorkerJobState()
        self._client = client
        self._request = client.submit(command, params, arrays)

    def poll(self) -> WorkerJobState:
        """Where the job stands; never waits."""
        for event in self._client.poll(self._request):
            self.state = self._state_of(event)
        return self.state

    def cancel(self) -> None:
        """Ask the worker to stop; polling ends its whole process tree if it does not within a second."""
        if not self.state.finished:
            self._client.cancel(request=self._request)

    def _state_of(self, event: Event) -> WorkerJobState:
        from ..worker.events import EventKind

        if event.kind is EventKind.PROGRESS:
            return replace(self.state, fraction=event.fraction, message=event.message)
        if event.kind is EventKind.RESULT:
            return WorkerJobState(1.0, finished=True, values=event.values, arrays=event.arrays)
        if event.kind is EventKind.CANCELLED:
            return WorkerJobState(self.state.fraction, message=_("Cancelled."), cancelled=True, finished=True)
        return WorkerJobState(self.state.fraction, error=failure_sentence(event), details=event.detail, finished=True)


def failure_sentence(event: Event) -> str:
    """What happened and what to do about it, of an event that tells of an error or a death."""
    return " ".join(part for part in (event.message, event.remedy) if part)
