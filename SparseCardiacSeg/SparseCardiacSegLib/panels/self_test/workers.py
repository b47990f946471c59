"""The worker process: cancelled, killed, and started again."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import os
import signal
import time

import slicer

from ...anatomy import Structure
from ..workers import PROMPT, SEGMENT
from .bench import Bench, is_alive, tree_of
from .clicks import place
from .step import Needs, Step

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""On Windows os.kill ends a process at once with any signal but two."""


def cancel_frees_the_window_at_once(bench: Bench) -> None:
    """Cancel leaves the scene as it was; within a second the window is free and the run has ended."""
    bench.loadSample()
    nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    panel = bench.startSegmenting()
    pids = tree_of(bench.session.workers.client(SEGMENT).pid)
    started = time.monotonic()
    panel.ui.applyButton.click()
    slicer.app.processEvents()
    free = time.monotonic() - started
    bench.test.assertLess(free, 1.0, "the window was not free within a second")
    bench.test.assertEqual(str(panel.ui.applyButton.text), "Segment")
    bench.waitUntil(lambda: not panel.timer.active, "the cancelled run to end", 10)
    bench.notes.append(f"cancel: free after {free:.2f} s, run ended after {time.monotonic() - started:.2f} s")
    bench.test.assertIn("Cancelled", str(panel.ui.statusLabel.text))
    bench.test.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), nodes)
    bench.session.workers.stop()
    bench.waitUntil(lambda: not any(is_alive(pid) for pid in pids), f"the processes {pids} to end", 10)


def a_killed_worker_is_reported_and_started_again(bench: Bench) -> None:
    """A worker that is killed gives a message with cause and remedy; the next request works in a new process."""
    bench.loadSample()
    panel = bench.startSegmenting()
    client = bench.session.workers.client(SEGMENT)
    pids = tree_of(client.pid)
    os.kill(client.pid, KILL)
    bench.waitUntil(lambda: panel.run is None, "the death to be noticed", 15)
    message = str(panel.ui.statusLabel.text)
    bench.test.assertIn("ended unexpectedly", message)
    bench.notes.append(f"a killed worker: {message}")
    bench.waitUntil(lambda: not any(is_alive(pid) for pid in pids), f"the processes {pids} to end", 10)
    bench.test.assertTrue(panel.ui.applyButton.enabled)
    bench.segment()
    bench.test.assertTrue(bench.mask(Structure.LV).any())
    bench.test.assertNotIn(bench.session.workers.client(SEGMENT).pid, pids)


def clicks_go_on_after_their_worker_was_killed(bench: Bench) -> None:
    """The worker of the clicks is one of its own: killed, it is started again by the next click."""
    bench.loadSample()
    panel = bench.panel("prompt")
    bench.session.alignViews()
    bench.session.showSlice(4)
    panel.ui.lvButton.click()
    place(bench, "positiveButton", 4, (130, 138))
    bench.waitUntil(lambda: panel.run.answer() is not None, "the mask of a click")
    first = panel.run.answer()
    os.kill(bench.session.workers.client(PROMPT).pid, KILL)
    bench.settle(1.0)
    place(bench, "positiveButton", 4, (140, 140))
    bench.waitUntil(lambda: panel.run.answer() not in (None, first), "the mask of the next click", 30)


STEPS = (
    Step(cancel_frees_the_window_at_once, Needs.SEGMENT),
    Step(a_killed_worker_is_reported_and_started_again, Needs.SEGMENT),
    Step(clicks_go_on_after_their_worker_was_killed, Needs.PROMPT),
)
