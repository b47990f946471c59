"""Training of the embedded registration network: the mathematics, the batches, the loop and what it exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import phantom
import pytest
import torch
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.cli import train_registration
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation, write_stack
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.propagation.learned import LearnedEngine
from SparseCardiacSegLib.propagation.learned_window import WINDOW

pytest.importorskip("monai", reason="monai is not installed (extra 'train')")

from SparseCardiacSegLib.training.registration import losses, network, pairs, sampling
from SparseCardiacSegLib.training.registration.export import difference_from_torch, write_graph
from SparseCardiacSegLib.training.registration.fit import FitSettings, fit
from SparseCardiacSegLib.training.registration.measure import carried_dice

MIDDLE = slice(16, 48)


def smooth_field(seed: int, size: int = 64, amplitude: float = 4.0) -> torch.Tensor:
    """A smooth random field (1, 2, size, size) that vanishes at the border."""
    coarse = torch.randn(1, 2, 5, 5, generator=torch.Generator().manual_seed(seed)) * amplitude
    coarse[..., 0, :] = coarse[..., -1, :] = coarse[..., :, 0] = coarse[..., :, -1] = 0
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)


def discs(radius: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three slices of a ring around a cavity with a second cavity beside it: picture and labels, CUT pixels a side."""
    y, x = np.mgrid[: pairs.CUT, : pairs.CUT] - (pairs.CUT - 1) / 2
    distance = np.hypot(y, x)
    labels = np.zeros((pairs.CUT, pairs.CUT), np.uint8)
    labels[np.hypot(y, x + 34) < 20] = ALL.numbers[Structure.RV]
    labels[distance < radius + 8] = ALL.numbers[Structure.MYO]
    labels[distance < radius] = ALL.numbers[Structure.LV]
    image = np.array([0.15, 0.8, 0.3, 0.95, 0.5])[labels] + rng.normal(0, 0.02, labels.shape)
    return np.repeat(image[None], 3, 0).astype(np.float16), np.repeat(labels[None], 3, 0)


@pytest.fixture(scope="module")
def pair() -> pairs.FramePair:
    rng = np.random.default_rng(0)
    (first, labels), (second, others) = discs(22, rng), discs(13, rng)
    return pairs.FramePair(first, second, np.stack([labels, others]), (0, 1, 2), "p1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Two patients with ED and ES of the phantom, of other matrices, and a cine of the first."""
    folder = tmp_path_factory.mktemp("cases")
    for patient, shape in (("p1", (4, 96, 96)), ("p2", (4, 100, 90))):
        for name, phase in (("frame01", 0.0), ("frame09", 1.0)):
            image, labels = phantom.heart(phase, phantom.grid(shape, (18.0, 1.5, 1.5)))
            write_stack(image, folder / f"{patient}_{name}.nii.gz")
            write_segmentation(labels, folder / f"{patient}_{name}_gt.nii.gz")
    (folder / "cases.csv").write_text("patient,split\np1,train\np2,train\n", encoding="utf-8")
    cines = folder / "cines"
    cines.mkdir()
    for patient in ("p1", "p9"):
        write_stack(phantom.cine(n_frames=3)[0], cines / f"{patient}_4d.nii.gz")
    return folder


def test_integrating_a_uniform_velocity_moves_everything_by_it():
    velocity = torch.zeros(1, 2, 64, 64)
    velocity[:, 0], velocity[:, 1] = 3.0, -2.0
    torch.testing.assert_close(network.integrate(velocity), velocity)


def test_integration_agrees_with_monais_and_the_negative_velocity_leads_back():
    from monai.networks.blocks import DVF2DDF

    velocity = smooth_field(1)
    ours = network.integrate(velocity)
    with pytest.warns(UserWarning, match="native grid_sample"):
        theirs = DVF2DDF(network.STEPS, padding_mode="border")
    torch.testing.assert_close(ours, theirs(velocity), atol=1e-4, rtol=1e-4)
    back = network.integrate(-velocity)
    assert (ours + network.warp(back, ours)).abs().max() < 0.1 * ours.abs().max()
    assert losses.folded_share(ours) == 0
    assert losses.folded_share(smooth_field(1, amplitude=60.0)) > 0


def test_warping_looks_up_where_the_field_points():
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 20, 8] = 1.0
    field = torch.zeros(1, 2, 32, 32)
    field[:, 0], field[:, 1] = 5.0, -3.0
    moved = network.warp(image, field)
    assert divmod(int(moved.argmax()), 32) == (15, 11)


def test_a_field_of_twice_the_resolution_is_the_same_field():
    rows = torch.arange(64.0).view(1, 1, 64, 1).expand(1, 1, 64, 64)
    coarse = torch.cat([rows / 16, torch.ones_like(rows)], 1)
    fine = network.enlarge(coarse)
    assert fine.shape == (1, 2, 128, 128)
    torch.testing.assert_close(fine[0, 0, -1, 0], torch.tensor(63 / 16 * 127 / 63))
    torch.testing.assert_close(fine[0, 1, 5, 5], torch.tensor(127 / 63))


def test_exchanging_the_frames_gives_the_inverse_and_equal_frames_do_not_move():
    torch.manual_seed(0)
    registration = network.Registration(network.RegistrationNet((8, 8))).eval()
    torch.nn.init.normal_(registration.net.unet.decoder.seg_layers[-1].weight, std=0.3)
    images = torch.nn.functional.interpolate(torch.rand(1, 6, 8, 8), size=(32, 32), mode="bicubic")
    exchanged = torch.cat([images[:, 3:], images[:, :3]], 1)
    with torch.no_grad():
        velocity = (registration.net(images) - registration.net(exchanged)) / 2
        there, back = registration(images), registration(exchanged)
        same = registration(torch.cat([images[:, :3], images[:, :3]], 1))
    assert there.abs().max() > 0.1
    torch.testing.assert_close(there, network.enlarge(network.integrate(velocity)))
    torch.testing.assert_close(back, network.enlarge(network.integrate(-velocity)))
    assert same.abs().max() < 1e-5


def test_labels_that_meet_cost_nothing_and_labels_apart_cost_most():
    masks = torch.zeros(2, 3, 32, 32)
    masks[:, 0, 4:12, 4:12] = masks[:, 1, 14:22, 4:12] = masks[:, 2, 14:22, 20:28] = 1
    assert losses.label_loss(masks, masks) < 0.01
    assert losses.label_loss(masks.flip(-2, -1).roll(7, -1), masks) > 0.7
    shifted = losses.label_loss(masks.roll(2, -1), masks)
    assert 0.1 < shifted < losses.label_loss(masks.roll(4, -1), masks)


def test_pictures_are_compared_whatever_their_contrast_and_air_counts_for_nothing():
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 1, 64, 64, generator=generator)
    assert losses.image_loss(0.5 * picture + 0.3, picture) == pytest.approx(-1, abs=0.03)
    assert losses.image_loss(torch.rand(1, 1, 64, 64, generator=generator), picture) > -0.2
    air = torch.full_like(picture, 0.1) + 1e-3 * picture
    assert losses.image_loss(air, air) > -0.2


def test_a_restless_field_costs_more_than_a_smooth_one():
    smooth = smooth_field(0)
    assert losses.smoothness_loss(torch.ones(1, 2, 16, 16)) == 0
    slope = torch.arange(16.0).view(1, 1, 16, 1).expand(1, 2, 16, 16)
    torch.testing.assert_close(losses.smoothness_loss(3 * slope), torch.tensor(9.0))
    torch.testing.assert_close(losses.smoothness_loss(slope * slope.transpose(2, 3)) - 2 * 77.5, torch.tensor(2.0))
    assert losses.smoothness_loss(smooth + torch.randn_like(smooth)) > 10 * losses.smoothness_loss(smooth)


def test_augmentation_moves_pictures_and_labels_of_both_frames_together(pair):
    rng = np.random.default_rng(0)
    batch = sampling.draw_batch([pair] * 6, [pairs.FramePair(pair.first, pair.second, None, (1,), "p1")], rng)
    assert batch.images.shape == (7, 6, WINDOW, WINDOW)
    assert batch.masks.shape == (6, 2, 3, WINDOW, WINDOW)
    assert batch.images.min() >= -0.5
    assert batch.images.max() <= 1.5
    for images, masks in zip(batch.images[:6], batch.masks, strict=True):
        for frame in (0, 1):
            rv, myo, lv = masks[frame] > 0.99
            picture = images[3 * frame + 1]
            assert picture[lv].mean() > picture[rv].mean() > picture[myo].mean() + 0.1
    larger_first = (batch.masks[:, 0, 2].sum((1, 2)) > batch.masks[:, 1, 2].sum((1, 2))).tolist()
    assert set(larger_first) == {True, False}, "both directions are learned"


def test_the_neighbours_of_the_end_slices_are_the_end_slices():
    assert sampling.neighbouring(5, 0) == [0, 0, 1]
    assert sampling.neighbouring(5, 2) == [1, 2, 3]
    assert sampling.neighbouring(5, 4) == [3, 4, 4]
    assert sampling.neighbouring(1, 0) == [0, 0, 0]


def test_frames_are_paired_by_patient_and_cut_around_the_heart(dataset):
    cases = pairs.read_training_cases(dataset, "train", "acdc")
    found = pairs.read_labelled_pairs(cases)
    assert [pair.patient for pair in found] == ["p1", "p2"]
    for pair in found:
        assert pair.first.shape == pair.second.shape == (4, pairs.CUT, pairs.CUT)
        rows, cols = np.nonzero((pair.labels > 0).any((0, 1)))
        assert abs((rows.min() + rows.max()) - (pairs.CUT - 1)) <= 2
        assert abs((cols.min() + cols.max()) - (pairs.CUT - 1)) <= 2
        for frame, labels in zip((pair.first, pair.second), pair.labels, strict=True):
            cavity, muscle = (frame[labels == ALL.numbers[s]].mean() for s in (Structure.LV, Structure.MYO))
            assert cavity > muscle + 0.3
    ed, es = ((found[0].labels[i] == ALL.numbers[Structure.LV]).sum() for i in (0, 1))
    assert ed > 1.5 * es


def test_cines_of_other_patients_are_left_alone(dataset):
    found = pairs.read_cines(dataset / "cines", ["p1", "p2"])
    assert [patient for patient, _ in found] == ["p1"]
    assert found[0][1].shape[0] == 3
    drawn = pairs.cine_pair(found[0], np.random.default_rng(0))
    assert not np.array_equal(drawn.first, drawn.second)
    with pytest.raises(InputError, match="holds no cine of the 1 patients"):
        pairs.read_cines(dataset / "cines", ["p2"])
    with pytest.raises(InputError, match="is not a folder"):
        pairs.read_cines(dataset / "nothing", ["p2"])


def test_held_out_patients_are_not_learned_from(dataset):
    cases = pairs.read_training_cases(dataset, "train", "acdc")
    learned, held = pairs.hold_out(cases, 1)
    assert len(learned) == len(held) == 2
    assert not {case.patient for case in learned} & {case.patient for case in held}
    assert pairs.hold_out(cases, 0) == (cases, [])
    with pytest.raises(InputError, match="2 patients cannot be held out of 2"):
        pairs.hold_out(cases, 2)


def test_a_single_frame_gives_nothing_to_register(dataset):
    cases = pairs.read_training_cases(dataset, "train", "acdc")
    with pytest.raises(InputError, match="no patient has two annotated frames"):
        pairs.read_labelled_pairs(cases[:1])


@pytest.mark.parametrize("given", [{"steps": 0}, {"labelled": 0}, {"unlabelled": -1}, {"learning_rate": 0.0}])
def test_settings_that_make_no_sense_are_refused(given):
    with pytest.raises(InputError):
        FitSettings(**given)


@pytest.fixture
def small_network(monkeypatch) -> None:
    """A U-Net of two stages in place of the real one."""
    monkeypatch.setattr(network.RegistrationNet.__init__, "__defaults__", ((8, 12, 16),))


@pytest.mark.slow
@pytest.mark.usefixtures("small_network")
def test_training_learns_to_carry_labels(pair, tmp_path):
    settings = FitSettings(steps=60, labelled=4, unlabelled=0, learning_rate=4e-3, save_every=60)
    net = fit([pair], [], tmp_path, settings)
    measured = carried_dice(net, [pair])
    assert measured.carried > measured.unmoved + 0.05
    assert measured.folded < 0.001


@pytest.mark.usefixtures("small_network")
def test_an_interrupted_training_goes_on_and_ends_the_same(pair, tmp_path):
    settings = FitSettings(steps=3, labelled=1, unlabelled=0, save_every=1)

    def stop(_fraction: float, message: str) -> None:
        if message.startswith("step 2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        fit([pair], [], tmp_path / "a", settings, stop)
    resumed = fit([pair], [], tmp_path / "a", settings)
    whole = fit([pair], [], tmp_path / "b", settings)
    for ours, theirs in zip(resumed.state_dict().values(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs)
    with pytest.raises(InputError, match=r"other settings \(steps\)"):
        fit([pair], [], tmp_path / "a", FitSettings(steps=4, labelled=1, unlabelled=0, save_every=1))
    (tmp_path / "a" / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="is damaged or of another training"):
        fit([pair], [], tmp_path / "a", settings)


@pytest.mark.slow
def test_the_exported_graph_computes_what_torch_computes_for_any_number_of_pairs(tmp_path):
    torch.manual_seed(0)
    registration = network.Registration(network.RegistrationNet((8, 8))).eval()
    torch.nn.init.normal_(registration.net.unet.decoder.seg_layers[-1].weight, std=0.3)
    write_graph(registration, tmp_path / "network.onnx")
    assert difference_from_torch(tmp_path, registration) < 5e-3
    one = np.random.default_rng(0).random((1, 6, WINDOW, WINDOW), np.float32)
    with torch.no_grad():
        expected = registration(torch.from_numpy(one)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(LearnedEngine(tmp_path).fields(one), expected, atol=5e-3)
    assert b"site-packages" not in (tmp_path / "network.onnx").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("small_network")
def test_the_command_trains_measures_and_writes_a_model_whose_card_tells_how(dataset, tmp_path, capsys):
    import argparse

    card = tmp_path / "given.json"
    card.write_text(json.dumps({"title": "A trial", "licence": "nobody's"}), encoding="utf-8")
    parser = argparse.ArgumentParser()
    train_registration.add_parser(parser.add_subparsers())
    words = ["train-registration", str(dataset), "--workspace", str(tmp_path / "work"), "--steps", "2"]
    words += ["--hold-out", "1", "--out", str(tmp_path / "model"), "--card", str(card)]
    options = parser.parse_args(words)
    options.run(options)
    written = json.loads((tmp_path / "model" / "card.json").read_text(encoding="utf-8"))
    assert written["title"] == "A trial"
    assert written["training"]["steps"] == 2
    assert sorted(written["patients"] + written["held_out_patients"]) == ["p1", "p2"]
    assert LearnedEngine(tmp_path / "model").name == "learned"
    assert "mean Dice" in capsys.readouterr().out
