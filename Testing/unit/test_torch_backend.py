"""The torch backend gives what segment_anything's own predictor gives, on the slice's own pixels."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.automatic.devices import choose_device
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.architectures import build
from SparseCardiacSegLib.prompting.backend import Embedding, PromptBackend
from SparseCardiacSegLib.prompting.embedding_cache import EmbeddingCache
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore
from SparseCardiacSegLib.prompting.model import open_prompt_folder
from SparseCardiacSegLib.prompting.predictor import open_backend, predict_prompts
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.prompting.weights import save_weights

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")

from segment_anything import SamPredictor  # noqa: E402
from SparseCardiacSegLib.prompting.torch_backend import TorchBackend  # noqa: E402

POINTS = np.array([[40.0, 30.0], [44.5, 20.25], [10.0, 60.0]])
SIGNS = np.array([1, 1, 0])
BOX = np.array([20.0, 10.0, 60.0, 50.0])
NO_POINTS = np.zeros((0, 2))
PROMPTS = [
    (POINTS, SIGNS, None),
    (NO_POINTS, np.zeros(0, int), BOX),
    (POINTS, SIGNS, BOX),
    (POINTS[2:], SIGNS[2:], BOX),
]
PROMPT_NAMES = ["points", "box", "both", "box and a negative point"]


def picture(rows: int, cols: int) -> np.ndarray:
    """A smooth random slice: what an encoder makes of noise would hide a shift."""
    rng = np.random.default_rng(rows * 1000 + cols)
    row, col = np.mgrid[:rows, :cols]
    waves = sum(
        np.sin(row * rng.uniform(0.02, 0.2) + col * rng.uniform(0.02, 0.2) + rng.uniform(0, 6)) for _ in range(6)
    )
    return np.clip(128 + 25 * waves, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return build("slice-256").eval()


@pytest.fixture(scope="module")
def backend(sam) -> PromptBackend:
    return TorchBackend(sam, "random-weights")


def stock(sam, image, points, signs, box, features=None):
    """Logits and score of segment_anything's predictor, used as its README says; on other features if given."""
    predictor = SamPredictor(sam)
    predictor.set_image(np.stack([image] * 3, -1))
    if features is not None:
        predictor.features = features
    given = (points, signs) if len(points) else (None, None)
    logits, scores, _ = predictor.predict(*given, box=box, multimask_output=False, return_logits=True)
    return logits[0], scores[0]


@pytest.mark.parametrize(("points", "signs", "box"), PROMPTS, ids=PROMPT_NAMES)
def test_the_mask_is_sam_predictors_but_for_the_rounding_of_the_embedding(sam, backend, points, signs, box):
    image = picture(100, 120)
    embedding = backend.encode(image)
    decoded = backend.decode(embedding, points, signs, box)
    rounded = torch.from_numpy(embedding.features.astype(np.float32))[None]
    logits, score = stock(sam, image, points, signs, box, rounded)
    np.testing.assert_array_equal(decoded.logits, logits)
    assert decoded.score == score
    logits, score = stock(sam, image, points, signs, box)
    tolerance = 0.01 * logits.std()
    np.testing.assert_allclose(decoded.logits, logits, rtol=0, atol=tolerance)
    clear = np.abs(logits) > tolerance
    np.testing.assert_array_equal(decoded.mask[clear], (logits > 0)[clear])
    assert clear.mean() > 0.9
    assert decoded.score == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "input_size"),
    [
        ((256, 256), (256, 256)),
        ((255, 256), (255, 256)),
        ((257, 256), (256, 255)),
        ((216, 127), (256, 151)),
        ((61, 83), (188, 256)),
        ((512, 341), (256, 171)),
        ((1, 300), (1, 256)),
        ((1, 1), (256, 256)),
    ],
)
def test_masks_have_the_pixels_of_the_slice_whatever_its_size(sam, backend, shape, input_size):
    image = picture(*shape)
    embedding = backend.encode(image)
    assert embedding.features.dtype == np.float16
    assert (embedding.original_size, tuple(embedding.input_size)) == (shape, input_size)
    point = np.array([[shape[1] // 2, shape[0] // 3]], float)
    decoded = backend.decode(embedding, point, np.array([1]), None)
    assert decoded.logits.shape == decoded.mask.shape == shape
    assert decoded.logits.dtype == np.float32
    rounded = torch.from_numpy(embedding.features.astype(np.float32))[None]
    np.testing.assert_array_equal(decoded.logits, stock(sam, image, point, np.array([1]), None, rounded)[0])


class Brightness(torch.nn.Module):
    """A decoder whose mask is the picture itself: it shows where the way to the grid and back puts a pixel."""

    def forward(self, image_embeddings, **_):
        return image_embeddings[:, :1], torch.ones(1, 1)


class SeeThrough(torch.nn.Module):
    """An encoder that keeps the picture as it is."""

    img_size = 256

    def forward(self, image):
        return image[:, :1]


class Nothing(torch.nn.Module):
    """A prompt encoder that ignores prompts."""

    embed_dim = 1
    image_embedding_size = (256, 256)

    def get_dense_pe(self):
        return None

    def forward(self, **_):
        return None, None


@pytest.mark.parametrize("shape", [(256, 256), (201, 256), (130, 97), (300, 431)])
def test_a_bright_square_comes_back_where_it_is(shape):
    sam = build("slice-256").eval()
    sam.image_encoder, sam.prompt_encoder, sam.mask_decoder = SeeThrough(), Nothing(), Brightness()
    backend = TorchBackend(sam, "see-through")
    image = np.zeros(shape, np.uint8)
    expected = np.zeros(shape, bool)
    expected[20 : shape[0] // 2 + 1, 31 : shape[1] // 2] = True
    image[expected] = 255
    mask = backend.decode(backend.encode(image), NO_POINTS, np.zeros(0), BOX).mask
    if shape[1] == 256:
        np.testing.assert_array_equal(mask, expected)
    edges = np.abs(
        np.array([*np.argwhere(mask).min(0), *np.argwhere(mask).max(0)]) - (20, 31, shape[0] // 2, shape[1] // 2 - 1)
    )
    assert edges.max() <= 1


def test_a_cached_embedding_gives_the_very_mask_of_the_fresh_one(backend, tmp_path):
    image = picture(70, 90)
    prompts = [Prompt(0, Structure.LV, ((40, 30),)), Prompt(0, Structure.MYO, ((50, 30),), box=(20, 10, 60, 50))]
    fresh = EmbeddingStore(backend, EmbeddingCache(tmp_path))
    later = EmbeddingStore(backend, EmbeddingCache(tmp_path))
    results = [predict_prompts(store, image, prompts) for store in (fresh, fresh, later)]
    assert [result.origin for result in results] == ["encoder", "memory", "disk"]
    for result in results[1:]:
        assert result.scores == results[0].scores
        for structure, mask in results[0].masks.items():
            np.testing.assert_array_equal(result.masks[structure], mask)
    embeddings = [store.get(image)[0] for store in (fresh, EmbeddingStore(backend, EmbeddingCache(tmp_path)))]
    logits = [backend.decode(embedding, POINTS, SIGNS, BOX).logits for embedding in embeddings]
    np.testing.assert_array_equal(*logits)


def test_slices_do_not_disturb_one_another(backend):
    images = [picture(80, 100), picture(100, 80)]
    embeddings = [backend.encode(image) for image in images]
    expected = [backend.decode(embedding, POINTS, SIGNS, BOX).logits for embedding in embeddings]
    wrong = []

    def click(index: int) -> None:
        for _ in range(2):
            backend.encode(images[1 - index])
            if not np.array_equal(backend.decode(embeddings[index], POINTS, SIGNS, BOX).logits, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=click, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_gradients_are_kept_and_the_number_of_threads_is_given_back(sam, backend):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(7)
        backend.decode(backend.encode(picture(30, 30)), POINTS[:1], SIGNS[:1], None)
        assert torch.get_num_threads() == 7
    finally:
        torch.set_num_threads(before)
    assert all(parameter.grad is None for parameter in sam.parameters())
    assert not torch.is_inference_mode_enabled()


def test_a_network_that_was_being_trained_is_set_to_evaluation():
    sam = build("slice-256").train()
    TorchBackend(sam, "id")
    assert not any(module.training for module in sam.modules())


def test_a_device_that_is_not_there_is_refused(monkeypatch, sam):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device 'cuda' is not available"):
        TorchBackend(sam, "id", "cuda")
    with pytest.raises(InputError, match="unknown device 'abacus'"):
        TorchBackend(sam, "id", "abacus")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_chosen(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == expected
    assert choose_device("cpu") == "cpu"


def test_a_device_without_memory_is_told_in_a_sentence(backend, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SamPredictor, "set_image", full)
    with pytest.raises(InputError, match="ran out of memory; choose device 'cpu'"):
        backend.encode(picture(10, 10))


@pytest.mark.parametrize("image", [np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4)), np.zeros((0, 4), np.uint8)])
def test_only_slices_of_8_bit_pixels_are_encoded(backend, image):
    with pytest.raises(InputError, match=r"must be uint8 \[row, col\]"):
        backend.encode(image)


def test_a_slice_too_long_and_thin_is_refused(backend):
    backend.encode(np.zeros((1, 512), np.uint8))
    with pytest.raises(InputError, match="513 x 1 voxels is too long and thin"):
        backend.encode(np.zeros((1, 513), np.uint8))


def test_a_prompt_without_point_and_box_is_refused(backend):
    with pytest.raises(InputError, match="needs a point or a box"):
        backend.decode(backend.encode(picture(30, 30)), NO_POINTS, np.zeros(0), None)


def test_another_models_embedding_is_refused(backend):
    foreign = Embedding(np.zeros((256, 10, 11), np.float16), (30, 30), (1024, 1024))
    with pytest.raises(InputError, match=r"\(256, 10, 11\) is not one of this model's"):
        backend.decode(foreign, POINTS, SIGNS, None)


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_weights_that_overflow_are_refused_rather_than_masked(value):
    sam = build("slice-256")
    sam.image_encoder.register_forward_hook(lambda _module, _given, features: features + value)
    with pytest.raises(InputError, match="overflowed"):
        TorchBackend(sam, "id").encode(picture(30, 30))


def test_a_model_folder_opens_as_a_backend(sam, backend, tmp_path):
    import json

    save_weights(tmp_path / "weights.npz", {name: t.numpy() for name, t in sam.state_dict().items()})
    card = {
        "kind": "promptable",
        "name": "mine",
        "title": "Mine",
        "architecture": "slice-256",
        "weights": "weights.npz",
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    model = open_prompt_folder(tmp_path, lambda *_: None)
    opened = open_backend(model, "cpu")
    assert (opened.name, opened.device, opened.model_id) == ("torch", "cpu", model.model_id)
    image = picture(50, 40)
    expected = backend.decode(backend.encode(image), POINTS[1:2], SIGNS[1:2], None)
    found = opened.decode(opened.encode(image), POINTS[1:2], SIGNS[1:2], None)
    np.testing.assert_array_equal(found.logits, expected.logits)


@pytest.mark.slow
def test_sam_vit_b_is_used_as_its_own_predictor_uses_it():
    torch.manual_seed(0)
    sam = build("vit_b").eval()
    backend = TorchBackend(sam, "vit_b-random")
    image = picture(150, 190)
    passes = []
    with sam.image_encoder.register_forward_hook(lambda _, given, result: passes.append((given[0], result))):
        embedding = backend.encode(image)
    assert embedding.features.shape == (256, 64, 64)
    assert embedding.input_size == (808, 1024)
    ((given, features),) = passes

    def answer_from_memory(x):
        """Encoding takes ten seconds: once is enough, if both would have encoded the same picture."""
        assert torch.equal(x, given)
        return features

    sam.image_encoder.forward = answer_from_memory
    np.testing.assert_array_equal(embedding.features, features[0].numpy().astype(np.float16))
    for points, signs, box in PROMPTS[:2]:
        decoded = backend.decode(embedding, points, signs, box)
        logits, score = stock(sam, image, points, signs, box)
        np.testing.assert_allclose(decoded.logits, logits, rtol=0, atol=0.01 * logits.std())
        assert decoded.score == pytest.approx(score, abs=1e-3)
        assert decoded.logits.shape == (150, 190)
