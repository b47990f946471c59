"""Steps of the Prompt panel that need no widget: on to the neighbouring slice, prompts from and to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from slicer.i18n import tr as _

from ..errors import InputError

if TYPE_CHECKING:
    from ..anatomy import Structure
    from .prompt_run import PromptRun
    from .study_session import StudySession

TOWARDS_APEX = np.array([-1.0, 1.0, -1.0])
"""In RAS: the apex points to the left, to the front and down."""


def apex_step(session: StudySession) -> int:
    """+1 where the next slice towards the apex has the higher index, -1 where it has the lower one.

    The user's own choice counts; else the segmentation tells, where it can; else how the patient lay.
    """
    from ..regions import base_to_apex

    if session.baseFirst is not None:
        return 1 if session.baseFirst else -1
    if session.segmentation is not None:
        try:
            found = base_to_apex(session.labels())
        except InputError:  # a segmentation without a heart cannot tell
            return _patient_step(session)
        if found.certain:
            return 1 if found.base_first else -1
    return _patient_step(session)


def slice_masks(session: StudySession, run: PromptRun) -> dict[Structure, np.ndarray]:
    """What the slice that is shown holds: bool [row, col] of the preview, else of the segmentation, by structure."""
    slice_index = run.place[1]
    found = run.answer()
    masks = dict(found.masks.masks) if found is not None else {}
    if session.segmentation is not None and slice_index is not None:
        try:
            labels = session.labels()
        except InputError:  # an empty segmentation has nothing to add
            return masks
        values = labels.labels.slices_first()[slice_index]
        for structure, number in labels.scheme.numbers.items():
            masks.setdefault(structure, values == number)
    return {structure: mask for structure, mask in masks.items() if mask.any()}


def carry_to_neighbour(
    session: StudySession, run: PromptRun, towards_apex: bool
) -> tuple[int, tuple[Structure, ...], tuple[Structure, ...]]:
    """Place prompts on the neighbouring slice, made of the masks of the slice that is shown.

    Returns:
        The neighbour, the structures that got prompts there, and those that had some already.

    Raises:
        InputError: no slice is shown, it holds no mask, or there is no neighbour.
    """
    from ..mrml.prompt_geometry import grid_of

    frame, slice_index = run.place
    if slice_index is None:
        raise InputError(_("The Red view shows no slice of this volume: use Align views in Study."))
    target = slice_index + (apex_step(session) if towards_apex else -apex_step(session))
    if not 0 <= target < grid_of(run.volume)[0]:
        raise InputError(_("There is no further slice on this side."))
    masks = slice_masks(session, run)
    if not masks:
        raise InputError(_("This slice holds no mask to carry on: place a point or draw a box first."))
    made, kept = run.carry(masks, (frame, target), towards_apex)
    return target, made, kept


def carry_to_next_frame(
    session: StudySession, run: PromptRun
) -> tuple[int, tuple[Structure, ...], tuple[Structure, ...]]:
    """Place prompts on the same slice of the next frame of a cine; after the last one comes the first.

    Returns:
        That frame, the structures that got prompts there, and those that had some already.

    Raises:
        InputError: no slice is shown, or it holds no mask.
    """
    frame, slice_index = run.place
    masks = slice_masks(session, run)
    if slice_index is None or not masks:
        raise InputError(_("This slice holds no mask to carry on: place a point or draw a box first."))
    target = (frame + 1) % session.nFrames
    made, kept = run.carry(masks, (target, slice_index), towards_apex=False)
    return target, made, kept


def load_prompts(run: PromptRun, path: str, n_frames: int) -> int:
    """Show the prompts of a file; each takes the place of what its structure has on its slice and frame.

    Args:
        run: whose volume they are for.
        path: of the JSON file.
        n_frames: of the volume.

    Returns:
        How many prompts it holds.

    Raises:
        InputError: the file cannot be read, or a prompt lies outside the volume.
    """
    from ..mrml.prompt_geometry import grid_of
    from ..prompting.prompt_file import read_prompts

    prompts = read_prompts(path)
    prompts.check(n_frames, *grid_of(run.volume))
    run.nodes.write(prompts)
    run.changed()
    return len(prompts)


def save_prompts(run: PromptRun, path: str) -> int:
    """Write all prompts of the volume into a file; returns how many.

    Raises:
        InputError: there are none, or the disk refused.
    """
    from ..prompting.prompt_file import write_prompts

    prompts = run.prompts()
    if not len(prompts):
        raise InputError(_("There are no prompts to save."))
    write_prompts(prompts, path)
    return len(prompts)


def _patient_step(session: StudySession) -> int:
    """+1 or -1 by the direction of the slices in the patient."""
    from ..mrml.volumes import ijk_to_ras_of, through_plane_of

    axis = 2 - through_plane_of(session.volume)
    return 1 if ijk_to_ras_of(session.volume, world=True)[:3, axis] @ TOWARDS_APEX >= 0 else -1
