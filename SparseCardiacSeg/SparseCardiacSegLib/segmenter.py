"""Automatic segmentation of a stack or cine through the worker: blocking for scripts, polled for a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .automatic.image_check import check_image
from .automatic.orientation import slices_first_orientation
from .automatic.roi import MARGIN_MM, VoxelBox, cropped, put_back
from .progress import Cancelled, Progress, no_progress
from .segmentation import Segmentation
from .stack import Stack
from .worker.events import Event, EventKind, error_of
from .worker.schemes import read_scheme, write_scheme

if TYPE_CHECKING:
    from .anatomy import LabelScheme
    from .automatic.postprocess import PostprocessSettings
    from .automatic.predictor import PredictionSettings
    from .worker.client import WorkerClient

_POSTPROCESS_SHARE = 0.05
"""Share of the progress bar for post-processing."""


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What a model made of a stack.

    Attributes:
        raw: the model's labels as they came, in the model's own scheme.
        segmentation: after post-processing; the same object as `raw` where there was none.
        seconds: what the predictions took, loading of the model not counted.
        model: name, folder, backend, device, folds and card of the model.
        warnings: sentences the user should see.
    """

    raw: Segmentation
    segmentation: Segmentation
    seconds: float
    model: Mapping[str, Any]
    warnings: tuple[str, ...]


class JobState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, eq=False)
class JobNews:
    """News of a job. After anything but RUNNING nothing follows.

    Attributes:
        state: where the job stands.
        fraction: share done, 0 to 1.
        message: what is being done (RUNNING), or what went wrong (FAILED).
        result: the result (FINISHED).
        error: the exception that `segment_stack` would raise (FAILED).
    """

    state: JobState
    fraction: float
    message: str = ""
    result: SegmentResult | None = None
    error: Exception | None = None


class SegmentJob:
    """The segmentation of one stack or cine, frame after frame; `start`, then `poll` until it is done.

    Nothing waits for the worker, so that a timer in a window can drive it.
    """

    def __init__(
        self,
        client: WorkerClient,
        stack: Stack,
        model: str | Path,
        settings: PredictionSettings | None = None,
        postprocess: PostprocessSettings | None = None,
        roi: VoxelBox | None = None,
    ) -> None:
        """Set up; see `segment_stack` for the arguments."""
        self._client = client
        self._whole = stack
        self._roi = None if roi is None else roi.within(stack)
        self._crop = None if self._roi is None else self._roi.grown(stack, MARGIN_MM)
        self._stack = stack if self._crop is None else cropped(stack, self._crop)
        self._model = _absolute(model)
        self._settings = {} if settings is None else asdict(settings)
        self._postprocess = postprocess
        self._end_of_prediction = 1.0 if postprocess is None else 1.0 - _POSTPROCESS_SHARE
        self._request: int | None = None
        self._frames: list[np.ndarray] = []
        self._raw: Segmentation | None = None
        self._info: Mapping[str, Any] = {}
        self._scheme: LabelScheme | None = None
        self._seconds = 0.0
        self._warnings: list[str] = []
        self._fraction = 0.0
        self._cancelled = False

    @property
    def is_running(self) -> bool:
        """Whether the job has begun and is not done."""
        return self._request is not None

    def start(self) -> None:
        """Check the image and send the first frame.

        Raises:
            InputError: the image cannot be segmented, or the worker cannot be started.
            RuntimeError: the job was started before.
        """
        if self._request is not None or self._frames:
            raise RuntimeError("a SegmentJob runs once")
        self._warnings = check_image(self._stack)
        self._send_frame()

    def poll(self) -> list[JobNews]:
        """What has happened since the last call; never waits. The last piece of news is not RUNNING."""
        news: list[JobNews] = []
        while self._request is not None:
            events = self._client.poll(self._request)
            if not events:
                break
            for event in events:
                try:
                    news.extend(self._take(event))
                except Exception as error:  # reported as the outcome: a timer has nobody to raise to
                    self._request = None
                    news.append(JobNews(JobState.FAILED, self._fraction, str(error), error=error))
        return news

    def cancel(self) -> None:
        """Ask for the end; `poll` reports CANCELLED, at the latest after the client's time of grace. Does not wait."""
        if self._request is not None:
            self._cancelled = True
            self._client.cancel(request=self._request)

    def abandon(self) -> None:
        """Cancel and wait for the end, about a second; `poll` then reports nothing."""
        if self._request is not None:
            self._client.abandon(self._request)
            self._request = None

    def _send_frame(self) -> None:
        index = len(self._frames)
        image = self._stack.frame(index).slices_first()
        params = {
            **self._settings,
            "model": self._model,
            "spacing": list(self._stack.slices_first_spacing),
            "orientation": slices_first_orientation(self._stack),
        }
        self._request = self._client.submit("segment", params, {"image": np.ascontiguousarray(image, np.float32)})

    def _take(self, event: Event) -> list[JobNews]:
        """Go on with the job as the worker's news demand."""
        if event.kind is EventKind.PROGRESS:
            return [self._progress(event.fraction, event.message)]
        self._request = None
        # A frame may have been finished when the cancellation reached the worker.
        if event.kind is EventKind.CANCELLED or self._cancelled:
            return [JobNews(JobState.CANCELLED, self._fraction, event.message or "cancelled")]
        if event.kind is not EventKind.RESULT:
            raise error_of(event)
        if self._raw is not None:
            return [self._finish(self._tidied(event, self._raw))]
        self._take_frame(event)
        if len(self._frames) < self._stack.n_frames:
            self._send_frame()
            return [self._progress(0.0, "")]
        array = self._stack.from_slices_first(np.stack(self._frames) if self._stack.is_cine else self._frames[0])
        if self._roi is not None and self._crop is not None:
            array = put_back(array, self._crop, self._roi, self._whole)
        assert self._scheme is not None
        self._raw = Segmentation(self._whole.with_array(np.ascontiguousarray(array)), self._scheme)
        if self._postprocess is None:
            return [self._finish(self._raw)]
        self._request = self._client.submit(
            "postprocess",
            {
                "steps": asdict(self._postprocess),
                "labels_scheme": write_scheme(self._scheme),
                "ijk_to_ras": self._stack.ijk_to_ras.tolist(),
                "through_plane": self._stack.through_plane,
            },
            {"labels": self._raw.labels.array},
        )
        return [self._progress(0.0, "post-processing")]

    def _take_frame(self, event: Event) -> None:
        labels = event.arrays["labels"]
        expected = self._stack.frame(len(self._frames)).slices_first().shape
        if labels.shape != expected:
            raise RuntimeError(f"the worker returned labels of shape {labels.shape} for an image of shape {expected}")
        self._frames.append(labels)
        self._scheme = read_scheme(event.values["labels_scheme"])
        self._info = event.values["model"]
        self._seconds += event.values["seconds"]
        self._warnings.extend(event.values["warnings"])

    def _tidied(self, event: Event, raw: Segmentation) -> Segmentation:
        self._warnings.extend(event.values["warnings"])
        return Segmentation(raw.labels.with_array(event.arrays["labels"]), raw.scheme)

    def _progress(self, fraction: float, message: str) -> JobNews:
        """The fraction of one request as that of the job."""
        frames = self._stack.n_frames
        if self._raw is not None:
            self._fraction = self._end_of_prediction + (1.0 - self._end_of_prediction) * fraction
        else:
            self._fraction = self._end_of_prediction * (len(self._frames) + fraction) / frames
            if frames > 1:
                frame = f"frame {len(self._frames) + 1} of {frames}"
                message = f"{frame}: {message}" if message else frame
        return JobNews(JobState.RUNNING, self._fraction, message or "working")

    def _finish(self, segmentation: Segmentation) -> JobNews:
        warnings = tuple(dict.fromkeys(self._warnings))
        raw = self._raw
        assert raw is not None
        raw_warned = Segmentation(raw.labels, raw.scheme, warnings)
        result = raw_warned if segmentation is raw else Segmentation(segmentation.labels, raw.scheme, warnings)
        outcome = SegmentResult(raw_warned, result, self._seconds, self._info, warnings)
        self._fraction = 1.0
        return JobNews(JobState.FINISHED, 1.0, "done", outcome)


def preload(client: WorkerClient, model: str | Path, settings: PredictionSettings | None = None) -> None:
    """Start the worker and let it load a model while this process reads images. Does not wait.

    What goes wrong there is told by the segmentation that follows.

    Args:
        client: the worker to use.
        model: name of a model, or its folder.
        settings: those of the segmentation.

    Raises:
        InputError: the worker cannot be started.
    """
    client.submit("load", {**({} if settings is None else asdict(settings)), "model": _absolute(model)})


def segment_stack(
    client: WorkerClient,
    stack: Stack,
    model: str | Path,
    settings: PredictionSettings | None = None,
    postprocess: PostprocessSettings | None = None,
    progress: Progress = no_progress,
    roi: VoxelBox | None = None,
) -> SegmentResult:
    """Segment a stack, or every frame of a cine, and wait for the result.

    Args:
        client: the worker to use; it is started if need be and stays open.
        stack: the image; its through-plane axis may be any.
        model: name of a model, or its folder.
        settings: how to run it; None takes the defaults of `PredictionSettings`.
        postprocess: steps to apply; None leaves the model's labels as they are.
        progress: called with what is done; may raise `Cancelled`.
        roi: where to look (`automatic.roi` makes one from a box in RAS mm); the model sees the box and
            `automatic.roi.MARGIN_MM` around it, and what lies outside the box stays background.

    Returns:
        Labels on the grid of `stack`, axes in its order, in the model's own scheme.

    Raises:
        InputError: the image, the model or the settings cannot be used.
        WorkerError: the worker died or failed.
        Cancelled: `progress` raised it.
    """
    job = SegmentJob(client, stack, model, settings, postprocess, roi)
    try:
        job.start()
        while True:
            for news in job.poll():
                if news.state is JobState.RUNNING:
                    progress(news.fraction, news.message)
                elif news.result is not None:
                    progress(1.0, news.message)
                    return news.result
                elif news.error is not None:
                    raise news.error
                else:
                    raise Cancelled(news.message)
            client.wait()
    except BaseException:
        job.abandon()
        raise


def _absolute(model: str | Path) -> str:
    """A model's name as it is, a path made absolute: the worker may have another current folder."""
    path = Path(model).expanduser()
    return str(path.resolve()) if isinstance(model, Path) or len(path.parts) > 1 else str(model)
