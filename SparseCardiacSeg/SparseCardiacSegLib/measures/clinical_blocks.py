"""Parts of the clinical measures that stand for themselves: wall thickness, volume curve, indexes, normal ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..anatomy import Structure
from ..errors import InputError
from ..regions import label_regions
from ..segmentation import Segmentation
from .normal_ranges import Convention, Sex, range_record
from .volume_curve import VolumeCurve, volume_curve
from .wall_thickness import WallThickness, thickness_record, wall_thickness

if TYPE_CHECKING:
    from .rv_insertion import Point

INDEXED = {
    "edv_index_ml_m2": "edv_ml",
    "esv_index_ml_m2": "esv_ml",
    "sv_index_ml_m2": "sv_ml",
    "mass_index_g_m2": "mass_g",
    "index_ml_m2": "volume_ml",
}
"""Which measure each index is made of."""


def measured_curve(
    cine: Segmentation | None,
    frame_times: Sequence[float] | None,
    heart_rate: float | None,
    ed_frame: int | None,
    es_frame: int | None,
    warnings: list[str],
) -> VolumeCurve | None:
    """The volume curve of a cine; its warnings are added to `warnings`.

    Raises:
        InputError: as `volume_curve`, or an impossible heart rate.
    """
    if heart_rate is not None and not 20 <= heart_rate <= 300:
        raise InputError(f"a heart rate of {heart_rate:g} is not possible; give it in beats per minute")
    if cine is None:
        return None
    curve = volume_curve(cine, frame_times, heart_rate, ed=ed_frame, es=es_frame)
    warnings += [f"cine: {warning}" for warning in curve.warnings]
    return curve


def with_left_ventricle(cine: Segmentation | None, frame: int | None) -> int | None:
    """`frame` if the cine's LV is labelled there, else None: a frame that was chosen for its labels may lack the LV."""
    held = cine is not None and frame is not None and 0 <= frame < cine.labels.n_frames
    return frame if held and cine.frame(frame).mask(Structure.LV).any() else None


def curve_of_study(cine: Segmentation, clinical: Mapping[str, Any]) -> VolumeCurve | None:
    """The curve for a picture, with the ED and ES frames and the heart rate of `clinical_measures`.

    None where the cine is not one or holds no label.
    """
    if not cine.labels.is_cine or not cine.labels.array.any():
        return None
    record = clinical.get("volume_curve") or {}
    rate = clinical["inputs"]["heart_rate_per_min"]
    return volume_curve(cine, record.get("times_s"), rate, ed=record.get("ed_frame"), es=record.get("es_frame"))


def measured_walls(
    ed: Segmentation | None,
    es: Segmentation | None,
    insertion: Point | Mapping[int, Point] | None,
    warnings: list[str],
) -> dict[str, Any]:
    """Wall thickness at ED and ES (`thickness_record`); a frame without a ring of muscle is None, with a warning.

    Raises:
        InputError: the insertion set by hand is no point.
    """
    found: dict[str, WallThickness | None] = {"ED": None, "ES": None}
    for name, part in (("ED", ed), ("ES", es)):
        if part is None:
            continue
        try:
            measured = dict(label_regions(part, "aha").table())
        except InputError as error:
            warnings.append(f"{name}: no wall thickness: {error}")
            continue
        points = insertion
        if isinstance(insertion, Mapping):  # a slice may hold a ring at ED and none at ES
            points = {index: point for index, point in insertion.items() if index in measured}
        before = found["ED"]
        if before is not None and ed is not None and part is not ed and ed.labels.same_grid(part.labels, 1.0):
            # Base and anterior lie where they lay at ED: two frames that disagree on it would compare other walls.
            found[name] = wall_thickness(part, before.base_first, points, before.septal_side)
        else:
            found[name] = wall_thickness(part, insertion=points)
    record = thickness_record(found["ED"], found["ES"])
    warnings += record["warnings"]
    return record


def indexed_by(
    bsa: float | None, lv: Mapping[str, Any], rv: Mapping[str, Any], la: Mapping[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Every index by one body surface area: {"lv": {edv_index_ml_m2, ...}, "rv": {...}, "la": {index_ml_m2}}."""
    return {
        part: {
            index: None if bsa is None or found[key] is None else found[key] / bsa
            for index, key in INDEXED.items()
            if key in found
        }
        for part, found in (("lv", lv), ("rv", rv), ("la", la))
    }


def range_records(
    lv: Mapping[str, Any],
    rv: Mapping[str, Any],
    walls: Mapping[str, Any] | None,
    sex: Sex | None,
    convention: Convention,
    true_size: bool,
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Normal ranges with verdicts by part and measure; measures without a range are left out.

    Args:
        lv: measures of the left ventricle.
        rv: of the right one.
        walls: wall thickness (`thickness_record`).
        sex: None gives both.
        convention: how the labels count papillary muscles.
        true_size: False where the spacing is unknown: then nothing but the ejection fraction gets a verdict.
    """
    ed = None if walls is None else walls["ed"]
    wall = {"thickest_segment_mm": None if ed is None else ed["thickest_segment_mm"]}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for part, values in (("lv", lv), ("rv", rv), ("wall", wall)):
        found[part] = {}
        for key, value in values.items():
            judged = value if true_size or key == "ef_pct" else None
            if records := range_record(part, key, judged, sex, convention):
                found[part][key] = records
    return found
