"""The volumes of a cine over the heart beat in Slicer's plot view; one chart a segmentation, whoever asks for it."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ..mrml.carried_frames import FrameContent
    from .study_session import StudySession

CURVE_ROLE = "volume curve"


def showVolumeCurve(session: StudySession, contents: Sequence[FrameContent]) -> Any:
    """Fill and show the chart of the chosen segmentation.

    Args:
        session: the study, a cine.
        contents: what its frames hold.

    Returns:
        The vtkMRMLPlotChartNode; None where nothing is labelled.
    """
    from ..mrml.carried_frames import volume_curves
    from ..mrml.measurement import show_chart
    from ..mrml.own_nodes import find_own, mark_own
    from ..mrml.plots import volume_curve_chart
    from ..mrml.segmentations import place_beside
    from ..mrml.volumes import beat_rate, frame_times

    volume, browser, node = session.volume, session.browser, session.segmentation
    curves = volume_curves(contents)
    if not curves:
        return None
    chart = find_own("vtkMRMLPlotChartNode", CURVE_ROLE, node)
    name = _("{volume} volume curve").format(volume=volume.GetName())
    times = frame_times(browser.GetSequenceNode(volume))
    if times is not None and beat_rate(times) is None:
        times = None  # Slicer's sequences are in seconds by default, and frames without times then a second apart
    filled = volume_curve_chart(curves, times, name, chart=chart)
    if chart is None:
        mark_own(filled, CURVE_ROLE, node)
        place_beside(filled, node)
    show_chart(filled)
    return filled
