"""Saving and loading the scene, and closing it while the module works."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np
import slicer

from ...anatomy import Structure
from ...mrml.prompt_nodes import PromptNodes
from ...mrml.volumes import volume_from_stack
from ..parameters import RegionMethod
from ..region_choices import overridesOf
from .bench import Bench
from .stacks import beating_cine
from .step import Needs, Step


def a_saved_scene_brings_everything_back(bench: Bench) -> None:
    """Choices, prompts, labels and the slices set by hand survive saving as .mrb, closing and loading."""
    cine, masks = beating_cine()
    bench.choose(volume_from_stack(cine.frame(0), "Heart"))
    bench.write(masks[0])
    session = bench.session
    prompts = PromptNodes(session.volume)
    prompts.add_point(Structure.LV, 2, (22, 24))
    prompts.add_point(Structure.LV, 2, (40, 44), positive=False)
    prompts.set_box(Structure.MYO, 3, (5, 6, 38, 41))
    session.parameters.regionMethod = RegionMethod.THIRDS
    session.parameters.heightCm = 181.0
    session.parameters.mirroring = False
    regions = bench.panel("regions")
    bench.settle(0.5)
    session.alignViews()
    session.showSlice(1)
    bench.settle()
    regions.ui.apexButton.click()
    bench.settle()
    placed, overrides = prompts.read(), overridesOf(session)
    bench.test.assertTrue(overrides)
    with bench.folder() as folder:
        path = folder / "study.mrb"
        bench.test.assertTrue(slicer.util.saveScene(str(path)), "the scene could not be saved")
        bench.test.assertTrue(path.is_file())
        slicer.mrmlScene.Clear()
        bench.settle()
        bench.test.assertIsNone(session.volume, "the closed scene still has a volume")
        slicer.util.loadScene(str(path))
        bench.settle(0.5)
    session = bench.session
    bench.test.assertIsNotNone(session.volume, "the chosen volume did not come back")
    bench.test.assertEqual(session.volume.GetName(), "Heart")
    bench.test.assertIs(bench.ui("study").inputSelector.currentNode(), session.volume, "the panel shows another volume")
    bench.test.assertIs(bench.ui("study").outputSelector.currentNode(), session.segmentation)
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), masks[0][Structure.LV]), "the labels changed")
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.MYO), masks[0][Structure.MYO]), "the labels changed")
    again = PromptNodes(session.volume).read()
    bench.test.assertEqual([one.key for one in again], [one.key for one in placed], "prompts were lost")
    for before, after in zip(placed, again, strict=True):
        for kind in ("positive", "negative", "box"):
            first, second = (np.asarray(getattr(one, kind) or (), float) for one in (before, after))
            bench.test.assertEqual(first.shape, second.shape)
            bench.test.assertTrue(np.allclose(first, second, atol=1e-3), f"{kind} of {before.structure} moved")
    bench.test.assertIs(session.parameters.regionMethod, RegionMethod.THIRDS)
    bench.test.assertEqual(session.parameters.heightCm, 181.0)
    bench.test.assertFalse(session.parameters.mirroring)
    bench.test.assertFalse(bench.ui("segment").mirroringCheckBox.checked, "the panel shows another choice")
    bench.test.assertEqual(overridesOf(session), overrides, "the slices set by hand were lost")
    bench.settle(0.5)
    names = [regions.ui.regionsTable.item(row, 2).text() for row in range(regions.ui.regionsTable.rowCount)]
    bench.test.assertIn("by hand", names)


def closing_the_scene_in_mid_run_stops_it(bench: Bench) -> None:
    """The run ends with a sentence, no node is left behind, and the next volume is segmented as if nothing had been."""
    bench.loadSample()
    panel = bench.startSegmenting()
    slicer.mrmlScene.Clear()
    bench.test.assertIsNone(panel.run)
    bench.waitUntil(lambda: not panel.timer.active, "the run to end", 10)
    bench.test.assertIn("scene was closed", str(panel.ui.statusLabel.text))
    bench.test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")), 0)
    bench.test.assertFalse(panel.ui.applyButton.enabled)
    bench.loadSample()
    again = bench.startSegmenting()
    again.ui.applyButton.click()
    bench.waitUntil(lambda: not again.timer.active, "the cancelled run to end", 10)


def removing_nodes_in_mid_run_is_safe(bench: Bench) -> None:
    """The volume that is segmented is removed: the run ends with a sentence; another module may be shown meanwhile."""
    volume = bench.loadSample()
    panel = bench.startSegmenting()
    slicer.util.selectModule("Data")
    slicer.mrmlScene.RemoveNode(volume)
    bench.waitUntil(lambda: panel.run is None, "the run to end", 10)
    bench.test.assertIn("removed", str(panel.ui.statusLabel.text))


STEPS = (
    Step(a_saved_scene_brings_everything_back),
    Step(closing_the_scene_in_mid_run_stops_it, Needs.SEGMENT),
    Step(removing_nodes_in_mid_run_is_safe, Needs.SEGMENT),
)
