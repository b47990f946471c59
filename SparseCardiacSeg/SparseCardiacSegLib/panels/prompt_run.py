"""Clicks on one volume: the Markups nodes, the questions to the worker, the preview, and what is accepted.

Nothing here knows of Qt: the panel's timer, a self-test or a script calls `poll` and gets the news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from ..anatomy import Structure
    from ..mrml.segment_gate import WriteResult
    from ..prompter import PromptNews, PromptSession, PromptSettings, SliceMasks
    from ..prompting.prompts import Prompt, PromptSet
    from ..stack import Stack
    from ..worker.client import WorkerClient

Place = tuple[int, int]
"""(frame, slice)."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Masks, and the prompts that they are of."""

    prompts: tuple[Prompt, ...]
    masks: SliceMasks


class PromptRun:
    """What the user prompts on one volume with one model.

    Attributes:
        volume: the volume node.
        nodes: its prompts as Markups nodes.
        preview: where masks are shown before they are accepted.
        place: (frame, slice) that the user looks at; the slice is None where no view shows one.
    """

    def __init__(
        self,
        client: Callable[[], WorkerClient],
        volume: Any,
        read: Callable[[], Stack],
        model: str | Path,
        settings: Callable[[], PromptSettings | None] = lambda: None,
    ) -> None:
        """Set up; the image is read, and the worker asked, at the first click.

        Args:
            client: gives the worker; not called before the first click.
            volume: the volume node, in a scene; for a cine the one that shows the frames.
            read: gives the image, all frames.
            model: name of a model, its folder, or a checkpoint file.
            settings: gives how to run the model.
        """
        from ..mrml.prompt_nodes import PromptNodes
        from ..mrml.prompt_preview import PromptPreview

        self.volume = volume
        self.nodes = PromptNodes(volume)
        self.preview = PromptPreview(volume)
        self.place: tuple[int, int | None] = (0, None)
        self._client = client
        self._read = read
        self._model = model
        self._settings = settings
        self._session: PromptSession | None = None
        self._prompts: PromptSet | None = None
        self._asked: dict[Place, tuple[Prompt, ...]] = {}
        self._answers: dict[Place, Answer] = {}
        self._accepted: dict[Place, tuple[Prompt, ...]] = {}
        self._dirty = True
        self._preparing = False
        self._voxels: int | None = None

    @property
    def n_slices(self) -> int:
        """Number of slices of the volume."""
        from ..mrml.prompt_geometry import grid_of

        return grid_of(self.volume)[0]

    @property
    def is_waiting(self) -> bool:
        """Whether a click is not answered, or not sent yet: the time to poll often."""
        return self._dirty or (self._session is not None and self._session.is_waiting)

    @property
    def is_preparing(self) -> bool:
        """Whether slices are being encoded in the background, and go on being so."""
        return self._preparing and self._session is not None and self._session.is_preparing

    def look_at(self, frame: int, slice_index: int | None) -> None:
        """The user looks at another slice or frame; prompts of other frames are hidden."""
        if (frame, slice_index) != self.place:
            self.place = (frame, slice_index)
            self.changed()
            if self.is_preparing and slice_index is not None:
                self.prepare()

    def changed(self) -> None:
        """Prompts may have changed: the next `poll` looks at the nodes."""
        self._dirty = True

    def image_changed(self) -> None:
        """The voxels are others than those that the session knows: all answers are void."""
        self.stop()
        self._session = self._voxels = None
        for known in (self._asked, self._answers, self._accepted):
            known.clear()
        self.changed()

    def prompts(self) -> PromptSet:
        """The prompts that the nodes hold now."""
        return self.nodes.read()

    def here(self) -> tuple[Prompt, ...]:
        """The prompts of the place looked at, those that wait for a positive point or a box included."""
        frame, slice_index = self.place
        return () if slice_index is None else self._now().on(frame, slice_index)

    def answer(self) -> Answer | None:
        """What the shown prompts came to; None while that is not known."""
        frame, slice_index = self.place
        if slice_index is None:
            return None
        found = self._answers.get((frame, slice_index))
        return found if found is not None and found.prompts == self._usable((frame, slice_index)) else None

    def is_accepted(self) -> bool:
        """Whether the shown prompts' masks were accepted and nothing was changed since."""
        found = self.answer()
        return found is not None and self._accepted.get((found.masks.frame, found.masks.slice)) == found.prompts

    def poll(self) -> list[PromptNews]:
        """Send what the user changed, and tell what came back; never waits.

        One click is sent at a time: while a point is dragged, the next one carries where it is by then.
        """
        news = []
        if self._dirty and not (self._session is not None and self._session.is_waiting):
            if self._voxels is not None and self._voxels != self._voxels_now():
                self.image_changed()
            self._dirty = False
            self.nodes.show_frame(self.place[0])
            self._prompts = self.nodes.read()
            news += self._ask()
            self._show()
        if self._session is not None:
            for item in self._session.poll():
                news.append(item)
                if item.masks is not None:
                    place = (item.masks.frame, item.masks.slice)
                    self._answers[place] = Answer(self._asked[place], item.masks)
                    self._show()
        return news

    def accept(self, write: Callable[[Mapping[Structure, np.ndarray], Iterable[int]], WriteResult]) -> WriteResult:
        """Write the masks shown on this slice; structures whose mask is empty keep what they have.

        Args:
            write: such as `StudySession.write`: called once with boolean masks [slice, row, col] and the slice.

        Raises:
            InputError: there is nothing to accept.
        """
        found = self.answer()
        if found is None or self._session is None:
            raise InputError(_("There is nothing to accept on this slice: place a point or draw a box first."))
        place = (found.masks.frame, found.masks.slice)
        masks = {
            structure: self._session.in_volume(place[1], mask)
            for structure, mask in found.masks.masks.items()
            if mask.any()
        }
        if not masks:
            raise InputError(_("The masks of this slice are empty: add points or a box."))
        result = write(masks, [place[1]])
        self._accepted[place] = found.prompts
        self._show()
        return result

    def reopen(self) -> None:
        """An accepted slice is shown as a preview again, as after undo."""
        frame, slice_index = self.place
        if slice_index is not None:
            self._accepted.pop((frame, slice_index), None)
            self._show()

    def clear(self) -> None:
        """Remove the prompts of this slice."""
        frame, slice_index = self.place
        if slice_index is not None:
            self.nodes.clear(frame, slice_index)
            self.changed()

    def carry(
        self, masks: Mapping[Structure, np.ndarray], target: Place, towards_apex: bool
    ) -> tuple[tuple[Structure, ...], tuple[Structure, ...]]:
        """Place prompts on another slice, made of masks of this one; what the user placed there stays.

        Args:
            masks: bool [row, col] of each structure on this slice.
            target: (frame, slice) for the prompts.
            towards_apex: whether that slice lies nearer the apex.

        Returns:
            The structures that got prompts, and those that had some already.
        """
        from ..prompting.carry import prompts_from_masks

        held = {prompt.structure for prompt in self.nodes.read().on(*target)}
        made = prompts_from_masks(masks, target[1], target[0], towards_apex=towards_apex)
        fresh = [prompt for prompt in made if prompt.structure not in held]
        self.nodes.write(fresh)
        self.changed()
        kept = tuple(prompt.structure for prompt in made if prompt.structure in held)
        return tuple(prompt.structure for prompt in fresh), kept

    def prepare(self) -> None:
        """Encode the slices of the frame shown in the background, the nearest first.

        Raises:
            InputError: the image cannot be prompted.
        """
        frame, slice_index = self.place
        session = self._ensure_session()
        middle = session.stack.n_slices // 2
        session.prepare(frame, middle if slice_index is None else slice_index)
        self._preparing = True

    def pause(self) -> None:
        """Begin no further encoding."""
        self._preparing = False
        if self._session is not None:
            self._session.pause()

    def stop(self) -> None:
        """Drop what was asked; a click that is made afterwards is asked again."""
        self._preparing = False
        if self._session is not None:
            self._session.stop()
        self._asked = {place: answer.prompts for place, answer in self._answers.items()}
        self._dirty = False

    def close(self) -> None:
        """Stop, and take the preview away; the prompts stay in the scene."""
        self.stop()
        self.preview.remove()

    def _ensure_session(self) -> PromptSession:
        if self._session is None:
            from ..prompter import PromptSession

            self._session = PromptSession(self._client(), self._read(), self._model, settings=self._settings())
            # The node of a cine holds other voxels at every frame, of which the session knows all.
            self._voxels = None if self._session.stack.is_cine else self._voxels_now()
        return self._session

    def _voxels_now(self) -> int:
        """A number that is another one when the voxels are: also after `slicer.util.arrayFromVolumeModified`."""
        return int(self.volume.GetImageData().GetPointData().GetScalars().GetMTime())

    def _now(self) -> PromptSet:
        if self._prompts is None or self._dirty:
            self._prompts = self.nodes.read()
        return self._prompts

    def _usable(self, place: Place) -> tuple[Prompt, ...]:
        """The prompts of a place that can be sent: a structure with only negative points waits for more."""
        return tuple(prompt for prompt in self._now().on(*place) if prompt.positive or prompt.box)

    def _ask(self) -> list[PromptNews]:
        """Send the prompts of the place looked at, if they are others than were sent last."""
        frame, slice_index = self.place
        if slice_index is None:
            return []
        place = (frame, slice_index)
        prompts = self._usable(place)
        if not prompts:
            self._asked.pop(place, None)
            self._answers.pop(place, None)
            if self._session is not None:
                self._session.clear(*place)
            return []
        if self._asked.get(place) == prompts:
            return []
        self._asked[place] = prompts
        try:
            self._ensure_session().click(frame, slice_index, prompts)
        except InputError as error:
            from ..prompter import PromptNews, PromptNewsKind

            return [PromptNews(PromptNewsKind.FAILED, place, message=str(error), error=error)]
        return []

    def _show(self) -> None:
        """Show every answer of this frame that is still true and was not accepted.

        On the slice looked at, the last answer stays until the next one comes: a mask that vanishes while a point is
        dragged would flicker.
        """
        frame = self.place[0]
        shown = {}
        for place, found in self._answers.items():
            usable = self._usable(place)
            current = found.prompts == usable or (place == self.place and bool(usable))
            if place[0] == frame and current and self._accepted.get(place) != found.prompts:
                shown[place[1]] = found.masks.labels
        self.preview.show(shown)
