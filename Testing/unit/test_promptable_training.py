"""Training of the embedded promptable model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.architectures import build
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.prompting.slice_geometry import EMBEDDING_CHANNELS, GRID, IMAGE_SIZE
from SparseCardiacSegLib.prompting.weights import save_weights
from SparseCardiacSegLib.training.promptable import augmentation, losses, sampling
from SparseCardiacSegLib.training.promptable.fit import FitSettings, fit
from SparseCardiacSegLib.training.promptable.pairs import decode_pairs
from SparseCardiacSegLib.training.promptable.slices import TrainingSlice, read_slices
from SparseCardiacSegLib.training.promptable.start import start_from_model, start_from_unet


def heart(rows: int = 120, cols: int = 100, patient: str = "p1") -> TrainingSlice:
    """A cavity, a ring around it and a right ventricle beside it, each of its own brightness."""
    y, x = np.mgrid[:rows, :cols]
    radius = np.hypot(y - rows * 0.5, x - cols * 0.55)
    labels = np.zeros((rows, cols), np.uint8)
    labels[np.hypot(y - rows * 0.5, x - cols * 0.25) < 15] = ALL.numbers[Structure.RV]
    labels[radius < 20] = ALL.numbers[Structure.MYO]
    labels[radius < 12] = ALL.numbers[Structure.LV]
    return TrainingSlice(np.array([30, 200, 80, 240, 120], np.uint8)[labels], labels, patient)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("slice-256").eval()


def test_the_network_is_small_and_gives_an_embedding_fine_enough_for_single_pixels(network):
    assert sum(parameter.numel() for parameter in network.parameters()) * 2 < 12e6
    with torch.no_grad():
        embedding = network.image_encoder(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    assert embedding.shape == (1, EMBEDDING_CHANNELS, GRID, GRID)


@pytest.mark.parametrize("boxed", [False, True])
def test_decoding_pairs_is_what_sams_own_decoder_gives_image_by_image(network, boxed):
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(3, EMBEDDING_CHANNELS, GRID, GRID, generator=generator)
    points = torch.rand(3, 4, 2, generator=generator) * IMAGE_SIZE
    signs = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    boxes = torch.tensor([[10.0, 20.0, 90.0, 80.0]]).expand(3, 4) if boxed else None
    with torch.no_grad():
        answers = decode_pairs(network, embeddings, points, signs, boxes)
        for i in range(3):
            sparse, dense = network.prompt_encoder(
                (points[i : i + 1], signs[i : i + 1]), None if boxes is None else boxes[i : i + 1], None
            )
            arguments = {
                "image_embeddings": embeddings[i : i + 1],
                "image_pe": network.prompt_encoder.get_dense_pe(),
                "sparse_prompt_embeddings": sparse,
                "dense_prompt_embeddings": dense,
            }
            single, score = network.mask_decoder(**arguments, multimask_output=False)
            several, _ = network.mask_decoder(**arguments, multimask_output=True)
            assert torch.allclose(answers.masks[i, :1], single[0], atol=1e-4)
            assert torch.allclose(answers.masks[i, 1:], several[0], atol=1e-4)
            assert torch.allclose(answers.quality[i, :1], score[0], atol=1e-4)


def test_a_window_of_an_embedding_is_decoded_as_in_its_place_in_the_whole(network):
    """Positions and drawn prompts are those of the window; only what the window leaves out can make a difference."""
    generator = torch.Generator().manual_seed(2)
    origins = torch.tensor([[32, 64], [0, 96]])
    points, signs = torch.tensor([[[100.0, 60.0]], [[150.0, 20.0]]]), torch.ones(2, 1, dtype=torch.long)
    embeddings = torch.randn(2, EMBEDDING_CHANNELS, GRID, GRID, generator=generator)
    windows = torch.stack(
        [e[:, r // 4 : r // 4 + 40, c // 4 : c // 4 + 40] for e, (r, c) in zip(embeddings, origins, strict=True)]
    )
    seen = {}

    def transformer(source, place, tokens):
        seen.setdefault("source", []).append(source)
        seen.setdefault("place", []).append(place)
        return tokens, source.flatten(2).permute(0, 2, 1)

    original, network.mask_decoder.transformer.forward = network.mask_decoder.transformer.forward, transformer
    try:
        with torch.no_grad():
            decode_pairs(network, embeddings, points, signs, None)
            answers = decode_pairs(network, windows, points, signs, None, origins)
    finally:
        network.mask_decoder.transformer.forward = original
    assert answers.masks.shape == (2, 4, 160, 160)
    for name in ("source", "place"):
        whole, part = seen[name]
        assert torch.equal(part[0], whole[0][:, 8:48, 16:56])
        assert torch.equal(part[1], whole[1][:, 0:40, 24:64])


def test_a_window_holds_the_heart_and_begins_at_a_cell():
    rng = np.random.default_rng(0)
    batch = augmentation.augmented_batch([heart(256, 256)] * 6, rng, size=160)
    assert batch.images.shape == (6, 3, 160, 160)
    assert batch.labels.shape == (6, 160, 160)
    assert not (batch.origins % 4).any()
    assert int(batch.origins.max()) <= 96
    assert all((labels == ALL.numbers[Structure.LV]).any() for labels in batch.labels)
    whole = augmentation.augmented_batch([heart()], rng)
    assert whole.images.shape == (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert not whole.origins.any()


def test_a_further_round_begins_with_the_weights_of_the_first(network, tmp_path: Path):
    save_weights(tmp_path / "weights.npz", network.state_dict())
    sam = build("slice-256")
    start_from_model(sam, find_prompt_model(tmp_path / "weights.npz"))
    assert all(torch.equal(a, b) for a, b in zip(sam.state_dict().values(), network.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 5, "warm_up_steps": 4, "frozen_steps": 2}, "do not fit into 5 steps"),
        ({"window": 100}, "multiple of 32"),
        ({"calm_steps": -1}, "not be negative"),
        ({"whole_share": 1.5}, "between 0 and 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        FitSettings(**given)


def test_augmentation_moves_image_and_labels_together():
    rng = np.random.default_rng(3)
    item = heart()
    for _ in range(10):
        image, labels, zoom = augmentation._warped(item, rng)
        assert image.shape == labels.shape == (IMAGE_SIZE, IMAGE_SIZE)
        assert zoom > 0
        for number, value in enumerate((30, 200, 80, 240)):
            inside = labels.numpy() == number
            if number and inside.sum() > 300:
                # Edges mix with their surroundings; the middle of a structure keeps its brightness.
                assert abs(float(np.median(image.numpy()[inside])) - value) < 3


def test_recolouring_keeps_intensities_within_8_bits():
    rng = np.random.default_rng(0)
    for _ in range(40):
        image = augmentation._recoloured(torch.from_numpy(heart().image).float(), rng)
        assert image.shape[0] == 3
        assert float(image.min()) >= 0
        assert float(image.max()) <= 255


def test_drawn_prompts_mean_the_mask_that_comes_with_them():
    rng = np.random.default_rng(5)
    labels = heart().labels
    both = 0
    for _ in range(300):
        kind = sampling.draw_kind(rng)
        mask, points, signs, box = sampling.draw_prompt(labels, 1.0, kind, rng)
        assert len(points) == len(signs) == kind.points
        assert kind.box or kind.points
        numbers = set(np.unique(labels[mask]).tolist())
        for (col, row), sign in zip(points.astype(int), signs, strict=True):
            assert mask[row, col] == bool(sign)
        if len(numbers) == 2:
            both += 1
            assert numbers == {ALL.numbers[Structure.MYO], ALL.numbers[Structure.LV]}
            hit = {int(labels[row, col]) for (col, row), sign in zip(points.astype(int), signs, strict=True) if sign}
            assert hit == numbers, "the epicardium is meant only where points lie in the wall and in the cavity"
        assert box[0] < box[2]
        assert box[1] < box[3]
    assert both > 0


def test_an_unjittered_box_keeps_the_margin_of_five_image_pixels():
    rng = np.random.default_rng(0)
    mask = np.zeros((100, 100), bool)
    mask[40:60, 30:70] = True
    boxes = {tuple(sampling._draw_box(mask, 2.0, rng).tolist()) for _ in range(30)}
    assert (20.0, 30.0, 79.0, 69.0) in boxes


def test_a_correcting_click_lands_on_an_error_and_says_what_is_right_there():
    rng = np.random.default_rng(0)
    mask, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    mask[5:10, 5:10] = predicted[5:10, 5:12] = True
    (col, row), sign = sampling.draw_correction(mask, predicted, rng)
    assert (sign, 10 <= col < 12, 5 <= row < 10) == (0, True, True)


def test_the_loss_prefers_the_right_mask():
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, 20:40, 20:40] = True
    right, wrong = (10.0 * (2 * m.float() - 1)[:, None].expand(-1, 4, -1, -1) for m in (mask, mask.roll(10, 1)))
    quality = torch.ones(1, 4)
    assert float(losses.prompt_loss(right, quality, mask)) < 0.05 < float(losses.prompt_loss(wrong, quality, mask))


def test_stages_are_taken_over_from_the_embedded_unet():
    sam = build("slice-256")
    before = sam.image_encoder.stages[0][0].weight.clone()
    assert start_from_unet(sam, find_model("sax-acdc-24").checkpoints[0]) == 8 * (5 + 2) + 4
    assert not torch.equal(before, sam.image_encoder.stages[0][0].weight)


def test_a_training_that_was_stopped_goes_on_to_the_very_same_weights(tmp_path: Path):
    slices = [heart(patient="a"), heart(90, 130, patient="b")]
    settings = FitSettings(
        warm_up_steps=1, frozen_steps=1, steps=4, calm_steps=2, window=96, batch=2, save_every=2, correction_share=0.5
    )
    whole = fit(slices, tmp_path / "whole", settings).state_dict()

    def stop(fraction: float, message: str) -> None:
        if fraction >= 0.75:
            raise Cancelled(message)

    with pytest.raises(Cancelled):
        fit(slices, tmp_path / "stopped", settings, progress=stop)
    resumed = fit(slices, tmp_path / "stopped", settings).state_dict()
    start = build("slice-256").state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert any(not torch.equal(whole[key], start[key]) for key in whole)


def test_only_slices_with_targets_of_the_asked_split_are_read(tmp_path: Path):
    (tmp_path / "cases.csv").write_text("patient,split\np1,train\np2,val\n", encoding="utf-8")
    for patient in ("p1", "p2"):
        labels = np.stack([np.zeros((40, 50), np.uint8), heart(40, 50).labels.clip(0, 3)])
        image = (labels * 50 + np.arange(50)).astype(np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(image), tmp_path / f"{patient}_frame01.nii.gz")
        sitk.WriteImage(sitk.GetImageFromArray(labels), tmp_path / f"{patient}_frame01_gt.nii.gz")
    found = read_slices(tmp_path, "train", "acdc")
    assert [item.patient for item in found] == ["p1"]
    assert found[0].image.shape == (40, 50)
    with pytest.raises(InputError, match="lists no case of split 'test'"):
        read_slices(tmp_path, "test", "acdc")
    (tmp_path / "cases.csv").write_text("case,split\np1,val\np2,train\n", encoding="utf-8")
    assert [item.patient for item in read_slices(tmp_path, "train", "acdc")] == ["p2"]
    (tmp_path / "cases.csv").write_text("name,split\np1,val\n", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the column patient"):
        read_slices(tmp_path, "train", "acdc")
