"""Folders of finished runs, made up, for tests of the report."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from SparseCardiacSegLib.measures.comparison import MetricRow, columns
from SparseCardiacSegLib.measures.statistics import aggregate
from SparseCardiacSegLib.training.experiments.grid import Grid
from SparseCardiacSegLib.training.experiments.run_folder import METRICS, SUMMARY, prepare
from SparseCardiacSegLib.training.experiments.run_settings import RunSettings

STRUCTURES = ("RV", "MYO", "LV")
DEPTH = 10
"""Slices of every volume."""


def finish(out: Path, settings: RunSettings, dice: float, n_patients: int = 6, spread: float = 0.02) -> Path:
    """Write what a finished run leaves behind, with a mean Dice of `dice` and patients that differ by `spread`."""
    folder = prepare(out, settings)
    rng = np.random.default_rng(1)  # the same patients are easy in every run
    ease = rng.normal(0, spread, n_patients)
    ease -= ease.mean()
    patients = [f"patient{number:03d}" for number in range(n_patients)]
    rows = []
    for patient, more in zip(patients, ease, strict=True):
        for frame in ("frame01", "frame09"):
            for structure, offset in zip(STRUCTURES, (-0.03, -0.01, 0.04), strict=True):
                for region, less in (("all", 0.0), ("base", 0.05), ("middle", -0.02), ("apex", 0.1)):
                    value = float(np.clip(dice + more + offset - less, 0, 1))
                    rows.append(
                        MetricRow(
                            f"{patient}_{frame}", structure, region, value, value, value, value, 9.0, 6.0, 1.5, 100.0,
                            100.0, "", 0.0, 0.0, DEPTH, "20/60/20", "voxel", 300.0,
                        )
                    )  # fmt: skip
    with (folder.path / METRICS).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns(MetricRow))
        writer.writerows([getattr(row, name) for name in columns(MetricRow)] for row in rows)
    folder.write_json("split.json", {"validation": {"patients": patients}})
    sparsity = settings.sparsity
    volumes = sparsity.volumes or 48
    per_volume = sparsity.slices or round(DEPTH * len(sparsity.regions) / 3)
    annotated = {
        "patients": volumes // 2,
        "volumes": volumes,
        "slices_kept": sparsity.total or volumes * per_volume,
        "slices": volumes * DEPTH,
    }
    folder.write_json(
        SUMMARY,
        {
            "name": settings.name,
            "annotated": annotated,
            "prediction": {"backend": "onnx", "device": "cpu", "mirroring": False, "postprocess": False},
            "regions_method": "20/60/20",
            "n_cases": 2 * n_patients,
            "aggregates": aggregate(rows),
            "warnings": [],
            "seconds": {"train": 60.0, "predict": 5.0},
        },
    )
    return folder.path


def finish_all(out: Path, grid: Grid, dice: Callable[[RunSettings], float]) -> None:
    """Finish every run of a grid with the Dice that `dice` says."""
    for settings in grid.runs:
        finish(out, settings, dice(settings))
