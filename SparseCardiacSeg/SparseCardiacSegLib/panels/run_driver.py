"""Driving what a panel has started: the timer, the progress bar, Cancel, and the end of it."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import qt
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from .panel import Panel
    from .worker_job import RunState


class Run(Protocol):
    """Something under way that never waits."""

    def poll(self) -> RunState:
        """Go on a little; where it stands."""

    def cancel(self) -> None:
        """Stop; keep polling until the state is finished, so that a worker that does not stop is ended."""


class RunDriver:
    """One run of a panel at a time; a cancelled one is polled on in the background until it has ended.

    The panel's .ui has a `progressBar`.

    Attributes:
        run: what is under way; None while nothing is.
        timer: the clock; it stands still while nothing is under way.
    """

    def __init__(
        self,
        panel: Panel,
        interval: int,
        onFinished: Callable[[Any, Any], None],
        onChange: Callable[[], None],
        reasonToStop: Callable[[Any], str] = lambda _run: "",
    ) -> None:
        """Set up; nothing runs.

        Args:
            panel: whose progress bar and status line show the run.
            interval: milliseconds between two looks.
            onFinished: called with the run and its last state, when it has ended by itself.
            onChange: called whenever a run begins or has ended, to update the buttons.
            reasonToStop: looks at the run before each poll; a sentence where its nodes are gone.
        """
        self.run: Any = None
        self.timer = qt.QTimer()
        self.timer.setInterval(interval)
        self.timer.connect("timeout()", self.onTimer)
        self._panel = panel
        self._onFinished = onFinished
        self._onChange = onChange
        self._reasonToStop = reasonToStop
        self._ending: list[Run] = []
        panel.ui.progressBar.visible = False

    def start(self, run: Run, message: str) -> None:
        """Drive a run that has begun, and say so."""
        self.run = run
        self._panel.ui.progressBar.value = 0
        self._panel.ui.progressBar.visible = True
        self._panel.say(message)
        self._onChange()
        self.timer.start()

    def cancel(self, message: str) -> None:
        """Stop the run, if there is one, and say why; the panel is free at once."""
        if self.run is None:
            return
        run, self.run = self.run, None
        run.cancel()
        self._ending.append(run)
        self._panel.ui.progressBar.visible = False
        self._panel.say(message)
        self._onChange()

    def release(self) -> list[Run]:
        """Let go of what is under way and of cancelled runs that have not ended, for a panel that is about to go.

        Returns:
            Them; nobody looks at them any more, so whoever asked ends those that would leave something behind.
        """
        self.timer.stop()
        left = [*self._ending, *([] if self.run is None else [self.run])]
        self.run, self._ending = None, []
        return left

    def onTimer(self) -> None:
        """Look at the run, and at cancelled ones that have not ended yet; never waits for them."""
        for run in list(self._ending):
            self._ending.remove(run)  # first: one that fails must not be looked at again
            if not run.poll().finished:
                self._ending.append(run)
        if self.run is None:
            if not self._ending:
                self.timer.stop()
            return
        reason = self._reasonToStop(self.run)
        if reason:
            self.cancel(reason)
            return
        try:
            state = self.run.poll()
        except Exception:
            # Else it would fail again at every look, and the button would say Cancel for ever.
            self.run = None
            self._panel.ui.progressBar.visible = False
            self._panel.fail(_("Stopped by a fault in the program; the Python console tells more."))
            self._onChange()
            raise
        self._panel.ui.progressBar.value = round(100 * state.fraction)
        if state.finished:
            # First: whatever happens below, the timer must not come here again.
            run, self.run = self.run, None
            self._panel.ui.progressBar.visible = False
            self._onFinished(run, state)
            self._onChange()
        elif state.message:
            self._panel.say(state.message)
