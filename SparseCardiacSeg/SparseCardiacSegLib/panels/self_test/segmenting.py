"""Automatic segmentation of the bundled case, through the panel and through the logic."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import time

import numpy as np
import slicer

from ...anatomy import Structure
from .bench import REFERENCE_LV, Bench, dice
from .step import Needs, Step

LOWEST_DICE = 0.85
"""The embedded model reaches 0.93 on this frame (`sparsecardiacseg demo` prints it)."""


def pressing_segment_finds_the_heart(bench: Bench) -> None:
    """The embedded model segments the sample: all structures, near the expert's contour, with surfaces in 3D."""
    volume = bench.loadSample()
    bench.ui("segment").mirroringCheckBox.checked = True
    started = time.monotonic()
    node = bench.segment()
    bench.notes.append(f"the sample was segmented in {time.monotonic() - started:.1f} s, start of the worker included")
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        bench.test.assertTrue(bench.mask(structure).any(), f"{structure} was not found")
    expert = slicer.util.arrayFromVolume(bench.loadReference()) == REFERENCE_LV
    overlap = dice(bench.mask(Structure.LV), expert)
    bench.notes.append(f"Dice of the left ventricle with the expert's contour: {overlap:.3f}")
    bench.test.assertGreater(overlap, LOWEST_DICE)
    bench.test.assertIs(node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()), volume)
    bench.test.assertIn("mL", str(bench.ui("segment").statusLabel.text))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parents = [tree.GetItemParent(tree.GetItemByDataNode(one)) for one in (node, volume)]
    bench.test.assertEqual(parents[0], parents[1], "the segmentation does not lie beside its volume")


def segmenting_again_can_be_undone(bench: Bench) -> None:
    """A second run into the same segmentation is one step of undo, and keeps a segment that the user made."""
    bench.loadSample()
    node = bench.segment()
    mine = node.GetSegmentation().AddEmptySegment("", "Scar")
    erased = np.zeros_like(bench.mask(Structure.LV))
    bench.write({Structure.LV: erased})
    bench.test.assertFalse(bench.mask(Structure.LV).any())
    bench.segment()
    bench.test.assertIs(bench.session.segmentation, node, "a new segmentation was made although one was chosen")
    bench.test.assertTrue(bench.mask(Structure.LV).any())
    bench.test.assertIsNotNone(node.GetSegmentation().GetSegment(mine), "the user's segment is gone")
    bench.ui("study").undoButton.click()
    bench.test.assertFalse(bench.mask(Structure.LV).any(), "undo did not take the run back")


def a_script_can_segment(bench: Bench) -> None:
    """`SparseCardiacSegLogic().segment(volume)` waits and returns the segmentation; surfaces can be shown."""
    from ...mrml.segmentations import segment_structures

    volume = bench.loadSample("ShortAxisES")
    logic = bench.makeLogic()
    try:
        node = logic.segment(volume)
        found = {part: key for key, part in segment_structures(node).items()}
        bench.test.assertLessEqual({Structure.RV, Structure.MYO, Structure.LV}, set(found))
        logic.showIn3D(node, True)
        surface = node.GetClosedSurfaceInternalRepresentation(found[Structure.LV])
        bench.test.assertGreater(surface.GetNumberOfPoints(), 100, "there is no surface")
    finally:
        logic.stopWorker()


STEPS = (
    Step(pressing_segment_finds_the_heart, Needs.SEGMENT),
    Step(segmenting_again_can_be_undone, Needs.SEGMENT),
    Step(a_script_can_segment, Needs.SEGMENT),
)
