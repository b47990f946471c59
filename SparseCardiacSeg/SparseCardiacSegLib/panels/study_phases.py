"""ED, ES and the left atrium of the study: which nodes and frames they are, with images and labels."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from .parameters import NO_FRAME

if TYPE_CHECKING:
    from ..segmentation import Segmentation
    from ..stack import Stack
    from .study_session import StudySession

ED, ES, LA = "ED", "ES", "LA"


@dataclass(frozen=True, eq=False)
class Phase:
    """One phase.

    Attributes:
        name: `ED`, `ES`, or `LA` for an atrium in an image of its own.
        labels: its labels.
        volume: the volume node.
        node: the segmentation node.
        frame: the cine's frame; None for a single stack.
    """

    name: str
    labels: Segmentation
    volume: Any
    node: Any
    frame: int | None = None

    def image(self) -> Stack:
        """The images, read now."""
        from ..mrml.volumes import stack_from_volume

        if self.frame is None:
            return stack_from_volume(self.volume)
        browser = _browserOf(self.volume)
        return stack_from_volume(browser.GetSequenceNode(self.volume).GetNthDataNode(self.frame))


@dataclass(frozen=True, eq=False)
class StudyPhases:
    """What can be measured and exported.

    Attributes:
        phases: by name, ED first; never empty.
        atrium: name of the phase whose labels hold the left atrium; empty where none does.
    """

    phases: Mapping[str, Phase]
    atrium: str

    def ventricles(self, name: str) -> Phase | None:
        """The phase of that name, if a ventricle or the muscle is labelled in it."""
        from ..anatomy import SHORT_AXIS

        phase = self.phases.get(name)
        held = phase is not None and any(phase.labels.mask(structure).any() for structure in SHORT_AXIS)
        return phase if held else None


def phasesOf(session: StudySession) -> StudyPhases:
    """The phases by the choices of the Study and Clinical panels.

    For a cine: the frames chosen as ED and ES; while none is chosen, the only labelled frame counts as ED, and where
    only the atrium is labelled, the frame in which it is largest counts as LA. For single stacks: the segmentations
    chosen as ED (by default the one that is worked on) and as ES; one that holds nothing but an atrium counts as LA.
    The atrium: the segmentation chosen for it, else a left-atrium segment in ES (where the atrium is largest) or ED.

    Raises:
        InputError: nothing is labelled, or ED and ES of a cine are not known; the sentence says what to do.
    """
    from ..anatomy import Structure

    phases: dict[str, Phase] = {}
    for found in _cinePhases(session) if session.browser is not None else _stackPhases(session):
        phases[found.name] = found
    atrium = next(
        (name for name in (ES, ED, LA) if name in phases and phases[name].labels.mask(Structure.LA).any()),
        "",
    )
    node = session.parameters.laSegmentation if session.parameters is not None else None
    if node is not None:
        chosen = next((phase for phase in phases.values() if phase.node is node), None)
        if chosen is None:
            phases[LA] = chosen = _stackPhase(session, LA, node)
        atrium = atrium if atrium and phases[atrium].node is node else chosen.name
    if not phases:
        raise InputError(_("There is no segmentation yet: segment the volume, or choose a segmentation."))
    return StudyPhases(phases, atrium)


def findEdEs(session: StudySession) -> str:
    """Find end diastole and end systole by the volume of the LV, and choose them in the parameter node.

    In a cine among its labelled frames; for single stacks among the segmentations of other volumes on the same grid.

    Returns:
        What was found, in a sentence.

    Raises:
        InputError: fewer than two frames or stacks have an LV.
    """
    return _findFrames(session) if session.browser is not None else _findStacks(session)


def findMissingFrames(session: StudySession) -> None:
    """Find ED and ES of a cine where neither was chosen and several frames have an LV."""
    parameters = session.parameters
    if session.browser is None or parameters.edFrame != NO_FRAME or parameters.esFrame != NO_FRAME:
        return
    if len(lvVolumes(session)) > 1:
        _findFrames(session)


def lvVolumes(session: StudySession) -> dict[int, float]:
    """Volume of the LV in mL, in each frame of a cine that has one; some milliseconds a frame."""
    from ..anatomy import Structure
    from ..mrml.carried_frames import FrameBook

    contents = FrameBook().contents(session.segmentation, session.browser)
    volumes = {frame: content.volumes_ml.get(Structure.LV, 0.0) for frame, content in enumerate(contents)}
    return {frame: volume for frame, volume in volumes.items() if volume > 0}


def frameLabels(session: StudySession, frame: int) -> Segmentation | None:
    """Labels of one frame of a cine in the chosen segmentation; None where it holds no structure."""
    from ..mrml.segmentations import segment_structures, segmentation_from_node

    node, browser = session.segmentation, session.browser
    sequence = browser.GetSequenceNode(node)
    if frame == session.frame or sequence is None:
        held = frame == session.frame and segment_structures(node)
        labels = segmentation_from_node(node, session.volume) if held else None
    else:
        part = sequence.GetNthDataNode(frame) if frame < sequence.GetNumberOfDataNodes() else None
        held = part is not None and segment_structures(part)
        labels = segmentation_from_node(part, grid=session.stack()) if held else None
    return labels if labels is not None and labels.labels.array.any() else None


def _cinePhases(session: StudySession) -> list[Phase]:
    if session.segmentation is None:
        return []
    parameters = session.parameters
    frames = {ED: parameters.edFrame, ES: parameters.esFrame}
    known = {name: frame for name, frame in frames.items() if 0 <= frame < session.nFrames}
    if not known:
        return [_onlyFrame(session)]
    phases = []
    for name, frame in known.items():
        labels = frameLabels(session, frame)
        if labels is not None:
            phases.append(Phase(name, labels, session.volume, session.segmentation, frame))
    if not phases:
        listed = ", ".join(f"{name} {frame}" for name, frame in known.items())
        raise InputError(_("Nothing is segmented in these frames: {frames}.").format(frames=listed))
    return phases


def _onlyFrame(session: StudySession) -> Phase:
    """The phase of a cine whose ED and ES nobody has chosen, where there is no choice."""
    from ..anatomy import SHORT_AXIS, Structure

    frames = session.labelledFrames()
    if not frames:
        raise InputError(_("No frame of {name} is segmented.").format(name=session.segmentation.GetName()))
    if not any(one.mask(structure).any() for one in frames.values() for structure in SHORT_AXIS):
        frame = max(frames, key=lambda index: frames[index].volume_ml(Structure.LA))
        return Phase(LA, frames[frame], session.volume, session.segmentation, frame)
    if len(frames) > 1:
        raise InputError(_("Choose the frames of end diastole and end systole, or let them be found."))
    ((frame, labels),) = frames.items()
    return Phase(ED, labels, session.volume, session.segmentation, frame)


def _stackPhases(session: StudySession) -> list[Phase]:
    from ..anatomy import SHORT_AXIS

    parameters = session.parameters
    ed = parameters.edSegmentation or session.segmentation
    es = parameters.esSegmentation
    if ed is not None and ed is es:
        raise InputError(_("{name} is chosen as ED and as ES: choose two segmentations.").format(name=ed.GetName()))
    phases = [_stackPhase(session, name, node) for name, node in ((ED, ed), (ES, es)) if node is not None]
    if len(phases) == 1 and not any(phases[0].labels.mask(structure).any() for structure in SHORT_AXIS):
        return [replace(phases[0], name=LA)]
    return phases


def _stackPhase(session: StudySession, name: str, node: Any) -> Phase:
    """A phase whose labels are a segmentation node as it stands."""
    from ..mrml.segmentations import reference_volume, segmentation_from_node

    volume = session.volume if node is session.segmentation and session.volume is not None else reference_volume(node)
    if volume is None or volume.GetImageData() is None:
        raise InputError(_("{name} does not tell which volume it belongs to.").format(name=node.GetName()))
    labels = segmentation_from_node(node, volume)
    if not labels.labels.array.any():
        raise InputError(_("{name} is empty.").format(name=node.GetName()))
    return Phase(name, labels, volume, node)


def _findFrames(session: StudySession) -> str:
    volumes = lvVolumes(session)
    if len(volumes) < 2:
        raise InputError(
            _("The LV is segmented in {count} frame(s); at least two are needed to find ED and ES.").format(
                count=len(volumes)
            )
        )
    ed, es = max(volumes, key=volumes.__getitem__), min(volumes, key=volumes.__getitem__)
    session.parameters.edFrame, session.parameters.esFrame = ed, es
    text = _("Of {count} labelled frames, the LV is largest in frame {ed} (ED) and smallest in frame {es} (ES).")
    found = text.format(count=len(volumes), ed=ed, es=es)
    if len(volumes) < session.nFrames:
        missing = _("Frames that are not labelled ({count}) were not looked at.")
        found += " " + missing.format(count=session.nFrames - len(volumes))
    return found


def _findStacks(session: StudySession) -> str:
    """ED and ES among segmentations of different volumes that lie on one grid: the same heart at another time."""
    from ..anatomy import Structure
    from ..mrml.segmentations import reference_volume, segment_structures, segmentation_from_node
    from ..mrml.volumes import stack_from_volume

    if session.segmentation is None or session.volume is None:
        raise InputError(_("There is no segmentation yet: segment the volume, or choose a segmentation."))
    grid = stack_from_volume(session.volume)
    found: dict[str, tuple[float, Any]] = {}
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    for node in sorted(nodes, key=lambda one: one is not session.segmentation):
        volume = session.volume if node is session.segmentation else reference_volume(node)
        if volume is None or volume.GetImageData() is None or volume.GetID() in found:
            continue  # two segmentations of one volume are two readings, not two phases
        if Structure.LV not in segment_structures(node).values():
            continue
        if not grid.same_grid(stack_from_volume(volume), tolerance_mm=0.1):
            continue
        size = segmentation_from_node(node, volume).volume_ml(Structure.LV)
        if size > 0:
            found[volume.GetID()] = (size, node)
    if len(found) < 2:
        raise InputError(_("Only one volume on this grid has a segmented LV; choose ED and ES by hand."))
    sizes = sorted(found.values(), key=lambda one: one[0])
    (small, es), (large, ed) = sizes[0], sizes[-1]
    session.parameters.edSegmentation, session.parameters.esSegmentation = ed, es
    return _("ED is {ed} (LV {large} mL), ES is {es} (LV {small} mL).").format(
        ed=ed.GetName(), es=es.GetName(), large=f"{large:.0f}", small=f"{small:.0f}"
    )


def _browserOf(volume: Any) -> Any:
    from ..mrml.host import module_logic

    return module_logic("Sequences").GetFirstBrowserNodeForProxyNode(volume)


def chosenFrames(session: StudySession) -> str:
    """Which frames are ED and ES, for the panel; empty for single stacks."""
    if session.browser is None:
        return ""
    frames = (session.parameters.edFrame, session.parameters.esFrame)
    ed, es = (_("not known") if frame == NO_FRAME else str(frame) for frame in frames)
    return _("ED frame {ed}, ES frame {es} (chosen in the Study section)").format(ed=ed, es=es)
