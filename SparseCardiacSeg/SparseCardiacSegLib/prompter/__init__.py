"""Prompting of a stack or cine through the worker: polled for a window, blocking for scripts."""

from __future__ import annotations

from .batch import PromptResult, everything_stack, fitting_scheme, prompt_stack
from .news import PromptNews, PromptNewsKind, PromptSettings, SliceMasks
from .session import PromptSession

__all__ = [
    "PromptNews",
    "PromptNewsKind",
    "PromptResult",
    "PromptSession",
    "PromptSettings",
    "SliceMasks",
    "everything_stack",
    "fitting_scheme",
    "prompt_stack",
]
