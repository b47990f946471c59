"""A region of interest and the image's orientation on their way to the worker and back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.automatic.predictor import PredictionSettings
from SparseCardiacSegLib.automatic.roi import VoxelBox, box_from_ras
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.cli.segment import region_of_interest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_stack
from SparseCardiacSegLib.segmenter import segment_stack
from SparseCardiacSegLib.stack import Stack, ijk_to_ras
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.environment import worker_environment

SCRIPT = Path(__file__).with_name("worker_for_tests.py")
OBLIQUE = np.array([[1.2, 0.9, 0, -20], [0.9, -1.2, 0, 30], [0, 0, -8.0, 5], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A worker whose model is a threshold (LV where the image is above 0.5) and which tells what it was given."""

    def environment():
        return {**worker_environment(), "WORKER_TEST_THRESHOLD": "1"}

    folder = tmp_path_factory.mktemp("worker")
    with WorkerClient(command=[sys.executable, SCRIPT], environment=environment, temporary=folder) as client:
        yield client


def stack(*shape, through_plane=0, matrix=OBLIQUE):
    return Stack(np.random.default_rng(0).random(shape), matrix, through_plane, source="heart.nrrd")


@pytest.mark.parametrize("through_plane", [0, 1, 2])
@pytest.mark.parametrize("frames", [(), (2,)], ids=["stack", "cine"])
def test_labels_are_found_inside_the_box_only_and_lie_where_they_belong(client, through_plane, frames):
    image = stack(*frames, 6, 30, 34, through_plane=through_plane)
    box = VoxelBox((2, 10, 12), (4, 18, 22))
    result = segment_stack(client, image, "threshold", roi=box)
    expected = np.zeros(image.array.shape, np.uint8)
    expected[(..., *box.slices)] = np.where(image.array[(..., *box.slices)] > 0.5, 3, 0)
    np.testing.assert_array_equal(result.raw.labels.array, expected)
    assert result.segmentation.labels.same_grid(image)


def test_the_model_sees_the_box_with_a_margin_of_ten_millimetres_and_no_more(client):
    given = segment_stack(client, stack(6, 30, 34), "threshold", roi=VoxelBox((2, 10, 12), (4, 18, 22))).model["given"]
    assert given["shape"] == [6, 8 + 2 * 7, 10 + 2 * 7]  # 10 mm are 2 slices of 8 mm and 7 pixels of 1.5 mm
    np.testing.assert_allclose(given["spacing"], [8, 1.5, 1.5])


def test_a_box_in_millimetres_labels_what_lies_in_it_on_an_oblique_stack(client):
    image = stack(6, 30, 34)
    low, high = (-5.0, 0.0, -20.0), (15.0, 20.0, -5.0)
    labels = segment_stack(client, image, "threshold", roi=box_from_ras(image, low, high)).raw.labels
    k, j, i = np.mgrid[tuple(slice(size) for size in image.shape)]
    points = ijk_to_ras(image.ijk_to_ras, np.stack([i, j, k], -1))
    inside = ((points >= low) & (points <= high)).all(-1)
    assert inside.sum() > 100
    np.testing.assert_array_equal(labels.array[inside] == 3, image.array[inside] > 0.5)
    far = ((points < np.array(low) - 15) | (points > np.array(high) + 15)).any(-1)
    assert not labels.array[far].any()


def test_the_whole_image_is_labelled_without_a_box(client):
    image = stack(3, 5, 4)
    result = segment_stack(client, image, "threshold")
    np.testing.assert_array_equal(result.raw.labels.array, np.where(image.array > 0.5, 3, 0))


def test_a_box_outside_the_image_never_reaches_the_worker(client):
    with pytest.raises(InputError, match=r"outside heart\.nrrd"):
        segment_stack(client, stack(3, 5, 4), "threshold", roi=VoxelBox((7, 0, 0), (9, 2, 2)))


def test_orientation_and_threshold_reach_the_worker(client):
    image = stack(3, 5, 4, matrix=np.diag([-1.0, -1.0, 3.0, 1.0]))
    given = segment_stack(client, image, "threshold", PredictionSettings(threshold=0.7)).model["given"]
    assert given["orientation"] == "SPL"
    assert given["threshold"] == 0.7


def test_the_command_line_takes_six_numbers_or_a_file(tmp_path):
    image = stack(6, 30, 34)
    expected = box_from_ras(image, (-5, 0, -20), (15, 20, -5))
    assert region_of_interest(["-5", "15", "0", "20", "-20", "-5"], image) == expected
    (tmp_path / "box.json").write_text('{"ras": [-5, 15, 0, 20, -20, -5]}')
    assert region_of_interest([str(tmp_path / "box.json")], image) == expected
    assert region_of_interest(None, image) is None
    for bad in (["1", "2"], ["a"] * 6):
        with pytest.raises(InputError, match="six numbers"):
            region_of_interest(bad, image)


def test_negative_millimetres_are_numbers_to_the_command_line_and_a_box_outside_ends_it(tmp_path, capsys):
    write_stack(stack(6, 30, 34), tmp_path / "heart.nii.gz")
    roi = ["-500", "-400", "0", "20", "-20", "-5"]
    assert main(["segment", str(tmp_path / "heart.nii.gz"), "--roi", *roi, "--out", str(tmp_path / "out")]) == 2
    assert "the region of interest lies outside" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
