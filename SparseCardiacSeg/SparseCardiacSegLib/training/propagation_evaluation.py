"""How well each engine carries labels: from ED to ES on pairs of frames, and through whole cines."""

from __future__ import annotations

import csv
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import LabelScheme
from ..errors import InputError
from ..files import write_all_atomically
from ..measures.comparison import common_structures
from ..measures.overlap import overlap
from ..measures.surface import surface_distances
from ..progress import Progress, no_progress, part_of
from ..propagation.carry import PropagationSettings, Strategy, propagate
from ..propagation.engine import describe_engine
from ..segmentation import Segmentation
from ..stack import Stack
from .labelled_cases import LabelledCase, read_cases

_FEWEST_FRAMES = 5
"""A second difference over fewer frames says nothing of a heart beat."""


@dataclass(frozen=True)
class PropagationRow:
    """One structure of one frame that labels were carried to.

    Attributes:
        patient: whom it shows.
        group: of patients, where the data set tells.
        engine: key of `ENGINES`.
        strategy: direct or chained; they are the same where there are only two frames.
        source: name of the annotated case.
        target: name of the case whose own labels are the reference.
        structure: RV, MYO or LV.
        dice: 0 to 1.
        hd95_mm: NaN where exactly one of the two is empty.
        folding: share of folded pixels around the heart.
        jump: how smooth the volume runs over the cycle (`largest_jump`); NaN for a pair of frames.
        seconds: for the whole cine, or for the one frame of a pair.
    """

    patient: str
    group: str
    engine: str
    strategy: str
    source: str
    target: str
    structure: str
    dice: float
    hd95_mm: float
    folding: float
    jump: float
    seconds: float


@dataclass(frozen=True, eq=False)
class FramePair:
    """Two annotated frames of a patient, and how to get from one to the other.

    Attributes:
        patient: and group, as in the data set.
        names: of the two cases; the first is the source.
        cine: with the two frames, or with all of them.
        frames: of the cine, the two annotated ones.
        labels: of the two.
    """

    patient: str
    group: str
    names: tuple[str, str]
    cine: Stack
    frames: tuple[int, int]
    labels: tuple[Segmentation, Segmentation]


def read_pairs(dataset: Path | str, split: str | None, scheme: LabelScheme | None = None) -> list[FramePair]:
    """The first two annotated frames of every patient, as a cine of two frames. Frame order is the order of names.

    Raises:
        InputError: the data set cannot be read, no patient has two annotated frames, or the two lie on different grids.
    """
    by_patient: dict[str, list[LabelledCase]] = defaultdict(list)
    for case in read_cases(Path(dataset), scheme, split):
        by_patient[case.patient].append(case)
    pairs = []
    for patient, cases in by_patient.items():
        if len(cases) < 2:
            continue
        (first, first_labels), (second, second_labels) = (case.load() for case in cases[:2])
        if not first.same_grid(second, tolerance_mm=0.1):
            raise InputError(f"{cases[0].image_path} and {cases[1].image_path} do not lie on the same grid")
        cine = first.with_array(np.stack([first.array, second.array]))
        names = cases[0].name, cases[1].name
        pairs.append(FramePair(patient, cases[0].group, names, cine, (0, 1), (first_labels, second_labels)))
    if not pairs:
        raise InputError(f"{dataset} holds no patient with two annotated frames")
    return pairs


def evaluate_pair(
    pair: FramePair, settings: PropagationSettings, progress: Progress = no_progress
) -> list[PropagationRow]:
    """Carry the labels of the first frame through the cine and compare them with those of the second."""
    source, target = pair.frames
    started = time.monotonic()
    result = propagate(pair.cine, {source: pair.labels[0]}, settings, progress)
    seconds = time.monotonic() - started
    predicted, reference = result.segmentation.frame(target), pair.labels[1].in_scheme(result.segmentation.scheme)
    spacing = reference.labels.slices_first_spacing
    rows = []
    for structure in common_structures(predicted, reference):
        masks = predicted.slices_first_mask(structure), reference.slices_first_mask(structure)
        if not (masks[1].any() or pair.labels[0].mask(structure).any()):
            continue
        rows.append(
            PropagationRow(
                patient=pair.patient,
                group=pair.group,
                engine=settings.engine,
                strategy=settings.strategy,
                source=pair.names[0],
                target=pair.names[1],
                structure=structure.value,
                dice=overlap(*masks).dice,
                hd95_mm=surface_distances(*masks, spacing).hd95,
                folding=result.folding[target],
                jump=largest_jump(result.segmentation.mask(structure)),
                seconds=seconds,
            )
        )
    return rows


def largest_jump(masks: np.ndarray) -> float:
    """The largest second difference of a structure's volume over the (cyclic) frames, as a share of its largest volume.

    Args:
        masks: bool, frames first.

    Returns:
        0 for a volume that changes evenly; NaN with fewer than five frames, or where the structure is nowhere.
    """
    volumes = np.count_nonzero(masks.reshape(len(masks), -1), axis=1).astype(float)
    if len(volumes) < _FEWEST_FRAMES or not volumes.any():
        return float("nan")
    second = np.roll(volumes, 1) + np.roll(volumes, -1) - 2 * volumes
    return float(np.abs(second).max() / volumes.max())


def evaluate_propagation(
    pairs: Sequence[FramePair],
    engines: Sequence[str],
    out: Path | str,
    strategies: Sequence[Strategy] = ("direct",),
    through_plane: bool = True,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure engines and write `propagation.csv` (`PropagationRow`s) and `summary.json`, both or none.

    The baseline "identity" leaves labels where they are, so nothing is corrected for it.

    Returns:
        What was written to summary.json: under "engines", "<engine>/<strategy>": means over patients of Dice and HD95
        by structure, their mean, folding and seconds.

    Raises:
        InputError: an engine is unknown or not installed, or the disk refused.
    """
    for engine in engines:
        describe_engine(engine)
    rows: list[PropagationRow] = []
    jobs = [(engine, strategy, pair) for engine in engines for strategy in strategies for pair in pairs]
    for number, (engine, strategy, pair) in enumerate(jobs):
        settings = PropagationSettings(engine, strategy, through_plane=through_plane and engine != "identity")
        step = part_of(progress, number / len(jobs), (number + 1) / len(jobs))
        step(0.0, f"{engine}, {strategy}: {pair.patient}")
        rows += evaluate_pair(pair, settings, step)
    summary = {"patients": len(pairs), "through_plane": through_plane, "engines": summarise(rows)}
    paths = Path(out) / "propagation.csv", Path(out) / "summary.json"
    with write_all_atomically(*paths) as (table, text):
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [item.name for item in fields(PropagationRow)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
        text.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return summary


def summarise(rows: Sequence[PropagationRow]) -> dict[str, Any]:
    """Means over patients, by engine and strategy; an HD95 that is not defined is left out and counted.

    Jumps (`largest_jump`) are the median and the largest over patients, None where all are pairs of frames.
    """
    found: dict[str, Any] = {}
    for key in dict.fromkeys((row.engine, row.strategy) for row in rows):
        own = [row for row in rows if (row.engine, row.strategy) == key]
        by_structure = {}
        for structure in dict.fromkeys(row.structure for row in own):
            mine = [row for row in own if row.structure == structure]
            distances = [row.hd95_mm for row in mine if np.isfinite(row.hd95_mm)]
            jumps = [row.jump for row in mine if np.isfinite(row.jump)]
            by_structure[structure] = {
                "dice": float(np.mean([row.dice for row in mine])),
                "hd95_mm": float(np.mean(distances)) if distances else None,
                "without_hd95": len(mine) - len(distances),
                "median_jump": float(np.median(jumps)) if jumps else None,
                "largest_jump": max(jumps) if jumps else None,
            }
        found["/".join(key)] = {
            "dice": float(np.mean([one["dice"] for one in by_structure.values()])),
            "structures": by_structure,
            "folding": float(np.mean([row.folding for row in own])),
            "seconds": float(np.mean([row.seconds for row in own])),
        }
    return found
