"""What the tests of the panels share: the application's stand-in."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_shims


@pytest.fixture
def app(tmp_path):
    """The stand-in application with a home of its own."""
    with slicer_shims.application(tmp_path) as application:
        yield application
