"""The worker's commands for prompting: what they take, what they refuse, and what stays in memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
from disc_worker import disc_client
from prompt_backends import DiscBackend
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.remembering import RememberingBackend
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.handlers import default_handlers


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with disc_client(tmp_path_factory.mktemp("worker")) as client:
        yield client


def picture(rows=30, cols=44, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, cols)).astype(np.uint8)


LV = {"slice": 3, "structure": "LV", "positive": [[20, 10]]}
RV = {"slice": 3, "structure": "RV", "positive": [[24, 10]], "box": [20, 0, 43, 29]}


def test_the_worker_knows_the_commands():
    assert {"encode_slice", "prompt_slice", "everything_slice"} <= set(default_handlers())


def test_prompts_become_masks_of_the_slices_own_size(client):
    params = {"model": "disc", "prompts": [LV, RV], "options": {"shared_negatives": False}}
    reply = client.run("prompt_slice", params, {"slice": picture()})
    assert reply.values["structures"] == ["RV", "LV"]
    masks = reply.arrays["masks"]
    assert (masks.dtype, masks.shape) == (np.uint8, (2, 30, 44))
    row, col = np.mgrid[:30, :44]
    disc = np.hypot(row - 10, col - 20) < 6.5
    np.testing.assert_array_equal(masks[1], disc)
    np.testing.assert_array_equal(masks[0], (np.hypot(row - 10, col - 24) < 6.5) & (col >= 20) & ~disc)
    assert set(reply.values["scores"]) == {"RV", "LV"}
    assert reply.values["model"] == {"name": "disc", "id": "d" * 64, "backend": "disc", "device": "cpu"}
    assert reply.values["warnings"] == []


def test_options_reach_the_model(client):
    taken = {}
    for shared in (False, True):
        params = {"model": "disc", "prompts": [LV, RV], "options": {"shared_negatives": shared}}
        taken[shared] = client.run("prompt_slice", params, {"slice": picture()}).arrays["masks"]
    assert taken[False][1, 10, 20]
    assert taken[False][1, 10, 23]
    assert not taken[True][1, 10, 23]  # the point in the right ventricle is one outside the left


def test_an_encoded_slice_stays_and_another_is_encoded(client):
    image = picture(seed=11)
    origins = [client.run("encode_slice", {"model": "disc"}, {"slice": image}).values["origin"] for _ in range(2)]
    assert origins == ["encoder", "memory"]
    reply = client.run("prompt_slice", {"model": "disc", "prompts": [LV]}, {"slice": image})
    assert reply.values["origin"] == "memory"
    image[5, 5] ^= 1
    assert client.run("encode_slice", {"model": "disc"}, {"slice": image}).values["origin"] == "encoder"


def test_a_model_is_loaded_once(client):
    messages = []
    for _ in range(3):
        params = {"model": "slow to decode", "prompts": [LV]}
        client.run("prompt_slice", params, {"slice": picture()}, lambda _, message: messages.append(message))
    assert messages.count("loading the model") == 1


def test_the_worker_says_how_many_slices_memory_holds(client):
    reply = client.run("encode_slice", {"model": "disc", "memory_bytes": 1000}, {"slice": picture()})
    assert reply.values["capacity"] == 1000 // 128  # bytes of an embedding of the disc


def test_a_cache_that_cannot_be_written_is_a_warning(client, tmp_path):
    (tmp_path / "file").write_text("in the way")
    params = {"model": "disc", "prompts": [LV], "cache": {"folder": str(tmp_path / "file" / "cache")}}
    reply = client.run("prompt_slice", params, {"slice": picture()})
    assert reply.arrays["masks"].any()
    assert "not kept on disk" in reply.values["warnings"][0]


def test_everything_is_numbered_with_small_masks_on_large_ones(client):
    reply = client.run("everything_slice", {"model": "disc"}, {"slice": picture()})
    row, col = np.mgrid[:30, :44]
    apart = np.hypot(row - 15, col - 22)
    np.testing.assert_array_equal(reply.arrays["labels"], np.where(apart < 4.5, 2, np.where(apart < 9.5, 1, 0)))
    assert reply.arrays["labels"].dtype == np.uint16
    assert reply.values["count"] == 2
    assert reply.values["areas"] == [(apart < 9.5).sum(), (apart < 4.5).sum()]


def test_a_cache_folder_is_filled_and_read_again_by_another_worker(tmp_path):
    params = {"model": "disc", "cache": {"folder": str(tmp_path / "cache"), "max_bytes": 10**6}}
    origins = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with disc_client(tmp_path / name) as own:
            origins.append(own.run("encode_slice", params, {"slice": picture()}).values["origin"])
    assert origins == ["encoder", "disk"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": None}, "needs a model"),
        ({"model": ""}, "needs a model"),
        ({"model": ["disc"]}, "needs a model"),
        ({"model": "nothing"}, "no promptable model 'nothing'"),
        ({"device": 5}, "must be names"),
        ({"backend": None}, "must be names"),
        ({"backend": "abacus"}, "unknown backend 'abacus'"),
        ({"memory_bytes": 0}, "memory_bytes must be a positive whole number"),
        ({"memory_bytes": True}, "memory_bytes must be a positive whole number"),
        ({"memory_bytes": "much"}, "memory_bytes must be a positive whole number"),
        ({"cache": True}, "the cache must be"),
        ({"cache": {"place": "here"}}, "the cache must be"),
        ({"cache": {"folder": 5}}, "the cache's folder"),
        ({"cache": {"folder": ""}}, "the cache's folder"),
        ({"cache": {"folder": None, "max_bytes": -1}}, "max_bytes must be a positive"),
        ({"options": {"colour": "red"}}, "options of a prompt must be among"),
        ({"options": ["ring"]}, "options of a prompt must be among"),
        ({"options": {"shared_negatives": 1}}, "shared_negatives must be true or false"),
        ({"options": {"myocardium": "cube"}}, "'cube'"),
        ({"options": {"overlap": ["order"]}}, "unknown overlap rule"),
        ({"prompts": None}, "prompts"),
        ({"prompts": []}, "no prompt"),
        ({"prompts": "LV"}, "prompts"),
        ({"prompts": [5]}, "prompt"),
        ({"prompts": [{**LV, "structure": "liver"}]}, "liver"),
        ({"prompts": [{**LV, "positive": [[1]]}]}, "positive"),
        ({"prompts": [{**LV, "positive": []}]}, "no positive point and no box"),
        ({"prompts": [{**LV, "positive": [[44, 3]]}]}, "lies outside"),
        ({"prompts": [{**LV, "positive": [[3, float("inf")]]}]}, "positive"),
        ({"prompts": [{**LV, "box": [5, 5, 5, 9]}]}, "is empty"),
        ({"prompts": [LV, LV]}, "both a prompt for LV on slice 3"),
        ({"prompts": [LV, {**RV, "slice": 4}]}, "slice"),
    ],
)
def test_wrong_parameters_are_refused_with_a_sentence(client, params, said):
    given = {"model": "disc", "prompts": [LV], **params}
    with pytest.raises(InputError, match=said):
        client.run("prompt_slice", json.loads(json.dumps(given)), {"slice": picture()})


@pytest.mark.parametrize("command", ["encode_slice", "prompt_slice", "everything_slice"])
@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "needs an array 'slice'"),
        ({"slice": picture().astype(np.float32)}, "uint8"),
        ({"slice": picture()[None]}, r"\(1, 30, 44\)"),
        ({"slice": picture()[:0]}, r"\(0, 44\)"),
    ],
)
def test_a_slice_that_is_none_is_refused(client, command, arrays, said):
    with pytest.raises(InputError, match=said):
        client.run(command, {"model": "disc", "prompts": [LV]}, arrays)


def test_an_unchanged_prompt_is_not_decoded_again():
    disc = DiscBackend()
    backend = RememberingBackend(disc, kept=2)
    first, second = backend.encode(picture()), backend.encode(picture(seed=1))
    points, signs = np.array([[20.0, 10.0]]), np.array([1])
    answers = [backend.decode(first, points, signs, None) for _ in range(3)]
    assert len(disc.calls) == 1
    assert answers[0] is answers[2]
    for arguments in (
        (second, points, signs, None),
        (first, points + 1, signs, None),
        (first, points, 1 - signs, np.array([1.0, 1.0, 9.0, 9.0])),
        (first, points, signs, None),  # only two are kept
    ):
        before = len(disc.calls)
        backend.decode(*arguments)
        assert len(disc.calls) == before + 1
    assert (backend.name, backend.device, backend.model_id) == ("disc", "cpu", "d" * 64)


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    """A folder with the embedded model's architecture and random weights."""
    torch = pytest.importorskip("torch")
    from SparseCardiacSegLib.prompting.architectures import build

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "random"
    folder.mkdir()
    np.savez(folder / "weights.npz", **{key: value.numpy() for key, value in build("slice-256").state_dict().items()})
    card = {"kind": "promptable", "name": "random", "architecture": "slice-256", "image_size": 256}
    (folder / "card.json").write_text(json.dumps({**card, "weights": "weights.npz", "structures": ["LV"]}))
    return folder


@pytest.mark.parametrize("shape", [(256, 216), (120, 90), (300, 410)])
def test_the_real_worker_prompts_with_a_real_network(tmp_path, random_model, shape):
    rows, cols = shape
    prompts = [
        {"slice": 0, "structure": "LV", "positive": [[cols / 2, rows / 2]], "box": [10, 10, cols - 10, rows - 10]},
        {"slice": 0, "structure": "RV", "positive": [[cols / 3, rows / 2]]},
    ]
    params = {"model": str(random_model), "device": "cpu", "backend": "torch", "prompts": prompts}
    with WorkerClient(temporary=tmp_path) as own:
        image = picture(rows, cols)
        reply = own.run("prompt_slice", params, {"slice": image})
        again = own.run("prompt_slice", params, {"slice": image})
    assert reply.arrays["masks"].shape == (2, rows, cols)
    assert (reply.values["origin"], again.values["origin"]) == ("encoder", "memory")
    assert reply.values["model"]["backend"] == "torch"
    assert "RV" in reply.values["warnings"][0]
    np.testing.assert_array_equal(reply.arrays["masks"], again.arrays["masks"])
