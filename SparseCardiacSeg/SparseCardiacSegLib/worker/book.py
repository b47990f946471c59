"""The client's book of requests: which are open, which should have stopped by now, and what is to be told of each."""

from __future__ import annotations

from . import processes
from .connection import Received
from .events import Event, EventKind
from .protocol import ErrorKind, Failure, ProgressReport, Ready, Result, Stopped

_REMEDIES = {
    ErrorKind.INPUT: "",
    ErrorKind.MEMORY: "Close other programs, or choose a smaller model or image, or device CPU, then try again.",
    ErrorKind.INTERNAL: "This is a fault in the program or in a model: report the lines below.",
    ErrorKind.PROTOCOL: "Try again. If it happens again, install the extension again.",
}


class RequestBook:
    """Every request entered gets exactly one final event, whatever happens to the worker."""

    def __init__(self) -> None:
        self._commands: dict[int, str] = {}
        self._deadlines: dict[int, float] = {}
        self._events: list[Event] = []

    @property
    def open(self) -> list[int]:
        """Requests without a final event."""
        return list(self._commands)

    def enter(self, request: int, command: str) -> None:
        """A request has been sent."""
        self._commands[request] = command

    def cancel(self, request: int, deadline: float) -> bool:
        """The request must have stopped at `deadline` (monotonic clock); False where it is over or cancelled before."""
        if request not in self._commands:
            return False
        first = request not in self._deadlines
        self._deadlines[request] = min(deadline, self._deadlines.get(request, deadline))
        return first

    def is_overdue(self, now: float) -> bool:
        """Whether a cancelled request has not stopped in time."""
        return any(now >= deadline for deadline in self._deadlines.values())

    def collect(self, request: int | None) -> list[Event]:
        """Take the events of a request, or all, out of the book."""
        chosen = [event for event in self._events if request is None or event.request == request]
        self._events = [event for event in self._events if request is not None and event.request != request]
        return chosen

    def take(self, received: Received, log: str) -> str:
        """Enter what came down the pipe.

        Returns:
            Why the worker must not be used any longer; empty where it may.
        """
        message = received.message
        if message is None:
            self.fail_all(ErrorKind.PROTOCOL, f"The worker sent {received.fault}", log)
            return "the worker sent something else than messages"
        if isinstance(message, ProgressReport):
            self._progress(message)
        elif isinstance(message, Result):
            self._finish(
                Event(
                    EventKind.RESULT,
                    message.id,
                    1.0,
                    values=message.values,
                    arrays=received.arrays,
                    seconds=message.seconds,
                )
            )
        elif isinstance(message, Stopped):
            self._finish(Event(EventKind.CANCELLED, message.id, message="cancelled"))
        elif isinstance(message, Failure):
            return self._failure(message)
        elif not isinstance(message, Ready):
            sentence = f"The worker sent a {type(message).__name__}, which only a client sends"
            self.fail_all(ErrorKind.PROTOCOL, sentence, log)
            return sentence
        return ""

    def fail_all(self, kind: ErrorKind, message: str, detail: str) -> None:
        """End every open request with an error; where none is open, the error stands alone."""
        for request in self.open or [None]:
            self._finish(
                Event(EventKind.ERROR, request, message=message, error_kind=kind, detail=detail, remedy=_REMEDIES[kind])
            )

    def died(self, code: int, log: str) -> None:
        """Tell every request that waits for an answer how the worker ended, and why as far as can be seen."""
        waiting = [request for request in self._commands if request not in self._deadlines]
        for request in waiting if self._commands else [None]:
            doing = f" during '{self._commands[request]}'" if request is not None else ""
            event = Event(
                EventKind.DIED,
                request,
                message=f"The worker process ended unexpectedly{doing}: it {processes.exit_in_words(code, log)}.",
                detail=log,
                remedy=processes.remedy_for(code, log),
                exit_code=code,
            )
            self._finish(event)

    def end_all(self, reason: str) -> None:
        """The worker is no more: what should have stopped has stopped, the rest went with it."""
        for request in self.open:
            if request in self._deadlines:
                self._finish(Event(EventKind.CANCELLED, request, message=f"cancelled: {reason}"))
            else:
                self._finish(Event(EventKind.DIED, request, message=f"Stopped together with other work: {reason}."))

    def _progress(self, report: ProgressReport) -> None:
        if report.id not in self._commands:
            return
        last = self._events[-1] if self._events else None
        if last and (last.kind, last.request, last.message) == (EventKind.PROGRESS, report.id, report.message):
            self._events.pop()  # nobody has looked since: the newer one says it all
        self._events.append(Event(EventKind.PROGRESS, report.id, report.fraction, report.message))

    def _failure(self, failure: Failure) -> str:
        if failure.id is None:  # it concerns an open request, and nobody can say which
            self.fail_all(failure.kind, failure.message, failure.detail)
            return ""
        self._finish(
            Event(
                EventKind.ERROR,
                failure.id,
                message=failure.message,
                error_kind=failure.kind,
                detail=failure.detail,
                remedy=self._remedy(failure),
            )
        )
        # Libraries rarely give memory back, and a CUDA context is unusable after a fault: a new process must begin
        # again, unless this one still has work to do.
        broken = failure.kind is ErrorKind.MEMORY or "CUDA" in failure.message
        return "the worker is started anew after a failure" if broken and not self._commands else ""

    @staticmethod
    def _remedy(failure: Failure) -> str:
        """For a fault whose cause is known (a package that does not fit, say), what helps; else that of its kind."""
        known = (
            processes.known_remedy(f"{failure.message}\n{failure.detail}") if failure.kind is ErrorKind.INTERNAL else ""
        )
        return known or _REMEDIES[failure.kind]

    def _finish(self, event: Event) -> None:
        """Report the end of a request, once; an event without a request stands alone."""
        if event.request is None:
            self._events.append(event)
        elif self._commands.pop(event.request, None) is not None:
            self._deadlines.pop(event.request, None)
            self._events.append(event)
