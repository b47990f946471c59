"""The report of a grid: tables beside the thesis's, learning curves, and how much annotation a target needs."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...automatic.packages import require
from ...errors import InputError
from ...files import output_folder
from .curves import MEAN, Study, studies_of
from .grid import Grid
from .lines import interval
from .promptable import promptable_table
from .results import REGIONS, Result, read_results
from .tables import HEADINGS, Table, make_tables

FOLDER = "report"
_ALL_TABLES = ("5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.9")


def write_report(
    grid: Grid,
    out: Path,
    targets: Sequence[float] = (0.85,),
    promptable: Mapping[int, Mapping[str, Any]] | None = None,
    destination: Path | None = None,
) -> list[Path]:
    """Write `report.md`, a CSV a table, `runs.csv`, `needed.csv` and the figures, all or none.

    Args:
        grid: whose runs are reported; those that are not finished are counted only.
        out: folder of the experiment.
        targets: Dice values that the learning curves are asked for.
        promptable: figures for table 5.9, as `promptable.read_evaluations` gives them.
        destination: folder to write to; by default `report` in `out`.

    Returns:
        The files.

    Raises:
        InputError: no run is finished, a file of one is damaged, or the folder cannot be written.
    """
    if any(not 0 < target < 1 for target in targets):
        raise InputError(f"a target Dice lies between 0 and 1, not {', '.join(f'{one:g}' for one in targets)}")
    require(("matplotlib",), "figures", "the report's pictures")
    results = read_results(out, grid.runs)
    if not results:
        raise InputError(f"no run of {grid.path} is finished in {out}; there is nothing to report")
    tables = make_tables(results)
    if promptable:
        tables.append(promptable_table(promptable))
    studies = studies_of(results, targets)
    destination = destination or out / FOLDER
    with output_folder(destination) as folder:
        for table in tables:
            _write_csv(
                folder / f"table_{table.number.replace('.', '_')}.csv",
                ("metric", "whose", *table.columns),
                [(what, whose, *cells) for what, whose, cells in table.rows],
            )
        for study in studies:
            (folder / _figure(study)).write_bytes(study.png)
        _write_csv(folder / "runs.csv", *_runs_table(results))
        if studies:
            _write_csv(folder / "needed.csv", *_needed_table(studies))
        shutil.copyfile(grid.path, folder / "grid.yaml")
        (folder / "report.md").write_text(_markdown(grid, results, tables, studies), encoding="utf-8")
        names = sorted(path.name for path in folder.iterdir())
    return [destination / name for name in names]


def _markdown(grid: Grid, results: Sequence[Result], tables: Sequence[Table], studies: Sequence[Study]) -> str:
    """The report as Markdown."""
    first = results[0]
    data, summary = first.settings.data, first.summary
    lines = [
        f"# How little annotation is enough: {grid.path.stem}",
        "",
        f"{len(results)} of {len(grid.runs)} runs of [the grid](grid.yaml) are finished. Annotations were drawn from "
        f"split `{data.train}` of `{data.folder.name}`, {summary['n_cases']} volumes of {len(first.patients)} patients "
        f"of split `{data.validation}` were measured; no patient is in both.",
        "",
        *[f"- {text}" for text in _networks(results)],
        f"- Prediction: {_prediction(summary)}. Regions base, middle and apex: {summary['regions_method']}.",
        f"- Seeds: {', '.join(str(seed) for seed in sorted({one.settings.seed for one in results}))}. Slices that were "
        f"not annotated: {_modes(results)}.",
        f"- Training took {_minutes(results)} a run.",
        "",
        "Made with",
        "",
        f"    sparsecardiacseg experiment {grid.path.name} --data {data.folder.name} --out RUNS"
        + {None: "", True: " --postprocess", False: " --no-postprocess"}[grid.postprocess],
        "",
        "The thesis trained nnU-Net as it is for 20 epochs and measured on 100 other patients; the networks here are "
        "the ones above, so compare the shape of a row rather than single figures. Its distances leave out "
        "structures that were not found; ours do too in the rows beside it, and the row *missing = diagonal* does not.",
        "",
    ]
    for study in studies:
        lines += _study_section(study)
    for table in tables:
        lines += [f"## As table {table.number}: {table.title}", "", table.markdown()]
    absent = [number for number in _ALL_TABLES if number not in {table.number for table in tables}]
    if absent:
        lines += [f"Nothing of this grid belongs into tables {', '.join(absent)}.", ""]
    lines += ["## Every run", "", *_short_table(results), ""]
    lines += ["## Files", "", "- [runs.csv](runs.csv): every run with its settings and figures"]
    if studies:
        lines.append("- [needed.csv](needed.csv): the fitted curves and what each target needs")
    return "\n".join(lines).rstrip() + "\n"


def _study_section(study: Study) -> list[str]:
    law = study.laws[MEAN]
    curve = f"1 - Dice = {law.a:.3f} n^-{law.b:.2f}" + (f" + {law.c:.3f}" if law.c else "")
    targets = [one.target for one in study.needed[MEAN]]
    by_structure = [
        f"| {name} | {' | '.join(one.short() for one in study.needed[name])} |" for name in study.laws if name != MEAN
    ]
    seeds = f" and {study.n_seeds} seeds" if study.n_seeds > 1 else ""
    first, last = min(study.amounts), max(study.amounts)
    gain = float(law.error(first) - law.error(last))
    weak = ", no more than twice the points' scatter, so it may be chance" if gain < 2 * law.noise else ""
    return [
        f"## {study.title}",
        "",
        f"![{study.title}]({_figure(study)})",
        "",
        f"Fitted to {len(study.amounts)} points, mean of the structures: {curve}, which misses them by "
        f"{law.residual:.3f} (root mean square). Intervals: bootstrap over {study.n_patients} validation patients"
        f"{seeds}, with the scatter of the points about the curve (standard deviation {law.noise:.3f}) added"
        + (
            "."
            if study.n_seeds > 1
            else "; one seed, so that scatter is all that tells of the chance of the draw and of the training."
        ),
        "",
        f"From {first:.3g} to {last:.3g} {study.unit} the curve gains {gain:.3f}{weak}.",
        "",
        f"What a target needs, in {study.unit}:",
        "",
        *[f"- {one.text(study.unit)}" for one in study.needed[MEAN]],
        "",
        f"| one structure | {' | '.join(f'Dice {target:g}' for target in targets)} |",
        "|" + "---|" * (len(targets) + 1),
        *by_structure,
        "",
        "95 % interval in brackets; * lies beyond what was measured, so it is a guess.",
        "",
    ]


def _short_table(results: Sequence[Result]) -> list[str]:
    structures = results[0].structures
    lines = [
        f"| run | volumes | slices | Dice | 95 % interval | {' | '.join(structures)} |",
        "|" + "---|" * (5 + len(structures)),
    ]
    for one in results:
        low, high = interval([one])
        each = " | ".join(f"{one.mean('dice', name):.3f}" for name in structures)
        lines.append(
            f"| `{one.settings.name}` | {one.volumes} | {one.slices} | {one.mean('dice'):.3f} "
            f"| {low:.3f} to {high:.3f} | {each} |"
        )
    return lines


def _runs_table(results: Sequence[Result]) -> tuple[Sequence[str], list[Sequence[Any]]]:
    """Header and rows: settings, counts, and the figures by structure and region."""
    structures = results[0].structures
    header = ["run", "network", "seed", "mode", "regions", "slices_a_volume", "total", "volumes", "patients",
              "slices_annotated", "share_annotated", "dice", "dice_low", "dice_high", "structures_missed"]  # fmt: skip
    figures = [(metric, name, region) for metric in HEADINGS for name in structures for region in REGIONS]
    header += [f"{metric}_{name}_{region}" for metric, name, region in figures]
    header += ["seconds_training", "seconds_all"]
    rows = []
    for one in results:
        sparsity = one.settings.sparsity
        low, high = interval([one])
        seconds = one.summary["seconds"]
        rows.append(
            [one.settings.name, one.settings.network, one.settings.seed, sparsity.mode, sparsity.regions,
             sparsity.slices or "all", sparsity.total or "", one.volumes, one.summary["annotated"]["patients"],
             one.slices, f"{one.share:.4f}", f"{one.mean('dice'):.4f}", f"{low:.4f}", f"{high:.4f}", one.missing(),
             *(_cell(one.mean(metric, name, region)) for metric, name, region in figures),
             seconds.get("train", ""), round(sum(seconds.values()), 1)]
        )  # fmt: skip
    return header, rows


def _needed_table(studies: Sequence[Study]) -> tuple[Sequence[str], list[Sequence[Any]]]:
    header = ("study", "structure", "a", "b", "c", "residual", "target_dice", "unit", "needed", "low", "high",
              "share_of_resamples_that_never_reach_it", "extrapolated")  # fmt: skip
    rows = []
    for study in studies:
        for name, law in study.laws.items():
            for one in study.needed[name]:
                rows.append((study.key, name, *(f"{value:.4f}" for value in (law.a, law.b, law.c, law.residual)),
                             one.target, study.unit, *(_amount(value) for value in (one.n, one.low, one.high)),
                             f"{one.unreached:.3f}", one.extrapolated))  # fmt: skip
    return header, rows


def _amount(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _cell(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _figure(study: Study) -> str:
    return f"learning_curve_{study.key.replace('-', '_')}.png"


def _networks(results: Sequence[Result]) -> list[str]:
    """One sentence for every network."""
    found = {}
    for one in results:
        training = one.settings.training
        distances = training.target_spacing
        spacing = f"{' x '.join(f'{distance:g}' for distance in distances)} mm, " if distances else ""
        found[one.settings.network] = (
            f"Network `{one.settings.network}`: nnU-Net {training.configuration}, {training.base_features} to "
            f"{training.max_features} features, {spacing}batch {training.batch_size}, {training.epochs} epochs of "
            f"{training.iterations_per_epoch} iterations by `{training.trainer}`, on {one.settings.device}."
        )
    return list(found.values())


def _prediction(summary: Mapping[str, Any]) -> str:
    how = summary["prediction"]
    return (
        f"{how['backend']} on {how['device']}, {'with' if how['mirroring'] else 'without'} mirroring, "
        f"{'with' if how['postprocess'] else 'without'} post-processing"
    )


def _modes(results: Sequence[Result]) -> str:
    texts = {"ignore": "nnU-Net's ignore label (the thesis: zeroed)", "zero": "zeroed, as in the thesis"}
    return " and ".join(texts[mode] for mode in sorted({one.settings.sparsity.mode for one in results}))


def _minutes(results: Sequence[Result]) -> str:
    seconds = [one.summary["seconds"].get("train", 0.0) for one in results]
    return f"{np.median(seconds) / 60:.0f} minutes (median; {min(seconds) / 60:.0f} to {max(seconds) / 60:.0f})"
