"""The prompts of one slice become masks on its own pixels, by rules that can be checked by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from prompt_backends import DiscBackend
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting import predictor
from SparseCardiacSegLib.prompting.embedding_cache import EmbeddingCache
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore
from SparseCardiacSegLib.prompting.model import PromptModel
from SparseCardiacSegLib.prompting.predictor import PromptOptions, open_backend, predict_prompts
from SparseCardiacSegLib.prompting.prompts import Prompt

RV, MYO, LV, LA = Structure.RV, Structure.MYO, Structure.LV, Structure.LA
IMAGE = np.arange(60 * 90, dtype=np.uint32).reshape(60, 90).astype(np.uint8)


@pytest.fixture
def backend():
    return DiscBackend()


@pytest.fixture
def store(backend):
    return EmbeddingStore(backend)


def disc(col: float, row: float, radius: float, shape=IMAGE.shape) -> np.ndarray:
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - row, cols - col) < radius + 0.5


def prompt(structure: Structure, *positive, negative=(), box=None, slice=3, frame=1) -> Prompt:
    return Prompt(slice, structure, tuple(positive), tuple(negative), box, frame)


@pytest.mark.parametrize("shape", [(60, 90), (91, 60), (1, 40), (40, 1), (300, 17), (1, 1)])
def test_a_mask_lies_where_the_point_is_whatever_the_size_of_the_slice(store, shape):
    col, row = shape[1] * 2 // 3, shape[0] // 3
    result = predict_prompts(store, np.zeros(shape, np.uint8), [prompt(LV, (col, row))])
    assert result.masks[LV].dtype == bool
    np.testing.assert_array_equal(result.masks[LV], disc(col, row, 6, shape))


def test_points_and_box_reach_the_model_as_columns_and_rows(store, backend):
    given = prompt(LV, (70, 20), (71.5, 22.25), negative=[(10, 50)], box=(60, 12, 80, 30))
    predict_prompts(store, IMAGE, [given])
    (call,) = backend.calls
    assert call.points == ((70, 20), (71.5, 22.25), (10, 50))
    assert call.signs == (1, 1, 0)
    assert call.box == (60, 12, 80, 30)


def test_a_box_alone_is_a_prompt(store):
    result = predict_prompts(store, IMAGE, [prompt(LA, box=(10, 5, 30, 15))])
    expected = np.zeros(IMAGE.shape, bool)
    expected[5:16, 10:31] = True
    np.testing.assert_array_equal(result.masks[LA], expected)


def test_what_reaches_over_the_rim_is_brought_onto_the_slice(store, backend):
    predict_prompts(store, IMAGE, [prompt(LV, (-0.4, 59.4), box=(-20, 40, 95, 70))])
    (call,) = backend.calls
    assert call.points == ((0, 59),)
    assert call.box == (0, 40, 89, 59)


def test_structures_are_decoded_one_by_one_from_the_outer_to_the_inner(store, backend):
    predict_prompts(store, IMAGE, [prompt(LV, (50, 30)), prompt(RV, (20, 30)), prompt(MYO, (50, 40))])
    assert [next(iter(call.positive)) for call in backend.calls] == [(20, 30), (50, 40), (50, 30)]
    assert backend.encoded == 1


def test_the_positives_of_one_structure_are_negatives_of_the_others(store, backend):
    prompts = [prompt(RV, (20, 30)), prompt(MYO, (50, 40)), prompt(LV, (50, 30), negative=[(5, 5)])]
    predict_prompts(store, IMAGE, prompts)
    rv, myo, lv = backend.calls
    assert rv.negative == {(50, 40), (50, 30)}
    assert myo.negative == {(20, 30), (50, 30)}
    assert lv.negative == {(5, 5), (20, 30), (50, 40)}


def test_points_stay_with_their_structure_where_sharing_is_off(store, backend):
    prompts = [prompt(RV, (20, 30)), prompt(LV, (50, 30), negative=[(5, 5)])]
    predict_prompts(store, IMAGE, prompts, PromptOptions(shared_negatives=False))
    assert [call.negative for call in backend.calls] == [set(), {(5, 5)}]


def test_overlapping_masks_are_cut_by_the_order_of_structures(store):
    prompts = [prompt(MYO, (50, 30)), prompt(LV, (55, 30))]
    masks = predict_prompts(store, IMAGE, prompts, PromptOptions(shared_negatives=False)).masks
    np.testing.assert_array_equal(masks[LV], disc(55, 30, 6))
    np.testing.assert_array_equal(masks[MYO], disc(50, 30, 6) & ~disc(55, 30, 6))


def test_overlapping_masks_are_cut_by_score_if_so_asked(store):
    prompts = [prompt(MYO, (50, 30), (50, 29)), prompt(LV, (55, 30))]  # two points: the higher score
    masks = predict_prompts(store, IMAGE, prompts, PromptOptions(False, overlap="score")).masks
    outer = disc(50, 30, 6) | disc(50, 29, 6)
    np.testing.assert_array_equal(masks[MYO], outer)
    np.testing.assert_array_equal(masks[LV], disc(55, 30, 6) & ~outer)


def test_the_myocardium_can_be_the_epicardium_without_the_cavity(store, backend):
    inner = prompt(LV, (50, 30), box=(47, 27, 53, 33))
    ring = prompt(MYO, (50, 38), negative=[(2, 2), (50, 30), (51, 31)], box=(40, 20, 60, 45))
    prompts = [ring, inner, prompt(RV, (20, 30))]
    result = predict_prompts(store, IMAGE, prompts, PromptOptions(myocardium="difference"))
    epicardium = backend.calls[-1]
    assert epicardium.box == (40, 20, 60, 45)
    assert epicardium.positive == {(50, 38), (50, 30)}
    assert epicardium.negative == {(2, 2), (20, 30)}  # (51, 31) lies in the cavity that was found
    cavity = np.zeros(IMAGE.shape, bool)
    cavity[27:34, 47:54] = disc(50, 30, 6)[27:34, 47:54]
    np.testing.assert_array_equal(result.masks[LV], cavity)
    outer = (disc(50, 38, 6) | disc(50, 30, 6)) & (np.indices(IMAGE.shape)[0] <= 45)
    np.testing.assert_array_equal(result.masks[MYO], outer & ~cavity)
    assert list(result.masks) == [RV, MYO, LV]


def test_the_epicardium_is_not_cut_by_the_cavity_even_if_its_score_is_higher(store):
    prompts = [prompt(MYO, (50, 38)), prompt(LV, (50, 30))]
    result = predict_prompts(store, IMAGE, prompts, PromptOptions(myocardium="difference", overlap="score"))
    assert result.scores[MYO] > result.scores[LV]
    np.testing.assert_array_equal(result.masks[LV], disc(50, 30, 6) & ~_half_disc(50, 38))


def _half_disc(col: float, row: float) -> np.ndarray:
    """What a negative point takes away."""
    rows, cols = np.mgrid[: IMAGE.shape[0], : IMAGE.shape[1]]
    return np.hypot(rows - row, cols - col) <= 3


def test_without_sharing_the_epicardium_has_the_myocardiums_own_negatives_only(store, backend):
    prompts = [prompt(MYO, (50, 38), negative=[(2, 2)]), prompt(LV, (50, 30)), prompt(RV, (20, 30))]
    predict_prompts(store, IMAGE, prompts, PromptOptions(shared_negatives=False, myocardium="difference"))
    assert backend.calls[-1].negative == {(2, 2)}
    assert backend.calls[-1].box is None


def test_without_a_cavity_to_take_out_the_ring_itself_is_prompted(store, backend):
    ring = [prompt(MYO, (50, 38), box=(40, 20, 60, 45)), prompt(RV, (20, 30))]
    by_difference = predict_prompts(store, IMAGE, ring, PromptOptions(myocardium="difference"))
    np.testing.assert_array_equal(by_difference.masks[MYO], predict_prompts(store, IMAGE, ring).masks[MYO])
    assert backend.calls[1] == backend.calls[3]


def test_the_origin_of_the_embedding_is_told(backend, tmp_path):
    cache = EmbeddingCache(tmp_path)
    store = EmbeddingStore(backend, cache)
    origins = [predict_prompts(store, IMAGE, [prompt(LV, (50, 30))]).origin for _ in range(2)]
    origins.append(predict_prompts(EmbeddingStore(backend, cache), IMAGE, [prompt(LV, (50, 30))]).origin)
    assert origins == ["encoder", "memory", "disk"]


def test_times_are_told_apart(store, monkeypatch):
    ticks = iter([10.0, 10.5, 12.5])
    monkeypatch.setattr(predictor.time, "perf_counter", lambda: next(ticks))
    result = predict_prompts(store, IMAGE, [prompt(LV, (50, 30))])
    assert (result.seconds_encode, result.seconds_decode) == (0.5, 2.0)


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        ([], "no prompt"),
        ([prompt(LV, (50, 30)), prompt(LV, (51, 30))], "two entries of a prompt for LV"),
        ([prompt(LV, (50, 30)), prompt(RV, (51, 30), slice=4)], "not of the same slice"),
        ([prompt(LV, (50, 30)), prompt(RV, (51, 30), frame=2)], "not of the same slice"),
        ([prompt(LV, (30, 60))], "outside the slice of 90 x 60"),
        ([prompt(LV, negative=[(5, 5)])], "no positive point and no box"),
        ([prompt(LV, box=(20, 10, 10, 20))], "is turned round"),
        ([prompt(LV, box=(20, 10, 20, 20))], "is empty"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused_before_anything_is_encoded(store, backend, prompts, sentence):
    with pytest.raises(InputError, match=sentence):
        predict_prompts(store, IMAGE, prompts)
    assert backend.encoded == 0


@pytest.mark.parametrize("image", [IMAGE.astype(np.float32), IMAGE[None], np.zeros((0, 5), np.uint8)])
def test_only_slices_of_8_bit_pixels_are_taken(store, image):
    with pytest.raises(InputError, match=r"must be uint8 \[row, col\]"):
        predict_prompts(store, image, [prompt(LV, (1, 1))])


@pytest.mark.parametrize("options", [{"myocardium": "horseshoe"}, {"overlap": "luck"}])
def test_unknown_options_are_refused_with_those_that_exist(options):
    with pytest.raises(InputError, match=r"unknown .*known are"):
        PromptOptions(**options)


def folder_model(folder: Path, *files: str) -> PromptModel:
    folder.mkdir(exist_ok=True)
    for name in files:
        (folder / name).touch()
    return PromptModel("some-model", "slice-256", folder, folder / "weights.npz")


GRAPHS = ("encoder.onnx", "decoder.onnx")


@pytest.mark.parametrize(
    ("files", "device", "backend", "gpu", "packages", "expected"),
    [
        (GRAPHS, "auto", "auto", False, {"torch", "onnxruntime"}, "onnx"),
        (GRAPHS, "auto", "auto", False, {"onnxruntime"}, "onnx"),
        (GRAPHS, "auto", "auto", True, {"torch", "onnxruntime"}, "torch"),
        (GRAPHS, "cpu", "auto", True, {"torch", "onnxruntime"}, "onnx"),
        (GRAPHS, "cuda", "auto", True, {"torch", "onnxruntime"}, "torch"),
        (GRAPHS, "cpu", "auto", False, {"torch"}, "torch"),
        (GRAPHS, "cpu", "torch", False, {"torch", "onnxruntime"}, "torch"),
        (GRAPHS, "cpu", "onnx", False, {"torch", "onnxruntime"}, "onnx"),
        (GRAPHS[:1], "cpu", "auto", False, {"torch", "onnxruntime"}, "torch"),
        ((), "auto", "auto", False, {"torch", "onnxruntime"}, "torch"),
    ],
)
def test_the_backend_suits_model_and_computer(tmp_path, monkeypatch, files, device, backend, gpu, packages, expected):
    monkeypatch.setattr(predictor, "has_gpu", lambda: gpu)
    monkeypatch.setattr(predictor, "installed", lambda package: package in packages)
    assert predictor._choose_backend(folder_model(tmp_path / "m", *files), device, backend) == expected


@pytest.mark.parametrize(
    ("files", "device", "backend", "sentence"),
    [
        ((), "cpu", "onnx", "'some-model' has no encoder.onnx"),
        (GRAPHS, "cuda", "onnx", "device 'cuda' needs the torch backend"),
        (GRAPHS, "cpu", "tensorflow", "unknown backend 'tensorflow'"),
        (GRAPHS, "tpu", "auto", "unknown device 'tpu'"),
    ],
)
def test_a_backend_that_cannot_serve_is_refused(tmp_path, files, device, backend, sentence):
    with pytest.raises(InputError, match=sentence):
        open_backend(folder_model(tmp_path / "m", *files), device, backend)


def test_a_missing_package_is_named_with_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    monkeypatch.setattr(
        "SparseCardiacSegLib.automatic.packages.installed", lambda package: package != "segment_anything"
    )
    with pytest.raises(InputError, match=r"'some-model' .* 'segment_anything'.*sparsecardiacseg\[torch\]"):
        open_backend(folder_model(tmp_path / "m"), "cpu", "torch")


class StrayBackend(DiscBackend):
    """Also finds two pixels in a corner that nobody asked for."""

    def decode(self, embedding, points, signs, box):
        decoded = super().decode(embedding, points, signs, box)
        decoded.logits[0, :2] = 5.0
        return decoded


def test_small_pieces_that_nobody_clicked_are_left_out_unless_wanted():
    store = EmbeddingStore(StrayBackend(), None)
    given = [prompt(LV, (20, 20))]
    without = predict_prompts(store, IMAGE, given).masks[LV]
    kept = predict_prompts(store, IMAGE, given, PromptOptions(drop_islands=False)).masks[LV]
    assert not without[0, :2].any()
    assert kept[0, :2].all()
    np.testing.assert_array_equal(without[1:], kept[1:])


def test_pieces_of_the_left_atrium_stay_because_veins_are_pieces_of_their_own():
    atrium = predict_prompts(EmbeddingStore(StrayBackend(), None), IMAGE, [prompt(LA, (20, 20))]).masks[LA]
    assert atrium[0, :2].all()
