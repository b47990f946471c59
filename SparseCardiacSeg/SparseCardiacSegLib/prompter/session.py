"""Prompting of a stack or cine through the worker, polled by a timer."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy import ALL, LabelScheme, Structure
from ..errors import InputError
from ..progress import Cancelled
from ..prompting.intensity import to_8_bit, window
from ..prompting.preparation import Place, Preparation
from ..prompting.prompts import Prompt, PromptSet
from ..segmentation import Segmentation
from ..stack import Stack
from ..worker.events import Event, EventKind, error_of
from .news import PromptNews, PromptNewsKind, PromptSettings, SliceMasks

if TYPE_CHECKING:
    from ..prompting.predictor import PromptOptions
    from ..worker.client import WorkerClient


@dataclass(frozen=True, eq=False)
class _Open:
    """A request without an answer: a click, or where `prompts` is empty an encoding in the background."""

    place: Place
    prompts: tuple[Prompt, ...]
    started: float


class PromptSession:
    """One stack or cine, one model, and the clicks on it; for one thread.

    Nothing waits for the worker, so that a timer in a window can drive it: `click`, then `poll` until the answer is
    there (every 5 ms while `is_waiting`, more seldom else). `poll` also keeps the encoding going that `prepare` asked
    for. Before another session takes its place, `stop` it.
    """

    def __init__(
        self,
        client: WorkerClient,
        stack: Stack,
        model: str | Path,
        options: PromptOptions | None = None,
        settings: PromptSettings | None = None,
    ) -> None:
        """Set up; the worker is not asked yet.

        Args:
            client: the worker; it is started if need be and stays open.
            stack: the image; its through-plane axis may be any. Its intensity window is measured here, once.
            model: name of a model, its folder, or a checkpoint file.
            options: how prompts become masks; None takes the defaults of `PromptOptions`.
            settings: how to run the model; None takes the defaults.

        Raises:
            InputError: the image cannot be prompted: no real numbers, none finite, or a single value everywhere.
        """
        self._name = name = stack.source or "the image"
        if stack.array.dtype.kind not in "biuf":
            raise InputError(f"{name} holds values of type {stack.array.dtype}; real numbers are needed")
        self.stack = stack
        self._low, self._high = window(stack.array, name)
        view = stack.slices_first()
        self._images = view if stack.is_cine else view[None]
        self._client = client
        self._params = (settings or PromptSettings()).params(model)
        self._options = {} if options is None else asdict(options)
        self._pictures: dict[Place, np.ndarray] = {}
        self._answers: dict[Place, SliceMasks] = {}
        self._open: dict[int, _Open] = {}
        self._ignored: set[int] = set()
        self._preparation = Preparation(stack.n_frames, stack.n_slices)
        self._paused = False

    @property
    def is_waiting(self) -> bool:
        """Whether a click is not answered: the time to poll often."""
        return bool(self.requests)

    @property
    def is_preparing(self) -> bool:
        """Whether slices are still to be encoded, or one is being encoded."""
        encoding = any(not task.prompts for task in self._open.values())
        return encoding or (not self._paused and self._preparation.next() is not None)

    @property
    def requests(self) -> tuple[int, ...]:
        """The clicks that are not answered, by the numbers that `click` gave (they are the worker's)."""
        return tuple(number for number, task in self._open.items() if task.prompts)

    def click(self, frame: int, slice_index: int, prompts: Sequence[Prompt]) -> int:
        """Ask for the masks of one slice; an unanswered older click on it is dropped.

        Args:
            frame: frame of a cine; 0 for a single stack.
            slice_index: index along the through-plane axis.
            prompts: all prompts of the slice, at most one a structure.

        Returns:
            The click's number, which its news carries.

        Raises:
            InputError: a prompt cannot be used, or the worker cannot be started; nothing was sent.
        """
        started = time.perf_counter()
        checked = PromptSet(tuple(prompts))
        checked.check(*self._images.shape)
        if not prompts:
            raise InputError(f"there are no prompts on slice {slice_index} of frame {frame}")
        for prompt in prompts:
            if (prompt.frame, prompt.slice) != (frame, slice_index):
                raise InputError(f"{prompt.describe()} does not belong to slice {slice_index} of frame {frame}")
        from ..prompting.prompt_file import prompts_to_json

        place = (frame, slice_index)
        params = {**self._params, "prompts": prompts_to_json(checked)["prompts"], "options": self._options}
        number = self._client.submit("prompt_slice", params, {"slice": self.picture(*place)})
        self._drop(place)
        self._open[number] = _Open(place, checked.prompts, started)
        return number

    def clear(self, frame: int, slice_index: int) -> None:
        """Forget the answer of a slice, and drop a click on it: its prompts were removed."""
        self._drop((frame, slice_index))
        self._answers.pop((frame, slice_index), None)

    def prepare(self, frame: int, slice_index: int, all_frames: bool = False) -> None:
        """Encode the stack in the background, nearest slices first; call it again when another slice is shown.

        Args:
            frame: the frame shown.
            slice_index: the slice shown.
            all_frames: encode the other frames of a cine too.

        Raises:
            InputError: there is no such slice.
        """
        self._check_place(frame, slice_index)
        self._preparation.aim(frame, slice_index, all_frames)
        self._paused = False

    def pause(self) -> None:
        """Begin no further encoding until `resume` or `prepare`; one that has begun is finished."""
        self._paused = True

    def resume(self) -> None:
        """Go on with the preparation."""
        self._paused = False

    def stop(self) -> None:
        """Drop all clicks and the preparation; answers and embeddings stay. The session can be used again."""
        self._preparation.stop()
        for number in list(self._open):
            self._ignore(number)

    def poll(self) -> list[PromptNews]:
        """What has happened since the last call; never waits."""
        for number in list(self._ignored):
            if any(event.is_final for event in self._client.poll(number)):
                self._ignored.discard(number)
        events = [event for number in list(self._open) for event in self._client.poll(number)]
        if any(event.kind is EventKind.DIED for event in events):
            # A dead worker ends all requests at once, some perhaps after they were asked above.
            events += [event for number in list(self._open) for event in self._client.poll(number)]
        news = [item for event in events if event.kind is not EventKind.DIED for item in self._take(event)]
        news += self._mourn([event for event in events if event.kind is EventKind.DIED])
        return news + self._go_on()

    def picture(self, frame: int, slice_index: int) -> np.ndarray:
        """What the model sees of a slice: uint8 [row, col], in the window of the whole volume.

        Raises:
            InputError: there is no such slice.
        """
        self._check_place(frame, slice_index)
        place = (frame, slice_index)
        if place not in self._pictures:
            self._pictures[place] = to_8_bit(self._images[place], self._low, self._high)
        return self._pictures[place]

    def in_volume(self, slice_index: int, values: np.ndarray) -> np.ndarray:
        """Values [row, col] of one slice as a 3D array in the stack's own axis order, zero on all other slices."""
        volume = np.zeros(self.stack.shape, values.dtype)
        np.moveaxis(volume, self.stack.through_plane, 0)[slice_index] = values
        return volume

    def label_volume(self, scheme: LabelScheme = ALL) -> Segmentation:
        """All answers so far on the stack's exact grid; 4D for a cine.

        Raises:
            InputError: a structure that was found has no number in `scheme`.
        """
        labels = np.zeros(self.stack.array.shape, np.uint8)
        view = self.stack.with_array(labels).slices_first()
        frames = view if self.stack.is_cine else view[None]
        for place, answer in self._answers.items():
            frames[place] = answer.labels
        return Segmentation(self.stack.with_array(labels), ALL).in_scheme(scheme)

    def _check_place(self, frame: int, slice_index: int) -> None:
        n_frames, n_slices = self._images.shape[:2]
        if not (0 <= frame < n_frames and 0 <= slice_index < n_slices):
            raise InputError(
                f"{self._name} has frames 0 to {n_frames - 1} and slices 0 to {n_slices - 1}; "
                f"slice {slice_index} of frame {frame} was asked for"
            )

    def _drop(self, place: Place) -> None:
        """Nobody waits for a click on `place` any more."""
        for number, task in list(self._open.items()):
            if task.prompts and task.place == place:
                self._ignore(number)

    def _ignore(self, number: int) -> None:
        """Let the worker skip a request if it has not begun; never end it for that: a model would be loaded again."""
        self._client.cancel(math.inf, number)
        del self._open[number]
        self._ignored.add(number)

    def _go_on(self) -> list[PromptNews]:
        """Encode the next slice where no click or encoding is open."""
        if self._open or self._paused or (place := self._preparation.next()) is None:
            return []
        try:
            number = self._client.submit("encode_slice", self._params, {"slice": self.picture(*place)})
        except Exception as error:  # reported as news: a timer has nobody to raise to
            self._preparation.stop()
            return [PromptNews(PromptNewsKind.FAILED, place, message=str(error), error=error)]
        self._open[number] = _Open(place, (), time.perf_counter())
        return []

    def _take(self, event: Event) -> list[PromptNews]:
        """What one event of the worker means."""
        assert event.request is not None
        task = self._open[event.request]
        clicks = (event.request,) if task.prompts else ()
        if event.kind is EventKind.PROGRESS:
            return [PromptNews(PromptNewsKind.WORKING, task.place, clicks, event.message)] if clicks else []
        del self._open[event.request]
        if event.kind is EventKind.CANCELLED:  # by somebody who uses the same worker
            return [self._failure(task.place, clicks, Cancelled(event.message or "cancelled"))]
        if event.kind is not EventKind.RESULT:
            return [self._failure(task.place, clicks, error_of(event))]
        self._preparation.prepared.add(task.place)
        if not clicks:
            if self._params["cache"] is None:
                self._preparation.restrict(event.values["capacity"])
            done, total = self._preparation.progress
            return [PromptNews(PromptNewsKind.PREPARED, task.place, done=done, total=total)]
        try:
            answer = self._answer(task, event)
        except Exception as error:  # reported as news: a timer has nobody to raise to
            return [self._failure(task.place, clicks, error)]
        self._answers[task.place] = answer
        return [PromptNews(PromptNewsKind.MASKS, task.place, clicks, masks=answer)]

    def _answer(self, task: _Open, event: Event) -> SliceMasks:
        """The worker's reply in this process's terms."""
        from ..prompting.combine import combine

        structures = [Structure(name) for name in event.values["structures"]]
        stacked = event.arrays["masks"]
        expected = (len(structures), *self._images.shape[-2:])
        if stacked.shape != expected:
            raise RuntimeError(f"the worker returned masks of shape {stacked.shape} where {expected} were expected")
        masks = {structure: mask > 0 for structure, mask in zip(structures, stacked, strict=True)}
        scores = {Structure(name): score for name, score in event.values["scores"].items()}
        empty = [f"{p.describe()} gave an empty mask" for p in task.prompts if not masks[p.structure].any()]
        return SliceMasks(
            *task.place,
            masks,
            scores,
            combine(masks),
            event.values["origin"],
            event.values["seconds_encode"],
            event.values["seconds_decode"],
            time.perf_counter() - task.started,
            (*event.values["warnings"], *empty),
            event.values["model"],
        )

    def _failure(self, place: Place, clicks: tuple[int, ...], error: Exception) -> PromptNews:
        """Report once; encoding on and on would only fail again and again. A new worker remembers no slice."""
        if not (clicks and isinstance(error, InputError)):  # else the prompts were refused, and all else is well
            self._preparation.stop()
            self._preparation.prepared.clear()
        return PromptNews(PromptNewsKind.FAILED, place, clicks, str(error), error=error)

    def _mourn(self, deaths: list[Event]) -> list[PromptNews]:
        """One piece of news for a dead worker, however many requests went with it; the next click starts another."""
        if not deaths:
            return []
        tasks = {number: self._open.pop(number) for event in deaths if (number := event.request) is not None}
        clicks = tuple(number for number, task in tasks.items() if task.prompts)
        last = tasks[max(clicks or tasks)]
        return [self._failure(last.place, clicks, error_of(deaths[0]))]
