"""Steps back and forth in the prompts, as the user made them."""

from __future__ import annotations

from ..prompting.prompts import PromptSet

STEPS = 100
"""States kept; each is a few numbers a point."""


class PromptHistory:
    """States of the prompts, one for each thing that the user did."""

    def __init__(self) -> None:
        self._states: list[PromptSet] = []
        self._now = -1

    def begin(self, prompts: PromptSet) -> None:
        """Forget all, and start from these."""
        self._states = [prompts]
        self._now = 0

    def remember(self, prompts: PromptSet) -> None:
        """The user did something; what was undone before cannot be redone any more."""
        if self._now >= 0 and self._states[self._now].prompts == prompts.prompts:
            return
        self._states = [*self._states[: self._now + 1], prompts][-STEPS:]
        self._now = len(self._states) - 1

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before."""
        return self._now > 0

    @property
    def can_redo(self) -> bool:
        """Whether a state was undone."""
        return 0 <= self._now < len(self._states) - 1

    def undo(self) -> PromptSet | None:
        """The state before; None where there is none."""
        return self._go(-1) if self.can_undo else None

    def redo(self) -> PromptSet | None:
        """The state that was undone last; None where there is none."""
        return self._go(1) if self.can_redo else None

    def _go(self, step: int) -> PromptSet:
        self._now += step
        return self._states[self._now]
