"""Starting a segmentation from nodes; for the panel, for scripts and for the self-test."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError
from .segment_box import BoxedJob
from .segment_run import SegmentRun, SegmentTarget
from .workers import SEGMENT, Workers

if TYPE_CHECKING:
    from ..automatic.postprocess import PostprocessSettings
    from ..mrml.edit_history import EditHistory

_WAIT_S = 0.05


@dataclass(frozen=True, eq=False)
class SegmentRequest:
    """What to segment, and how.

    Attributes:
        volume: a scalar volume node; of a cine the one that shows its frames.
        model: a name of the catalogue or a model folder; empty for the first of the catalogue.
        device: auto, cpu, cuda or mps.
        output: the segmentation node to write to; None makes a new one.
        browser: the vtkMRMLSequenceBrowserNode of a cine; None for a single stack.
        all_frames: every frame of the cine, or the one shown.
        mirroring: average over mirrored images.
        postprocess: which repairs to make; None for the defaults.
        box: a vtkMRMLMarkupsROINode inside which is looked; outside of it nothing is written.
    """

    volume: Any
    model: str = ""
    device: str = "auto"
    output: Any = None
    browser: Any = None
    all_frames: bool = True
    mirroring: bool = True
    postprocess: PostprocessSettings | None = None
    box: Any = None


class SegmentLogic:
    """Starts jobs in the worker, which keeps its models loaded from one segmentation to the next."""

    def __init__(self, workers: Workers) -> None:
        """Set up; the worker is started when it is first needed."""
        self.workers = workers

    def start(
        self, request: SegmentRequest, history_of: Callable[[Any, Any, Any], EditHistory] | None = None
    ) -> SegmentRun:
        """Start to segment a volume node; poll what is returned until it has written the labels.

        Args:
            request: what to segment, and how.
            history_of: as for `SegmentRun`.

        Raises:
            InputError: the volume or the settings cannot be used, or the worker cannot be started.
        """
        from ..automatic.postprocess import PostprocessSettings
        from ..automatic.predictor import PredictionSettings
        from ..mrml.region_box import voxel_box
        from ..mrml.volumes import stack_from_sequence, stack_from_volume
        from ..segmenter import SegmentJob

        volume, output, browser = request.volume, request.output, request.browser
        if browser is not None and output is not None and browser.GetSequenceNode(output) is None:
            raise InputError(
                _("{segmentation} has one frame, but {volume} is a cine: choose another segmentation, or none.").format(
                    segmentation=output.GetName(), volume=volume.GetName()
                )
            )
        whole = browser is not None and request.all_frames
        stack = stack_from_sequence(browser.GetSequenceNode(volume)) if whole else stack_from_volume(volume)
        settings = PredictionSettings(device=request.device, mirroring=request.mirroring)
        postprocess = PostprocessSettings() if request.postprocess is None else request.postprocess
        model = request.model or self._default_model()
        box = None if request.box is None else voxel_box(request.box, volume)
        job = SegmentJob(self.workers.client(SEGMENT), stack, model, settings, postprocess, box)
        frame = 0 if browser is None else browser.GetSelectedItemNumber()
        target = SegmentTarget(volume, output, browser, frame)
        return SegmentRun(job if box is None else BoxedJob(job, box, target), target, history_of)

    def segment(self, request: SegmentRequest, process_events: Callable[[], None] = lambda: None) -> Any:
        """Segment a volume node and wait; returns the segmentation node.

        Args:
            request: what to segment, and how.
            process_events: called while waiting.

        Raises:
            InputError: as for `start`, or the model failed; the text tells the remedy and the worker's last output.
        """
        run = self.start(request)
        while not (state := run.poll()).finished:
            process_events()
            time.sleep(_WAIT_S)
        if state.result is None:
            raise InputError("\n".join(part for part in (state.error or "cancelled", state.details) if part))
        return state.node

    @staticmethod
    def _default_model() -> str:
        from .models import listed_models

        models = listed_models()
        if not models:
            raise InputError(_("This installation has no model: choose a model folder."))
        return models[0].name
