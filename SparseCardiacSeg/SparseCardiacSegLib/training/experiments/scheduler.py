"""The runs of a grid as Dask tasks, on this computer or on a cluster that shares the disk."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...automatic.packages import require
from ...errors import InputError
from ...progress import Progress, no_progress
from . import task
from .lock import holder_of
from .run_folder import STATUS, SUMMARY, RunFolder, prepare
from .run_settings import RunSettings

if TYPE_CHECKING:
    from distributed import Client, Future

LIBRARY = Path(__file__).resolve().parents[3]
"""The folder that holds the package; workers find it there on the shared disk."""

_STOP_SECONDS = 30.0
_BUSY_RETRY_SECONDS = 5.0
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its name, `done`, `failed` or `stopped`, and its Dice or why."""

    name: str
    state: str
    message: str = ""


@dataclass(frozen=True)
class Place:
    """Where runs are computed.

    Attributes:
        scheduler: address of a Dask scheduler, such as `tcp://host:8786`; None starts one in this process.
        workers: runs at a time of the one in this process.
        threads: processor threads of each run.
    """

    scheduler: str | None = None
    workers: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"the number of {name} must be at least 1, not {getattr(self, name)}")


def state_of(out: Path, settings: RunSettings) -> Outcome:
    """Whether a run is done, running, failed or waiting, from its folder alone."""
    folder = RunFolder(out / "runs" / settings.name)
    if folder.finished:
        return Outcome(settings.name, "done", _dice(folder))
    holder = holder_of(folder.path)
    status = folder.json(STATUS)
    if holder is not None and holder["alive"]:
        stage = f"{status.get('stage', '')} {status.get('message', '')}".strip()
        return Outcome(settings.name, "running", f"{stage} (process {holder['pid']} on {holder['host']})")
    if status.get("state") == "failed":
        return Outcome(settings.name, "failed", f"{status['stage']}: {status['message']}")
    if status:
        return Outcome(settings.name, "stopped", f"in {status['stage']}")
    return Outcome(settings.name, "waiting")


def run_all(
    runs: Sequence[RunSettings],
    out: Path,
    place: Place,
    progress: Progress = no_progress,
    told: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run what is not finished; a failed run does not stop the others.

    Whatever ends this call (Ctrl-C, an error), no process of a run is left behind.

    Args:
        runs: of the grid, in the order to start them.
        out: folder of the experiment; each run has `runs/<name>` in it.
        place: where.
        progress: the share of all runs that is done; may raise `Cancelled`.
        told: called with every run that ends.

    Returns:
        What became of every run, in the order of `runs`.

    Raises:
        InputError: no data set, the scheduler cannot be reached, a folder cannot be written, or Dask is not
            installed.
    """
    needed = ("dask", "distributed") + (("torch", "nnunetv2") if place.scheduler is None else ())
    require(needed, "train", "running a grid of experiments")
    require(("matplotlib",), "figures", "running a grid of experiments")
    for folder in {settings.data.folder for settings in runs}:
        if not folder.is_dir():
            raise InputError(f"the data set {folder} is not a folder; name another with --data")
    folders = {settings.name: prepare(out, settings) for settings in runs}
    outcomes = {name: Outcome(name, "done", _dice(folder)) for name, folder in folders.items() if folder.finished}
    waiting = [name for name in folders if name not in outcomes]
    if waiting:
        with _client(place) as client, _stop_file(out) as stop_file:
            # Closed in any case, which stops the runs: an interrupt may come while the generator is not running.
            ended = _supervise(client, [folders[name] for name in waiting], stop_file, place, progress, folders)
            with closing(ended):
                for outcome in ended:
                    outcomes[outcome.name] = outcome
                    if told is not None:
                        told(outcome)
    progress(1.0, "")
    return [outcomes[name] for name in folders]


def _supervise(
    client: Client,
    waiting: list[RunFolder],
    stop_file: Path,
    place: Place,
    progress: Progress,
    folders: dict[str, RunFolder],
) -> Iterator[Outcome]:
    """Submit the runs and yield each that ends; stop them all when left early."""
    threads = str(place.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}

    run_one = task.run_one
    order = list(folders)

    def by_value(*arguments: Any) -> dict[str, str]:
        """`run_one`, as a function that no worker could import and that is therefore sent as it is."""
        return run_one(*arguments)

    def submit(folder: RunFolder) -> Future:
        # A key of its own each time: Dask would give the answer of an earlier call with the same one.
        return client.submit(
            by_value, str(folder.path), str(LIBRARY), str(stop_file), environment,
            key=f"{folder.path.name}-{uuid.uuid4().hex[:6]}", pure=False, retries=2,
            priority=-order.index(folder.path.name),
        )  # fmt: skip

    pending = {submit(folder): folder for folder in waiting}
    again: list[tuple[float, RunFolder]] = []
    try:
        while pending or again:
            for future in [future for future in pending if future.done()]:
                outcome = _outcome(future, pending[future])
                folder = pending.pop(future)
                if outcome.state == task.BUSY:
                    again.append((time.monotonic() + _BUSY_RETRY_SECONDS, folder))
                else:
                    yield outcome
            due = [one for one in again if one[0] <= time.monotonic()]
            again = [one for one in again if one not in due]
            pending |= {submit(folder): folder for _, folder in due}
            progress(*_how_far(folders, len(pending) + len(again)))
            time.sleep(_POLL_SECONDS)
    finally:
        if pending:
            stop_file.touch()
            client.cancel(list(pending), force=True)
            _wait_until_left(list(pending.values()))


def _outcome(future: Future, folder: RunFolder) -> Outcome:
    if future.status == "finished":
        answer: dict[str, str] = future.result()
        message = _dice(folder) if answer["state"] == task.DONE else answer["message"]
        return Outcome(answer["name"], answer["state"], message)
    error = future.exception() if future.status == "error" else None
    reason = " ".join(str(error or future.status).split())
    return Outcome(folder.path.name, task.FAILED, f"the Dask worker failed: {reason}")


def _dice(folder: RunFolder) -> str:
    """Mean Dice of a finished run."""
    aggregates = folder.json(SUMMARY)["aggregates"].values()
    return f"Dice {sum(regions['all']['dice']['mean'] for regions in aggregates) / len(aggregates):.3f}"


def _how_far(folders: dict[str, RunFolder], left: int) -> tuple[float, str]:
    """The mean of the runs' fractions, and what the running ones do."""
    total, doing = 0.0, []
    for name, folder in folders.items():
        if folder.finished:
            total += 1.0
            continue
        status = folder.json(STATUS)
        if status.get("state") != "running":
            continue
        total += status["fraction"]
        holder = holder_of(folder.path)
        if holder is not None and holder["alive"]:  # the last words of a killed run say running, too
            doing.append(f"{name}: {status['stage']} {status['message']}".strip())
    return total / len(folders), f"{left} left; {'; '.join(doing[:2])}"


def _wait_until_left(folders: list[RunFolder]) -> None:
    """Wait until no process holds the runs that were told to stop."""
    until = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < until:
        holders = [holder_of(folder.path) for folder in folders]
        if not any(holder is not None and holder["alive"] for holder in holders):
            return
        time.sleep(0.2)


@contextmanager
def _stop_file(out: Path) -> Iterator[Path]:
    """Name of a file that ends the runs of this command when it appears; removed at the end."""
    path = out / f".stop-{uuid.uuid4().hex[:12]}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _client(place: Place) -> Iterator[Client]:
    """A client of the scheduler that was asked for, or of one in this process."""
    import dask
    from cloudpickle import register_pickle_by_value
    from distributed import Client, LocalCluster

    register_pickle_by_value(task)
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.ERROR)  # its notes of connections would fill the terminal
    opened: list[Any] = []
    # A run takes hours, and its worker's thread waits for a process all the while: nothing to warn of.
    quiet = {"distributed.worker.daemon": False, "distributed.admin.tick.limit": "1h"}
    with dask.config.set(quiet):
        try:
            if place.scheduler is None:
                # In this process: the runs have processes of their own, and nothing is left if this one is killed.
                cluster = LocalCluster(
                    n_workers=place.workers,
                    threads_per_worker=1,
                    processes=False,
                    # It always opens a port: a free one that only this computer reaches.
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    silence_logs=logging.ERROR,
                )
                opened.append(cluster)
                client = Client(cluster)
            else:
                client = Client(place.scheduler, timeout="15s")
        except (OSError, ValueError) as error:
            for one in opened:
                one.close()
            reason = " ".join(str(error).split())
            raise InputError(f"the Dask scheduler {place.scheduler or 'here'} cannot be reached: {reason}") from error
        opened.append(client)
        try:
            yield client
        finally:
            for one in reversed(opened):
                with suppress(Exception):
                    one.close(timeout=10)
