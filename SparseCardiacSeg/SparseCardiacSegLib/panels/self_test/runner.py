"""Runs the steps one after another and says what was found, what was not run, and what the console showed."""

from __future__ import annotations

import logging
import time
import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer

from .bench import Bench
from .console import Console
from .step import Step, reason_not_to_run


@dataclass
class Report:
    """What came of the steps.

    Attributes:
        passed: names of the steps that went well, with their seconds.
        failed: names of those that did not, with what was wrong.
        not_run: names of those that could not run, with the reason.
        notes: what the steps measured.
        messages: warnings and errors that the application logged meanwhile.
    """

    passed: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def text(self) -> str:
        """All of it, for a terminal."""
        lines = [f"passed   {seconds:6.1f} s  {name}" for name, seconds in self.passed.items()]
        lines += [f"NOT RUN            {name}: {reason}" for name, reason in self.not_run.items()]
        lines += [f"FAILED             {name}" for name in self.failed]
        lines += [f"measured           {note}" for note in self.notes]
        lines += [f"logged meanwhile   {message}" for message in self.messages]
        lines += [f"\n{name}\n{reason}" for name, reason in self.failed.items()]
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.not_run)} not run"
        return "\n".join([*lines, counts])

    def sentence(self) -> str:
        """What the last message of Reload and Test says."""
        if self.failed:
            return "Failed: " + "; ".join(self.failed)
        if self.not_run:
            return "Passed, except that this was NOT RUN: " + "; ".join(
                f"{name}: {reason}" for name, reason in self.not_run.items()
            )
        return "Passed"


class SelfTestFailed(AssertionError):
    """Steps failed.

    Attributes:
        report: what came of every step.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(report.text())
        self.report = report


def steps() -> tuple[Step, ...]:
    """Every step in the order of a user's work; the reload comes last, because it replaces this very code."""
    from . import (
        cine,
        clinical,
        display,
        exporting,
        geometry,
        measuring,
        opening,
        prompting,
        regions,
        reloading,
        scenes,
        segmenting,
        transforms,
        workers,
    )

    parts = (opening, geometry, segmenting, prompting, regions, measuring, clinical, display, cine, transforms)
    parts += (exporting, scenes, workers, reloading)
    return tuple(step for part in parts for step in part.STEPS)


def run(test: Any, make_logic: Callable[[], Any], pictures: Path | None = None) -> Report:
    """Run every step, each on an empty scene; a failed one does not keep the next from running.

    Args:
        test: the ScriptedLoadableModuleTest.
        make_logic: the module's Logic class.
        pictures: folder in which the main window is saved at the end of each step; None for no pictures.

    Raises:
        SelfTestFailed: a step failed, or a Python error was printed that nobody handled.
    """
    report = Report()
    with Console() as console:
        for number, step in enumerate(steps(), start=1):
            reason = reason_not_to_run(step.needs)
            if reason:
                report.not_run[step.name] = reason
                continue
            test.delayDisplay(step.name)
            _run_step(step, Bench(test, make_logic), report, console)
            if pictures is not None:
                _save_window(pictures / f"{number:02d}_{step.run.__name__}.png")
        Bench(test, make_logic).session.workers.stop()
        report.messages = console.messages()
    for name, why in report.not_run.items():
        logging.warning("SparseCardiacSeg self-test, NOT RUN: %s: %s", name, why)
    logging.info("SparseCardiacSeg self-test\n%s", report.text())
    test.delayDisplay(report.sentence())
    if report.failed:
        raise SelfTestFailed(report)
    return report


def _run_step(step: Step, bench: Bench, report: Report, console: Console) -> None:
    known = len(console.failures)
    started = time.monotonic()
    try:
        bench.start()
        step.run(bench)
        bench.settle()
    except unittest.SkipTest as reason:
        report.not_run[step.name] = str(reason)
    except Exception:
        # A step may fail in any way; the others are to run nevertheless.
        report.failed[step.name] = traceback.format_exc()
    else:
        report.passed[step.name] = time.monotonic() - started
    unheard = console.failures[known:]
    if unheard:
        report.passed.pop(step.name, None)
        printed = "\n".join(unheard)
        report.failed[step.name] = report.failed.get(step.name, "") + f"printed and not handled:\n{printed}"
    report.notes += bench.notes
    if bench.longest_s > 1:
        report.notes.append(f"the window did not answer for {bench.longest_s:.1f} s in: {step.name}")


def _save_window(path: Path) -> None:
    window = slicer.util.mainWindow()
    if window is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        slicer.app.processEvents()
        window.grab().save(str(path))
