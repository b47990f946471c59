"""Stacks to prompt on, and a timer's way of waiting for a session's news."""

from __future__ import annotations

import time

import numpy as np
from io_grids import matrix_of
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.prompter import PromptNewsKind, PromptSettings
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.stack import Stack

SHAPE = (5, 40, 56)
"""Slices, rows and columns of the test stacks before their axes are exchanged: not square."""
OFF = PromptSettings(cache=False)


def stack_of(kind="oblique", through_plane=0, n_frames=0, seed=0):
    """Noise on a grid of `kind` with its slices along `through_plane`."""
    shape = (n_frames, *SHAPE) if n_frames else SHAPE
    array = np.random.default_rng(seed).integers(0, 2000, shape).astype(np.int16)
    array = np.ascontiguousarray(np.moveaxis(array, -3, through_plane - 3))
    return Stack(array, matrix_of(kind), through_plane=through_plane, source="heart.nrrd")


def point_prompt(slice_index, col, row, structure=Structure.LV, frame=0):
    return Prompt(slice_index, structure, positive=((col, row),), frame=frame)


def wait(session, kind=None, seconds=20):
    """Poll as a timer would until there is news of `kind` (None: of any); all news until then."""
    news = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        news += session.poll()
        if any(kind is None or item.kind is kind for item in news):
            return news
        time.sleep(0.003)
    raise AssertionError(f"no {kind} within {seconds} s, only {news}")


def masks_of(session):
    return next(item.masks for item in wait(session, PromptNewsKind.MASKS) if item.masks)
