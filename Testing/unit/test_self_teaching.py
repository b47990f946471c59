"""What a network teaches itself: pool of slices, taught labels, crops and mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from SparseCardiacSegLib.training.semi.augmentation import augmented_crop, mixed, recoloured
from SparseCardiacSegLib.training.semi.pool import IGNORED, pool_of
from SparseCardiacSegLib.training.semi.teaching import WINDOW, teach

IGNORE_LABEL = 4


class Thresholds(torch.nn.Module):
    """Calls bright pixels heart; sure of very bright ones only."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (slice, 2, row, col): 0 below 1, then more the brighter."""
        bright = 4 * (images[:, 0].float() - 1) * self.scale
        return torch.stack([torch.zeros_like(bright), bright], 1)


def volume(drawn: tuple[int, ...] = (0,), n_slices: int = 3, edge: int = 40):
    """A bright square of 10 pixels in every slice, drawn in some slices, with a dim rim and a far speck."""
    image = np.zeros((1, n_slices, edge, edge), np.float32)
    image[0, :, 20:30, 8:18] = 3.0
    image[0, :, 20:30, 18] = 1.1
    image[0, :, 2:4, 36:38] = 3.0
    labels = np.full((1, n_slices, edge, edge), IGNORE_LABEL, np.int16)
    for index in drawn:
        labels[0, index] = 0
        labels[0, index, 20:30, 8:18] = 1
        labels[0, index, 0] = -1
    return image, labels


def test_slices_are_told_apart_by_whether_somebody_drew_in_them():
    pool = pool_of({"a": volume((0, 2)), "b": volume(())}, IGNORE_LABEL)
    assert pool.drawn == [(0, 0), (0, 2)]
    assert pool.undrawn == [(0, 1), (1, 0), (1, 1), (1, 2)]
    assert (pool.cases[0].labels[1] == IGNORED).all()
    assert set(pool.cases[0].labels[0].unique().tolist()) == {0, 1}
    assert pool.cases[0].centre == pytest.approx((24.5, 12.5))
    assert pool.cases[1].centre == pytest.approx((19.5, 19.5))


def test_a_pool_without_any_drawn_slice_is_refused():
    with pytest.raises(ValueError, match="annotated"):
        pool_of({"a": volume(())}, IGNORE_LABEL)


def test_without_an_ignore_label_every_slice_is_drawn():
    image, labels = volume((0, 1, 2))
    assert pool_of({"a": (image, labels)}, None).undrawn == []


def test_taught_labels_are_sure_ones_of_the_largest_piece_and_never_replace_drawn_ones():
    pool = pool_of({"a": volume((0,)), "b": volume(())}, IGNORE_LABEL)
    before = pool.cases[0].labels.clone()
    share = teach(pool, Thresholds().eval(), 0.7)
    for case in pool.cases:
        taught = case.taught[2]
        assert (taught[20:30, 8:18] == 1).all()
        assert (taught[20:30, 18] == IGNORED).all()
        assert (taught[2:4, 36:38] == 0).all()
        assert taught[10, 30] == 0
    assert torch.equal(pool.cases[0].labels, before)
    assert torch.equal(pool.cases[0].taught[0], before[0])
    assert share == pytest.approx(10 / 11)
    assert pool.cases[1].centre == pytest.approx((24.5, 12.5))


def test_a_heart_far_from_the_middle_of_a_large_image_keeps_its_place():
    edge = WINDOW + 60
    image = np.zeros((1, 1, edge, edge), np.float32)
    image[0, 0, 40:60, 150:170] = 3.0
    drawn = volume((0,), 1)
    empty = np.full((1, 1, edge, edge), IGNORE_LABEL, np.int16)
    pool = pool_of({"a": drawn, "b": (image, empty)}, IGNORE_LABEL)
    teach(pool, Thresholds().eval(), 0.7)
    found = torch.nonzero(pool.cases[1].taught[0] == 1)
    assert found.min(0).values.tolist() == [40, 150]
    assert found.max(0).values.tolist() == [59, 169]


def test_a_lesson_on_a_part_leaves_the_other_volumes_alone():
    pool = pool_of({name: volume((0,)) for name in "abc"}, IGNORE_LABEL)
    teach(pool, Thresholds().eval(), 0.7, part=1)
    assert [case.taught is not None for case in pool.cases] == [False, True, False]
    teach(pool, Thresholds().eval(), 0.7, part=2)
    assert all(case.taught is not None for case in pool.cases)


def test_labels_of_a_crop_go_with_its_image():
    image, labels = volume((0,))
    image[0, 0] = 3.0 * (labels[0, 0] == 1)
    pool = pool_of({"a": (image, labels)}, IGNORE_LABEL)
    case = pool.cases[0]
    rng = np.random.default_rng(0)
    agreeing = []
    for _ in range(20):
        crop, moved = augmented_crop(case, 0, case.labels[0], (32, 32), rng, True)
        assert crop.shape == moved.shape == (32, 32)
        agreeing.append(float(((crop > 1.5) == (moved == 1)).float().mean()))
    assert min(agreeing) > 0.97


def test_crops_are_mirrored_only_where_that_was_asked_for():
    image = np.zeros((1, 1, 161, 161), np.float32)
    image[0, 0, 72:89, 74:80] = 3.0
    image[0, 0, 72:76, 80:88] = 3.0
    labels = (image > 0).astype(np.int16)
    case = pool_of({"a": (image, labels)}, None).cases[0]
    rng = np.random.default_rng(1)

    def hooked_right(crop: torch.Tensor) -> bool:
        rows, cols = torch.nonzero(crop > 1.5, as_tuple=True)
        top = rows < rows.float().mean()
        return bool(cols[top].float().mean() > cols[~top].float().mean())

    plain = [hooked_right(augmented_crop(case, 0, case.labels[0], (161, 161), rng, False)[0]) for _ in range(20)]
    turned = [hooked_right(augmented_crop(case, 0, case.labels[0], (161, 161), rng, True)[0]) for _ in range(40)]
    assert sum(plain) >= 19
    assert 5 <= sum(turned) <= 35


def test_recolouring_is_stronger_for_taught_slices_and_repeatable():
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32))

    def change(strength: float) -> float:
        rng = np.random.default_rng(3)
        return float(np.mean([float((recoloured(image, rng, strength) - image).abs().mean()) for _ in range(60)]))

    assert change(1.8) > 1.3 * change(1.0) > 0
    assert change(1.0) == change(1.0)


def test_mixing_exchanges_rectangles_with_their_labels():
    images = torch.stack([torch.full((16, 16), float(value)) for value in range(4)])
    labels = images.to(torch.uint8)
    mixed_images, mixed_labels = mixed(images, labels, np.random.default_rng(0), chance=1.0)
    assert torch.equal(mixed_images, mixed_labels.float())
    for one in range(4):
        shares = [float((mixed_images[one] == value).float().mean()) for value in range(4)]
        assert shares[one] + shares[(one + 1) % 4] == pytest.approx(1.0)
        assert 0.03 < shares[(one + 1) % 4] < 0.6
    assert torch.equal(mixed(images, labels, np.random.default_rng(0), chance=0.0)[0], images)
