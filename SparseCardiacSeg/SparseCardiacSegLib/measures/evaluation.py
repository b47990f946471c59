"""Evaluate one prediction or a cohort against references, into metrics.csv and summary.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ..anatomy import LabelScheme, Structure
from ..errors import InputError
from ..files import output_folder
from ..io import read_segmentation
from ..progress import Progress, no_progress
from ..regions import METHODS, SliceRegions, base_to_apex, label_regions
from ..segmentation import Segmentation
from .comparison import (
    ALL,
    NO_SLICES,
    MetricRow,
    check_comparable,
    common_structures,
    compare,
    write_rows,
)
from .pairing import Pair, match_files
from .statistics import aggregate, welch_t_test
from .surface import DEFINITIONS, SurfaceDefinition

SCHEMA = "sparsecardiacseg.evaluation"
SCHEMA_VERSION = 1

DEFINITION_TEXTS = {
    "dice": "2 |P and R| / (|P| + |R|); both empty 1, one empty 0",
    "iou": "|P and R| / |P or R|; both empty 1, one empty 0",
    "precision": "|P and R| / |P|; both empty 1, one empty 0",
    "recall": "|P and R| / |R|; both empty 1, one empty 0",
    "hd_mm": "Hausdorff distance: the larger of the two directed maxima, 3D, mm; both empty 0, one empty NaN",
    "hd95_mm": "the larger of the two directed 95th percentiles, 3D, mm; both empty 0, one empty NaN",
    "mad_mm": "mean of the two directed mean surface distances, 3D, mm; both empty 0, one empty NaN",
    "mean_with_diagonal": "the diagonal of the whole image stands for the distance of a missing structure",
    "voxel": "surface = voxels with a background face, outside of the array is background, all weigh the same",
    "surfel": "surface = marching-cubes triangles weighted by area, as DeepMind's surface-distance",
    "regions": "both masks cut down to the slices of the region; slices and order are told on the reference",
}


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found and wrote.

    Attributes:
        rows: of metrics.csv.
        summary: content of summary.json (NaN where the file has null).
    """

    rows: list[MetricRow]
    summary: dict[str, Any]


def evaluate(
    prediction: Path | str,
    reference: Path | str,
    out: Path | str,
    scheme: LabelScheme | None = None,
    regions_method: str = "20/60/20",
    definition: SurfaceDefinition = "voxel",
    progress: Progress = no_progress,
    reference_scheme: LabelScheme | None = None,
    structures: Sequence[Structure] | None = None,
) -> Evaluation:
    """Compare predictions with references and write `out`/metrics.csv and `out`/summary.json, both or none.

    metrics.csv has one row for each case, structure and region (`MetricRow`). Structures are those that both schemes
    name, or those asked for: Sunnybrook references hold LV only, and `structures=(LV,)` says so. Nothing is dropped
    silently: a structure absent from a reference is a row with a flag, and a warning if no reference holds it. Cines
    are compared frame by frame, as cases `<case>_frame00`, ...

    Args:
        prediction: a label file, or a folder of them (`match_files` tells how names are matched).
        reference: a label file, or a folder of them.
        out: folder for the results; other files in it stay.
        scheme: label scheme of both; None guesses that of each reference and takes it for its prediction too
            (.seg.nrrd files name their structures themselves).
        regions_method: see `label_regions`; regions and base-apex order come from the reference.
        definition: of the surface, see `surface_distances`.
        progress: told before each case; may raise Cancelled, then nothing is written.
        reference_scheme: label scheme of the references where it is not `scheme`.
        structures: which to compare; None for all that both schemes name.

    Raises:
        InputError: files that do not match, different grids, unreadable files, an unwritable folder.
    """
    if regions_method not in METHODS:
        raise InputError(f"unknown region method '{regions_method}'; known are {', '.join(METHODS)}")
    if definition not in DEFINITIONS:
        raise InputError(f"unknown surface definition '{definition}'; known are {', '.join(DEFINITIONS)}")
    expected_scheme = reference_scheme or scheme
    matches = match_files(prediction, reference)
    pairs = matches.pairs
    rows: list[MetricRow] = []
    cases: list[dict[str, Any]] = []
    for number, pair in enumerate(pairs):
        progress(number / len(pairs), f"Evaluating {pair.case}")
        for case, predicted, expected in _frames(pair, scheme, expected_scheme):
            found = _compare_case(case, predicted, expected, regions_method, definition, structures)
            rows += found[0]
            cases.append({**found[1], "prediction": str(pair.prediction), "reference": str(pair.reference)})
    warnings = _unreferenced(rows)
    if matches.unpredicted:
        listed = ", ".join(matches.unpredicted[:5]) + (", ..." if len(matches.unpredicted) > 5 else "")
        warnings.append(f"{len(matches.unpredicted)} references have no prediction and were not compared ({listed})")
    summary = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "prediction": str(prediction),
        "reference": str(reference),
        "scheme": scheme.name if scheme else None,
        "reference_scheme": expected_scheme.name if expected_scheme else None,
        "surface_definition": definition,
        "regions_method": regions_method,
        "n_cases": len(cases),
        "n_unpredicted": len(matches.unpredicted),
        "structures": list(dict.fromkeys(row.structure for row in rows)),
        "aggregates": aggregate(rows),
        "region_tests": _region_tests(rows),
        "cases": cases,
        "warnings": warnings,
        "definitions": DEFINITION_TEXTS,
    }
    with output_folder(out) as folder:
        write_rows(rows, folder / "metrics.csv")
        text = json.dumps(_without_nan(summary), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    progress(1.0, f"Evaluated {len(cases)} cases")
    return Evaluation(rows, summary)


def _frames(
    pair: Pair, scheme: LabelScheme | None, reference_scheme: LabelScheme | None
) -> Iterable[tuple[str, Segmentation, Segmentation]]:
    """Case name, prediction and reference of a pair of files; one for each frame of cines."""
    expected = read_segmentation(pair.reference, reference_scheme)
    predicted = read_segmentation(pair.prediction, scheme or expected.scheme)
    n_frames = expected.labels.n_frames
    if predicted.labels.n_frames != n_frames:
        raise InputError(
            f"{pair.prediction} has {predicted.labels.n_frames} frame(s) but {pair.reference} has {n_frames}"
        )
    for frame in range(n_frames):
        case = f"{pair.case}_frame{frame:02d}" if expected.labels.is_cine else pair.case
        yield case, predicted.frame(frame), expected.frame(frame)


def _compare_case(
    case: str,
    predicted: Segmentation,
    expected: Segmentation,
    method: str,
    definition: SurfaceDefinition,
    wanted: Sequence[Structure] | None,
) -> tuple[list[MetricRow], dict[str, Any]]:
    """Rows of a case and its entry in the summary."""
    check_comparable(predicted, expected)
    structures = tuple(one for one in common_structures(predicted, expected) if wanted is None or one in wanted)
    if not structures:
        raise InputError(f"case {case}: prediction and reference name none of {', '.join(wanted or ())}")
    warnings = [f"prediction: {warning}" for warning in predicted.warnings]
    warnings += [f"reference: {warning}" for warning in expected.warnings]
    warnings += [
        f"{structure} is in the reference but scheme '{predicted.scheme.name}' of the prediction does not name it"
        for structure in expected.structures
        if structure not in structures and expected.mask(structure).any()
    ]
    order = base_to_apex(expected)
    regions: SliceRegions | None = None
    if set(structures) != {Structure.LA}:
        try:
            regions = label_regions(expected, method)
            warnings += regions.warnings
        except InputError as error:
            # An empty or ringless reference must not stop a cohort; its regional rows say that there is nothing.
            warnings.append(str(error))
            regions = SliceRegions(method, (None,) * expected.labels.n_slices, order.base_first)
    entry = {
        "case": case,
        "base_first": order.base_first,
        "base_first_certain": order.certain,
        "base_first_reason": order.reason,
        "slices": {} if regions is None else {str(index): region.value for index, region in regions.table()},
        "warnings": warnings,
    }
    return compare(predicted, expected, regions, definition, case, structures), entry


def _unreferenced(rows: list[MetricRow]) -> list[str]:
    """A warning for each structure that no reference holds: it may be missed, or nobody may have drawn it."""
    held = {row.structure for row in rows if row.region == ALL and row.volume_ref_ml > 0}
    absent = [name for name in dict.fromkeys(row.structure for row in rows) if name not in held]
    return [
        f"{name} is in none of the references; if nobody drew it, choose the structures to compare" for name in absent
    ]


def _region_tests(rows: list[MetricRow]) -> list[dict[str, Any]]:
    """Welch's t-tests of the cases' Dice between regions, where both have two values (Mariscal-Harana et al. 2023)."""
    dice: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.region != ALL and row.flag != NO_SLICES:
            dice.setdefault((row.structure, row.region), []).append(row.dice)
    return [
        {"structure": a[0], "figure": "dice", "a": a[1], "b": b[1], "test": "welch", **asdict(welch_t_test(x, y))}
        for (a, x), (b, y) in combinations(dice.items(), 2)
        if a[0] == b[0] and min(len(x), len(y)) >= 2
    ]


def _without_nan(value: Any) -> Any:
    """The same nested value with None in place of NaN and infinity, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
