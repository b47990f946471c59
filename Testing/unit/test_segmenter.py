from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.predictor import PredictionSettings
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmenter import JobState, SegmentJob, segment_stack
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.environment import worker_environment
from SparseCardiacSegLib.worker.events import WorkerError

SCRIPT = Path(__file__).with_name("worker_for_tests.py")
ANISOTROPIC = np.array([[0, 0, -8.0, 5], [1.2, 0.9, 0, -20], [0.9, -1.2, 0, 30], [0, 0, 0, 1.0]])
"""An oblique grid: columns and rows 1.5 mm apart, slices 8 mm."""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A worker whose model is a threshold (LV where the image is above 0.5) and which tells what it was given."""

    def environment():
        return {**worker_environment(), "WORKER_TEST_THRESHOLD": "1"}

    folder = tmp_path_factory.mktemp("worker")
    with WorkerClient(command=[sys.executable, SCRIPT], environment=environment, temporary=folder) as client:
        yield client


def image(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def finish(job, seconds=20):
    """Poll a job as a timer would; all its news."""
    news = []
    end = time.monotonic() + seconds
    while job.is_running and time.monotonic() < end:
        news.extend(job.poll())
        time.sleep(0.005)
    assert not job.is_running
    return news


def test_labels_come_back_on_the_grid_of_the_image(client):
    stack = Stack(image(3, 5, 4), ANISOTROPIC, source="heart.nrrd")
    result = segment_stack(client, stack, "threshold")
    np.testing.assert_array_equal(result.raw.labels.array, np.where(stack.array > 0.5, 3, 0))
    assert result.raw.labels.same_grid(stack)
    assert result.raw.scheme.name == "acdc"
    assert result.seconds == 0.25
    assert result.warnings == result.segmentation.warnings == ("the model is a threshold",)
    given = result.model["given"]
    assert given["type"] == "float32"
    np.testing.assert_allclose(given["spacing"], [8, 1.5, 1.5])


@pytest.mark.parametrize("through_plane", [0, 1, 2])
@pytest.mark.parametrize("frames", [None, 2])
def test_the_model_sees_slices_first_whatever_the_order_of_the_axes(client, through_plane, frames):
    shape = (3, 5, 4) if frames is None else (frames, 3, 5, 4)
    matrix = np.diag([1.0, 2.0, 3.0, 1.0])
    stack = Stack(image(*shape), matrix, through_plane)
    result = segment_stack(client, stack, "threshold")
    np.testing.assert_array_equal(result.raw.labels.array, np.where(stack.array > 0.5, 3, 0))
    assert result.raw.labels.array.flags.c_contiguous
    assert result.raw.labels.through_plane == through_plane
    rest = [axis for axis in range(3) if axis != through_plane]
    assert result.model["given"]["shape"] == [(3, 5, 4)[axis] for axis in (through_plane, *rest)]
    assert result.model["given"]["spacing"] == [(3.0, 2.0, 1.0)[axis] for axis in (through_plane, *rest)]


def test_a_cine_is_segmented_frame_by_frame_with_one_progress_bar(client):
    stack = Stack(image(4, 3, 5, 4), ANISOTROPIC, frame_times=(0.0, 0.1, 0.2, 0.3))
    seen = []
    result = segment_stack(client, stack, "threshold", progress=lambda *news: seen.append(news))
    np.testing.assert_array_equal(result.raw.labels.array, np.where(stack.array > 0.5, 3, 0))
    assert result.raw.labels.frame_times == stack.frame_times
    assert result.seconds == 4 * 0.25
    assert result.warnings == ("the model is a threshold",)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {0.25, 0.5, 0.75} <= set(fractions)
    assert any(message.startswith("frame 3 of 4: slice") for _, message in seen)


def test_a_cine_of_one_frame_stays_a_cine(client):
    stack = Stack(image(1, 3, 5, 4), ANISOTROPIC)
    assert segment_stack(client, stack, "threshold").segmentation.labels.array.shape == (1, 3, 5, 4)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float64, ">f4"])
def test_any_real_numbers_are_taken(client, kind):
    array = (image(3, 5, 4) * 4).astype(kind)
    result = segment_stack(client, Stack(array, ANISOTROPIC), "threshold")
    np.testing.assert_array_equal(result.raw.labels.array, np.where(array > 0.5, 3, 0))


def test_settings_and_the_model_reach_the_worker(client, tmp_path):
    stack = Stack(image(3, 5, 4), ANISOTROPIC)
    settings = PredictionSettings(device="cpu", mirroring=False, tile_step=0.75, backend="torch")
    given = segment_stack(client, stack, "threshold", settings).model["given"]
    assert {key: given[key] for key in ("device", "mirroring", "tile_step", "backend")} == {
        "device": "cpu",
        "mirroring": False,
        "tile_step": 0.75,
        "backend": "torch",
    }
    assert given["model"] == "threshold"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        given = segment_stack(client, stack, "models/mine").model["given"]
    assert given["model"] == str(tmp_path / "models" / "mine")


def test_a_single_slice_and_unknown_spacing_are_warned_of(client):
    stack = Stack(image(1, 5, 4), ANISOTROPIC, spacing_known=False, source="one.nii.gz")
    result = segment_stack(client, stack, "threshold")
    assert len(result.warnings) == 3
    assert "one.nii.gz has a single slice" in result.warnings[0]
    assert "one.nii.gz tells no spacing" in result.warnings[1]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((3, 5, 4), 7.0), r"x.nii has the same value \(7\) everywhere"),
        (np.stack([image(3, 5, 4), np.zeros((3, 5, 4))]), "frame 1 of x.nii has the same value"),
        (np.where(image(3, 5, 4) > 0.9, np.nan, 1.0), "x.nii holds NaN"),
        (np.where(image(3, 5, 4) > 0.9, np.inf, 1.0), "x.nii holds NaN or infinite"),
        (image(3, 5, 4) * 1j, "x.nii holds values of type complex128"),
    ],
    ids=["constant", "constant frame", "NaN", "infinite", "complex"],
)
def test_an_image_that_cannot_be_segmented_is_refused_before_the_worker_is_asked(array, said, tmp_path):
    nobody = WorkerClient(tmp_path / "no such interpreter", temporary=tmp_path)
    with pytest.raises(InputError, match=said):
        segment_stack(nobody, Stack(array, ANISOTROPIC, source="x.nii"), "threshold")


def test_a_polled_job_reports_progress_and_then_the_result_once(client):
    job = SegmentJob(client, Stack(image(2, 3, 5, 4), ANISOTROPIC), "threshold")
    assert job.poll() == []
    job.start()
    news = finish(job)
    assert {item.state for item in news[:-1]} == {JobState.RUNNING}
    assert news[-1].state is JobState.FINISHED
    assert news[-1].result.raw.labels.array.shape == (2, 3, 5, 4)
    assert job.poll() == []
    with pytest.raises(RuntimeError, match="once"):
        job.start()


def test_two_jobs_share_a_worker_without_mixing(client):
    stacks = [Stack(image(3, 3, 5, 4, seed=seed), ANISOTROPIC) for seed in (1, 2)]
    jobs = [SegmentJob(client, stack, "threshold") for stack in stacks]
    for job in jobs:
        job.start()
    results = {}
    while len(results) < 2:
        for index, job in enumerate(jobs):
            for news in job.poll():
                if news.result:
                    results[index] = news.result
        time.sleep(0.005)
    for index, stack in enumerate(stacks):
        np.testing.assert_array_equal(results[index].raw.labels.array, np.where(stack.array > 0.5, 3, 0))


def test_a_job_can_be_cancelled_between_and_within_frames(client):
    job = SegmentJob(client, Stack(image(50, 3, 5, 4), ANISOTROPIC), "threshold")
    job.start()
    while not any(news.fraction > 0.02 for news in job.poll()):
        time.sleep(0.002)
    job.cancel()
    news = finish(job)
    assert news[-1].state is JobState.CANCELLED
    assert news[-1].fraction < 1
    assert not client.is_busy


def test_a_job_cancelled_when_a_frame_has_just_been_finished_begins_no_other(client):
    job = SegmentJob(client, Stack(image(3, 3, 5, 4), ANISOTROPIC), "threshold")
    job.start()
    while client.is_busy:
        client.poll(request=0)  # takes the news in, and leaves it for the job
        time.sleep(0.002)
    job.cancel()
    assert [news.state for news in finish(job)][-1] is JobState.CANCELLED
    assert not client.is_busy


def test_a_model_that_does_not_stop_is_ended(client):
    job = SegmentJob(client, Stack(image(3, 5, 4), ANISOTROPIC), "slow")
    job.start()
    job.cancel()
    started = time.monotonic()
    assert finish(job)[-1].state is JobState.CANCELLED
    assert time.monotonic() - started < 5
    assert segment_stack(client, Stack(image(3, 5, 4), ANISOTROPIC), "threshold").seconds == 0.25


def test_cancelled_raised_by_progress_stops_everything(client):
    def progress(fraction, message):
        if fraction > 0.3:
            raise Cancelled(message)

    with pytest.raises(Cancelled):
        segment_stack(client, Stack(image(20, 3, 5, 4), ANISOTROPIC), "threshold", progress=progress)
    assert not client.is_busy
    assert client.poll() == []


def test_a_worker_that_dies_is_an_error_in_both_ways_of_calling(client):
    stack = Stack(image(3, 5, 4), ANISOTROPIC)
    with pytest.raises(WorkerError, match="ended with exit code 9"):
        segment_stack(client, stack, "dies")
    job = SegmentJob(client, stack, "dies")
    job.start()
    last = finish(job)[-1]
    assert last.state is JobState.FAILED
    assert "exit code 9" in last.message
    assert isinstance(last.error, WorkerError)


def test_labels_of_another_shape_are_not_taken(client):
    with pytest.raises(RuntimeError, match=r"labels of shape \(3, 4, 4\) for an image of shape \(3, 5, 4\)"):
        segment_stack(client, Stack(image(3, 5, 4), ANISOTROPIC), "misshapen")
