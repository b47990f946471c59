"""*Everything* mode finds what segment_anything's own generator finds, with progress and cancel."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_backends import DiscBackend
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.architectures import build
from SparseCardiacSegLib.prompting.everything import EverythingSettings, everything

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")

from segment_anything import SamAutomaticMaskGenerator  # noqa: E402
from SparseCardiacSegLib.prompting.torch_backend import TorchBackend  # noqa: E402

ALL_MASKS = EverythingSettings(points_per_side=3, min_score=-1e9, min_stability=0.0, min_area=1)
"""A network with random weights thinks little of its masks."""


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return build("slice-256").eval()


@pytest.fixture(scope="module")
def backend(sam):
    return TorchBackend(sam, "random-weights")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    row, col = np.mgrid[:70, :95]
    return np.where(np.hypot(row - 30, col - 40) < 15, 220, 40).astype(np.uint8)


@pytest.fixture(scope="module")
def found(backend, image):
    return everything(backend, image, ALL_MASKS)


def test_the_masks_are_those_of_segment_anythings_generator(sam, image, found):
    generator = SamAutomaticMaskGenerator(sam, points_per_side=3, pred_iou_thresh=-1e9, stability_score_thresh=0.0)
    with torch.inference_mode():
        records = generator.generate(np.stack([image] * 3, -1))
    records = sorted((record for record in records if record["area"] > 0), key=lambda record: -record["predicted_iou"])
    assert len(found) == len(records) > 0
    for mask, record in zip(found, records, strict=True):
        np.testing.assert_array_equal(mask.mask, record["segmentation"])
        assert mask.score == record["predicted_iou"]
        assert mask.stability == record["stability_score"]
        assert list(mask.point) == record["point_coords"][0]


def test_masks_lie_on_the_slices_own_pixels_best_first(image, found):
    assert all(mask.mask.shape == image.shape and mask.mask.dtype == bool for mask in found)
    scores = [mask.score for mask in found]
    assert scores == sorted(scores, reverse=True)


def test_small_masks_are_dropped(backend, image, found):
    areas = sorted(int(mask.mask.sum()) for mask in found)
    limit = areas[len(areas) // 2] + 1
    kept = everything(backend, image, EverythingSettings(3, -1e9, 0.0, min_area=limit))
    assert sorted(int(mask.mask.sum()) for mask in kept) == [area for area in areas if area >= limit]
    assert len(kept) < len(found)


def test_masks_that_the_model_doubts_are_dropped(backend, image):
    assert everything(backend, image, EverythingSettings(3, min_score=1e9)) == []


def test_progress_is_told_before_every_batch_of_points(backend, image):
    reports = []
    everything(backend, image, EverythingSettings(5, min_score=1e9), lambda *report: reports.append(report))
    assert [fraction for fraction, _ in reports] == [0.0, 0.5, 1.0]
    assert reports[1][1] == "looking for masks, part 2 of 2"


def test_it_can_be_cancelled(backend, image):
    threads = torch.get_num_threads()

    def cancel(fraction: float, _: str) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        everything(backend, image, EverythingSettings(5, min_score=1e9), cancel)
    assert torch.get_num_threads() == threads
    assert not torch.is_inference_mode_enabled()


def test_what_cannot_be_used_is_refused(backend, image):
    with pytest.raises(InputError, match="needs a model on the torch backend"):
        everything(DiscBackend(), image)
    with pytest.raises(InputError, match="must be uint8"):
        everything(backend, image.astype(float))
    with pytest.raises(InputError, match="points per side must be 1 to 128, not 0"):
        EverythingSettings(points_per_side=0)
    with pytest.raises(InputError, match="between 0 and 1"):
        EverythingSettings(max_box_iou=2)
