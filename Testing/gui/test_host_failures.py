"""What Qt and Slicer only print, a failing slot or observer, makes a test in the stand-in host fail."""

# ruff: noqa: PT012 (the failure is told of at the application's end)

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims


def test_a_slot_that_fails_makes_the_test_fail(tmp_path):
    with pytest.raises(AssertionError, match="division by zero"), slicer_shims.application(tmp_path):
        import qt

        button = qt.QPushButton()
        button.connect("clicked()", lambda: 1 / 0)
        button.click()


def test_an_observer_that_fails_makes_the_test_fail(tmp_path):
    def fail(_caller, _event):
        raise KeyError("lost")

    with pytest.raises(AssertionError, match="lost"), slicer_shims.application(tmp_path):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        node.AddObserver("ModifiedEvent", fail)
        node.Modified()
