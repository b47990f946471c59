"""What the steps need to drive the module as a user does: its widgets, the scene, and patience."""

# ruff: noqa: N802, PT009 (camelCase as in Slicer; Slicer's self-tests are unittest's, pytest is not there)

from __future__ import annotations

import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ...anatomy import Structure
from ..sample_data import SAMPLE_FOLDER

MODULE = "SparseCardiacSeg"
REFERENCE_LV = 3
"""The cavity's number in the bundled reference (ACDC)."""


class Bench:
    """The module in the application, for one step.

    Attributes:
        test: for assertions.
        makeLogic: the module's Logic class.
        longest_s: the longest time that the window did not answer while a step waited.
        notes: sentences for the report.
    """

    def __init__(self, test: unittest.TestCase, make_logic: Callable[[], Any]) -> None:
        """Set up; nothing is opened yet."""
        self.test = test
        self.makeLogic = make_logic
        self.longest_s = 0.0
        self.notes: list[str] = []

    @property
    def widget(self) -> Any:
        """The module's widget; it is made when it is first asked for."""
        return slicer.util.getModuleWidget(MODULE)

    @property
    def session(self) -> Any:
        """What the panels share."""
        return self.widget.workbench.session

    def panel(self, name: str) -> Any:
        """A panel, its section unfolded: "study", "segment", "prompt", ..."""
        panel = self.widget.workbench.panels[name]
        panel.section.collapsed = False
        return panel

    def ui(self, name: str) -> Any:
        """The widgets of a panel by name."""
        return self.panel(name).ui

    def start(self) -> None:
        """An empty scene, and the module shown; the workers keep what they have loaded from the step before."""
        slicer.mrmlScene.Clear()
        slicer.util.selectModule(MODULE)
        self.settle()
        # A quarter of the time; one step segments with the defaults.
        self.session.parameters.mirroring = False

    def settle(self, seconds: float = 0.2) -> None:
        """Let the window live for a while: deferred updates happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.breathe()

    def breathe(self) -> None:
        """Let the window answer once, and remember how long it took."""
        started = time.monotonic()
        slicer.app.processEvents()
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        time.sleep(0.01)

    def waitUntil(self, condition: Callable[[], object], what: str, seconds: float = 240.0) -> None:
        """Let the window live until something holds.

        Raises:
            AssertionError: it did not within `seconds`; the panels' status lines are told.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.test.fail(f"waited {seconds:g} s for {what}; the panels say: {self.statusLines()}")
            self.breathe()

    def statusLines(self) -> dict[str, str]:
        """What the panels tell now, by panel."""
        panels = self.widget.workbench.panels
        lines = {name: str(panel.ui.statusLabel.text) for name, panel in panels.items() if _has_status(panel)}
        return {name: line for name, line in lines.items() if line}

    def loadSample(self, sample: str = "ShortAxisED") -> Any:
        """The bundled stack through the Sample Data module, chosen in the Study panel."""
        from SampleData import SampleDataLogic

        volume = SampleDataLogic().downloadSample(sample)
        self.test.assertIsNotNone(volume, f"Sample Data could not load {sample}")
        self.choose(volume)
        return volume

    def choose(self, volume: Any) -> None:
        """Choose a volume in the Study panel, with a new segmentation to come."""
        self.ui("study").outputSelector.setCurrentNode(None)
        self.ui("study").inputSelector.setCurrentNode(volume)
        self.test.assertIs(self.session.volume, volume)

    def loadReference(self, sample: str = "SC-HF-I-01_ED") -> Any:
        """The expert's labels of the bundled case as a label volume (cavity only, number 3)."""
        node = slicer.util.loadLabelVolume(str(Path(SAMPLE_FOLDER) / f"{sample}_gt.nii.gz"))
        self.test.assertIsNotNone(node, "the bundled reference could not be loaded")
        return node

    def segment(self) -> Any:
        """Press Segment, wait, and return the segmentation node."""
        panel = self.panel("segment")
        self.test.assertTrue(panel.ui.applyButton.enabled, f"Segment is disabled: {panel.ui.applyButton.toolTip}")
        panel.ui.applyButton.click()
        self.waitUntil(lambda: panel.run is None, "the segmentation")
        self.test.assertIsNotNone(self.session.segmentation, str(panel.ui.statusLabel.text))
        return self.session.segmentation

    def startSegmenting(self) -> Any:
        """Press Segment and wait until the worker is at it; returns the panel."""
        panel = self.panel("segment")
        panel.ui.applyButton.click()
        self.waitUntil(lambda: panel.run is None or panel.ui.progressBar.value > 0, "progress")
        self.test.assertIsNotNone(panel.run, f"it ended too soon: {panel.ui.statusLabel.text}")
        return panel

    def mask(self, structure: Structure, node: Any = None) -> np.ndarray:
        """Voxels [k, j, i] of a structure in the chosen segmentation, on the volume's grid."""
        from ...mrml.segmentations import segment_mask, segment_of

        node = self.session.segmentation if node is None else node
        segment = segment_of(node, structure) if node is not None else None
        if segment is None:
            return np.zeros(slicer.util.arrayFromVolume(self.session.volume).shape, bool)
        return segment_mask(node, segment, self.session.volume)

    def write(self, masks: dict[Structure, np.ndarray], slices: list[int] | None = None) -> None:
        """Write masks through the session, as the panels do, and let the panels take notice."""
        self.session.write(masks, slices)
        self.settle()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for files, removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="SparseCardiacSeg-test-", ignore_cleanup_errors=True) as path:
            yield Path(path)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two boolean arrays, by its formula: the library's own is what is tested."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else 1.0


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    import psutil  # the embedded models need it, so the steps that come here have it

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree_of(pid: int) -> list[int]:
    """A process and everything that it has started."""
    import psutil

    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _has_status(panel: Any) -> bool:
    return hasattr(panel.ui, "statusLabel")
