"""What the finished runs of a grid found."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from .run_folder import METRICS, SUMMARY, RunFolder
from .run_settings import RunSettings
from .stages import SPLIT

REGIONS = ("all", "base", "middle", "apex")


@dataclass(frozen=True, eq=False)
class Result:
    """One finished run.

    Attributes:
        settings: of the run.
        summary: content of its summary.json.
        patients: of the validation split.
        structures: measured, in the order of metrics.csv.
        sums: Dice of the whole stacks summed over each patient's cases, [patient, structure].
        counts: of these cases, [patient, structure].
        folder: of the run.
    """

    settings: RunSettings
    summary: dict[str, Any]
    patients: tuple[str, ...]
    structures: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray
    folder: Path

    @property
    def volumes(self) -> int:
        """Annotated volumes."""
        return int(self.summary["annotated"]["volumes"])

    @property
    def slices(self) -> int:
        """Annotated slices of all volumes."""
        return int(self.summary["annotated"]["slices_kept"])

    @property
    def share(self) -> float:
        """Annotated slices of those that the annotated volumes have."""
        return self.slices / int(self.summary["annotated"]["slices"])

    def mean(self, figure: str, structure: str | None = None, region: str = "all", diagonal: bool = False) -> float:
        """Mean of a figure over the validation cases; over the structures too, unless one is named.

        Distances leave missing structures out, as the thesis does, or with `diagonal` put the image's diagonal in
        their place. NaN where there is nothing.
        """
        key = "mean_with_diagonal" if diagonal else "mean"
        names = self.structures if structure is None else (structure,)
        values = [self.summary["aggregates"][name][region][figure][key] for name in names]
        kept = [value for value in values if value is not None]
        return float(np.mean(kept)) if kept else float("nan")

    def missing(self) -> int:
        """Structures that were not found at all, of all cases and structures."""
        return sum(self.summary["aggregates"][name]["all"]["n_missing"] for name in self.structures)

    def dice(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Mean Dice of each structure, last the mean of them.

        Args:
            chosen: indices of patients, [..., patient], repeats allowed; None takes every patient once.

        Returns:
            [..., structure].
        """
        every = np.arange(len(self.patients)) if chosen is None else chosen
        by_structure = self.sums[every].sum(-2) / self.counts[every].sum(-2)
        return np.concatenate([by_structure, by_structure.mean(-1, keepdims=True)], -1)


def read_results(out: Path, runs: Sequence[RunSettings]) -> list[Result]:
    """The finished ones of `runs`.

    Raises:
        InputError: a file of a finished run is missing or damaged.
    """
    return [_read(folder) for settings in runs if (folder := RunFolder(out / "runs" / settings.name)).finished]


def _read(folder: RunFolder) -> Result:
    path = folder.path / METRICS
    patients = folder.json(SPLIT)["validation"]["patients"]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["region"] == "all" and row["dice"] not in ("", "nan")]
        structures = tuple(dict.fromkeys(row["structure"] for row in rows))
        sums = np.zeros((len(patients), len(structures)))
        counts = np.zeros_like(sums)
        for row in rows:
            place = patients.index(_patient_of(row["case"], patients)), structures.index(row["structure"])
            sums[place] += float(row["dice"])
            counts[place] += 1
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is missing or damaged: {error}") from error
    if not structures:
        raise InputError(f"{path} holds no figures of whole stacks")
    measured = counts.all(1)
    return Result(
        folder.settings(),
        folder.json(SUMMARY),
        tuple(patient for patient, kept in zip(patients, measured, strict=True) if kept),
        structures,
        sums[measured],
        counts[measured],
        folder.path,
    )


def _patient_of(case: str, patients: Sequence[str]) -> str:
    """The patient whose name a case begins with; the longest, as P1 is not P10."""
    return max((patient for patient in patients if case.startswith(patient)), key=len)
