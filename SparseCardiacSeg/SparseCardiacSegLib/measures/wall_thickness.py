"""Thickness of the left ventricle's wall by segment, and how much it thickens in systole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..anatomy import Structure
from ..regions import Region, base_to_apex, label_regions
from ..segmentation import Segmentation
from .aha_segments import APEX, N_SEGMENTS, SEGMENT_NAMES, segment_of
from .myocardial_ring import MyocardialRing, measure_ring
from .rv_insertion import Insertions, Point, find_insertions
from .slice_plane import SlicePlane

NAN = float("nan")

METHOD = (
    "centre-line chords within each short-axis slice whose muscle is a closed ring, on sub-pixel contours and true "
    "spacing; AHA segments from the anterior RV insertion, thirds of those slices as base, middle and apex"
)


@dataclass(frozen=True, eq=False)
class WallThickness:
    """Thickness of the left ventricle's wall in one frame, mm.

    Attributes:
        mean: of segments 1 to 17; NaN where a segment is unknown. Segment 17 is the length of the cap of muscle beyond
            the cavity, along the long axis: it is known only to `apex_step_mm`.
        maximum: largest chord of segments 1 to 16 (17 as in `mean`).
        global_mean: of all chords of all slices; known without any segment.
        global_max: largest chord; where it lies is told by `max_segment` (0 if unknown) and `max_slice`.
        max_segment: 1 to 16.
        max_slice: slice index.
        slices: (slice index, third of the long axis) of the slices that were measured, base first.
        apex_slices: slices of muscle without cavity beyond them.
        apex_step_mm: distance between slices.
        insertion_angle: by slice, degrees in the slice's plane from the direction of its rows towards the left hand of
            an observer at the apex; empty where unknown.
        insertion_ras: by slice, where the insertion meets the outer contour, RAS mm.
        insertion_given: slices whose insertion was set by hand.
        base_first: whether slice 0 is nearest the base.
        septal_side: which way the septum lies from the insertion (`Insertions`); 0 if unknown.
        warnings: sentences the user should see.
    """

    mean: tuple[float, ...]
    maximum: tuple[float, ...]
    global_mean: float
    global_max: float
    max_segment: int
    max_slice: int
    slices: tuple[tuple[int, Region], ...]
    apex_slices: tuple[int, ...]
    apex_step_mm: float
    insertion_angle: Mapping[int, float]
    insertion_ras: Mapping[int, tuple[float, float, float]]
    insertion_given: tuple[int, ...]
    base_first: bool
    septal_side: int
    warnings: tuple[str, ...] = ()

    @property
    def thickest_segment(self) -> int:
        """The one of segments 1 to 16 whose mean is largest; 0 where all are unknown."""
        values = np.array(self.mean[: APEX - 1])
        return int(np.nanargmax(values)) + 1 if np.isfinite(values).any() else 0

    def record(self) -> dict[str, Any]:
        """The same as plain JSON values, segments by number, None where unknown."""
        return {
            "mean_mm": {str(n + 1): known(value) for n, value in enumerate(self.mean)},
            "max_mm": {str(n + 1): known(value) for n, value in enumerate(self.maximum)},
            "thickest_segment": self.thickest_segment or None,
            "thickest_segment_mm": self.mean[self.thickest_segment - 1] if self.thickest_segment else None,
            "global_mean_mm": self.global_mean,
            "global_max_mm": self.global_max,
            "max_segment": self.max_segment or None,
            "max_slice": self.max_slice,
            "slices": [{"slice": index, "region": str(region)} for index, region in self.slices],
            "apex_slices": list(self.apex_slices),
            "apex_known_to_mm": self.apex_step_mm,
            "insertion_ras_mm": {str(index): list(point) for index, point in self.insertion_ras.items()},
            "insertion_set_by_hand": list(self.insertion_given),
        }


def wall_thickness(
    segmentation: Segmentation,
    base_first: bool | None = None,
    insertion: Point | Mapping[int, Point] | None = None,
    septal_side: int = 0,
) -> WallThickness:
    """Measure the thickness of the left ventricle's wall in the 17 segments of the AHA.

    Only slices whose muscle closes around the cavity count (Cerqueira et al. 2002); thirds of them are base, middle and
    apex (`regions.label_regions`, method aha). Segments are counted from the anterior insertion of the right ventricle
    (`find_insertions`). Without a right ventricle, and without an insertion set by hand, segments 1 to 16 are unknown
    and the thickness of the whole wall is still given.

    Args:
        segmentation: labels of one frame, with LV and MYO.
        base_first: whether slice 0 is nearest the base; None to find out.
        insertion: RAS mm of the anterior insertion, one point for all slices or by slice index; slices without one
            keep what is found on the labels.
        septal_side: that of another frame of the same stack, so that both call the same end anterior; 0 to find out.

    Raises:
        InputError: no slice has a full ring of muscle, a cine was given, or an impossible insertion.
    """
    regions = label_regions(segmentation, "aha", base_first)
    order = base_to_apex(segmentation)
    warnings = list(regions.warnings)
    if not segmentation.labels.spacing_known:
        warnings.append("the file gives no spacing, 1 mm was assumed: thickness is not true, thickening is")
    plane = SlicePlane.of(segmentation.labels, regions.base_first)
    muscle = segmentation.slices_first_mask(Structure.MYO)
    rings = {index: measure_ring(muscle[index], plane) for index, _ in regions.table()}
    centres = {index: ring.centre for index, ring in rings.items()}
    certain = order.certain or base_first is not None
    found = find_insertions(segmentation, plane, centres, certain, insertion, septal_side)
    mean, maximum = _by_segment(rings, dict(regions.table()), found)
    beyond = _apex_slices(segmentation, regions.table()[-1][0], regions.base_first)
    step = segmentation.labels.slices_first_spacing[0]
    mean[APEX - 1] = maximum[APEX - 1] = len(beyond) * step if beyond else NAN
    thickest = max(rings, key=lambda index: rings[index].thickness.max())
    chord = int(rings[thickest].thickness.argmax())
    segment = 0
    if found.angle:
        segment = int(_segments(rings[thickest], dict(regions.table())[thickest], found, thickest)[chord])
    return WallThickness(
        mean=tuple(mean),
        maximum=tuple(maximum),
        global_mean=float(np.mean([ring.thickness for ring in rings.values()])),
        global_max=float(rings[thickest].thickness[chord]),
        max_segment=segment,
        max_slice=thickest,
        slices=tuple(regions.table()),
        apex_slices=beyond,
        apex_step_mm=step,
        insertion_angle=dict(found.angle),
        insertion_ras={index: _on_contour(rings[index], plane, index, angle) for index, angle in found.angle.items()},
        insertion_given=found.given,
        base_first=regions.base_first,
        septal_side=found.septal_side,
        warnings=(*warnings, *found.warnings),
    )


def thickening(ed: WallThickness, es: WallThickness) -> tuple[float, ...]:
    """Systolic thickening of segments 1 to 17 in percent: (ES - ED) / ED of their means; NaN where unknown.

    The apex is never known: its length changes by whole slices.
    """
    values = [
        100 * (after - before) / before if before > 0 else NAN for before, after in zip(ed.mean, es.mean, strict=True)
    ]
    return (*values[: APEX - 1], NAN)


def thickness_record(ed: WallThickness | None, es: WallThickness | None) -> dict[str, Any]:
    """Both frames and the thickening as plain JSON values.

    Returns:
        {"ed", "es": `WallThickness.record` or None, "thickening_pct": by segment number or None,
        "global_thickening_pct", "segments": names by number, "method", "warnings"}.
    """
    both = ed is not None and es is not None
    said: dict[str, list[str]] = {}
    for name, wall in (("ED", ed), ("ES", es)):
        for warning in wall.warnings if wall is not None else ():
            said.setdefault(warning, []).append(name)
    warnings = [f"wall thickness at {' and '.join(names)}: {warning}" for warning, names in said.items()]
    return {
        "ed": None if ed is None else ed.record(),
        "es": None if es is None else es.record(),
        "thickening_pct": ({str(n + 1): known(value) for n, value in enumerate(thickening(ed, es))} if both else None),
        "global_thickening_pct": 100 * (es.global_mean / ed.global_mean - 1) if both else None,
        "segments": {str(n + 1): name for n, name in enumerate(SEGMENT_NAMES)},
        "method": METHOD,
        "warnings": warnings,
    }


def known(value: float) -> float | None:
    """`value`, or None in place of NaN, which JSON has no word for."""
    return float(value) if math.isfinite(value) else None


def segment_values(record: Mapping[str, float | None]) -> tuple[float, ...]:
    """Values by segment of a record (`thickness_record`) as numbers for segments 1 to 17, NaN where unknown."""
    values: Sequence[float | None] = [record.get(str(number)) for number in range(1, N_SEGMENTS + 1)]
    return tuple(NAN if value is None else float(value) for value in values)


def _segments(ring: MyocardialRing, region: Region, found: Insertions, index: int) -> np.ndarray:
    """Segment of every chord of one slice."""
    return segment_of(region, found.septal_side * (ring.angles - found.angle[index]))


def _by_segment(
    rings: Mapping[int, MyocardialRing], regions: Mapping[int, Region], found: Insertions
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and largest thickness of segments 1 to 16; NaN where no chord lies in one."""
    mean, maximum = np.full((2, N_SEGMENTS), NAN)
    if not found.angle:
        return mean, maximum
    numbers = np.concatenate([_segments(ring, regions[index], found, index) for index, ring in rings.items()])
    thickness = np.concatenate([ring.thickness for ring in rings.values()])
    for number in np.unique(numbers):
        chords = thickness[numbers == number]
        mean[number - 1], maximum[number - 1] = chords.mean(), chords.max()
    return mean, maximum


def _apex_slices(segmentation: Segmentation, last: int, base_first: bool) -> tuple[int, ...]:
    """Slices of muscle without cavity that follow the last ring, in a row."""
    muscle = segmentation.slices_first_mask(Structure.MYO).any(axis=(1, 2))
    cavity = segmentation.slices_first_mask(Structure.LV).any(axis=(1, 2))
    step, found = (1 if base_first else -1), []
    index = last + step
    while 0 <= index < len(muscle) and muscle[index] and not cavity[index]:
        found.append(index)
        index += step
    return tuple(found)


def _on_contour(ring: MyocardialRing, plane: SlicePlane, index: int, angle: float) -> tuple[float, float, float]:
    """RAS of the outer contour at `angle`."""
    radians = np.deg2rad(angle)
    radius = ring.epicardium[round(angle) % len(ring.epicardium)]
    point = ring.centre + radius * np.array([np.cos(radians), np.sin(radians)])
    x, y, z = plane.to_ras(point, index)
    return float(x), float(y), float(z)
