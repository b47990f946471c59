"""Prompts of a whole stack or cine at once, for scripts and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import ACDC, ALL, LEFT_ATRIUM, LabelScheme, Structure
from ..errors import InputError
from ..progress import Progress, no_progress, part_of
from ..prompting.prompts import PromptSet
from ..segmentation import Segmentation
from ..stack import Stack
from .news import PromptNewsKind, PromptSettings, SliceMasks
from .session import PromptSession

if TYPE_CHECKING:
    from ..prompting.predictor import PromptOptions
    from ..worker.client import WorkerClient


@dataclass(frozen=True, eq=False)
class PromptResult:
    """What the prompts of a study came to.

    Attributes:
        segmentation: on the exact grid of the image; slices without prompts are empty.
        scores: the IoU that the model itself expects, by (frame, slice, structure).
        warnings: sentences the user should see, such as that a prompt gave an empty mask.
        seconds: what encoding and decoding took, loading of the model not counted.
        model: name, id, backend and device of the model.
    """

    segmentation: Segmentation
    scores: Mapping[tuple[int, int, Structure], float]
    warnings: tuple[str, ...]
    seconds: float
    model: Mapping[str, Any]


def fitting_scheme(structures: set[Structure], scheme: LabelScheme | None = None) -> LabelScheme:
    """The scheme to write prompted structures in: `scheme`, else the first of acdc, la and all that names them.

    Raises:
        InputError: `scheme` lacks one of them.
    """
    if scheme is None:
        return next(known for known in (ACDC, LEFT_ATRIUM, ALL) if structures <= set(known.numbers))
    if lacking := [str(structure) for structure in Structure if structure in structures - set(scheme.numbers)]:
        raise InputError(
            f"scheme '{scheme.name}' has no number for {', '.join(lacking)}, which the prompts ask for; "
            f"scheme '{fitting_scheme(structures).name}' has"
        )
    return scheme


def prompt_stack(
    client: WorkerClient,
    stack: Stack,
    prompts: PromptSet,
    model: str | Path,
    options: PromptOptions | None = None,
    settings: PromptSettings | None = None,
    scheme: LabelScheme | None = None,
    progress: Progress = no_progress,
) -> PromptResult:
    """Turn the prompts of a stack or cine into labels, and wait for them.

    Args:
        client: the worker to use; it is started if need be and stays open.
        stack: the image; its through-plane axis may be any.
        prompts: all prompts; every one is checked before anything is sent.
        model: name of a model, its folder, or a checkpoint file.
        options: how prompts become masks; None takes the defaults of `PromptOptions`.
        settings: how to run the model; None takes the defaults.
        scheme: of the result; None takes `fitting_scheme`.
        progress: called with what is done; may raise `Cancelled`.

    Raises:
        InputError: the image, a prompt, the scheme, the model or the settings cannot be used.
        WorkerError: the worker died or failed.
        Cancelled: `progress` raised it.
    """
    if not len(prompts):
        raise InputError("there are no prompts")
    wanted = fitting_scheme({prompt.structure for prompt in prompts}, scheme)
    prompts.check(stack.n_frames, *stack.slices_first().shape[-3:])
    session = PromptSession(client, stack, model, options, settings)
    places = sorted({(prompt.frame, prompt.slice) for prompt in prompts})
    answers: list[SliceMasks] = []
    try:
        for frame, slice_index in places:
            name = f"slice {slice_index}" + (f" of frame {frame}" if stack.is_cine else "")
            progress(len(answers) / len(places), name)
            session.click(frame, slice_index, prompts.on(frame, slice_index))
            answers.append(_wait(client, session, len(answers) / len(places), name, progress))
    except BaseException:
        for request in session.requests:
            client.abandon(request)
        raise
    progress(1.0, "done")
    warnings = tuple(dict.fromkeys((*prompts.warnings, *(text for answer in answers for text in answer.warnings))))
    segmentation = session.label_volume(wanted)
    return PromptResult(
        Segmentation(segmentation.labels, segmentation.scheme, warnings),
        {(a.frame, a.slice, structure): score for a in answers for structure, score in a.scores.items()},
        warnings,
        sum(answer.seconds_encode + answer.seconds_decode for answer in answers),
        answers[-1].model,
    )


def everything_stack(
    client: WorkerClient,
    stack: Stack,
    slices: Sequence[int],
    model: str | Path,
    frame: int = 0,
    settings: PromptSettings | None = None,
    progress: Progress = no_progress,
) -> tuple[Stack, Mapping[int, int]]:
    """Every mask that a model finds without a prompt on the chosen slices of one frame, for comparison.

    Args:
        client: the worker to use.
        stack: the image.
        slices: indices along the through-plane axis.
        model: name of a model, its folder, or a checkpoint file.
        frame: frame of a cine; its other frames stay empty.
        settings: how to run the model; its backend is torch.
        progress: called with what is done; may raise `Cancelled`.

    Returns:
        A uint16 stack on the exact grid of the image, masks numbered from 1 (the largest) on each slice, and how many
        there are on each slice.

    Raises:
        InputError, WorkerError, Cancelled: as for `prompt_stack`.
    """
    settings = settings or PromptSettings()
    session = PromptSession(client, stack, model, settings=settings)
    pictures = {index: session.picture(frame, index) for index in dict.fromkeys(slices)}
    labels = np.zeros(stack.array.shape, np.uint16)
    view = stack.with_array(labels).slices_first()
    volume = view[frame] if stack.is_cine else view
    counts: dict[int, int] = {}
    for number, (index, picture) in enumerate(pictures.items()):
        share = part_of(progress, number / len(pictures), (number + 1) / len(pictures))
        reply = client.run("everything_slice", settings.params(model), {"slice": picture}, share)
        volume[index] = reply.arrays["labels"]
        counts[index] = reply.values["count"]
    return stack.with_array(labels), counts


def _wait(client: WorkerClient, session: PromptSession, fraction: float, name: str, progress: Progress) -> SliceMasks:
    """The answer to the one click of a session."""
    while True:
        for news in session.poll():
            if news.kind is PromptNewsKind.WORKING:
                progress(fraction, f"{name}: {news.message}")
            elif news.masks is not None:
                return news.masks
            elif news.error is not None:
                raise news.error
        progress(fraction, name)
        client.wait()
