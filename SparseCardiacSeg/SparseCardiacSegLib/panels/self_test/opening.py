"""Opening the module: it is quick, imports nothing heavy, and everything that it promises is there."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import sys
import time

import slicer

from .bench import MODULE, Bench
from .step import Step

HEAVY = {"torch", "nnunetv2", "onnxruntime", "segment_anything", "skimage", "matplotlib"}
"""What only the worker, or a button that was pressed, may import."""


def the_module_is_prepared(bench: Bench) -> None:
    """The terminology is loaded, the sample case is offered, and every panel is there."""
    from ...mrml.host import terminology_is_loaded
    from ..sample_data import CATEGORY, SAMPLES
    from ..workbench import PANELS

    bench.test.assertTrue(terminology_is_loaded(), "the terminology is not loaded")
    offered = {source.sampleName for source in slicer.modules.sampleDataSources[CATEGORY]}
    bench.test.assertEqual(offered, set(SAMPLES))
    panels = bench.widget.workbench.panels
    bench.test.assertEqual(list(panels), list(PANELS))
    for name in ("study", "segment", "prompt"):
        bench.test.assertFalse(panels[name].section.collapsed, f"{name} is folded")


def opening_takes_under_a_second(bench: Bench) -> None:
    """A new widget of the module is made in under a second, without any library of the models."""
    registered = getattr(slicer.modules, f"{MODULE}Widget", None)
    before = set(sys.modules)
    wall, processor = time.perf_counter(), time.process_time()
    fresh = slicer.util.getNewModuleWidget(MODULE)
    # Of both the smaller: a busy computer is no fault of the module.
    seconds = min(time.perf_counter() - wall, time.process_time() - processor)
    try:
        imported = {name.split(".")[0] for name in set(sys.modules) - before}
        bench.test.assertFalse(HEAVY & imported, f"opening imported {HEAVY & imported}")
        bench.test.assertLess(seconds, 1.0, "opening the module took too long")
    finally:
        fresh.cleanup()
        if hasattr(fresh, "_onModuleAboutToBeUnloaded"):
            manager = slicer.app.moduleManager()
            manager.disconnect("moduleAboutToBeUnloaded(QString)", fresh._onModuleAboutToBeUnloaded)
        fresh.parent.deleteLater()
        # Slicer has put the new one in the place of the one that is shown; a reload would look for it there.
        if registered is not None:
            setattr(slicer.modules, f"{MODULE}Widget", registered)
    bench.notes.append(f"the module's widget was made in {seconds:.2f} s")


STEPS = (Step(the_module_is_prepared), Step(opening_takes_under_a_second))
