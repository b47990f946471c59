"""Labels of the frames of a cine, read one by one: each takes some 40 ms, which a window must not pay thirty times."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack
from .segmentations import BINARY_LABELMAP, segment_structures, segmentation_from_node
from .volumes import array_from_matrix, array_of, ijk_to_ras_of, parent_to_world, stack_from_volume


def browser_of(node: Any) -> Any:
    """The first sequence browser that shows a node frame by frame; None for a node of its own."""
    browsers = node.GetScene().GetNodesByClass("vtkMRMLSequenceBrowserNode")
    browsers.UnRegister(None)
    for index in range(browsers.GetNumberOfItems()):
        if browsers.GetItemAsObject(index).GetSequenceNode(node) is not None:
            return browsers.GetItemAsObject(index)
    return None


def frames_of(node: Any, browser: Any = None) -> list[int]:
    """Frames in which a segmentation node has segments of the heart, with or without voxels.

    Args:
        node: a segmentation node.
        browser: the image's vtkMRMLSequenceBrowserNode; None for a single stack, which is frame 0. A segmentation that
            the browser does not show frame by frame counts for the frame that is shown.
    """
    sequence = browser.GetSequenceNode(node) if browser is not None else None
    if sequence is None:
        shown = 0 if browser is None else max(0, browser.GetSelectedItemNumber())
        return [shown] if segment_structures(node) else []
    parts = (data_node(sequence, browser, frame) for frame in range(browser.GetNumberOfItems()))
    return [frame for frame, part in enumerate(parts) if part is not None and segment_structures(part)]


def labels_of_frame(node: Any, volume: Any, browser: Any, frame: int) -> Segmentation | None:
    """Labels of one of `frames_of`, on the volume's grid in its own RAS; None where the frame is empty.

    Transforms of both nodes are applied. The labels bear the node's name, so that messages tell one node from another.

    Raises:
        InputError: the segmentation lies outside of the volume.
    """
    sequence = browser.GetSequenceNode(node) if browser is not None else None
    if sequence is None or frame == browser.GetSelectedItemNumber():
        labels = segmentation_from_node(node, volume) if segment_structures(node) else None
        if labels is not None and not labels.labels.array.any() and _holds_voxels(node):
            raise InputError(
                f"{node.GetName()} lies outside of {volume.GetName()}: was it drawn on another image, or is a "
                "transform missing?"
            )
    else:
        part = data_node(sequence, browser, frame)
        labels = None
        if part is not None and segment_structures(part):
            # Nodes within a sequence have no transform; their place is that of the node which shows them.
            to_node = np.linalg.solve(parent_to_world(node), parent_to_world(volume))
            grid = stack_from_volume(volume)
            seen = Stack(grid.array, to_node @ grid.ijk_to_ras, grid.through_plane)
            found = segmentation_from_node(part, grid=seen)
            labels = Segmentation(grid.with_array(found.labels.array), found.scheme)
    if labels is None or not labels.labels.array.any():
        return None
    return _named(labels, node.GetName())


def segments_of_frame(node: Any, browser: Any, frame: int) -> dict[Structure, tuple[str, Any]]:
    """Segment ID and vtkSegment of each structure that a frame holds; the first where several hold it."""
    sequence = browser.GetSequenceNode(node)
    part = node if frame == browser.GetSelectedItemNumber() else data_node(sequence, browser, frame)
    found: dict[Structure, tuple[str, Any]] = {}
    for segment_id, structure in segment_structures(part).items() if part is not None else ():
        found.setdefault(structure, (segment_id, part.GetSegmentation().GetSegment(segment_id)))
    return found


def on_grid(node: Any, volume: Any) -> bool:
    """Whether the voxels of a segmentation fall on those of a volume, within a thousandth of a voxel."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != BINARY_LABELMAP:
        return False
    to_grid = np.linalg.solve(parent_to_world(volume) @ ijk_to_ras_of(volume), parent_to_world(node))
    for segment_id in segment_structures(node):
        image = segmentation.GetSegment(segment_id).GetRepresentation(BINARY_LABELMAP)
        if image is None or image.IsEmpty():
            continue
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        between = to_grid @ array_from_matrix(matrix)
        shift = between[:3, 3]
        if not np.allclose(between[:3, :3], np.eye(3), atol=1e-3) or not np.allclose(shift, np.rint(shift), atol=1e-3):
            return False
    return True


def data_node(sequence: Any, browser: Any, frame: int) -> Any:
    """The node that a sequence keeps for a frame of a browser; None where it keeps none."""
    value = browser.GetMasterSequenceNode().GetNthIndexValue(frame)
    return sequence.GetDataNodeAtValue(value) if value else None


def _holds_voxels(node: Any) -> bool:
    for segment_id in segment_structures(node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is not None and not image.IsEmpty() and (array_of(image) == segment.GetLabelValue()).any():
            return True
    return False


def _named(labels: Segmentation, name: str) -> Segmentation:
    grid = labels.labels
    stack = Stack(
        grid.array, grid.ijk_to_ras, grid.through_plane, spacing_known=grid.spacing_known, source=name, meta=grid.meta
    )
    return Segmentation(stack, labels.scheme, labels.warnings)


def remove_with_frames(node: Any, browser: Any = None) -> None:
    """Remove a segmentation node that this extension has just made, and what its frames were kept in."""
    scene = node.GetScene()
    sequence = browser.GetSequenceNode(node) if browser is not None else None
    if sequence is not None:
        browser.RemoveSynchronizedSequenceNode(sequence.GetID())
        scene.RemoveNode(sequence)
    if node.GetScene() is not None:
        scene.RemoveNode(node)
