"""A prediction beside a reference: figures by structure, by region and by slice."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import SHORT_AXIS, Structure
from ..errors import InputError
from ..regions import Region, SliceRegions
from ..segmentation import Segmentation
from .overlap import Overlap, overlap
from .surface import SurfaceDefinition, surface_distances

ALL = "all"
"""Region name of the whole stack."""
NO_SLICES = "no slices"
"""Flag: the case has no slice of this region, so there is nothing to measure; every figure is NaN."""


@dataclass(frozen=True)
class MetricRow:
    """One row of metrics.csv; its first thirteen fields are the contract, in this order.

    Attributes:
        case: name of the case.
        structure: RV, MYO, LV or LA.
        region: "all" or a `Region`.
        dice: and iou, precision, recall: 0 to 1 (`overlap`).
        hd_mm: and hd95_mm, mad_mm: surface distances in 3D with true spacing (`surface_distances`).
        volume_pred_ml: and volume_ref_ml: volumes by voxel count.
        flag: "", "missing", "both empty" or "no slices".
        volume_diff_ml: prediction minus reference.
        volume_diff_pct: the same in % of the reference; NaN where that is empty.
        n_slices: slices of this region.
        regions_method: how regions were told.
        surface_definition: "voxel" or "surfel".
        diagonal_mm: diagonal of the whole image: the distance that stands for a missing structure in means.
    """

    case: str
    structure: str
    region: str
    dice: float
    iou: float
    precision: float
    recall: float
    hd_mm: float
    hd95_mm: float
    mad_mm: float
    volume_pred_ml: float
    volume_ref_ml: float
    flag: str
    volume_diff_ml: float
    volume_diff_pct: float
    n_slices: int
    regions_method: str
    surface_definition: str
    diagonal_mm: float


@dataclass(frozen=True)
class SliceRow:
    """One structure on one slice, measured in 2D; distances are between contours within the slice."""

    case: str
    structure: str
    slice: int
    region: str
    dice: float
    iou: float
    precision: float
    recall: float
    hd_mm: float
    hd95_mm: float
    mad_mm: float
    area_pred_mm2: float
    area_ref_mm2: float
    flag: str


def columns(row_type: type[MetricRow] | type[SliceRow]) -> list[str]:
    """Column names of a table of rows, in order."""
    return [item.name for item in fields(row_type)]


def compare(
    prediction: Segmentation,
    reference: Segmentation,
    regions: SliceRegions | None,
    definition: SurfaceDefinition = "voxel",
    case: str = "",
    structures: Sequence[Structure] | None = None,
) -> list[MetricRow]:
    """Compare two segmentations of one frame on the same grid.

    Regional figures are those of both masks cut down to the slices of the region: a structure cut there has its
    border there. Slices outside of all regions (say, predicted above the reference's base) count in `all` only. The
    left atrium has no regions.

    Args:
        prediction: labels to judge.
        reference: labels to judge against.
        regions: regions of the slices, from the reference; None gives `all` only.
        definition: of the surface (`surface_distances`).
        case: name for the rows.
        structures: which to compare; None for those that both schemes name.

    Returns:
        One row for each structure and region (all, base, middle, apex).

    Raises:
        InputError: the grids differ, a cine was given, or no structure is common.
    """
    common = common_structures(prediction, reference) if structures is None else tuple(structures)
    check_comparable(prediction, reference)
    grid = reference.labels
    if regions is not None and len(regions.regions) != grid.n_slices:
        raise InputError(f"regions of {len(regions.regions)} slices do not fit a stack of {grid.n_slices}")
    rows = []
    for structure in common:
        predicted, expected = prediction.slices_first_mask(structure), reference.slices_first_mask(structure)
        parts: list[tuple[str, Sequence[int]]] = [(ALL, range(grid.n_slices))]
        if regions is not None and structure in SHORT_AXIS:
            parts += [(region.value, regions.slices(region)) for region in Region]
        for name, slices in parts:
            pair = (predicted, expected) if name == ALL else (_only(predicted, slices), _only(expected, slices))
            rows.append(
                MetricRow(
                    case=case,
                    structure=structure.value,
                    region=name,
                    **_figures(*pair, grid.slices_first_spacing, definition, measured=len(slices) > 0),
                    **_volumes(*(np.count_nonzero(mask) * grid.voxel_volume_ml for mask in pair)),
                    n_slices=len(slices),
                    regions_method=regions.method if regions else "",
                    surface_definition=definition,
                    diagonal_mm=float(np.linalg.norm(np.multiply(grid.shape, grid.spacing))),
                )
            )
    return rows


def compare_slices(
    prediction: Segmentation,
    reference: Segmentation,
    regions: SliceRegions | None = None,
    definition: SurfaceDefinition = "voxel",
    case: str = "",
) -> list[SliceRow]:
    """Compare slice by slice, in 2D; base first where `regions` tells the order.

    Raises:
        InputError: as for `compare`.
    """
    check_comparable(prediction, reference)
    within = reference.labels.slices_first_spacing[1:]
    order = regions.order() if regions else range(reference.labels.n_slices)
    rows = []
    for structure in common_structures(prediction, reference):
        predicted, expected = prediction.slices_first_mask(structure), reference.slices_first_mask(structure)
        for index in order:
            pair = predicted[index], expected[index]
            rows.append(
                SliceRow(
                    case=case,
                    structure=structure.value,
                    slice=index,
                    region=str(regions.regions[index] or "") if regions else "",
                    **_figures(*pair, within, definition),
                    area_pred_mm2=float(np.count_nonzero(pair[0]) * within[0] * within[1]),
                    area_ref_mm2=float(np.count_nonzero(pair[1]) * within[0] * within[1]),
                )
            )
    return rows


def write_rows(rows: Sequence[MetricRow] | Sequence[SliceRow], path: Path) -> None:
    """Write rows as CSV with a header; floats in full precision, NaN as nan."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns(type(rows[0]) if rows else MetricRow), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def common_structures(prediction: Segmentation, reference: Segmentation) -> tuple[Structure, ...]:
    """Structures that both schemes name.

    Raises:
        InputError: there is none.
    """
    common = tuple(structure for structure in reference.structures if structure in prediction.structures)
    if not common:
        raise InputError(
            f"{_name(prediction, 'the prediction')} (scheme '{prediction.scheme.name}') and "
            f"{_name(reference, 'the reference')} (scheme '{reference.scheme.name}') have no structure in common"
        )
    return common


def check_comparable(prediction: Segmentation, reference: Segmentation) -> None:
    """Raise InputError, naming both, unless the two are single frames on the same grid."""
    names = _name(prediction, "the prediction"), _name(reference, "the reference")
    for segmentation, name in zip((prediction, reference), names, strict=True):
        if segmentation.labels.is_cine:
            raise InputError(f"{name} has {segmentation.labels.n_frames} frames; one of them is needed")
    a, b = prediction.labels, reference.labels
    if a.shape != b.shape:
        raise InputError(f"{names[0]} has shape {a.shape} but {names[1]} has {b.shape}; they must share one grid")
    if a.through_plane != b.through_plane:
        raise InputError(
            f"{names[0]} has its slices along axis {a.through_plane} but {names[1]} along axis {b.through_plane}"
        )
    if not a.same_grid(b):
        spacings = [" x ".join(f"{step:.4g}" for step in grid.spacing) for grid in (a, b)]
        detail = f"spacing {spacings[0]} against {spacings[1]} mm" if spacings[0] != spacings[1] else "position"
        raise InputError(f"{names[0]} and {names[1]} lie on different grids ({detail}); resample one onto the other")


def _figures(
    predicted: np.ndarray,
    expected: np.ndarray,
    spacing: tuple[float, ...],
    definition: SurfaceDefinition,
    measured: bool = True,
) -> dict[str, Any]:
    """Overlap, distances and flag of a pair of masks, by column name."""
    if not measured:
        names = ("dice", "iou", "precision", "recall", "hd_mm", "hd95_mm", "mad_mm")
        return {**dict.fromkeys(names, np.nan), "flag": NO_SLICES}
    shared: Overlap = overlap(predicted, expected)
    apart = surface_distances(predicted, expected, spacing, definition)
    return {
        "dice": shared.dice,
        "iou": shared.iou,
        "precision": shared.precision,
        "recall": shared.recall,
        "hd_mm": apart.hd,
        "hd95_mm": apart.hd95,
        "mad_mm": apart.mad,
        "flag": apart.flag,
    }


def _volumes(predicted: float, expected: float) -> dict[str, float]:
    return {
        "volume_pred_ml": float(predicted),
        "volume_ref_ml": float(expected),
        "volume_diff_ml": float(predicted - expected),
        "volume_diff_pct": float(100 * (predicted - expected) / expected) if expected else np.nan,
    }


def _only(mask: np.ndarray, slices: Sequence[int]) -> np.ndarray:
    """`mask` with every slice but `slices` emptied."""
    kept = np.zeros_like(mask)
    kept[list(slices)] = mask[list(slices)]
    return kept


def _name(segmentation: Segmentation, fallback: str) -> str:
    return segmentation.labels.source or fallback
