"""Measure a promptable model on a labelled data set, case by case, in one process or several."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from ...anatomy import SHORT_AXIS, Structure
from ...automatic.packages import processor_threads
from ...errors import InputError
from ...files import output_folder
from ...progress import Cancelled, Progress, no_progress
from ...prompting.combine import Overlap
from ...prompting.embedding_store import EmbeddingStore
from ...prompting.predictor import Myocardium
from ..labelled_cases import LabelledCase
from .conditions import GRID, Condition, conditions_for
from .report import summarise, write_report
from .scoring import PromptRow, Scorer, Timing
from .slices import read_slices
from .unfinished import CaseResult, Done, Unfinished

OpenStore = Callable[[], EmbeddingStore]
"""Loads the model; with several processes it is called in each of them, so it must be picklable."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What to measure.

    Attributes:
        conditions: see `conditions_named`.
        n_seeds: runs with prompts drawn anew, seeds 0, 1, ...; the thesis has five.
        structures: prompted together; only slices that hold all of them count.
        margin: pixels between a structure and its box.
        myocardium: how its mask is made where a condition does not say.
        overlap: which structure keeps a pixel that several claim.
    """

    conditions: tuple[Condition, ...] = GRID
    n_seeds: int = 5
    structures: tuple[Structure, ...] = SHORT_AXIS
    margin: int = 5
    myocardium: Myocardium = "ring"
    overlap: Overlap = "order"

    def __post_init__(self) -> None:
        if self.n_seeds < 1:
            raise InputError(f"at least one seed is needed, not {self.n_seeds}")
        if not self.conditions:
            raise InputError("there is no condition to measure")


@dataclass(frozen=True)
class PromptEvaluation:
    """What `evaluate_prompts` found and wrote.

    Attributes:
        rows: of prompts.csv.
        summary: content of summary.json (NaN where the file has null).
    """

    rows: list[PromptRow]
    summary: dict[str, Any]


def evaluate_prompts(
    cases: Sequence[LabelledCase],
    open_store: OpenStore,
    out: Path | str,
    settings: EvaluationSettings | None = None,
    about: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> PromptEvaluation:
    """Prompt on every slice that holds all structures, under every condition and seed, and write what came of it.

    `out` receives prompts.csv (one `PromptRow` a line), table.csv, table.md, by_structure_and_region.csv and
    summary.json, all or none. Until then the finished cases are kept in `out`/unfinished-*: the same call goes on
    after a stop, with conditions and seeds added too. Each slice is encoded once for all conditions.

    Args:
        cases: the data set.
        open_store: loads the model.
        out: folder for the results; other files in it stay.
        settings: what to measure; the thesis's grid on short-axis slices by default.
        about: model and data for summary.json; results of a stopped run with other values are not taken up.
        jobs: processes, each with its own copy of the model and its share of the processor's threads.
        progress: told after every condition of a slice (with several processes: of a case); may raise Cancelled.

    Raises:
        InputError: a case cannot be read, no slice holds all structures, or `out` cannot be written.
    """
    if jobs < 1:
        raise InputError(f"at least one job is needed, not {jobs}")
    settings = settings or EvaluationSettings()
    structures = settings.structures
    conditions, warnings = conditions_for(settings.conditions, structures, settings.myocardium)
    identity = {**(about or {}), **_settings_text(settings)}
    unfinished = Unfinished(Path(out), identity)
    plan = _Plan(settings, conditions, structures)
    started = time.perf_counter()
    results: dict[str, CaseResult] = {}
    for number, (case, result) in enumerate(_results(plan, cases, unfinished, open_store, jobs, progress), start=1):
        results[case] = result
        progress(number / len(cases), f"{number} of {len(cases)} cases")
    ordered = {case.name: results[case.name] for case in cases}
    names = {condition.name: condition.measured for condition in conditions}
    rows = [row for result in ordered.values() for row in result.only(plan.wanted, names)]
    if not rows:
        raise InputError(f"no slice of the data holds all of {', '.join(structures)}; choose the structures")
    timing = Timing()
    for result in ordered.values():
        timing.add(result.timing)
    summary = summarise(
        rows,
        conditions,
        about={
            **identity,
            "n_cases": len(ordered),
            "n_slices": sum(result.n_slices for result in ordered.values()),
            "n_incomplete_slices": sum(result.n_incomplete for result in ordered.values()),
            "seeds": list(range(settings.n_seeds)),
        },
        warnings=[*warnings, *(f"{name}: {text}" for name, result in ordered.items() for text in result.warnings)],
        timing=timing,
        seconds=time.perf_counter() - started,
    )
    with output_folder(out) as folder:
        write_report(folder, rows, summary)
    unfinished.remove()
    return PromptEvaluation(rows, summary)


@dataclass(frozen=True)
class _Plan:
    """What every case is measured for."""

    settings: EvaluationSettings
    conditions: tuple[Condition, ...]
    structures: tuple[Structure, ...]

    @property
    def wanted(self) -> list[Done]:
        """All conditions and seeds."""
        return [(condition.name, seed) for condition in self.conditions for seed in range(self.settings.n_seeds)]

    def missing(self, result: CaseResult) -> list[tuple[Condition, int]]:
        """What is not done yet."""
        return [
            (condition, seed)
            for condition in self.conditions
            for seed in range(self.settings.n_seeds)
            if (condition.name, seed) not in result.done
        ]


def _results(
    plan: _Plan,
    cases: Sequence[LabelledCase],
    unfinished: Unfinished,
    open_store: OpenStore,
    jobs: int,
    progress: Progress,
) -> Iterator[tuple[str, CaseResult]]:
    """Every case with its result as soon as there is one; the model is loaded only if anything is left to do."""
    left = []
    for case in cases:
        before = unfinished.read(case.name)
        if before.done.issuperset(plan.wanted):
            yield case.name, before
        else:
            left.append((case, before))
    if not left:
        return
    n_done = len(cases) - len(left)
    if jobs > 1 and len(left) > 1:
        yield from _in_processes(plan, left, unfinished, open_store, min(jobs, len(left)), progress, n_done, len(cases))
        return
    store = open_store()
    for number, (case, before) in enumerate(left, start=n_done):

        def report(fraction: float, message: str, number: int = number) -> None:
            progress((number + fraction) / len(cases), message)

        result = _measure_case(plan, case, before, store, report)
        unfinished.write(case.name, result)
        yield case.name, result


def _measure_case(
    plan: _Plan, case: LabelledCase, before: CaseResult, store: EmbeddingStore, progress: Progress
) -> CaseResult:
    """Everything about one case that `before` lacks, slice by slice, added to what it has."""
    settings = plan.settings
    found = read_slices(case, plan.structures)
    todo = plan.missing(before)
    timing = Timing()
    timing.add(before.timing)
    scorer = Scorer(store, settings.margin, settings.myocardium, settings.overlap, timing)
    rows = list(before.rows)
    for place, item in enumerate(found.slices):
        the_same: dict[Condition, list[PromptRow]] = {}
        for step, (condition, seed) in enumerate(todo):
            done = (place + step / len(todo)) / len(found.slices)
            progress(done, f"{case.name}, slice {item.slice}: {condition.name}")
            if condition in the_same:
                rows += [replace(row, seed=seed) for row in the_same[condition]]
                continue
            new = scorer.score(item, condition, seed)
            rows += new
            if not condition.is_random:
                the_same[condition] = new
    done_now = before.done | {(condition.name, seed) for condition, seed in todo}
    return CaseResult(rows, done_now, len(found.slices), found.n_incomplete, found.warnings, asdict(timing))


def _in_processes(
    plan: _Plan,
    left: Sequence[tuple[LabelledCase, CaseResult]],
    unfinished: Unfinished,
    open_store: OpenStore,
    jobs: int,
    progress: Progress,
    n_done: int,
    n_cases: int,
) -> Iterator[tuple[str, CaseResult]]:
    # Spawned, not forked: torch and ONNX Runtime hang in forked children whose parent has used them.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    threads = max(1, processor_threads() // jobs)
    with ExitStack() as cleanup:
        # Entered before the pool, so that on an error children learn of it before the pool waits for them.
        pool = cleanup.enter_context(
            ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(open_store, stop, threads))
        )
        cleanup.callback(stop.set)
        waiting: dict[Future[CaseResult], str] = {
            pool.submit(_measure_in_child, plan, case, before): case.name for case, before in left
        }
        cleanup.callback(lambda: pool.shutdown(wait=False, cancel_futures=True))
        while waiting:
            finished, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                name = waiting.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool as error:
                    raise InputError(
                        f"a process that measured cases ended unexpectedly ({jobs} of them may need more memory than "
                        f"there is); finished cases are kept in {unfinished.folder}"
                    ) from error
                unfinished.write(name, result)
                n_done += 1
                yield name, result
            progress(n_done / n_cases, f"{n_done} of {n_cases} cases")


_child: dict[str, Any] = {}
"""Of a child process: how it opens its model, the model, and the event that tells it to stop."""


def _prepare(open_store: OpenStore, stop: Event, threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    _child.update(open=open_store, stop=stop)


def _measure_in_child(plan: _Plan, case: LabelledCase, before: CaseResult) -> CaseResult:
    def check(fraction: float, message: str) -> None:  # noqa: ARG001
        if _child["stop"].is_set():
            raise Cancelled

    if "store" not in _child:  # not in the initializer, whose errors would reach the user as a broken pool
        _child["store"] = _child["open"]()
    return _measure_case(plan, case, before, _child["store"], check)


def _settings_text(settings: EvaluationSettings) -> dict[str, Any]:
    return {
        "structures": [str(structure) for structure in settings.structures],
        "margin": settings.margin,
        "myocardium": settings.myocardium,
        "overlap": settings.overlap,
    }
