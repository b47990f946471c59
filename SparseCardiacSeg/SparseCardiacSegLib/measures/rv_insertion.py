"""Where the right ventricle's wall joins the left heart: what the segments of the myocardium are counted from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from .slice_plane import SlicePlane, turn

Point = Sequence[float]
"""RAS coordinates in mm."""

CONTACT_SPAN = (20.0, 220.0)
"""Degrees of the ring that a right ventricle can touch; a septum spans about 120."""

OUTLIER_DEG = 30.0
"""A slice whose insertion lies farther from that of the whole stack takes its neighbours': near the apex and at the
outflow tract the right ventricle touches the left only in part."""

FARTHEST_MM = 100.0
"""From the cavity's centre to an insertion set by hand; even a very large left ventricle ends at half of that. A point
of another coordinate system or another patient would turn the segments at random."""

CLEAR_LEAD = 0.25
"""How much higher, in radii of the ring, one insertion must lie than the other to be called anterior by that."""

_UP = np.array([0.0, 1.0, 2.0]) / np.sqrt(5.0)
"""Superior and anterior: where the anterior insertion lies from the inferior one, which rests on the diaphragm.
Superior counts more: files whose x and y axes point the wrong way (LPS read as RAS) are common, and z survives it."""


@dataclass(frozen=True, eq=False)
class Insertions:
    """Anterior insertion of the right ventricle in every slice that was asked for.

    Attributes:
        angle: by slice index, degrees in the slice's plane (`SlicePlane`) about the cavity's centre.
        septal_side: +1 where the septum follows the insertion at growing angles, which it does in every true geometry
            (counter-clockwise seen from the apex), -1 in a mirrored stack; 0 while nothing is known.
        found: slices whose own labels told the angle; the others have their neighbours'.
        given: slices whose insertion was set by hand.
        warnings: sentences the user should see.
    """

    angle: Mapping[int, float]
    septal_side: int
    found: tuple[int, ...]
    given: tuple[int, ...]
    warnings: tuple[str, ...]


def find_insertions(
    segmentation: Segmentation,
    plane: SlicePlane,
    centres: Mapping[int, np.ndarray],
    order_is_certain: bool = True,
    insertion: Point | Mapping[int, Point] | None = None,
    septal_side: int = 0,
) -> Insertions:
    """Find the anterior insertion in the slices of `centres`.

    The right ventricle touches the ring of muscle along an arc; its two ends are the insertions. Which one is anterior
    is told by the patient's axes (it lies farther anterior and superior), averaged over the stack. In a true geometry
    it is also the end from which the septum runs counter-clockwise seen from the apex: where the two disagree, or the
    file's axes cannot be those of a short-axis plane, a warning says so.

    Args:
        segmentation: labels of one frame.
        plane: of its slices.
        centres: (x, y) of the cavity's centre by slice index, mm.
        order_is_certain: whether base and apex are known, without which handedness tells nothing.
        insertion: RAS point of the anterior insertion set by hand, one for all slices or by slice index.
        septal_side: as told by another frame of the same stack; 0 to find out.

    Raises:
        InputError: a point set by hand is not one, or is that of a slice which is not measured.
    """
    given = _given_angles(insertion, plane, centres)
    arcs = {index: arc for index in centres if (arc := _contact(segmentation, plane, index, centres[index]))}
    warnings: list[str] = []
    if not arcs:
        if not given:
            warnings.append(
                "no RV touches the myocardium, so the segments cannot be told apart: label the RV or give the "
                "anterior RV insertion point"
            )
            return Insertions({}, 0, (), (), tuple(warnings))
        warnings.append("no RV touches the myocardium: the side of the septum was taken from the file's geometry")
        return Insertions(_filled({}, given, centres), septal_side or 1, (), tuple(sorted(given)), tuple(warnings))
    if septal_side:
        starts_at_first, doubts = septal_side > 0, list[str]()
    else:
        starts_at_first, doubts = _first_end_is_anterior(plane, arcs, order_is_certain)
    side = 1 if starts_at_first else -1
    angles = {index: first if starts_at_first else last for index, (first, last) in arcs.items()}
    spans = {index: last - first for index, (first, last) in arcs.items()}
    kept = _without_outliers(angles, spans)
    if given:
        # A corrected point may also say that anterior and inferior were swapped: the septum lies where the RV is.
        middle = {index: (first + last) / 2 for index, (first, last) in arcs.items()}
        votes = [np.sign(turn(_nearest(middle, index) - angle)) for index, angle in given.items()]
        given_side = 1 if sum(votes) >= 0 else -1
        if given_side != side:
            kept, doubts, side = {}, [], given_side
    warnings += doubts if len(given) < len(centres) else []
    own = tuple(sorted(set(kept) - set(given)))
    return Insertions(_filled(kept, given, centres), side, own, tuple(sorted(given)), tuple(warnings))


def _contact(
    segmentation: Segmentation, plane: SlicePlane, index: int, centre: np.ndarray
) -> tuple[float, float] | None:
    """First and last angle of the arc along which the RV touches the muscle in one slice, growing; None without one."""
    from scipy import ndimage  # slow to import, and the module must open at once

    right = segmentation.slices_first_mask(Structure.RV)[index]
    if not right.any():
        return None
    ring = ndimage.binary_fill_holes(segmentation.slices_first_mask(Structure.MYO)[index])
    rim = ring & ~ndimage.binary_erosion(ring)
    sampling = np.linalg.norm(plane.steps, axis=1)
    away = ndimage.distance_transform_edt(~right, sampling=sampling)
    # Labels that do not quite touch still tell: a gap of a pixel or two is how some readers and models draw.
    for reach in (1.5, 3.0):
        touching = np.argwhere(rim & (away <= reach * sampling.max()))
        if len(touching) >= 3:
            break
    else:
        return None
    offsets = plane.to_mm(touching) - centre
    angles = np.sort(np.rad2deg(np.arctan2(offsets[:, 1], offsets[:, 0])))
    gaps = np.diff(np.append(angles, angles[0] + 360.0))
    widest = int(np.argmax(gaps))
    first, span = float(angles[(widest + 1) % len(angles)]), 360.0 - float(gaps[widest])
    return (first, first + span) if CONTACT_SPAN[0] <= span <= CONTACT_SPAN[1] else None


def _first_end_is_anterior(
    plane: SlicePlane, arcs: Mapping[int, tuple[float, float]], order_is_certain: bool
) -> tuple[bool, list[str]]:
    """Whether the end from which angles grow along the septum is the anterior one, and what makes that doubtful."""
    lead = float(np.mean([(plane.direction(first) - plane.direction(last)) @ _UP for first, last in arcs.values()]))
    clear = abs(lead) > CLEAR_LEAD
    if np.abs(plane.apex_axis).max() > 0.985:  # within 10 degrees of an axis of the patient
        doubt = (
            "the slices lie along the patient's axes, which short-axis slices never do, so the file's orientation is "
            "probably lost: check that segment 1 is anterior, and give the insertion point if it is not"
        )
        # Where the axes tell nothing either: images are shown as seen from the apex.
        return (lead > 0 if clear else bool(np.linalg.det(plane.steps) > 0)), [doubt]
    if order_is_certain and clear and lead < 0:
        doubt = (
            "the file's geometry contradicts itself on which RV insertion is anterior (mirrored images?): check that "
            "segment 1 is anterior, and give the insertion point if it is not"
        )
        return False, [doubt]
    return (lead > 0 if clear else True), []


def _without_outliers(angles: Mapping[int, float], weights: Mapping[int, float]) -> dict[int, float]:
    """The angles that lie near their weighted circular median; all of them where that leaves none."""
    cost = {
        index: sum(weights[other] * abs(turn(angles[other] - angle)) for other in angles)
        for index, angle in angles.items()
    }
    middle = angles[min(cost, key=lambda index: cost[index])]
    return {index: angle for index, angle in angles.items() if abs(turn(angle - middle)) <= OUTLIER_DEG}


def _filled(
    found: Mapping[int, float], given: Mapping[int, float], centres: Mapping[int, np.ndarray]
) -> dict[int, float]:
    """An angle for every slice: set by hand, its own, or that of the nearest slices that have one."""
    known = {**found, **given}
    return {index: float(turn(known[index] if index in known else _nearest(known, index))) for index in centres}


def _nearest(known: Mapping[int, float], index: int) -> float:
    """Circular mean of the angles of the nearest slices (two if they are equally near)."""
    distance = min(abs(other - index) for other in known)
    angles = np.deg2rad([angle for other, angle in known.items() if abs(other - index) == distance])
    return float(np.rad2deg(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())))


def _given_angles(
    insertion: Point | Mapping[int, Point] | None, plane: SlicePlane, centres: Mapping[int, np.ndarray]
) -> dict[int, float]:
    """Angle of every insertion that was set by hand."""
    if insertion is None:
        return {}
    points = insertion if isinstance(insertion, Mapping) else dict.fromkeys(centres, insertion)
    angles = {}
    for index, point in points.items():
        ras = np.asarray(point, np.float64)
        if ras.shape != (3,) or not np.isfinite(ras).all():
            raise InputError(f"an insertion point needs three RAS coordinates in mm, not {list(point)}")
        if index not in centres:
            measured = ", ".join(map(str, centres))
            raise InputError(f"slice {index} has an insertion point but is not measured; slices measured: {measured}")
        offset = plane.from_ras(ras, index) - centres[index]
        if np.hypot(*offset) < 1.0:
            raise InputError(f"the insertion point of slice {index} lies in the middle of the cavity")
        if np.hypot(*offset) > FARTHEST_MM:
            raise InputError(
                f"the insertion point lies {np.hypot(*offset):.0f} mm from the cavity of slice {index}, where no heart "
                "wall is: give it in RAS mm"
            )
        angles[index] = float(np.rad2deg(np.arctan2(offset[1], offset[0])))
    return angles
