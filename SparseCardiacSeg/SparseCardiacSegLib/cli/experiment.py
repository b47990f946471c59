"""`experiment GRID.yaml --out DIR`: every run of a grid of sparsities, networks and seeds, and the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .console import progress_bar, say

if TYPE_CHECKING:
    from ..training.experiments.grid import Grid


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "experiment",
        help="train and measure every combination of a grid; run it again to go on",
        description="Runs a YAML grid of sparsities, networks and seeds as Dask tasks, each in a process and a folder "
        "of its own, and reports tables and learning curves. A finished run is not run again; a stopped one goes on.",
    )
    parser.add_argument("grid", type=Path, metavar="GRID.yaml", help="what to run")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the runs and the report")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data set to use instead of the grid's")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786 (default: here)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time, here (default: 1)")
    parser.add_argument(
        "--threads-per-worker", type=int, default=1, metavar="N", help="processor threads of a run (default: 1)"
    )
    parser.add_argument(
        "--postprocess",
        action=argparse.BooleanOptionalAction,
        help="measure labels cleaned up as `segment` does, or as they are (default: as the grid says); "
        "models that are there are not trained again",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--list", action="store_true", help="list the runs and how far they are, and run nothing")
    only.add_argument("--report", action="store_true", help="report on the finished runs, and run nothing")
    parser.add_argument(
        "--target",
        type=float,
        nargs="+",
        default=(0.80, 0.85, 0.90),
        metavar="DICE",
        help="that the learning curves are asked for (default: 0.80 0.85 0.90)",
    )
    parser.add_argument(
        "--promptable",
        nargs="+",
        default=(),
        metavar="VOLUMES=DIR",
        help="results of evaluate-prompts for the report's table 5.9, such as 0=DIR 8=DIR",
    )
    parser.add_argument("--report-to", type=Path, metavar="DIR", help="folder of the report (default: report in --out)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run, list or report."""
    from ..training.experiments.grid import read_grid
    from ..training.experiments.scheduler import Outcome, Place, run_all

    grid = read_grid(options.grid, options.data, options.postprocess)
    if options.list:
        _list(grid, options.out)
        return
    if options.report:
        _report(grid, options)
        return
    place = Place(options.scheduler, options.workers, options.threads_per_worker)

    def told(outcome: Outcome) -> None:
        say(f"{outcome.state}: {outcome.name}" + (f": {outcome.message}" if outcome.message else ""))

    try:
        with progress_bar("experiment") as progress:
            outcomes = run_all(grid.runs, options.out, place, progress, told)
    except KeyboardInterrupt:
        sys.stderr.write("sparsecardiacseg: stopped; finished runs are kept, and the same command goes on\n")
        raise SystemExit(130) from None
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    if any(outcome.state == "done" for outcome in outcomes):
        _report(grid, options)
    if failed:
        _fail(f"{len(failed)} of {len(outcomes)} runs did not finish; first {failed[0].name}: {failed[0].message}")


def _list(grid: Grid, out: Path) -> None:
    """One line a run: name, state, studies."""
    from ..training.experiments.scheduler import state_of

    for settings in grid.runs:
        outcome = state_of(out, settings)
        message = f" ({outcome.message})" if outcome.message else ""
        say(f"{settings.name}  {outcome.state}{message}  [{', '.join(grid.studies_of(settings.name))}]")


def _report(grid: Grid, options: argparse.Namespace) -> None:
    from ..training.experiments.promptable import read_evaluations
    from ..training.experiments.report import write_report

    found = read_evaluations(options.promptable)
    for path in write_report(grid, options.out, tuple(options.target), found, options.report_to):
        say(str(path))


def _fail(message: str) -> None:
    """Exit 1: nothing was wrong with the input, some runs failed."""
    from ..worker.events import Event, EventKind, WorkerError

    raise WorkerError(Event(EventKind.ERROR, None, message=message))
