"""What the frames of a labelled cine hold, and which of them hold labels that this extension carried there.

A frame counts as carried while it holds exactly what was written into it: what a person corrects is theirs, and what is
undone is what it was before. So nothing has to watch the user's editing, and the mark survives saving and loading.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import vtk

from ..anatomy import Structure
from .frame_labels import data_node
from .masking import box_of
from .segmentations import BINARY_LABELMAP, segment_structures
from .volumes import array_from_matrix, array_of

ATTRIBUTE = "SparseCardiacSeg.CarriedFrames"
"""Attribute of the sequence of segmentations; JSON: by frame, the codes of what was carried there."""
_KEPT_CODES = 20
"""As many as there are steps of undo: going back to what was carried earlier is no correction."""
_OFFSET_MM = 0.0317
"""Coordinates are often multiples of 0.05 mm; this keeps them away from where rounding turns."""


class FrameKind(StrEnum):
    """Whose labels a frame holds."""

    EMPTY = "empty"
    DRAWN = "drawn"
    """By hand, by a model, or carried and then corrected."""
    CARRIED = "carried"


@dataclass(frozen=True)
class FrameContent:
    """What a frame holds.

    Attributes:
        volumes_ml: by structure; only those with voxels. Where segments overlap, each counts whole.
        code: changes with every voxel; the same after the scene was saved and loaded. 0 for an empty frame.
    """

    volumes_ml: Mapping[Structure, float]
    code: int


EMPTY = FrameContent({}, 0)


class FrameBook:
    """Looks into the frames; again only into those that have changed: 30 frames take 0.1 s for the first time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple, FrameContent]] = {}

    def contents(self, node: Any, browser: Any) -> list[FrameContent]:
        """What each frame of a cine holds in a segmentation.

        Args:
            node: the segmentation node; None for none.
            browser: the image's vtkMRMLSequenceBrowserNode. A segmentation that it does not show frame by frame counts
                for the frame that is shown.
        """
        n_frames, shown = browser.GetNumberOfItems(), max(0, browser.GetSelectedItemNumber())
        if node is None:
            return [EMPTY] * n_frames
        sequence = browser.GetSequenceNode(node)
        parts = [
            node if frame == shown else data_node(sequence, browser, frame) if sequence is not None else None
            for frame in range(n_frames)
        ]
        return [EMPTY if part is None else self._content(frame, part) for frame, part in enumerate(parts)]

    def _content(self, frame: int, node: Any) -> FrameContent:
        segmentation = node.GetSegmentation()
        parts = []
        for segment_id, structure in segment_structures(node).items():
            segment = segmentation.GetSegment(segment_id)
            image = segment.GetRepresentation(BINARY_LABELMAP)
            if image is None and segmentation.CreateRepresentation(BINARY_LABELMAP):  # made of surfaces
                image = segment.GetRepresentation(BINARY_LABELMAP)
            if image is not None and not image.IsEmpty():
                parts.append((structure, segment.GetLabelValue(), image))
        # VTK numbers all changes of all objects in one row.
        state = tuple((structure, value, image.GetMTime()) for structure, value, image in parts)
        known = self._known.get(frame)
        if known is None or known[0] != state:
            known = self._known[frame] = (state, _content_of(parts))
        return known[1]


def frame_kinds(node: Any, browser: Any, contents: Iterable[FrameContent]) -> list[FrameKind]:
    """Whose labels each frame holds."""
    carried = _codes(node, browser)
    return [
        FrameKind.EMPTY
        if not content.volumes_ml
        else FrameKind.CARRIED
        if content.code in carried.get(str(frame), ())
        else FrameKind.DRAWN
        for frame, content in enumerate(contents)
    ]


def mark_carried(node: Any, browser: Any, contents: Mapping[int, FrameContent]) -> None:
    """Remember that frames hold what was carried there, while they hold just that."""
    carried = _codes(node, browser)
    for frame, content in contents.items():
        codes = [code for code in carried.get(str(frame), []) if code != content.code]
        carried[str(frame)] = [*codes, content.code][-_KEPT_CODES:]
    browser.GetSequenceNode(node).SetAttribute(ATTRIBUTE, json.dumps(carried))


def volume_curves(contents: Sequence[FrameContent]) -> dict[Structure, list[float]]:
    """Volume in mL over the frames, by structure that some frame holds; NaN where a frame does not hold it."""
    held = [part for part in Structure if any(part in content.volumes_ml for content in contents)]
    return {part: [content.volumes_ml.get(part, math.nan) for content in contents] for part in held}


def _codes(node: Any, browser: Any) -> dict[str, list[int]]:
    sequence = browser.GetSequenceNode(node) if node is not None else None
    text = sequence.GetAttribute(ATTRIBUTE) if sequence is not None else None
    try:
        found = json.loads(text or "{}")
    except ValueError:  # a scene that something else has written
        return {}
    return found if isinstance(found, dict) and all(isinstance(codes, list) for codes in found.values()) else {}


def _content_of(parts: list[tuple[Structure, int, Any]]) -> FrameContent:
    volumes: dict[Structure, float] = {}
    code = 0
    for structure, value, image in sorted(parts, key=lambda part: list(Structure).index(part[0])):
        mask = array_of(image) == value
        box = box_of(mask)
        if box is None:
            continue
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        to_ras = array_from_matrix(matrix)
        i0, _, j0, _, k0, _ = image.GetExtent()
        first = to_ras @ [i0 + box[2].start, j0 + box[1].start, k0 + box[0].start, 1]
        place = np.rint((first[:3] + _OFFSET_MM) * 10).astype(int).tolist()
        code = zlib.crc32(repr((structure.value, mask[box].shape, place)).encode(), code)
        code = zlib.crc32(np.packbits(mask[box]), code)
        voxel_ml = abs(float(np.linalg.det(to_ras[:3, :3]))) / 1000
        volumes[structure] = volumes.get(structure, 0.0) + float(np.count_nonzero(mask[box])) * voxel_ml
    return FrameContent(volumes, code or 1) if volumes else EMPTY
