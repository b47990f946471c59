"""Prompts as Markups nodes: what the user sees, drags and saves with the scene is what the model is asked.

For each structure there is one point list of what is meant and one of what is not, over all slices and frames, and an
ROI for each box (`prompt_boxes`). Where a point lies decides on its slice; which frame it was placed on is kept in its
description. The nodes refer to their volume, so a saved scene brings them back, and `PromptNodes` finds them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer

from ..anatomy import Structure
from ..prompting.prompts import Box, Point, Prompt, PromptSet
from . import prompt_boxes
from .prompt_display import (
    BOX,
    KIND_ATTRIBUTE,
    NEGATIVE,
    POINTS,
    POSITIVE,
    SIGN_ATTRIBUTE,
    make_node,
    prompt_nodes,
    show_as_points,
    structure_of,
)
from .prompt_geometry import grid_of, ras_from_slice, slice_from_ras

_FRAME = re.compile(r"frame (\d+)")
Key = tuple[int, int, Structure]


class PromptNodes:
    """The prompts of one volume (for a cine: of the node that shows its frames)."""

    def __init__(self, volume: Any) -> None:
        """Nothing is made until a prompt is: nodes that are in the scene already are found when they are read."""
        self.volume = volume

    def nodes(self) -> list[Any]:
        """Every Markups node that holds prompts of the volume, boxes that are just being drawn included."""
        return [*prompt_nodes(self.volume, POINTS), *prompt_nodes(self.volume, BOX)]

    def points(self, structure: Structure, positive: bool) -> Any:
        """The point list of a structure and a sign, into which points are placed; made at the first call."""
        sign = POSITIVE if positive else NEGATIVE
        for node in prompt_nodes(self.volume, POINTS):
            if structure_of(node) is structure and node.GetAttribute(SIGN_ATTRIBUTE) == sign:
                return node
        name = f"{structure} {'+' if positive else '-'} points"
        attributes = {KIND_ATTRIBUTE: POINTS, SIGN_ATTRIBUTE: sign}
        node = make_node("vtkMRMLMarkupsFiducialNode", self.volume, name, structure, attributes)
        node.SetControlPointLabelFormat(f"{structure} {'+' if positive else '-'}%d")
        show_as_points(node, structure, positive)
        return node

    def add_point(
        self, structure: Structure, slice_index: int, point: Point, positive: bool = True, frame: int = 0
    ) -> None:
        """Place a point at (col, row) of a slice."""
        node = self.points(structure, positive)
        place = ras_from_slice(self.volume, [slice_index, *point], node)
        was_modifying = node.StartModify()
        index = node.AddControlPoint(place.tolist())
        node.SetNthControlPointDescription(index, f"frame {frame}")
        node.EndModify(was_modifying)

    def set_box(self, structure: Structure, slice_index: int, box: Box, frame: int = 0) -> Any:
        """Give a structure its box on a slice, in place of the one that it has there."""
        held = prompt_boxes.boxes(self.volume).get((frame, slice_index, structure), [])
        node = held[-1] if held else prompt_boxes.new_box(self.volume, structure, frame)
        prompt_boxes.set_box(node, self.volume, slice_index, box)
        self._remove(held[:-1])
        return node

    def settle_boxes(self) -> None:
        """Put boxes back into the plane of their slice, and keep the newest one of each structure and slice."""
        for held in prompt_boxes.boxes(self.volume).values():
            prompt_boxes.settle(held[-1], self.volume)
            self._remove(held[:-1])

    def remove_undrawn_boxes(self) -> None:
        """Remove boxes whose drawing was begun and given up."""
        self._remove([node for node in prompt_nodes(self.volume, BOX) if not prompt_boxes.is_drawn(node)])

    def show_frame(self, frame: int) -> None:
        """Points without a frame were placed on this one; prompts of other frames are hidden."""
        for node in prompt_nodes(self.volume, POINTS):
            for index in self._defined(node):
                if self._frame(node, index) is None:
                    node.SetNthControlPointDescription(index, f"frame {frame}")
                visible = self._frame(node, index) == frame
                if bool(node.GetNthControlPointVisibility(index)) != visible:
                    node.SetNthControlPointVisibility(index, visible)
        for node in prompt_nodes(self.volume, BOX):
            visible = prompt_boxes.frame_of_box(node) == frame
            if bool(node.GetDisplayVisibility()) != visible:
                node.SetDisplayVisibility(visible)

    def read(self) -> PromptSet:
        """All prompts of the volume, slice by slice; points and boxes outside the image are left out with a warning."""
        points: dict[Key, dict[str, list[Point]]] = {}
        drawn: dict[Key, Box] = {}
        stray = 0
        for node in prompt_nodes(self.volume, POINTS):
            structure = structure_of(node)
            if structure is None:
                continue
            sign = NEGATIVE if node.GetAttribute(SIGN_ATTRIBUTE) == NEGATIVE else POSITIVE
            for index in self._defined(node):
                slice_index, point = self._place(node, index)
                if not self._inside(slice_index, point):
                    stray += 1
                    continue
                key = self._frame(node, index) or 0, slice_index, structure
                points.setdefault(key, {}).setdefault(sign, []).append(point)
        n_slices, n_rows, n_cols = grid_of(self.volume)
        for key, held in prompt_boxes.boxes(self.volume).items():
            col0, row0, col1, row1 = box = prompt_boxes.box_of(held[-1], self.volume)[1]
            meets = col1 > -0.5 and row1 > -0.5 and col0 < n_cols - 0.5 and row0 < n_rows - 0.5
            if meets and 0 <= key[1] < n_slices and col0 < col1 and row0 < row1:
                drawn[key] = box
            else:
                stray += 1
        order = list(Structure)
        prompts = tuple(
            Prompt(
                key[1],
                key[2],
                tuple(points.get(key, {}).get(POSITIVE, ())),
                tuple(points.get(key, {}).get(NEGATIVE, ())),
                drawn.get(key),
                key[0],
            )
            for key in sorted({*points, *drawn}, key=lambda key: (key[0], key[1], order.index(key[2])))
        )
        warnings = (f"{stray} of the points and boxes lie outside {self.volume.GetName()} and are not used",)
        return PromptSet(prompts, warnings if stray else ())

    def on(self, frame: int, slice_index: int) -> tuple[Prompt, ...]:
        """The prompts of one slice that can be sent: those of a structure with only negative points wait for more."""
        return tuple(prompt for prompt in self.read().on(frame, slice_index) if prompt.positive or prompt.box)

    def write(self, prompts: Iterable[Prompt]) -> None:
        """Show prompts; each takes the place of what its structure has on its slice and frame."""
        prompts = tuple(prompts)
        for prompt in prompts:
            self.clear(prompt.frame, prompt.slice, (prompt.structure,))
            for positive, group in ((True, prompt.positive), (False, prompt.negative)):
                for point in group:
                    self.add_point(prompt.structure, prompt.slice, point, positive, prompt.frame)
            if prompt.box is not None:
                self.set_box(prompt.structure, prompt.slice, prompt.box, prompt.frame)

    def clear(self, frame: int, slice_index: int, structures: Iterable[Structure] = tuple(Structure)) -> None:
        """Remove the points and boxes of structures from one slice of one frame."""
        structures = set(structures)
        for node in prompt_nodes(self.volume, POINTS):
            if structure_of(node) not in structures:
                continue
            for index in reversed(self._defined(node)):
                if (self._frame(node, index) or 0) == frame and self._place(node, index)[0] == slice_index:
                    node.RemoveNthControlPoint(index)
        for key, held in prompt_boxes.boxes(self.volume).items():
            if key[:2] == (frame, slice_index) and key[2] in structures:
                self._remove(held)

    def replace_all(self, prompts: PromptSet) -> None:
        """Show these prompts and no others, as when a step is taken back; lists and boxes that stay are kept."""
        wanted = {prompt.key: prompt for prompt in prompts}
        held = {prompt.key: prompt for prompt in self.read()}
        for frame, slice_index, structure in held.keys() - wanted.keys():
            self.clear(frame, slice_index, (structure,))
        self.write(prompt for key, prompt in wanted.items() if held.get(key) != prompt)

    def _defined(self, node: Any) -> list[int]:
        """Indices of the points that were placed; one that follows the mouse in place mode is not."""
        defined = slicer.vtkMRMLMarkupsNode.PositionDefined
        count = node.GetNumberOfControlPoints()
        return [index for index in range(count) if node.GetNthControlPointPositionStatus(index) == defined]

    def _frame(self, node: Any, index: int) -> int | None:
        match = _FRAME.search(node.GetNthControlPointDescription(index) or "")
        return int(match.group(1)) if match else None

    def _place(self, node: Any, index: int) -> tuple[int, Point]:
        """The slice nearest to a point, and its (col, row) there."""
        position = np.zeros(3)
        node.GetNthControlPointPosition(index, position)
        slice_index, col, row = slice_from_ras(self.volume, position, node)
        # A millionth of a voxel: what the matrices lose on the way to mm and back.
        return int(np.rint(slice_index)), (round(float(col), 6), round(float(row), 6))

    def _inside(self, slice_index: int, point: Point) -> bool:
        n_slices, n_rows, n_cols = grid_of(self.volume)
        col, row = point
        return 0 <= slice_index < n_slices and -0.5 <= col <= n_cols - 0.5 and -0.5 <= row <= n_rows - 0.5

    def _remove(self, nodes: Iterable[Any]) -> None:
        for node in nodes:
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
