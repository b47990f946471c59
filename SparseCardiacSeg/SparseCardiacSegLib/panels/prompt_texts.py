"""What the Prompt panel says about a slice, an answer and a failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ..anatomy import Structure
    from ..prompter import PromptNews, SliceMasks
    from ..prompting.prompts import Prompt


def slice_text(slice_index: int | None, n_slices: int, here: Iterable[Prompt]) -> str:
    """Which slice is shown, and what is placed on it: "Slice 4 of 0 to 9: LV 2+ 1-, MYO box"."""
    if slice_index is None:
        return _("The Red view shows no slice of this volume: use Align views in Study.")
    said = [_prompt_text(prompt) for prompt in here]
    return _("Slice {slice} of 0 to {last}: {prompts}").format(
        slice=slice_index, last=n_slices - 1, prompts=", ".join(said) or _("no prompts")
    )


def _prompt_text(prompt: Prompt) -> str:
    parts = [prompt.structure.value]
    if prompt.positive:
        parts.append(f"{len(prompt.positive)}+")
    if prompt.negative:
        parts.append(f"{len(prompt.negative)}-")
    if prompt.box is not None:
        parts.append(_("box"))
    if not prompt.positive and prompt.box is None:
        parts.append(_("(waits for a + point or a box)"))
    return " ".join(parts)


def result_text(masks: SliceMasks) -> str:
    """How long it took, what quality the model expects, and every warning on a line of its own."""
    quality = ", ".join(f"{structure} {score:.2f}" for structure, score in masks.scores.items())
    text = _("{milliseconds} ms; the model expects an overlap (IoU) of {quality}.").format(
        milliseconds=round(1000 * masks.seconds), quality=quality
    )
    return "\n".join([text, *masks.warnings])


def failure_text(news: PromptNews) -> tuple[str, str]:
    """A sentence with the remedy, and the worker's last output where there is some."""
    event = getattr(news.error, "event", None)
    if event is None:
        return news.message, ""
    return " ".join(part for part in (event.message, event.remedy) if part), event.detail


def carried_text(made: tuple[Structure, ...], kept: tuple[Structure, ...]) -> str:
    """What was carried to the slice that is shown now."""
    parts = []
    if made:
        names = ", ".join(part.value for part in made)
        parts.append(_("Prompts for {names} were carried here: look, and correct them.").format(names=names))
    if kept:
        names = ", ".join(part.value for part in kept)
        parts.append(_("What was placed here for {names} was kept.").format(names=names))
    return " ".join(parts) or _("No structure goes on to this slice.")
