"""Volumes under a parent transform: labels and prompts stay with the voxels, wherever those lie in the world."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ...anatomy import Structure
from ...mrml.prompt_nodes import PromptNodes
from ...mrml.segmentations import segment_of
from ...mrml.volumes import volume_from_stack
from .bench import Bench
from .clicks import place, world_of
from .stacks import beating_cine
from .step import Needs, Step


def labels_follow_a_parent_transform(bench: Bench) -> None:
    """Masks written to a transformed volume lie on its voxels, and the segmentation is under the same transform."""
    cine, masks = beating_cine()
    volume = volume_from_stack(cine.frame(0), "Turned")
    transform = _turn(volume)
    bench.choose(volume)
    bench.write(masks[0])
    node = bench.session.segmentation
    bench.test.assertIs(node.GetParentTransformNode(), transform, "the segmentation was left behind")
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), masks[0][Structure.LV]))
    where = np.argwhere(masks[0][Structure.LV])
    middle = (where.min(axis=0) + where.max(axis=0)) / 2
    expected = world_of(volume, middle[0], (middle[2], middle[1]))
    found = np.array(node.GetSegmentCenterRAS(segment_of(node, Structure.LV)))
    bench.test.assertLess(np.linalg.norm(found - expected), 8.0, "the labels lie beside the image")


def a_transformed_volume_is_segmented_and_prompted_alike(bench: Bench) -> None:
    """Segment gives the same voxels under a transform, and a click in the world hits the same pixel."""
    volume = bench.loadSample()
    bench.segment()
    straight = bench.mask(Structure.LV)
    bench.choose(volume)
    _turn(volume)
    bench.segment()
    bench.test.assertTrue(np.array_equal(bench.mask(Structure.LV), straight), "a transform changed the labels")
    bench.session.alignViews()
    bench.session.showSlice(4)
    bench.ui("prompt").lvButton.click()
    place(bench, "positiveButton", 4, (130, 138))
    (prompt,) = PromptNodes(volume).read().prompts
    bench.test.assertEqual(prompt.slice, 4)
    bench.test.assertTrue(np.allclose(prompt.positive, [(130, 138)], atol=1e-3), f"the click hit {prompt.positive}")


def _turn(volume: object) -> object:
    """Put a volume under a rotation about an axis that is none of its own, with a shift."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
    turn = vtk.vtkTransform()
    turn.Translate(20, -35, 12)
    turn.RotateWXYZ(40, 1, 2, 3)
    node.SetMatrixTransformToParent(turn.GetMatrix())
    volume.SetAndObserveTransformNodeID(node.GetID())
    return node


STEPS = (
    Step(labels_follow_a_parent_transform),
    Step(a_transformed_volume_is_segmented_and_prompted_alike, Needs.SEGMENT),
)
