"""What must hold without any model: geometry, the one gate for segments, and clear words about bad input."""

# ruff: noqa: PT009, PT027 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np
import slicer

from ...anatomy import DESCRIPTIONS, Structure
from ...errors import InputError
from .bench import Bench
from .stacks import SHAPE, synthetic_stack
from .step import Step


def volumes_keep_their_geometry(bench: Bench) -> None:
    """An oblique stack comes back from a volume node bit by bit."""
    from ...mrml.volumes import stack_from_volume, volume_from_stack

    stack = synthetic_stack()
    again = stack_from_volume(volume_from_stack(stack, "Oblique"))
    bench.test.assertTrue(np.array_equal(stack.array, again.array))
    bench.test.assertTrue(np.array_equal(stack.ijk_to_ras, again.ijk_to_ras), "the IJK-to-RAS matrix changed")


def writing_keeps_what_the_user_made_and_is_undone_in_one_step(bench: Bench) -> None:
    """Writing a segment keeps the user's segments, and Undo takes exactly that write back, and Redo does it again."""
    from ...mrml.segmentations import segment_mask, segment_of, segment_tag, segmentation_from_volume
    from ...mrml.volumes import volume_from_stack

    volume = volume_from_stack(synthetic_stack(), "Oblique")
    node = segmentation_from_volume(volume, "Mine")
    mine = node.GetSegmentation().AddEmptySegment("", "Scar")
    scar = np.zeros(SHAPE, np.uint8)
    scar[2, 5:9, 5:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(scar, node, mine, volume)
    bench.choose(volume)
    study = bench.ui("study")
    study.outputSelector.setCurrentNode(node)
    cavity = np.zeros(SHAPE, bool)
    cavity[2:4, 20:40, 20:40] = True
    bench.write({Structure.LV: cavity}, [3])
    only = cavity.copy()
    only[2] = False
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), only), "other slices than the one meant changed")
    segment = node.GetSegmentation().GetSegment(segment_of(node, Structure.LV))
    bench.test.assertEqual(segment.GetName(), DESCRIPTIONS[Structure.LV].name)
    bench.test.assertIn("87878005", segment_tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName()))
    bench.test.assertTrue(study.undoButton.enabled, "there was no undo state")
    study.undoButton.click()
    bench.test.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 1)
    study.redoButton.click()
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), only), "redo did not bring it back")
    bench.test.assertTrue(
        np.array_equal(segment_mask(node, mine, volume), scar.astype(bool)), "the user's segment changed"
    )


def bad_input_is_explained(bench: Bench) -> None:
    """A volume without voxels is refused with a sentence that names it, by the logic as by the panel."""
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing in it")
    logic = bench.makeLogic()
    try:
        with bench.test.assertRaisesRegex(InputError, "Nothing in it"):
            logic.startSegmentation(empty)
    finally:
        logic.stopWorker()
    bench.ui("study").inputSelector.setCurrentNode(empty)
    button = bench.ui("segment").applyButton
    bench.test.assertFalse(button.enabled, "an empty volume can be segmented")
    bench.test.assertTrue(button.toolTip, "the button does not say why it is disabled")


STEPS = (
    Step(volumes_keep_their_geometry),
    Step(writing_keeps_what_the_user_made_and_is_undone_in_one_step),
    Step(bad_input_is_explained),
)
