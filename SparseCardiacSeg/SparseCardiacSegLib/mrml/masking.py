"""What Segment Editor's masking settings let an action change, worked out for all its segments at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer

from .volumes import array_of


def editor_settings(node: Any) -> Any:
    """The segment editor node of the application's Segment Editor while it edits `node`; None otherwise."""
    editor = node.GetScene().GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    return editor if editor is not None and editor.GetSegmentationNode() is node else None


def visible_segments(node: Any, segment_ids: Iterable[str]) -> set[str]:
    """Those of `segment_ids` that are shown."""
    display = node.GetDisplayNode()
    return {key for key in segment_ids if display is not None and display.GetSegmentVisibility(key)}


def editable_area(
    node: Any, volume: Any, settings: Any, current: Mapping[str, np.ndarray], written: Iterable[str]
) -> np.ndarray:
    """Voxels that masking lets change; the modes mean what they mean in Segment Editor.

    "Outside" leaves out all segments that are being written, as Segment Editor leaves out the selected one.

    Args:
        node: the segmentation node.
        volume: the volume node whose intensities the editable range is about.
        settings: a vtkMRMLSegmentEditorNode; None lets everything change.
        current: the mask of every segment, by segment ID, on the grid of `volume`.
        written: IDs of the segments that the action writes.

    Returns:
        Boolean array [slice, row, col] on the grid of `volume`.
    """
    shape = tuple(reversed(volume.GetImageData().GetDimensions()))
    allowed = np.ones(shape, bool)
    if settings is None:
        return allowed
    modes = slicer.vtkMRMLSegmentationNode
    mode = settings.GetMaskMode()
    visible = visible_segments(node, current)
    others = set(current) - set(written)
    inside = {
        modes.EditAllowedInsideAllSegments: set(current),
        modes.EditAllowedInsideVisibleSegments: visible,
        modes.EditAllowedInsideSingleSegment: {settings.GetMaskSegmentID()} & set(current),
    }
    outside = {
        modes.EditAllowedOutsideAllSegments: others,
        modes.EditAllowedOutsideVisibleSegments: others & visible,
    }
    if mode in inside:
        allowed = union_of((current[key] for key in inside[mode]), shape)
    elif mode in outside:
        allowed = ~union_of((current[key] for key in outside[mode]), shape)
    if settings.GetSourceVolumeIntensityMask():
        low, high = settings.GetSourceVolumeIntensityMaskRange()
        intensity = array_of(volume.GetImageData())
        allowed &= (intensity >= low) & (intensity <= high)
    return allowed


def union_of(masks: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Voxels in any of the masks; none where there are no masks."""
    union = np.zeros(shape, bool)
    for mask in masks:
        union |= mask
    return union


def box_of(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The slices that cut a mask's bounding box out of it; None where it is empty."""
    box = []
    for axis in range(mask.ndim):
        held = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not len(held):
            return None
        box.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(box)
