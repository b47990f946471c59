"""The loop that fine-tunes a mask decoder: what changes, how it stops and goes on, what it learns from."""

from __future__ import annotations

import dataclasses

import numpy as np
import phantom
import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.backend import Embedding
from SparseCardiacSegLib.prompting.torch_backend import TorchBackend
from SparseCardiacSegLib.training.finetune.fit import fit
from SparseCardiacSegLib.training.finetune.settings import FinetuneSettings
from SparseCardiacSegLib.training.finetune.slices import TrainingSlice
from SparseCardiacSegLib.training.finetune.step import SliceStep
from SparseCardiacSegLib.training.finetune.variants import variant_of

SIZE, WIDTH, CELLS = 64, 32, 16
STRUCTURES = (Structure.RV, Structure.MYO, Structure.LV)
QUICK = FinetuneSettings(epochs=3, augmented_copies=1)


class BlockEncoder(torch.nn.Module):
    """The pixels of each cell as its channels: an encoder without weights."""

    img_size = SIZE

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(16, WIDTH, 1)

    def forward(self, image):
        return self.mix(torch.nn.functional.pixel_unshuffle(image[:, :1], SIZE // CELLS))


def tiny_sam(seed=0):
    """SAM's prompt encoder and mask decoder for 64-pixel slices: a step takes milliseconds."""
    torch.manual_seed(seed)
    transformer = TwoWayTransformer(depth=1, embedding_dim=WIDTH, mlp_dim=32, num_heads=2)
    decoder = MaskDecoder(transformer_dim=WIDTH, transformer=transformer, num_multimask_outputs=3)
    prompts = PromptEncoder(WIDTH, (CELLS, CELLS), (SIZE, SIZE), 4)
    return Sam(BlockEncoder(), prompts, decoder).eval()


@pytest.fixture(scope="module")
def slices():
    """The middle slices of a phantom, 64 x 64."""
    image, labels = phantom.heart(0.0, phantom.grid((3, 64, 64), (15.0, 2.4, 2.4)))
    pixels = np.clip(image.array / 5, 0, 255).astype(np.uint8)
    numbers = labels.in_scheme(ALL).labels.array
    return [TrainingSlice(pixels[index], numbers[index], f"slice {index}") for index in range(2)]


def run_fit(slices, folder, settings=QUICK, progress=None, sam=None, identity=None):
    sam = sam or tiny_sam()
    backend = TorchBackend(sam, "tiny", "cpu")
    variants = [item.variants(settings.augmented_copies, settings.seed) for item in slices]
    identity = identity or settings.as_dict()
    result = fit(sam, variants, STRUCTURES, backend.encode, settings, folder, identity, progress or (lambda *_: None))
    return sam, result


def stop_after(steps, error=Cancelled):
    """A progress callback that stops the work at that step."""
    left = [steps]

    def report(_fraction, _message):
        left[0] -= 1
        if left[0] == 0:
            raise error

    return report


def same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


# The loop


def test_only_the_mask_decoder_changes(slices, tmp_path):
    before = tiny_sam().state_dict()
    sam, _ = run_fit(slices, tmp_path)
    for name, value in sam.state_dict().items():
        if not name.startswith("mask_decoder."):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(sam.mask_decoder.mask_tokens.weight, tiny_sam().mask_decoder.mask_tokens.weight)


def test_the_loss_falls_and_the_masks_get_better(slices, tmp_path):
    settings = dataclasses.replace(QUICK, epochs=30, learning_rate=3e-3, augmented_copies=0)
    _, result = run_fit(slices, tmp_path, settings)
    first, last = result.history[0], result.history[-1]
    assert last.loss < 0.6 * first.loss
    assert last.dice > first.dice + 0.2
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,dice,learning_rate"
    assert len(rows) == 31


def test_the_step_is_adams_with_the_thesis_defaults(slices, tmp_path):
    settings = FinetuneSettings()
    assert (settings.epochs, settings.batch, settings.patience, settings.factor) == (100, 1, 5, 0.1)
    assert (settings.positive, settings.negative, settings.box, settings.margin) == (2, 1, True, 5)
    run_fit(slices[:1], tmp_path, dataclasses.replace(settings, epochs=1, augmented_copies=0))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    (group,) = state["optimiser"]["param_groups"]
    assert (group["lr"], tuple(group["betas"]), group["weight_decay"]) == (1e-4, (0.9, 0.999), 0)
    assert (state["scheduler"]["patience"], state["scheduler"]["factor"]) == (5, 0.1)


def test_the_learning_rate_falls_when_the_loss_does_not(slices, tmp_path):
    settings = dataclasses.replace(QUICK, epochs=4, patience=0, learning_rate=0.5)
    _, result = run_fit(slices[:1], tmp_path, settings)
    assert result.history[-1].learning_rate < 0.5


def test_the_loss_is_dice_plus_binary_cross_entropy_on_the_slices_own_pixels(slices):
    sam = tiny_sam()
    backend = TorchBackend(sam, "tiny", "cpu")
    item = slices[0]
    cropped = TrainingSlice(item.image[:50, 4:], item.labels[:50, 4:], "cropped")
    embedding = backend.encode(cropped.image)
    step = SliceStep(sam, QUICK)
    result = step(cropped, embedding, STRUCTURES, np.random.default_rng(5))
    from SparseCardiacSegLib.prompting.simulation import simulate_slice

    masks = {name: cropped.labels == ALL.numbers[name] for name in STRUCTURES}
    losses, dices = [], []
    for name, prompt in simulate_slice(masks, QUICK.simulation(), np.random.default_rng(5)).items():
        signs = np.array([1] * len(prompt.positive) + [0] * len(prompt.negative))
        points = np.array(prompt.positive + prompt.negative)
        decoded = backend.decode(embedding, points, signs, np.array(prompt.box))
        target, logits = masks[name], decoded.logits.astype(np.float64)
        probability = 1 / (1 + np.exp(-logits))
        entropy = -np.where(target, np.log(probability), np.log(1 - probability)).mean()
        overlap = 2 * probability[target].sum() / (probability.sum() + target.sum())
        losses.append(1 - overlap + entropy)
        dices.append(2 * (decoded.mask & target).sum() / (decoded.mask.sum() + target.sum()))
    assert result.n_prompts == 3
    assert result.loss.item() == pytest.approx(np.mean(losses), abs=1e-4)
    assert result.dice == pytest.approx(np.mean(dices), abs=1e-6)


def test_structures_too_small_for_all_points_are_prompted_with_fewer(slices):
    labels = slices[0].labels.copy()
    labels[labels == ALL.numbers[Structure.RV]] = 0
    labels[2, 2] = ALL.numbers[Structure.RV]
    item = TrainingSlice(slices[0].image, labels, "small")
    sam = tiny_sam()
    result = SliceStep(sam, QUICK)(
        item, TorchBackend(sam, "t").encode(item.image), STRUCTURES, np.random.default_rng(0)
    )
    assert result.n_prompts == 3
    assert torch.isfinite(result.loss)


def test_one_structure_a_visit_costs_one_prompt(slices):
    sam = tiny_sam()
    step = SliceStep(sam, dataclasses.replace(QUICK, structures_per_slice=1))
    embedding = TorchBackend(sam, "t").encode(slices[0].image)
    results = [step(slices[0], embedding, STRUCTURES, np.random.default_rng(seed)) for seed in range(6)]
    assert {result.n_prompts for result in results} == {1}
    assert len({round(result.loss.item(), 5) for result in results}) > 1


@pytest.mark.parametrize(
    "change",
    [{"box": False}, {"negative": 0}, {"batch": 2}, {"score_weight": 1.0}, {"bfloat16": True}, {"box_jitter": 4}],
    ids=str,
)
def test_every_way_to_train_works_and_matters(slices, tmp_path, change):
    plain, _ = run_fit(slices, tmp_path / "plain", dataclasses.replace(QUICK, epochs=1))
    changed, result = run_fit(slices, tmp_path / "changed", dataclasses.replace(QUICK, epochs=1, **change))
    assert np.isfinite(result.history[0].loss)
    assert not same(plain.mask_decoder.state_dict(), changed.mask_decoder.state_dict())


def test_the_decoder_of_the_full_sam_takes_a_step(slices):
    class Size(torch.nn.Module):
        img_size = 1024

    torch.manual_seed(0)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3)
    sam = Sam(Size(), PromptEncoder(256, (64, 64), (1024, 1024), 16), decoder)
    item = TrainingSlice(slices[0].image[:50], slices[0].labels[:50], "wide")
    features = np.random.default_rng(0).normal(size=(256, 64, 64)).astype(np.float16)
    step = SliceStep(sam, dataclasses.replace(QUICK, structures_per_slice=1))
    result = step(item, Embedding(features, (50, 64), (800, 1024)), STRUCTURES, np.random.default_rng(1))
    result.loss.backward()
    assert torch.isfinite(result.loss)
    assert all(value.grad is None for value in sam.prompt_encoder.parameters())
    assert sam.mask_decoder.output_hypernetworks_mlps[0].layers[0].weight.grad.abs().max() > 0


# Stopping and going on


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_run_cut_off_anywhere_ends_with_the_very_weights_of_one_that_was_not(slices, tmp_path, steps):
    whole, expected = run_fit(slices, tmp_path / "whole")
    with pytest.raises(RuntimeError):
        run_fit(slices, tmp_path / "cut", progress=stop_after(steps, RuntimeError))
    resumed, result = run_fit(slices, tmp_path / "cut", sam=tiny_sam())
    assert same(whole.mask_decoder.state_dict(), resumed.mask_decoder.state_dict())
    assert result.history == expected.history
    assert (tmp_path / "cut" / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_a_cancelled_run_gives_the_last_finished_epoch(slices, tmp_path, error):
    one, _ = run_fit(slices, tmp_path / "one", dataclasses.replace(QUICK, epochs=1))
    sam, result = run_fit(slices, tmp_path / "cut", progress=stop_after(3, error))
    assert (len(result.history), result.finished) == (1, False)
    assert same(sam.mask_decoder.state_dict(), one.mask_decoder.state_dict())


def test_a_run_cancelled_in_its_first_epoch_gives_nothing(slices, tmp_path):
    with pytest.raises(Cancelled):
        run_fit(slices, tmp_path, progress=stop_after(1))
    assert not (tmp_path / "state.pt").exists()


def test_a_finished_run_can_be_given_more_epochs(slices, tmp_path):
    whole, _ = run_fit(slices, tmp_path / "whole")
    run_fit(slices, tmp_path / "more", dataclasses.replace(QUICK, epochs=1))
    longer, _ = run_fit(slices, tmp_path / "more")
    assert same(whole.mask_decoder.state_dict(), longer.mask_decoder.state_dict())


def test_a_run_with_other_settings_is_not_mixed_in(slices, tmp_path):
    run_fit(slices, tmp_path, dataclasses.replace(QUICK, epochs=1))
    other = dataclasses.replace(QUICK, learning_rate=1e-3, box=False)
    with pytest.raises(InputError, match=r"box True, not False; learning_rate 0.0001, not 0.001"):
        run_fit(slices, tmp_path, other)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04" + b"\0" * 40])
def test_a_damaged_state_is_refused_with_a_way_out(slices, tmp_path, content):
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged .*--restart"):
        run_fit(slices, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_state(slices, tmp_path):
    run_fit(slices, tmp_path, dataclasses.replace(QUICK, epochs=1))
    kept = (tmp_path / "state.pt").read_bytes()
    sam = tiny_sam()
    sam.prompt_encoder.no_mask_embed.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="loss of epoch 2 is no number"):
        run_fit(slices, tmp_path, sam=sam)
    assert (tmp_path / "state.pt").read_bytes() == kept


# Variants and data


def test_variants_keep_every_structure_differ_and_repeat(slices):
    item = slices[0]
    made = [variant_of(item.image, item.labels, 0, f"variant {number}") for number in range(40)]
    for image, labels in made:
        assert image.shape == labels.shape == item.image.shape
        assert image.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels)) == set(np.unique(item.labels))
    assert len({labels.tobytes() for _, labels in made}) > 10
    assert len({image.tobytes() for image, _ in made}) > 30
    again = variant_of(item.image, item.labels, 0, "variant 3")
    assert np.array_equal(again[0], made[3][0])
    other = {variant_of(item.image, item.labels, 1, f"variant {number}")[0].tobytes() for number in range(40)}
    assert len(other - {image.tobytes() for image, _ in made}) > 25


def test_labels_of_a_variant_lie_on_its_image(slices):
    """Where the variant's labels say left ventricle, its image is as bright as the left ventricle is."""
    item = slices[0]
    lv, myo = ALL.numbers[Structure.LV], ALL.numbers[Structure.MYO]
    for number in range(30):
        image, labels = variant_of(item.image, item.labels, 0, f"variant {number}")
        assert np.median(image[labels == lv]) > np.median(image[labels == myo]) + 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1"),
        ({"batch": 1.5}, "batch must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must lie above 0"),
        ({"factor": 1}, "factor must lie between"),
        ({"betas": (0.9, 1.0)}, "betas must be"),
        ({"structures_per_slice": 0}, "structures_per_slice must be at least 1"),
        ({"score_weight": -1}, "score_weight must lie"),
        ({"positive": 0, "box": False}, "positive point or a box"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        FinetuneSettings(**change)
