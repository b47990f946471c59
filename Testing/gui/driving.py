"""How a test lets the window live while something goes on in it."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6 import QtWidgets


def live(seconds: float = 0.05) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def wait_until(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)
