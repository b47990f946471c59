"""Points and boxes on slices: what they are, and when they can be used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..anatomy import Structure
from ..errors import InputError

Point = tuple[float, float]
"""(col, row), 0-based voxel indices within the slice; (0, 0) is the centre of its first pixel."""

Box = tuple[float, float, float, float]
"""(col0, row0, col1, row1), the first corner above and left of the second one."""


@dataclass(frozen=True)
class Prompt:
    """What the user marked for one structure on one slice of one frame.

    Attributes:
        slice: index along the through-plane axis.
        structure: what is meant.
        positive: points inside the structure.
        negative: points outside it.
        box: a box around it, or None.
        frame: frame of a cine; 0 for a single stack.
    """

    slice: int
    structure: Structure
    positive: tuple[Point, ...] = ()
    negative: tuple[Point, ...] = ()
    box: Box | None = None
    frame: int = 0

    @property
    def key(self) -> tuple[int, int, Structure]:
        """(frame, slice, structure): there is one prompt for each."""
        return self.frame, self.slice, self.structure

    def describe(self) -> str:
        """How messages name it."""
        return f"prompt for {self.structure} on slice {self.slice} of frame {self.frame}"

    def check(self, n_frames: int, n_slices: int, n_rows: int, n_cols: int) -> None:
        """Raise InputError with one sentence unless the prompt can be used on an image of this size.

        It cannot where its frame or slice does not exist, a point or the whole box lies outside the slice (a voxel
        reaches half a voxel beyond its centre), the box is empty or turned round, a point is called both inside and
        outside, or it has neither a positive point nor a box.
        """
        if int(self.frame) != self.frame or int(self.slice) != self.slice:
            raise InputError(f"{self.describe()}: frames and slices are whole numbers")
        if not 0 <= self.frame < n_frames:
            raise InputError(f"{self.describe()}: the image has frames 0 to {n_frames - 1}")
        if not 0 <= self.slice < n_slices:
            raise InputError(f"{self.describe()}: the image has slices 0 to {n_slices - 1}")
        for col, row in (*self.positive, *self.negative):
            if not (-0.5 <= col <= n_cols - 0.5 and -0.5 <= row <= n_rows - 0.5):
                raise InputError(
                    f"{self.describe()}: point ({col:g}, {row:g}) lies outside the slice of {n_cols} x {n_rows} voxels"
                )
        if contradictory := set(self.positive) & set(self.negative):
            col, row = min(contradictory)
            raise InputError(f"{self.describe()}: point ({col:g}, {row:g}) is both positive and negative")
        if self.box is not None:
            col0, row0, col1, row1 = self.box
            corners = f"({col0:g}, {row0:g}) to ({col1:g}, {row1:g})"
            if not all(math.isfinite(value) for value in self.box):
                raise InputError(f"{self.describe()}: the box {corners} has no finite size")
            if col0 > col1 or row0 > row1:
                raise InputError(
                    f"{self.describe()}: the box {corners} is turned round; its first corner is the upper left"
                )
            if col0 == col1 or row0 == row1:
                raise InputError(f"{self.describe()}: the box {corners} is empty")
            if col1 <= -0.5 or row1 <= -0.5 or col0 >= n_cols - 0.5 or row0 >= n_rows - 0.5:
                raise InputError(f"{self.describe()}: the box lies outside the slice of {n_cols} x {n_rows} voxels")
        elif not self.positive:
            raise InputError(f"{self.describe()} has no positive point and no box: it says only what is not meant")


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a study, at most one for each frame, slice and structure."""

    prompts: tuple[Prompt, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        seen: set[tuple[int, int, Structure]] = set()
        for prompt in self.prompts:
            if prompt.key in seen:
                raise InputError(f"there are two entries of a {prompt.describe()}")
            seen.add(prompt.key)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    def check(self, n_frames: int, n_slices: int, n_rows: int, n_cols: int) -> None:
        """Check every prompt against the size of the image; see `Prompt.check`."""
        for prompt in self.prompts:
            prompt.check(n_frames, n_slices, n_rows, n_cols)

    def on(self, frame: int, slice_index: int) -> tuple[Prompt, ...]:
        """The prompts of one slice."""
        return tuple(p for p in self.prompts if p.frame == frame and p.slice == slice_index)

    def with_prompt(self, prompt: Prompt) -> PromptSet:
        """The same set with `prompt` in the place of the one of its frame, slice and structure."""
        return replace(self, prompts=(*(p for p in self.prompts if p.key != prompt.key), prompt))


def with_shared_negatives(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Let the positive points of each structure serve as negatives of the others on the same slice (design, section 4).

    A point that two structures share stays a positive of both. Source: thesis (Stein 2023), section 5.5: points are
    re-used rather than drawn anew.
    """
    shared = []
    for prompt in prompts:
        others = [
            point
            for other in prompts
            if (other.frame, other.slice) == (prompt.frame, prompt.slice) and other.structure != prompt.structure
            for point in other.positive
        ]
        own = {*prompt.positive, *prompt.negative}
        added = tuple(point for point in dict.fromkeys(others) if point not in own)
        shared.append(replace(prompt, negative=prompt.negative + added))
    return tuple(shared)
