"""The self-test of the module in the real application: `Reload and Test`, CTest, or `Testing/slicer/run_self_test.py`.

Every step fails when its feature is broken. A step that cannot run, because Python packages or models are missing, is
said in the application's log and in the last message; nothing is installed or downloaded for a test.
"""

from __future__ import annotations

from .runner import Report, SelfTestFailed, run
from .stacks import synthetic_stack

__all__ = ["Report", "SelfTestFailed", "run", "synthetic_stack"]
