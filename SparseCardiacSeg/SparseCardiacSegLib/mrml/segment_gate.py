"""The one gate through which every segment is written: one undo state an action, and nothing touched but what is meant.

Masking is worked out here, once, from the state before the action, and not left to
`vtkSlicerSegmentEditorLogic.ModifySegmentByLabelmap` segment by segment: an action that writes three structures at once
would otherwise meet its own first structure as an obstacle for the second, and a removal under the mode *inside single
segment* would add the removed voxels to the mask segment. The voxels are then written by that logic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..anatomy import DESCRIPTIONS, Structure
from ..errors import InputError
from .masking import box_of, editable_area, editor_settings, union_of, visible_segments
from .segmentations import (
    describe_segment,
    fit_to_volume,
    oriented_image,
    segment_id_for,
    segment_mask,
    segment_structures,
    segment_tag,
)
from .volumes import ijk_to_ras_of, parent_to_world, through_plane_of

LOCK_TAG = "SparseCardiacSeg.Locked"
"""Segment tag; "1" protects a segment. Slicer has no lock of its own; its status *Completed* is taken as one too."""

UNDO_STATES = 20
"""Undo states kept; Slicer's own default of 5 is gone after five clicks."""


@dataclass(frozen=True)
class WriteResult:
    """What one write did.

    Attributes:
        changed: voxels added plus removed, by segment ID, overwritten segments included; empty when nothing changed.
        locked: structures that were not written because their segment is locked.
        saved: whether an undo state was saved: exactly one where something changed, none otherwise.
    """

    changed: Mapping[str, int]
    locked: tuple[Structure, ...]
    saved: bool


def is_locked(segment: Any) -> bool:
    """Whether a vtkSegment must not be changed: locked by tag, or its status is *Completed*."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    return segment_tag(segment, LOCK_TAG) == "1" or logic.GetSegmentStatus(segment) == logic.Completed


def set_locked(segment: Any, locked: bool) -> None:
    """Lock or unlock a vtkSegment against this extension's writing."""
    if locked:
        segment.SetTag(LOCK_TAG, "1")
    else:
        segment.RemoveTag(LOCK_TAG)


class SegmentGate:
    """Writes masks into the segments of one segmentation node.

    Example:
        gate = SegmentGate(segmentation_node, volume_node)
        gate.write({Structure.LV: mask}, slices=[4])
        gate.undo()
    """

    def __init__(
        self, node: Any, volume: Any, editor_node: Any = None, save_state: Callable[[], object] | None = None
    ) -> None:
        """Open the gate to a segmentation node.

        Args:
            node: the vtkMRMLSegmentationNode.
            volume: the volume node on whose grid masks come; also read by the editable intensity range.
            editor_node: vtkMRMLSegmentEditorNode whose masking and overwrite settings count; None for that of the
                Segment Editor while it edits `node`, else everything may be edited and the order of structures decides
                what is overwritten (see `write`).
            save_state: saves one undo state elsewhere, such as `qMRMLSegmentEditorWidget.saveStateForUndo`; undo and
                redo are then that widget's. None to keep the states here.
        """
        self._node = node
        self._volume = volume
        self._editor_node = editor_node
        self._save_state = save_state
        # An editor node of its own, in no scene: the user's keeps its selected segment and its settings.
        self._private = slicer.vtkMRMLSegmentEditorNode()
        self._private.SetScene(node.GetScene())
        self._private.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self._private.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLScene(node.GetScene())
        self._logic.SetSegmentEditorNode(self._private)
        self._logic.SetSegmentationNode(node)
        self._logic.SetMaximumNumberOfUndoStates(UNDO_STATES)

    def write(
        self,
        masks: Mapping[Structure, np.ndarray],
        slices: Iterable[int] | None = None,
        mode: str = "replace",
        editor_node: Any = None,
    ) -> WriteResult:
        """Write masks as one user action with one undo state.

        A structure without a segment gets one. Where masks overlap, the later structure wins (LV over MYO over RV),
        unless the overwrite mode allows overlap. Other segments lose voxels as the overwrite mode of the settings
        says; without settings the same order holds for segments that are not written: a wall that is written goes
        around the cavity that is there, and segments that are no structure of the heart keep every voxel.

        Args:
            masks: for each structure a boolean array [slice, row, col] on the volume's grid.
            slices: indices along the volume's through-plane axis that may change; None for all.
            mode: "replace" (the structure becomes the mask on those slices), "add" or "erase".
            editor_node: vtkMRMLSegmentEditorNode whose settings count this time; None for the gate's.

        Raises:
            InputError: a mask does not fit the volume, a slice does not exist, or the segmentation's source
                representation is not a labelmap.
        """
        if mode not in ("replace", "add", "erase"):
            raise ValueError(f"mode must be replace, add or erase, not {mode}")
        if not self._logic.CanTriviallyConvertSourceRepresentationToBinaryLabelMap():
            raise InputError(f"{self._node.GetName()} is made of surfaces; convert it to a binary labelmap first")
        region = self._region(masks, slices)
        current = {segment_id: segment_mask(self._node, segment_id, self._volume) for segment_id in self._segment_ids()}
        targets, locked = self._targets(masks)
        wanted = {targets[key]: np.asarray(masks[key]) != 0 for key in sorted(targets, key=list(Structure).index)}
        settings = self._settings() if editor_node is None else editor_node
        editable = region & editable_area(self._node, self._volume, settings, current, wanted)
        juniors = self._juniors(targets) if settings is None else None
        removed, added = self._plan(wanted, current, editable, mode, settings, juniors)
        changed = {
            key: count
            for key in (*current, *wanted)
            if (count := sum(int(np.count_nonzero(part[key])) for part in (removed, added) if key in part))
        }
        if not changed:
            return WriteResult({}, locked, saved=False)
        fit_to_volume(self._node, self._volume)
        self._save()
        new = {segment_id: key for key, segment_id in targets.items() if segment_id not in current}
        self._apply(removed, added, new)
        return WriteResult(changed, locked, saved=True)

    def undo(self) -> bool:
        """Restore the state before the last write; False where there is none (or undo is kept elsewhere)."""
        if not self._logic.CanUndo():
            return False
        self._logic.Undo()
        return True

    def redo(self) -> bool:
        """Restore the state before the last undo; False where there is none."""
        if not self._logic.CanRedo():
            return False
        self._logic.Redo()
        return True

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would restore something."""
        return bool(self._logic.CanUndo())

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would restore something."""
        return bool(self._logic.CanRedo())

    def _segment_ids(self) -> list[str]:
        segmentation = self._node.GetSegmentation()
        return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]

    def _region(self, masks: Mapping[Structure, np.ndarray], slices: Iterable[int] | None) -> np.ndarray:
        """Boolean array of the voxels on the slices that may change."""
        shape = tuple(reversed(self._volume.GetImageData().GetDimensions()))
        for structure, mask in masks.items():
            if mask.shape != shape:
                raise InputError(
                    f"the mask of {structure} has shape {mask.shape}, {self._volume.GetName()} has {shape}"
                )
        if slices is None:
            return np.ones(shape, bool)
        axis = through_plane_of(self._volume)
        region = np.zeros(shape, bool)
        for index in slices:
            if not 0 <= index < shape[axis]:
                raise InputError(
                    f"{self._volume.GetName()} has slices 0 to {shape[axis] - 1}; {index} was to be written"
                )
            region[(slice(None),) * axis + (index,)] = True
        return region

    def _targets(self, masks: Mapping[Structure, np.ndarray]) -> tuple[dict[Structure, str], tuple[Structure, ...]]:
        """The segment ID to write for each structure (a free ID where there is no segment yet), and the locked ones."""
        held = segment_structures(self._node)
        targets: dict[Structure, str] = {}
        locked = []
        for structure in masks:
            mine = [segment_id for segment_id, what in held.items() if what == structure]
            free = [key for key in mine if not is_locked(self._node.GetSegmentation().GetSegment(key))]
            if free:
                targets[structure] = free[0]
            elif mine:
                locked.append(structure)
            else:
                targets[structure] = segment_id_for(self._node, structure)
        return targets, tuple(locked)

    def _juniors(self, targets: Mapping[Structure, str]) -> dict[str, set[str]]:
        """For each segment of a structure of the heart the segments of structures over which it wins."""
        held = {**segment_structures(self._node), **{key: structure for structure, key in targets.items()}}
        rank = {key: list(Structure).index(structure) for key, structure in held.items()}
        return {key: {other for other in rank if rank[other] < rank[key]} for key in rank}

    def _settings(self) -> Any:
        return editor_settings(self._node) if self._editor_node is None else self._editor_node

    def _plan(
        self,
        wanted: Mapping[str, np.ndarray],
        current: Mapping[str, np.ndarray],
        editable: np.ndarray,
        mode: str,
        settings: Any,
        juniors: Mapping[str, set[str]] | None,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Voxels to remove from and to add to each segment, by segment ID; disjoint for every segment.

        `juniors` tells for each written segment which ones give way to it; None leaves that to the overwrite mode.
        """
        editor = slicer.vtkMRMLSegmentEditorNode
        overwrite = editor.OverwriteAllSegments if settings is None else settings.GetOverwriteMode()
        if mode == "erase":
            return {key: mask & current[key] & editable for key, mask in wanted.items() if key in current}, {}
        victims: set[str] = set()
        if juniors is not None:
            victims = {*wanted, *(key for others in juniors.values() for key in others)}
        elif overwrite != editor.OverwriteNone:
            victims = {*current, *wanted}
            if overwrite == editor.OverwriteVisibleSegments:
                victims = visible_segments(self._node, current) | (set(wanted) - set(current))
        locked = {key for key in victims & set(current) if is_locked(self._node.GetSegmentation().GetSegment(key))}
        protected = union_of((current[key] for key in locked), editable.shape)
        empty = np.zeros(editable.shape, bool)
        taken = empty.copy()
        removed: dict[str, np.ndarray] = {}
        added: dict[str, np.ndarray] = {}
        for key, mask in reversed(list(wanted.items())):
            allowed = mask & ~protected
            if juniors is not None:
                seniors = [other for other, below in juniors.items() if key in below and other not in wanted]
                allowed = allowed & ~union_of((current[other] for other in seniors), editable.shape)
            if key in victims:
                allowed = allowed & ~taken
            now = current.get(key, empty)
            added[key] = allowed & ~now & editable
            removed[key] = now & ~mask & editable if mode == "replace" else empty
            taken |= allowed & editable
        for key in victims - locked:
            if key in current:
                # A segment that is written too keeps what its own, later mask holds.
                gainers = [other for other in added if other != key]
                if juniors is not None and key not in wanted:
                    gainers = [other for other in gainers if key in juniors[other]]
                gained = union_of((added[other] for other in gainers), editable.shape)
                lost = gained & current[key]
                removed[key] = removed.get(key, empty) | lost
        return removed, added

    def _save(self) -> None:
        if self._save_state is not None:
            self._save_state()
        elif not self._logic.SaveStateForUndo():
            raise RuntimeError("the state before the edit could not be saved, so nothing was written")

    def _apply(
        self, removed: Mapping[str, np.ndarray], added: Mapping[str, np.ndarray], new: Mapping[str, Structure]
    ) -> None:
        """Write the plan: first all removals, so that additions find their voxels free in a shared layer."""
        was_modifying = self._node.StartModify()
        try:
            segmentation = self._node.GetSegmentation()
            for segment_id, structure in new.items():
                if added[segment_id].any():
                    description = DESCRIPTIONS[structure]
                    segmentation.AddEmptySegment(segment_id, description.name)
                    describe_segment(segmentation.GetSegment(segment_id), structure)
            for key, voxels in removed.items():
                self._modify(key, voxels, self._logic.ModificationModeRemove)
            for key, voxels in added.items():
                self._modify(key, voxels, self._logic.ModificationModeAdd)
        finally:
            self._node.EndModify(was_modifying)

    def _modify(self, segment_id: str, voxels: np.ndarray, mode: int) -> None:
        box = box_of(voxels)
        if box is None:
            return
        part = voxels[box]
        to_segmentation = np.linalg.solve(parent_to_world(self._node), parent_to_world(self._volume))
        matrix = ijk_to_ras_of(self._volume)
        if not np.allclose(to_segmentation, np.eye(4), atol=1e-9):
            matrix = to_segmentation @ matrix
        modifier = oriented_image(part, matrix, first=tuple(axis.start for axis in box))
        self._logic.ModifySegmentByLabelmap(self._node, segment_id, modifier, mode, True, True)


def write_masks(
    node: Any,
    volume: Any,
    masks: Mapping[Structure, np.ndarray],
    slices: Iterable[int] | None = None,
    editor_node: Any = None,
    save_state: Callable[[], object] | None = None,
) -> WriteResult:
    """`SegmentGate.write` for a caller that keeps no gate: undo is then that of `save_state`'s owner."""
    return SegmentGate(node, volume, editor_node, save_state).write(masks, slices)
