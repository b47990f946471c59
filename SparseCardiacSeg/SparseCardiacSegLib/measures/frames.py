"""Everything that is measured on a prediction and a reference, for one stack or for the labelled frames of a cine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..anatomy import SHORT_AXIS, Structure
from ..errors import InputError
from ..files import write_all_atomically
from ..progress import Progress, no_progress
from ..regions import SliceRegions, base_to_apex, label_regions
from ..segmentation import Segmentation
from .comparison import MetricRow, SliceRow, common_structures, compare, compare_slices, write_rows
from .curve import POSITIONS, dice_curve
from .surface import SurfaceDefinition


@dataclass(frozen=True, eq=False)
class FrameComparison:
    """Figures of one or several frames.

    Attributes:
        rows: by structure and region (`compare`), the frames after one another.
        slice_rows: by structure and slice (`compare_slices`).
        curves: Dice from base to apex at `curve.POSITIONS` for each structure of the short axis, (101,): the mean of
            the frames in which the reference holds it.
        warnings: sentences the user should see.
    """

    rows: list[MetricRow]
    slice_rows: list[SliceRow]
    curves: Mapping[Structure, np.ndarray]
    warnings: tuple[str, ...]


def compare_frames(
    pairs: Mapping[int, tuple[Segmentation, Segmentation]],
    case: str = "",
    regions_method: str = "20/60/20",
    definition: SurfaceDefinition = "voxel",
    base_first: bool | None = None,
    progress: Progress = no_progress,
    overrides: Mapping[int, str | None] | None = None,
) -> FrameComparison:
    """Compare every pair of a prediction and a reference.

    Regions are told on each reference. One that has none (empty, no closed ring) gets the flag *no slices* in its
    regional rows and a warning. Only structures that the reference holds in some frame are compared: a scheme may name
    more than anybody drew, and readers often draw the left ventricle alone. Each that only the prediction holds is
    told in a warning.

    Args:
        pairs: prediction and reference by frame; a single stack is frame 0.
        case: name for the rows; of several frames each gets `<case>_frame00`.
        regions_method: see `label_regions`.
        definition: of the surface, see `surface_distances`.
        base_first: whether slice 0 is nearest the base; None to find out.
        progress: told before each frame; may raise Cancelled.
        overrides: regions set by hand, by slice index (None: outside of all regions).

    Raises:
        InputError: no pair, different grids, nothing drawn, or no structure in common.
    """
    if not pairs:
        raise InputError("there is no frame that both the prediction and the reference label")
    structures, undrawn = _occurring(pairs)
    rows: list[MetricRow] = []
    slice_rows: list[SliceRow] = []
    curves: dict[Structure, list[np.ndarray]] = {}
    warnings = [
        f"{one} is not in the reference and was not compared; if it should be there, draw it first" for one in undrawn
    ]
    for number, (frame, (prediction, reference)) in enumerate(sorted(pairs.items())):
        progress(number / len(pairs), f"measuring frame {frame}" if len(pairs) > 1 else "measuring")
        name = f"{case}_frame{frame:02d}" if len(pairs) > 1 else case
        regions = _regions(reference, structures, regions_method, base_first, overrides or {}, warnings)
        rows += compare(prediction, reference, regions, definition, name, structures)
        slice_rows += [
            row
            for row in compare_slices(prediction, reference, regions, definition, name)
            if row.structure in structures
        ]
        for structure in structures:
            if structure in SHORT_AXIS and regions is not None and reference.mask(structure).any():
                curve = dice_curve(prediction, reference, structure, regions.base_first)
                curves.setdefault(structure, []).append(curve)
    progress(1.0, "measured")
    means = {
        structure: np.mean(curves[structure], axis=0) if structure in curves else np.full(POSITIONS.size, np.nan)
        for structure in structures
        if structure in SHORT_AXIS
    }
    return FrameComparison(rows, slice_rows, means, tuple(dict.fromkeys(warnings)))


def write_comparison(found: FrameComparison, folder: Path | str) -> tuple[Path, Path]:
    """Write metrics.csv and slices.csv into a folder, both or none.

    Returns:
        The two files.

    Raises:
        InputError: the disk refused.
    """
    paths = Path(folder) / "metrics.csv", Path(folder) / "slices.csv"
    with write_all_atomically(*paths) as (metrics, slices):
        write_rows(found.rows, metrics)
        write_rows(found.slice_rows, slices)
    return paths


def worst_slice(found: FrameComparison, case: str | None = None) -> int | None:
    """Index of the slice whose structures agree least: lowest mean Dice of those that either side holds there.

    Args:
        found: the figures.
        case: name of the frame; None for all frames together.

    Returns:
        None where no slice holds anything.
    """
    dice: dict[int, list[float]] = {}
    for row in found.slice_rows:
        if (case is None or row.case == case) and (row.area_pred_mm2 > 0 or row.area_ref_mm2 > 0):
            dice.setdefault(row.slice, []).append(row.dice)
    return min(dice, key=lambda index: float(np.mean(dice[index]))) if dice else None


def _occurring(
    pairs: Mapping[int, tuple[Segmentation, Segmentation]],
) -> tuple[tuple[Structure, ...], tuple[Structure, ...]]:
    """Common structures that the reference holds in some frame, and those that only the prediction holds."""
    common = {structure for pair in pairs.values() for structure in common_structures(*pair)}
    in_prediction, in_reference = (
        [one for one in Structure if one in common and any(pair[side].mask(one).any() for pair in pairs.values())]
        for side in (0, 1)
    )
    if not in_reference:
        nothing = "the reference is empty" if in_prediction else "prediction and reference are both empty"
        raise InputError(f"{nothing}: there is nothing to measure")
    return tuple(in_reference), tuple(one for one in in_prediction if one not in in_reference)


def _regions(
    reference: Segmentation,
    structures: Sequence[Structure],
    method: str,
    base_first: bool | None,
    overrides: Mapping[int, str | None],
    warnings: list[str],
) -> SliceRegions | None:
    """Regions of a reference; None where no structure has any."""
    if not set(structures) & set(SHORT_AXIS):
        return None
    try:
        regions = label_regions(reference, method, base_first, overrides)
    except InputError as error:
        warnings.append(str(error))
        order = base_to_apex(reference).base_first if base_first is None else base_first
        return SliceRegions(method, (None,) * reference.labels.n_slices, order)
    warnings += regions.warnings
    return regions
