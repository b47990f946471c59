"""What would stop and ask the user, without stopping: tests answer beforehand and read the questions afterwards."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shown:
    """One window that a user would have seen.

    Attributes:
        kind: the function that showed it ("errorDisplay", "getSaveFileName", "QMessageBox").
        text: its text or title.
        arguments: everything that was given, in order.
    """

    kind: str
    text: str
    arguments: tuple[Any, ...] = ()


class Dialogs:
    """The windows of one running stand-in application.

    Attributes:
        shown: every window so far, oldest first.
        opened: addresses that were given to the desktop's browser.
    """

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self.opened: list[str] = []
        self._answers: dict[str, list[Any]] = defaultdict(list)

    def answer(self, kind: str, *values: Any) -> None:
        """Answer the next windows of a kind, one value each."""
        self._answers[kind].extend(values)

    def texts(self, kind: str = "") -> list[str]:
        """Texts of the windows so far, of one kind or of all."""
        return [window.text for window in self.shown if kind in ("", window.kind)]

    def tell(self, kind: str, text: str, *arguments: Any) -> None:
        """A window that only tells something."""
        self.shown.append(Shown(kind, text, arguments))

    def ask(self, kind: str, text: str, *arguments: Any) -> Any:
        """A question; without an answer given before, the test is at fault."""
        self.shown.append(Shown(kind, text, arguments))
        if not self._answers[kind]:
            raise AssertionError(f"{kind} asked, and the test has no answer: {text}")
        return self._answers[kind].pop(0)

    def choose(self, kind: str, text: str, cancelled: Any, *arguments: Any) -> Any:
        """A file dialog; without an answer given before, the user cancels it."""
        self.shown.append(Shown(kind, text, arguments))
        return self._answers[kind].pop(0) if self._answers[kind] else cancelled


current = Dialogs()


def restart() -> Dialogs:
    """Forget all windows and answers, for a new application."""
    global current
    current = Dialogs()
    return current
