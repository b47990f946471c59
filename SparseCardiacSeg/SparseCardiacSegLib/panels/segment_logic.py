"""Starting a segmentation from nodes; for the panel, for scripts and for the self-test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import worker_process
from .segment_run import SegmentRun

if TYPE_CHECKING:
    from ..worker.client import WorkerClient

_WAIT_S = 0.05


class SegmentLogic:
    """Holds the worker, which keeps its models loaded from one segmentation to the next."""

    def __init__(self, make_client: Callable[[], WorkerClient] = worker_process.make_client) -> None:
        """Set up; the worker is started when it is first needed."""
        self._make_client = make_client
        self._client: WorkerClient | None = None

    def start(self, volume_node: Any, model: str = "", device: str = "auto", output_node: Any = None) -> SegmentRun:
        """Start to segment a volume node; poll what is returned.

        Args:
            volume_node: a scalar volume node.
            model: a name of the catalogue or a model folder; empty for the first of the catalogue.
            device: auto, cpu, cuda or mps.
            output_node: the segmentation node to write to; None makes a new one.

        Raises:
            InputError: the volume or the settings cannot be used, or the worker cannot be started.
        """
        from ..automatic.postprocess import PostprocessSettings
        from ..automatic.predictor import PredictionSettings
        from ..mrml.volumes import stack_from_volume
        from ..segmenter import SegmentJob

        stack = stack_from_volume(volume_node)
        settings = PredictionSettings(device=device)
        if self._client is None:
            self._client = self._make_client()
        job = SegmentJob(self._client, stack, model or self._default_model(), settings, PostprocessSettings())
        return SegmentRun(job, volume_node, output_node)

    def segment(
        self,
        volume_node: Any,
        model: str = "",
        device: str = "auto",
        output_node: Any = None,
        process_events: Callable[[], None] = lambda: None,
    ) -> Any:
        """Segment a volume node and wait; returns the segmentation node.

        Args:
            volume_node, model, device, output_node: as for `start`.
            process_events: called while waiting.

        Raises:
            InputError: as for `start`, or the model failed; the text tells the remedy and the worker's last output.
        """
        run = self.start(volume_node, model, device, output_node)
        while not (state := run.poll()).finished:
            process_events()
            time.sleep(_WAIT_S)
        if state.result is None:
            raise InputError("\n".join(part for part in (state.error or "cancelled", state.details) if part))
        return run.write_result(state.result)

    def show_in_3d(self, segmentation_node: Any, visible: bool) -> None:
        """Show or hide the surfaces of a segmentation in the 3D views."""
        from ..mrml.display import show_3d

        show_3d(segmentation_node, visible)

    def stop_worker(self) -> None:
        """End the worker process, if there is one; it is started again when it is needed."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @staticmethod
    def _default_model() -> str:
        from .models import listed_models

        models = listed_models()
        if not models:
            raise InputError("this installation has no model: choose a model folder")
        return models[0].name
