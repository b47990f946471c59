"""Volumes, ejection fraction, mass and left-atrial index, with everything a reader must know to trust them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from .clinical_blocks import indexed_by, measured_curve, measured_walls, range_records, with_left_ventricle
from .clinical_inputs import input_record, input_warnings, pair_warnings
from .normal_ranges import HEART_FAILURE, checked_convention, checked_sex, ejection_fraction_class

if TYPE_CHECKING:
    from .rv_insertion import Point

MYOCARDIAL_DENSITY = 1.05
"""g/mL (Kawel-Boehm et al. 2015)."""

BsaFormula = Literal["mosteller", "dubois"]

PAPILLARY_CONVENTION = (
    "Papillary muscles count as the labels draw them: ACDC, M&Ms and M&Ms-2 labels put them into the cavity, so "
    "volumes are larger and mass is smaller than with papillary muscles in the mass; use normal ranges of the same "
    "convention."
)

UNITS = {
    "edv_ml": "mL",
    "esv_ml": "mL",
    "sv_ml": "mL",
    "ef_pct": "%",
    "mass_g": "g",
    "edv_index_ml_m2": "mL/m2",
    "esv_index_ml_m2": "mL/m2",
    "sv_index_ml_m2": "mL/m2",
    "mass_index_g_m2": "g/m2",
    "volume_ml": "mL",
    "volume_mm3": "mm3",
    "index_ml_m2": "mL/m2",
    "bsa_m2": "m2",
    "bsa_dubois_m2": "m2",
    "co_l_min": "L/min",
}


def body_surface_area(height_cm: float, weight_kg: float, formula: BsaFormula = "mosteller") -> float:
    """Body surface area in m2.

    Mosteller 1987: sqrt(height x weight / 3600). Du Bois 1916: 0.007184 x weight^0.425 x height^0.725.

    Raises:
        InputError: height or weight cannot be that of a human in cm and kg, or an unknown formula.
    """
    if not 20 <= height_cm <= 280:
        raise InputError(f"a height of {height_cm:g} cm is not possible; give it in centimetres")
    if not 0.3 <= weight_kg <= 650:
        raise InputError(f"a weight of {weight_kg:g} kg is not possible; give it in kilograms")
    if formula == "mosteller":
        return math.sqrt(height_cm * weight_kg / 3600)
    if formula == "dubois":
        return 0.007184 * weight_kg**0.425 * height_cm**0.725
    raise InputError(f"unknown formula '{formula}' for body surface area; known are mosteller, dubois")


def grade_la_index(index_ml_m2: float, year: Literal[2005, 2015] = 2015) -> str:
    """Grade of the left-atrial volume index: normal, mild, moderate or severe enlargement.

    ASE/EACVI 2015: <= 34, 35 to 41, 42 to 48, > 48 mL/m2; 2005: <= 28, 29 to 33, 34 to 39, >= 40. The tables are in
    whole mL/m2; a value in between (34.5) goes with the class below the next stated limit (mild).
    """
    if year == 2015:
        bounds = (index_ml_m2 <= 34, index_ml_m2 < 42, index_ml_m2 <= 48)
    else:
        bounds = (index_ml_m2 <= 28, index_ml_m2 < 34, index_ml_m2 < 40)
    return next((name for name, holds in zip(("normal", "mild", "moderate"), bounds, strict=True) if holds), "severe")


def find_ed_es(cine: Segmentation, structure: Structure = Structure.LV) -> tuple[int, int]:
    """Frames of the largest and the smallest volume of `structure` in a labelled cine; unlabelled frames do not count.

    Raises:
        InputError: fewer than two frames hold the structure.
    """
    masks = cine.mask(structure).reshape(cine.labels.n_frames, -1)
    volumes = np.count_nonzero(masks, axis=1)
    labelled = np.flatnonzero(volumes)
    if labelled.size < 2:
        name = cine.labels.source or "the segmentation"
        raise InputError(f"{name} has {structure} in {labelled.size} frame(s); ED and ES need two")
    return int(labelled[volumes[labelled].argmax()]), int(labelled[volumes[labelled].argmin()])


def clinical_measures(
    ed: Segmentation | None = None,
    es: Segmentation | None = None,
    la: Segmentation | None = None,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    *,
    ed_frame: int | None = None,
    es_frame: int | None = None,
    sex: str | None = None,
    papillary: str = "in volume",
    cine: Segmentation | None = None,
    frame_times: Sequence[float] | None = None,
    heart_rate: float | None = None,
    wall: bool = False,
    insertion: Point | Mapping[int, Point] | None = None,
) -> dict[str, Any]:
    """Clinical figures from labelled frames, ready for JSON.

    Volumes by summation of discs: area times the distance between slices, gaps included. Stroke volume = EDV - ESV,
    ejection fraction = SV / EDV, LV mass = MYO volume at ED x 1.05 g/mL. Indexed by body surface area (Mosteller).

    Args:
        ed: labels at end diastole, one frame.
        es: labels at end systole, one frame.
        la: labels of the left atrium.
        height_cm: of the patient; indexed values need both height and weight.
        weight_kg: of the patient.
        ed_frame: frame of the cine that `ed` is, for the record.
        es_frame: frame of the cine that `es` is, for the record.
        sex: male or female; normal ranges of both are given while it is unknown.
        papillary: how the labels count papillary muscles, "in volume" or "in mass": which normal ranges apply.
        cine: labels of every frame. ED and ES are taken from it where they are not given: the frames named by
            `ed_frame` and `es_frame`, else those of the largest and the smallest LV.
        frame_times: of the cine, seconds; its own if None.
        heart_rate: beats per minute, for cardiac output and for frame times that the file does not tell.
        wall: whether wall thickness by segment is wanted.
        insertion: anterior insertion of the RV set by hand (`wall_thickness`).

    Returns:
        {"lv": {edv_ml, esv_ml, sv_ml, ef_pct, mass_g, ...}, "rv": {...}, "la": {volume_ml, index_ml_m2, grade_2015,
        grade_2005, ...}, "bsa_m2", "bsa_dubois_m2", "sex", "indexed": every index by either formula, "normal_ranges":
        by part and measure, "wall_thickness" (`thickness_record`), "volume_curve" (`VolumeCurve.record`), "warnings",
        "units", "conventions", "inputs"}; every key is always there, None where the figure is unknown. A structure
        that is not labelled is unknown, not 0 mL.

    Raises:
        InputError: nothing to measure, a cine instead of a frame, or an impossible height, weight, sex or heart rate.
    """
    if ed is None and es is None and la is None and cine is None:
        raise InputError("there is nothing to measure: give labels at ED and ES, or of the left atrium")
    warnings: list[str] = []
    told_sex, convention = checked_sex(sex), checked_convention(papillary)
    ed_of_curve = ed_frame if ed is None else with_left_ventricle(cine, ed_frame)
    es_of_curve = es_frame if es is None else with_left_ventricle(cine, es_frame)
    curve = measured_curve(cine, frame_times, heart_rate, ed_of_curve, es_of_curve, warnings)
    if cine is not None and curve is not None and curve.ed is not None:
        if ed is None:
            ed, ed_frame = cine.frame(curve.ed), curve.ed
        if es is None:
            es, es_frame = cine.frame(curve.es), curve.es
    bsa = dubois = None
    if height_cm is not None and weight_kg is not None:
        bsa = body_surface_area(height_cm, weight_kg)
        dubois = body_surface_area(height_cm, weight_kg, "dubois")
    elif height_cm is not None or weight_kg is not None:
        warnings.append("height and weight are both needed for indexed values")
    given = [(name, part) for name, part in (("ED", ed), ("ES", es), ("LA", la)) if part is not None]
    for name, part in given:
        warnings += input_warnings(name, part)
    if ed is not None or es is not None:
        warnings += pair_warnings(ed, es)
    lv = _ventricle(Structure.LV, ed, es, bsa, heart_rate, warnings)
    rv = _ventricle(Structure.RV, ed, es, bsa, heart_rate, warnings)
    lv["ef_class"] = None if lv["ef_pct"] is None else ejection_fraction_class(lv["ef_pct"])
    muscle = _volume(ed, Structure.MYO)
    lv["mass_g"] = None if muscle is None else muscle * MYOCARDIAL_DENSITY
    lv["mass_index_g_m2"] = _ratio(lv["mass_g"], bsa)
    if ed is not None and muscle is None:
        warnings.append("MYO is not labelled at ED: no LV mass")
    volume = _volume(la, Structure.LA)
    if la is not None and volume is None:
        warnings.append("LA is not labelled: no left-atrial volume")
    index = _ratio(volume, bsa)
    if volume is not None and bsa is None:
        warnings.append("no height and weight: the left-atrial volume cannot be indexed or graded")
    atrium = {
        "volume_ml": volume,
        "volume_mm3": None if volume is None else volume * 1000,
        "index_ml_m2": index,
        "grade_2015": None if index is None else grade_la_index(index, 2015),
        "grade_2005": None if index is None else grade_la_index(index, 2005),
    }
    true_size = all(part.labels.spacing_known for part in (ed, es) if part is not None)
    walls = measured_walls(ed, es, insertion, warnings) if wall else None
    return {
        "lv": lv,
        "rv": rv,
        "la": atrium,
        "bsa_m2": bsa,
        "bsa_dubois_m2": dubois,
        "sex": told_sex,
        "indexed": {
            "mosteller": indexed_by(bsa, lv, rv, atrium),
            "dubois": indexed_by(dubois, lv, rv, atrium),
        },
        "normal_ranges": range_records(lv, rv, walls, told_sex, convention, true_size),
        "wall_thickness": walls,
        "volume_curve": None if curve is None else curve.record(),
        "warnings": list(dict.fromkeys(warnings)),
        "units": UNITS,
        "conventions": {
            "volume": "summation of discs: area x distance between slices, gaps included",
            "mass": f"MYO volume at ED x {MYOCARDIAL_DENSITY} g/mL",
            "bsa": "bsa_m2 by Mosteller 1987, used for every index; bsa_dubois_m2 by Du Bois 1916, see indexed",
            "papillary_muscles": PAPILLARY_CONVENTION,
            "la_grades": "ASE/EACVI limits of the year named, made for echocardiography",
            "ef_class": f"classes of heart failure in the {HEART_FAILURE}",
            "normal_ranges": f"mean +/- 2 SD of healthy adults, papillary muscles {convention} as in these labels",
            "rv": "ACDC labels leave the outflow tract out of the RV, which clinical volumes often include",
        },
        "inputs": {
            "ed": input_record(ed, ed_frame),
            "es": input_record(es, es_frame),
            "la": input_record(la, None),
            "height_cm": height_cm,
            "weight_kg": weight_kg,
            "heart_rate_per_min": heart_rate,
        },
    }


def _ventricle(
    structure: Structure,
    ed: Segmentation | None,
    es: Segmentation | None,
    bsa: float | None,
    heart_rate: float | None,
    warnings: list[str],
) -> dict[str, Any]:
    """EDV, ESV, SV, EF and output of one ventricle; adds its warnings to `warnings`."""
    edv, esv = _volume(ed, structure), _volume(es, structure)
    for name, part, volume in (("ED", ed, edv), ("ES", es, esv)):
        if part is not None and volume is None:
            warnings.append(f"{structure} is not labelled at {name}: no volume of it")
    stroke = None if edv is None or esv is None else edv - esv
    if stroke is not None and stroke < 0:
        warnings.append(f"{structure} is larger at ES than at ED: are the two frames swapped?")
    return {
        "edv_ml": edv,
        "esv_ml": esv,
        "sv_ml": stroke,
        "ef_pct": None if stroke is None or edv is None else 100 * stroke / edv,
        "co_l_min": None if stroke is None or heart_rate is None else stroke * heart_rate / 1000,
        "edv_index_ml_m2": _ratio(edv, bsa),
        "esv_index_ml_m2": _ratio(esv, bsa),
        "sv_index_ml_m2": _ratio(stroke, bsa),
    }


def _volume(part: Segmentation | None, structure: Structure) -> float | None:
    """Volume in mL; None where nothing is labelled."""
    volume = 0.0 if part is None else part.volume_ml(structure)
    return volume or None


def _ratio(value: float | None, bsa: float | None) -> float | None:
    return None if value is None or bsa is None else value / bsa
