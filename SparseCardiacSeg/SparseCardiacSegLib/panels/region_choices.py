"""Which slice belongs to which region, by the user's choices: method, order and the slices set by hand."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ..regions import SliceRegions
    from ..segmentation import Segmentation
    from .study_session import StudySession

NONE = ""
"""How a slice that was taken out of all regions by hand is written."""


def readOverrides(text: str, volumeId: str) -> dict[int, str | None]:
    """Slices of a volume that were set by hand.

    Args:
        text: the parameter `regionOverrides`; what is damaged counts as empty.
        volumeId: ID of the volume node.
    """
    try:
        found = json.loads(text or "{}").get(volumeId, {})
        return {int(index): str(region) or None for index, region in found.items()}
    except (ValueError, AttributeError):
        return {}


def writeOverrides(text: str, volumeId: str, overrides: dict[int, str | None]) -> str:
    """The parameter `regionOverrides` with the slices of one volume set anew."""
    try:
        every = json.loads(text or "{}")
    except ValueError:
        every = {}
    every = every if isinstance(every, dict) else {}
    every.pop(volumeId, None)
    if overrides:
        every[volumeId] = {str(index): region or NONE for index, region in sorted(overrides.items())}
    return json.dumps(every) if every else ""


def overridesOf(session: StudySession, volume: Any = None) -> dict[int, str | None]:
    """Slices of a volume (None for the chosen one) that were set by hand."""
    volume = session.volume if volume is None else volume
    if volume is None or session.parameters is None:
        return {}
    from ..mrml.volumes import through_plane_of

    n_slices = tuple(reversed(volume.GetImageData().GetDimensions()))[through_plane_of(volume)]
    overrides = readOverrides(session.parameters.regionOverrides, volume.GetID())
    # Another stack may have got the same node ID in another scene.
    return {index: region for index, region in overrides.items() if 0 <= index < n_slices}


def setOverride(session: StudySession, index: int, region: str | None) -> None:
    """Set the region of one slice of the chosen volume by hand; None takes it out of all regions."""
    overrides = {**overridesOf(session), index: region}
    _store(session, overrides)


def resetOverrides(session: StudySession) -> None:
    """Forget what was set by hand on the chosen volume."""
    _store(session, {})


def regionsOf(session: StudySession, labels: Segmentation, volume: Any = None) -> SliceRegions:
    """Regions of labels by the choices of the Regions panel.

    Args:
        session: the study.
        labels: one frame.
        volume: the volume node that they belong to; None for the chosen one.

    Raises:
        InputError: the labels hold nothing that the method needs.
    """
    from ..regions import label_regions

    method = session.parameters.regionMethod.value
    return label_regions(labels, method, session.baseFirst, overridesOf(session, volume))


def regionName(region: Any) -> str:
    """A region as users read it."""
    return {"base": _("Base"), "middle": _("Middle"), "apex": _("Apex")}.get(str(region), _("No region"))


def _store(session: StudySession, overrides: dict[int, str | None]) -> None:
    parameters = session.parameters
    parameters.regionOverrides = writeOverrides(parameters.regionOverrides, session.volume.GetID(), overrides)
