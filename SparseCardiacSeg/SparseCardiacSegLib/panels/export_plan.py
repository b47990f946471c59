"""What an export writes, read from the nodes as they are now: the study, the scene bundle, and the files' names."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import clinical_study, region_choices, study_phases
from .parameters import View

if TYPE_CHECKING:
    from ..mrml.bundle import BundleImage, BundleTables
    from ..segmentation import Segmentation
    from ..worker.export_request import ExportParts, ExportStudy
    from .study_session import StudySession

_MOST_LETTERS = 80


def fileName(name: str) -> str:
    """A study's name as every file system takes it."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:_MOST_LETTERS] or "study"


@dataclass(frozen=True, eq=False)
class Export:
    """What one export writes.

    Attributes:
        study: for the worker.
        parts: which of its files.
        bundle: images, labels and tables of the scene bundle, the images in the order of the study's phases (one for a
            cine); None where it is not wanted.
    """

    study: ExportStudy
    parts: ExportParts
    bundle: tuple[list[BundleImage], BundleTables] | None

    def plannedFiles(self) -> list[str]:
        """Paths within the study's folder that may be written."""
        from ..findings.files import PlannedPhase, planned_files
        from ..worker.export_request import video_names

        phases = [
            PlannedPhase(
                one.name,
                tuple(part for part in one.labels.structures if one.labels.mask(part).any()),
                has_regions=one.name != study_phases.LA,
                has_reference=one.reference is not None,
            )
            for one in self.study.phases
        ]
        return planned_files(
            self.study.name,
            phases,
            labels=self.parts.labels,
            tables=self.parts.tables,
            meshes=self.parts.meshes,
            report=self.parts.report,
            bundle=self.bundle is not None,
            cine=self.study.cine is not None,
            videos=video_names(self.study, self.parts),
        )


def prepareExport(session: StudySession, parts: ExportParts, bundle: bool) -> Export:
    """Read what is exported from the nodes, as it is now.

    Args:
        session: the study.
        parts: which files the worker writes.
        bundle: whether a scene bundle is wanted too.

    Raises:
        InputError: nothing is labelled, ED and ES of a cine are not known, or nothing is to be written.
    """
    from ..worker.export_request import ExportPhase, ExportStudy, video_names

    if not (bundle or parts.labels or parts.tables or parts.meshes or parts.report or parts.videos):
        raise InputError(_("Choose what to export."))
    study_phases.findMissingFrames(session)
    found = study_phases.phasesOf(session)
    case = session.parameters.exportName.strip() or session.volume.GetName()
    phases = [
        ExportPhase(
            name=phase.name,
            image=phase.image(),
            labels=phase.labels,
            frame=phase.frame,
            region_method=session.parameters.regionMethod.value,
            base_first=session.baseFirst,
            overrides=region_choices.overridesOf(session, phase.volume),
        )
        for phase in found.phases.values()
    ]
    study = ExportStudy(
        name=fileName(case),
        phases=phases,
        case=case,
        atrium=found.atrium,
        cine=_cineLabels(session),
        film=session.cine() if parts.videos and session.browser is not None else None,
        insertion=_insertion(found),
        origin=_origin(found),
        **clinical_study.patientOf(session),
    )
    if parts.videos and not video_names(study, parts):
        raise InputError(_("There is no left atrium to make a video of: segment it, or untick MP4 and GIF."))
    if not bundle:
        return Export(study, parts, None)
    parts = replace(parts, return_surfaces=study.cine is None)
    return Export(study, parts, _bundleOf(session, study, found))


def existingFiles(folder: Path, planned: Collection[str]) -> list[str]:
    """Those of the planned files that are there already."""
    return [name for name in planned if (folder / name).exists()]


def videosPossible(session: StudySession) -> bool:
    """Whether the study is one that a video shows: a cine, or an atrium slice by slice."""
    if session.parameters is None or session.volume is None:
        return False
    atrium = session.parameters.view is View.LEFT_ATRIUM or session.parameters.laSegmentation is not None
    return session.browser is not None or atrium


def _insertion(found: study_phases.StudyPhases) -> tuple[float, float, float] | None:
    """Where the user has put the RV insertion; None while it lies where the labels put it."""
    from ..mrml.insertion_point import insertion_by_hand

    phases = (found.ventricles(name) for name in (study_phases.ED, study_phases.ES))
    volume = next((phase.volume for phase in phases if phase is not None), None)
    return None if volume is None else insertion_by_hand(volume)


def _cineLabels(session: StudySession) -> Segmentation | None:
    """Labels of all frames of a cine as one; None for a single stack."""
    if session.browser is None:
        return None
    import numpy as np

    from ..mrml.segmentations import scheme_for
    from ..segmentation import Segmentation
    from ..stack import Stack

    frames = session.labelledFrames()
    cine = session.cine()
    scheme = scheme_for(part for one in frames.values() for part in one.structures if one.mask(part).any())
    labels = np.zeros(cine.array.shape, np.uint8)
    for frame, one in frames.items():
        labels[frame] = one.in_scheme(scheme).labels.array
    grid = Stack(labels, cine.ijk_to_ras, cine.through_plane, cine.frame_times, cine.spacing_known, cine.source)
    return Segmentation(grid, scheme)


def _origin(found: study_phases.StudyPhases) -> list[tuple[str, str]]:
    """Where images and labels came from, for the report."""
    lines = [("Host", f"3D Slicer {slicer.app.applicationVersion}")]
    for name, phase in found.phases.items():
        where = "" if phase.frame is None else f", frame {phase.frame}"
        lines.append((f"{name} images", f"{phase.volume.GetName()}{where}"))
        lines.append((f"{name} labels", f"segmentation '{phase.node.GetName()}' as it was in the scene{where}"))
    return lines


def _bundleOf(
    session: StudySession, study: ExportStudy, found: study_phases.StudyPhases
) -> tuple[list[BundleImage], BundleTables]:
    """Images, labels and tables of the bundle."""
    from ..mrml.bundle import BundleImage, BundleTables

    regions = {}
    for phase in found.phases.values():
        try:
            regions[f"{study.case} {phase.name}"] = region_choices.regionsOf(session, phase.labels, phase.volume)
        except InputError:  # an atrium, or no closed ring: there is no table of regions then
            continue
    if study.cine is not None:
        images = [BundleImage(study.case, session.cine(), study.cine)]
    else:
        images = [BundleImage(f"{study.case} {one.name}", one.image, one.labels) for one in study.phases]
    clinical = {study.case: clinical_study.measure(session, found)}
    return images, BundleTables(regions=regions, clinical=clinical)
