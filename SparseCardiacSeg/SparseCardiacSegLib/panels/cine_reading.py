"""Reading the frames of a cine one by one, so that a window lives meanwhile."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..stack import Stack

State = TypeVar("State")


def readFrames(volume: Any, browser: Any, stateOf: Callable[[float], State]) -> Generator[State, None, Stack]:
    """Yields a state after each frame, and returns the cine.

    Args:
        volume: the node that shows the frames.
        browser: its vtkMRMLSequenceBrowserNode.
        stateOf: makes a state of the share read, 0 to 1.

    Raises:
        InputError: a frame cannot be read, or their grids differ.
    """
    from ..mrml.volumes import cine_of_frames, stack_from_volume

    sequence = browser.GetSequenceNode(volume)
    n_frames = sequence.GetNumberOfDataNodes()
    frames = []
    for index in range(n_frames):
        frames.append(stack_from_volume(sequence.GetNthDataNode(index)))
        yield stateOf((index + 1) / n_frames)
    return cine_of_frames(frames, sequence)
