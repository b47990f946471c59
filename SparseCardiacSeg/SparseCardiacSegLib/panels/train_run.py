"""One training from the button to the catalogue: data set, training process, and taking over of the model."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError
from .settings import current_settings
from .train_failure import failureSentence
from .train_process import TrainingProcess, trainingCommand, trainingEnvironment
from .train_progress import TrainingProgress, readProgress
from .train_task import TrainTask, asImported
from .train_texts import message
from .worker_job import RunState, WorkerJob

if TYPE_CHECKING:
    from ..worker.client import WorkerClient

_DATA_SHARE, _MODEL_SHARE = 0.03, 0.02
"""Shares of the progress bar before and after the epochs."""

Source = Generator[str, None, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Reads what is to be learned from; yields what it is doing, returns "source" and arrays of `write_training`."""


@dataclass(frozen=True)
class TrainRequest:
    """What a new training is asked for.

    Attributes:
        task: with the device as asked for; numbers and structures are filled in when the data set is written.
        source: reads the annotated volumes.
        sparsity: the fields of `training.sparsity.settings.SparsitySettings`.
    """

    task: TrainTask
    source: Source
    sparsity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrainState(RunState):
    """Where a training stands.

    Attributes:
        progress: what the training process told last; None before that.
        title: of the model, once it is among the user's models.
        resumable: whether it can be taken up again.
        warnings: sentences about the data set.
    """

    progress: TrainingProgress | None = None
    title: str = ""
    resumable: bool = False
    warnings: tuple[str, ...] = ()


class TrainRun:
    """A training under way: polled until its model is among the user's models; cancelled at any moment.

    It does not belong to the scene: once the data set is written, the nodes may go. What `cancel` ends, and what the
    end of the application ends, can be taken up again.

    Attributes:
        task: what it is for.
    """

    def __init__(self, request: TrainRequest | TrainTask, client: Callable[[], WorkerClient]) -> None:
        """Begin.

        Args:
            request: a new training, or one to take up again.
            client: gives the worker that writes the data set and takes the model over.

        Raises:
            InputError: another process works in its folder, or the training cannot be started.
        """
        from ..prompting.locking import only_one

        self.task = request if isinstance(request, TrainTask) else request.task
        self._request = None if isinstance(request, TrainTask) else request
        self._client = client
        self._job: WorkerJob | None = None
        self._process: TrainingProcess | None = None
        self._stale: int | None = None
        self._begun = False
        self._state = TrainState()
        self._steps = self._resumed() if self._request is None else self._new(self._request)
        self._lock = ExitStack()
        # Held as long as the run: the system lets go of it when the application ends, however it ends.
        self._lock.enter_context(only_one(self.task.lock, f"training '{self.task.name}'"))

    @property
    def state(self) -> TrainState:
        """Where the training stood at the last look."""
        return self._state

    @property
    def isIndependent(self) -> bool:
        """Whether everything was read that the scene has to give."""
        return self._request is None or self._job is not None

    @property
    def isResumable(self) -> bool:
        """Whether it could be taken up again if it were stopped now: its data set is complete."""
        return self._request is None and self.task.dataset.is_dir()

    @property
    def pid(self) -> int | None:
        """Number of the training process; None where none runs."""
        return None if self._process is None else self._process.pid

    def poll(self) -> TrainState:
        """Where the training stands; never waits, and reads one volume of the scene at most."""
        if self._state.finished:
            return self._state
        try:
            next(self._steps)
        except StopIteration:
            self._finish(self._state)
        except InputError as error:
            self._finish(replace(self._state, error=str(error), details=getattr(error, "details", "")))
        except BaseException:
            self._finish(replace(self._state, cancelled=True))
            raise
        return self._state

    def cancel(self) -> None:
        """End the training process with all that it has started, now; what it has saved stays.

        Where the worker is busy, keep polling until the state is finished, so that it is ended if it does not stop.
        """
        if self._state.finished:
            return
        if self._job is None:
            self._finish(replace(self._state, cancelled=True))
            return
        self._job.cancel()
        self._steps.close()
        self._steps = self._stopping(self._job)

    def _stopping(self, job: WorkerJob) -> Generator[None]:
        while not job.poll().finished:
            yield
        self._state = replace(self._state, cancelled=True)

    def _finish(self, state: TrainState) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._steps.close()
        if self._request is not None and self._begun:
            self._clear()
        self._lock.close()
        self._state = replace(state, finished=True, resumable=self.isResumable and not state.title)

    def _clear(self) -> None:
        """Remove what was begun of a data set."""
        shutil.rmtree(self.task.workspace / "nnUNet_raw", ignore_errors=True)

    def _new(self, request: TrainRequest) -> Generator[None]:
        source, arrays = yield from self._read(request.source)
        if self.task.dataset.exists():
            raise InputError(_("{folder} exists already: choose another name.").format(folder=self.task.dataset))
        self._clear()  # what an application that was killed has left
        self._begun = True
        params = {
            "source": source,
            "settings": dict(request.sparsity),
            "folder": str(self.task.dataset),
            "device": self.task.device,
        }
        values = yield from self._work("write_training", params, arrays, 0.0, _DATA_SHARE, _("Writing the data set"))
        self._client().kill()  # it may have loaded PyTorch to look for the device; training needs the memory
        warnings = tuple(str(one) for one in values["warnings"])
        numbers = {name: int(values[name]) for name in ("volumes", "patients", "kept", "slices")}
        self.task = replace(
            self.task,
            device=str(values["device"]),
            structures=tuple(values["structures"]),
            sparsity=dict(request.sparsity),
            **numbers,
        ).write()
        self._request = None
        self._state = replace(self._state, warnings=warnings)
        yield from self._resumed()

    def _read(self, source: Source) -> Generator[None, None, tuple[Mapping[str, Any], Mapping[str, Any]]]:
        try:
            while True:
                self._say(0.0, next(source))
                yield
        except StopIteration as end:
            return end.value

    def _resumed(self) -> Generator[None]:
        """Everything behind the data set."""
        self._say(_DATA_SHARE, _("Starting nnU-Net"))
        yield
        yield from self._train()
        params = {"path": str(self.task.model), "name": self.task.name, "folder": str(current_settings().models())}
        values = yield from self._work("import_model", params, {}, 1 - _MODEL_SHARE, 1.0, _("Taking the model over"))
        asImported(self.task).write()
        self._state = replace(self._state, fraction=1.0, title=str(values["title"]))

    def _train(self) -> Generator[None]:
        task = self.task
        self._stale = _modified(task.progress_file)
        self._process = TrainingProcess([*trainingCommand(), *task.arguments()], trainingEnvironment(), task.log)
        while True:
            code = self._process.exitCode()  # before the file is read: what it wrote last must not be missed
            self._look()
            if code is not None:
                break
            yield
        progress, log = self._state.progress, self._process.logTail()
        done = code == 0 and (task.model / "plans.json").is_file()
        if not done or (progress is not None and progress.state == "failed"):
            told = progress.message if progress is not None and progress.state == "failed" else ""
            raise TrainingError(failureSentence(code, log, told, task.workspace), log)
        self._process.kill()  # helpers that it has left behind
        self._process = None

    def _look(self) -> None:
        """Read what the process tells, if it has told something since it was started."""
        if _modified(self.task.progress_file) == self._stale:
            return
        progress = readProgress(self.task.progress_file)
        if progress is None:
            return
        share = 1 - _DATA_SHARE - _MODEL_SHARE
        self._state = replace(
            self._state, progress=progress, message=message(progress), fraction=_DATA_SHARE + share * progress.fraction
        )

    def _work(
        self, command: str, params: Mapping[str, Any], arrays: Mapping[str, Any], start: float, end: float, doing: str
    ) -> Generator[None, None, Mapping[str, Any]]:
        """Have the worker do something; its values."""
        self._job = WorkerJob(self._client(), command, params, arrays)
        while not (state := self._job.poll()).finished:
            told = _("{doing}: {what}").format(doing=doing, what=state.message) if state.message else doing
            self._say(start + (end - start) * state.fraction, told)
            yield
        self._job = None
        if state.cancelled:
            raise InputError(_("The worker was stopped."))
        if state.error:
            raise TrainingError(state.error, state.details)
        return state.values

    def _say(self, fraction: float, text: str) -> None:
        self._state = replace(self._state, fraction=fraction, message=text)


class TrainingError(InputError):
    """A training stopped; `details` is the end of what it printed."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


def _modified(path: Path) -> int | None:
    """When a file was written; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
