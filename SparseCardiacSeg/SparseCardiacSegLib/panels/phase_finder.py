"""Finding end diastole and end systole: from the labels where there are some, else from the images, by the worker."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from slicer.i18n import tr as _

from ..errors import InputError
from . import study_phases
from .cine_reading import readFrames
from .run_driver import RunDriver
from .worker_job import RunState, WorkerJob
from .workers import JOB

if TYPE_CHECKING:
    from ..worker.client import WorkerClient
    from .panel import Panel

COMMAND = "find-phases"
POLL_MS = 40
_READING_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class PhaseState(RunState):
    """Where it stands.

    Attributes:
        values: "ed", "es", "certain" and "reason", once they are there.
    """

    values: Mapping[str, Any] = field(default_factory=dict)


class PhaseRun:
    """ED and ES from the images alone; nothing waits."""

    def __init__(self, volume: Any, browser: Any, getClient: Callable[[], WorkerClient]) -> None:
        """Set up; the first `poll` begins."""
        self.volume, self.browser = volume, browser
        self._getClient = getClient
        self._job: WorkerJob | None = None
        self._state = PhaseState(message=_("Reading the frames"))
        self._steps = self._run()

    def poll(self) -> PhaseState:
        """Go on a little: read a frame, or look at the worker."""
        if not self._state.finished:
            try:
                self._state = next(self._steps)
            except InputError as error:
                self._state = PhaseState(self._state.fraction, error=str(error), finished=True)
        return self._state

    def cancel(self) -> None:
        """Stop; keep polling until the state is finished."""
        if self._job is None:
            self._steps.close()
            self._state = PhaseState(cancelled=True, finished=True)
        else:
            self._job.cancel()

    def _run(self) -> Iterator[PhaseState]:
        cine = yield from readFrames(
            self.volume, self.browser, lambda share: PhaseState(_READING_SHARE * share, _("Reading the frames"))
        )
        params = {"spacing": list(cine.slices_first_spacing)}
        arrays = {"image": np.ascontiguousarray(cine.slices_first())}
        self._job = WorkerJob(self._getClient(), COMMAND, params, arrays)
        while not (job := self._job.poll()).finished:
            done = _READING_SHARE + (1 - _READING_SHARE) * job.fraction
            yield PhaseState(done, job.message or _("Looking for ED and ES"))
        yield PhaseState(1.0, "", job.error, job.details, job.cancelled, finished=True, values=job.values)


class PhaseFinder:
    """The button of the Study panel that sets the frames of ED and ES."""

    def __init__(self, panel: Panel) -> None:
        """Connect findPhasesButton of a panel's .ui, which has a progressBar and a statusLabel."""
        self._panel = panel
        self.driver = RunDriver(panel, POLL_MS, self._finish, self.updateButton, self._reasonToStop)
        panel.ui.findPhasesButton.connect("clicked()", self.onFind)

    def onFind(self) -> None:
        """The button says Find ED and ES, or Cancel while the images are looked at."""
        session = self._panel.session
        if self.driver.run is not None:
            self.driver.cancel(_("Cancelled; nothing was changed."))
            return
        if session.browser is None or session.parameters is None:
            return
        if len(study_phases.lvVolumes(session)) >= 2:
            self._panel.say(study_phases.findEdEs(session))
            return
        run = PhaseRun(session.volume, session.browser, lambda: session.workers.client(JOB))
        self.driver.start(run, _("Reading the frames"))

    def updateButton(self) -> None:
        """Say what the button does now."""
        button, running = self._panel.ui.findPhasesButton, self.driver.run is not None
        button.text = _("Cancel") if running else _("Find ED and ES")
        button.enabled = running or self._panel.session.browser is not None

    def stop(self, message: str = "") -> None:
        """Stop what runs."""
        self.driver.cancel(message)

    def _reasonToStop(self, run: PhaseRun) -> str:
        there = all(node.GetScene() is not None for node in (run.volume, run.browser))
        there = there and run.browser.GetSequenceNode(run.volume) is not None
        return "" if there else _("Stopped, because the volume was removed.")

    def _finish(self, run: PhaseRun, state: PhaseState) -> None:
        session = self._panel.session
        if not state.values:
            self._panel.fail(state.error or _("Cancelled; nothing was changed."), state.details)
            return
        if session.parameters is None or session.volume is not run.volume:
            self._panel.say("")
            return
        ed, es = int(state.values["ed"]), int(state.values["es"])
        session.parameters.edFrame, session.parameters.esFrame = ed, es
        text = _("Found from the images, as fewer than two frames are labelled: ED is frame {ed}, ES frame {es}.")
        lines = [text.format(ed=ed, es=es)]
        if not state.values.get("certain"):
            lines.append(_("This is UNCERTAIN: look at both frames.") + " " + str(state.values.get("reason", "")))
        else:
            lines.append(_("Look at both frames before you measure."))
        self._panel.say("\n".join(line.strip() for line in lines))
