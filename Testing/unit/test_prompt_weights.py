"""Weights of promptable models are data: SAM's own load, others are refused with a sentence, and no code runs."""

from __future__ import annotations

import os
import pickle
import zipfile

import numpy as np
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting import architectures
from SparseCardiacSegLib.prompting.model import PromptModel
from SparseCardiacSegLib.prompting.weights import (
    IMAGE_SIZES,
    check_shapes,
    detect_architecture,
    expected_shapes,
    load_sam,
    load_weights,
    save_weights,
)

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")


@pytest.fixture(scope="module")
def small():
    """State dict of the small architecture with random weights."""
    torch.manual_seed(0)
    return architectures.build("slice-256").state_dict()


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory):
    """SAM ViT-B in its true architecture with random weights, in a file as SAM publishes it; removed afterwards."""
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in expected_shapes("vit_b").items()}
    path = tmp_path_factory.mktemp("vit") / "sam_vit_b_01ec64.pth"
    torch.save(state, path)
    yield path, state
    path.unlink()


def model(path, architecture="slice-256", base=None):
    return PromptModel("m", architecture, path, path, base=base)


def saved(path, content):
    torch.save(content, path)
    return path


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[name].float(), other[name]) for name in state)


def test_the_true_vit_b_loads_with_every_weight_in_its_place(vit_b):
    path, state = vit_b
    assert abs(path.stat().st_size - 375_042_383) < 5_000  # SAM's own file: the same tensors in the same format
    assert detect_architecture(load_weights(path)) == "vit_b"
    sam = load_sam(model(path, "vit_b"))
    assert same(state, sam.state_dict())
    assert not sam.training
    assert {value.device.type for value in (*sam.parameters(), *sam.buffers())} == {"cpu"}
    assert sam.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    with torch.no_grad():
        points = (torch.tensor([[[500.0, 400.0]]]), torch.tensor([[1]]))
        sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
        masks, _ = sam.mask_decoder(
            torch.zeros(1, 256, 64, 64), sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False
        )
    assert masks.shape == (1, 1, 256, 256)
    path.write_bytes(b"changed")  # the network does not hang on to the file
    assert same(state, sam.state_dict())


def test_every_architecture_is_told_from_names_and_shapes():
    assert tuple(IMAGE_SIZES) == architectures.ARCHITECTURES
    for architecture in architectures.ARCHITECTURES:
        assert detect_architecture(expected_shapes(architecture)) == architecture


def test_image_sizes_are_those_of_the_networks():
    for architecture in ("slice-256", "vit_b"):
        with torch.device("meta"):
            assert architectures.build(architecture).image_encoder.img_size == IMAGE_SIZES[architecture]


@pytest.mark.parametrize("half", [False, True])
def test_numpy_weights_come_back_and_the_same_weights_give_the_same_bytes(tmp_path, small, half):
    path = tmp_path / "weights.npz"
    save_weights(path, small, half=half)
    first = path.read_bytes()
    save_weights(path, dict(reversed(small.items())), half=half)
    assert path.read_bytes() == first
    loaded = load_weights(path)
    assert {value.dtype for value in loaded.values()} == {np.dtype(np.float16 if half else np.float32)}
    with np.load(path, allow_pickle=False) as plain:
        assert set(plain.files) == set(small)
        assert all(np.array_equal(plain[name], loaded[name]) for name in small)
    rounded = {name: value.half() if half else value for name, value in small.items()}
    assert same(rounded, load_sam(model(path)).state_dict())
    assert len(first) < (8_100_000 if half else 16_100_000)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "optimizer": {"state": {0: torch.zeros(3)}}, "epoch": 3},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {name: torch.nn.Parameter(value) for name, value in state.items()},
        lambda state: {"model": state, "losses": [np.float64(0.5), np.float32(1)]},
    ],
)
def test_the_ways_in_which_people_save_a_sam_all_load(tmp_path, small, wrap):
    path = saved(tmp_path / "a.pth", wrap(small))
    assert same(small, load_sam(model(path)).state_dict())


def test_other_precisions_become_float32(tmp_path, small):
    changed = {name: value.bfloat16() if "decoder" in name else value.double() for name, value in small.items()}
    state = load_sam(model(saved(tmp_path / "a.pth", changed))).state_dict()
    assert same({name: value.float() for name, value in changed.items()}, state)


def test_a_fine_tuned_decoder_is_put_into_its_base(tmp_path, small):
    base = saved(tmp_path / "base.pth", small)
    tuned = {name: value + 1 for name, value in small.items() if name.startswith("mask_decoder.")}
    save_weights(tmp_path / "tuned.npz", tuned)
    state = load_sam(model(tmp_path / "tuned.npz", base=model(base))).state_dict()
    assert same({**small, **tuned}, state)
    with pytest.raises(InputError, match="names no base"):
        load_sam(model(tmp_path / "tuned.npz"))
    with pytest.raises(InputError, match="mask decoder alone"):
        detect_architecture(tuned)


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo x > {self.marker}",)


@pytest.mark.parametrize("place", ["top", "beside the weights", "among the weights"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, small, place):
    marker = tmp_path / "ran"
    evil = RunsCode(marker)
    content = {
        "top": evil,
        "beside the weights": {"model": small, "x": [evil]},
        "among the weights": {**small, "x": evil},
    }
    path = saved(tmp_path / "a.pth", content[place])
    with pytest.raises(InputError, match=r"a\.pth was refused.*Nothing in it was run"):
        load_weights(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the file does run its code elsewhere, so the test can fail
    assert marker.exists()


def test_pickles_in_other_clothes_are_refused_and_do_not_run(tmp_path, small):
    marker = tmp_path / "ran"
    plain = tmp_path / "plain.pt"
    plain.write_bytes(pickle.dumps(RunsCode(marker)))
    old = tmp_path / "old.pth"
    torch.save({"model": small, "x": RunsCode(marker)}, old, _use_new_zipfile_serialization=False)
    for path in (plain, old):
        with pytest.raises(InputError, match="zip format"):
            load_weights(path)
    objects = tmp_path / "objects.npz"
    np.savez(objects, **{"mask_decoder.x": np.array([RunsCode(marker)], dtype=object)})
    with pytest.raises(InputError, match="type object"):
        load_weights(objects)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
@pytest.mark.parametrize("kept", [0, 1, 3, 100, 0.5, 0.999])
def test_a_truncated_file_is_refused_with_a_sentence(tmp_path, small, suffix, kept):
    path = tmp_path / f"a{suffix}"
    (save_weights if suffix == ".npz" else lambda path, state: torch.save(state, path))(path, small)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"a\.(pth|npz)"):
        load_weights(path)


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_a_file_with_changed_bytes_never_ends_in_anything_but_a_sentence(tmp_path, suffix):
    state = {"mask_decoder.x": torch.arange(50.0), "prompt_encoder.y": torch.ones(2, 3)}
    path = tmp_path / f"a{suffix}"
    (save_weights if suffix == ".npz" else lambda path, state: torch.save(state, path))(path, state)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        for position in rng.integers(0, len(data), 8):
            changed[position] = rng.integers(256)
        path.write_bytes(bytes(changed))
        try:
            load_weights(path)
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_an_error_page_saved_as_a_checkpoint_says_what_it_is(tmp_path, suffix):
    path = tmp_path / f"sam{suffix}"
    path.write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    with pytest.raises(InputError, match="web page"):
        load_weights(path)


def test_missing_files_folders_and_other_kinds_are_refused(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path / "none.npz"):
        with pytest.raises(InputError, match="cannot be read"):
            load_weights(path)
    with pytest.raises(InputError, match=r"end in \.pth, \.pt or \.npz"):
        load_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image_encoder.trunk.blocks.0.x": torch.zeros(1)}, "SAM 2"),
        ({"image_encoder.layers.0.x": torch.zeros(1)}, "MobileSAM"),
        ({"mask_decoder.hf_token.weight": torch.zeros(1), "image_encoder.x": torch.zeros(1)}, "HQ-SAM"),
        ({"vision_encoder.x": torch.zeros(1)}, "Transformers"),
        ({"conv.weight": torch.zeros(1)}, "no SAM.*image encoder and prompt encoder"),
        ({"image_encoder.x": torch.zeros(1)}, "prompt encoder and mask decoder"),
        ({"network_weights": {"a": torch.zeros(1)}}, "nnU-Net checkpoint"),
        ({"mask_decoder.x": torch.zeros(1, dtype=torch.int64)}, "type torch.int64"),
        ({"mask_decoder.x": torch.tensor([float("nan")])}, "NaN"),
        ({"mask_decoder.x": torch.tensor([float("inf")])}, "infinite"),
        ({}, "no network weights"),
        ([1, 2], "no network weights"),
        (torch.zeros(3), "no network weights"),
    ],
)
def test_what_is_no_sam_is_named(tmp_path, content, message):
    path = saved(tmp_path / "a.pth", content)
    with pytest.raises(InputError, match=message):
        detect_architecture(load_weights(path), path)


def test_weights_that_do_not_fit_are_named(tmp_path, small):
    arrays = {name: value.numpy() for name, value in small.items()}
    first = next(iter(arrays))
    for changed, message in (
        ({name: value for name, value in arrays.items() if name != first}, f"lacks '{first}'"),
        ({**arrays, "image_encoder.more": arrays[first]}, "also holds 'image_encoder.more'"),
        ({**arrays, first: arrays[first][:3]}, f"'{first}' has 3 x 1 x 3 x 3 values, not 16 x 1 x 3 x 3"),
    ):
        with pytest.raises(InputError, match=message):
            check_shapes(changed, "slice-256", "f")
        save_weights(tmp_path / "a.npz", changed)
        with pytest.raises(InputError, match="does not fit slice-256"):
            load_sam(model(tmp_path / "a.npz"))
    with pytest.raises(InputError, match=r"weights of slice-256, but model 'm' is a vit_b"):
        load_sam(model(saved(tmp_path / "a.pth", small), "vit_b"))


def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match="'w' is not finite in float32"):
        save_weights(path, {"w": np.array([np.nan])})
    with pytest.raises(InputError, match="'w' is not finite in float16"):
        save_weights(path, {"w": np.array([1e6])}, half=True)
    assert list(tmp_path.iterdir()) == []
    np.savez(path, w=np.array([np.inf], np.float32))
    with pytest.raises(InputError, match="'w' holds NaN or infinite"):
        load_weights(path)
    with pytest.raises(InputError, match=r"ends in \.npz"):
        save_weights(tmp_path / "a.pth", {})


def test_an_array_that_declares_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, w=np.zeros((3, 111), np.float32))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(3, 111)", b"(9, 999)"))
    with pytest.raises(InputError, match=r"a\.npz"):
        load_weights(path)
    header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", header.ljust(127) + b"\n" + bytes(16))
    with pytest.raises(InputError, match="declares more values than the file holds"):
        load_weights(path)


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, w=np.zeros(15_000_000, np.float32))
    with pytest.raises(InputError, match="would unpack to"):
        load_weights(path)
