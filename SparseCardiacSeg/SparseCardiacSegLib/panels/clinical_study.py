"""The clinical measures of the study as it is in the scene: ED, ES, the atrium, and the beat between them."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .study_phases import ED, ES, StudyPhases, phasesOf

if TYPE_CHECKING:
    from ..measures.volume_curve import VolumeCurve
    from ..mrml.carried_frames import FrameBook
    from .study_session import StudySession

FEWEST_FRAMES = 3
"""Labelled frames of a curve: ED and ES alone are no curve, and to say so each time would be noise."""


@dataclass(frozen=True, eq=False)
class Walls:
    """What the worker has measured of the wall.

    Attributes:
        record: `measures.wall_thickness.thickness_record`.
        warnings: sentences the user should see.
    """

    record: Mapping[str, Any]
    warnings: Sequence[str] = ()


def patientOf(session: StudySession) -> dict[str, Any]:
    """What is known of the patient, as `clinical_measures` and an export take it; None for what is not."""
    parameters = session.parameters
    return {
        "height_cm": parameters.heightCm or None,
        "weight_kg": parameters.weightKg or None,
        "sex": parameters.sex.value or None,
        "heart_rate": parameters.heartRate or None,
    }


def measure(
    session: StudySession,
    found: StudyPhases | None = None,
    book: FrameBook | None = None,
    walls: Walls | None = None,
) -> dict[str, Any]:
    """Clinical measures of the study (`measures.clinical.clinical_measures`), with the volume curve of a cine.

    Args:
        session: the study.
        found: its phases; None to look for them.
        book: keeps what the frames hold from one look to the next.
        walls: thickness of the wall, where it was measured.

    Raises:
        InputError: nothing is labelled, or height, weight or heart rate are impossible.
    """
    from ..measures.clinical import clinical_measures

    found = phasesOf(session) if found is None else found
    ed, es = found.ventricles(ED), found.ventricles(ES)
    atrium = found.phases.get(found.atrium)
    measures = clinical_measures(
        ed=None if ed is None else ed.labels,
        es=None if es is None else es.labels,
        la=None if atrium is None else atrium.labels,
        ed_frame=None if ed is None else ed.frame,
        es_frame=None if es is None else es.frame,
        **patientOf(session),
    )
    curve = curveOf(session, found, book)
    if curve is not None:
        measures["volume_curve"] = curve.record()
        measures["warnings"] += [f"cine: {warning}" for warning in curve.warnings]
    if walls is not None:
        _addWalls(measures, walls, all(one.labels.labels.spacing_known for one in (ed, es) if one is not None))
    return measures


def curveOf(session: StudySession, found: StudyPhases, book: FrameBook | None = None) -> VolumeCurve | None:
    """Volumes over the beat of a cine with `FEWEST_FRAMES` labelled frames or more; None for any other study.

    Raises:
        InputError: the heart rate is impossible.
    """
    from ..anatomy import Structure
    from ..measures.volume_curve import curve_of_volumes
    from ..mrml.carried_frames import FrameBook, volume_curves
    from ..mrml.volumes import frame_times

    browser, node = session.browser, session.segmentation
    if browser is None or node is None:
        return None
    contents = (book or FrameBook()).contents(node, browser)
    held = [frame for frame, content in enumerate(contents) if content.volumes_ml.get(Structure.LV)]
    if len(held) < FEWEST_FRAMES:
        return None
    phases = {name: found.ventricles(name) for name in (ED, ES)}
    ed, es = (
        phase.frame if phase is not None and phase.node is node and phase.frame in held else None
        for phase in phases.values()
    )
    times = frame_times(browser.GetSequenceNode(session.volume))
    rate = patientOf(session)["heart_rate"]
    return curve_of_volumes(volume_curves(contents), times, rate, ed=ed, es=es, name=node.GetName())


def _addWalls(measures: dict[str, Any], walls: Walls, trueSize: bool) -> None:
    """Put the wall's figures where `clinical_measures(..., wall=True)` puts them."""
    from ..measures.clinical_blocks import range_records

    record = dict(walls.record)
    measures["wall_thickness"] = record
    ranges = range_records(measures["lv"], measures["rv"], record, measures["sex"], "in volume", trueSize)
    measures["normal_ranges"] = ranges
    measures["warnings"] = list(dict.fromkeys([*measures["warnings"], *walls.warnings]))
