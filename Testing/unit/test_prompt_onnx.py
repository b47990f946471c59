"""The embedded promptable model in ONNX Runtime: SamPredictor's masks without torch, and weights on disk once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting import sam_numpy
from SparseCardiacSegLib.prompting.model import PromptModel
from SparseCardiacSegLib.prompting.predictor import open_backend
from SparseCardiacSegLib.prompting.weights import load_sam, load_weights, save_weights

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
segment_anything = pytest.importorskip("segment_anything")

from SparseCardiacSegLib.prompting import onnx_export, onnx_graphs  # noqa: E402
from SparseCardiacSegLib.prompting.onnx_backend import OnnxBackend  # noqa: E402
from SparseCardiacSegLib.prompting.onnx_export import export_prompt_model  # noqa: E402

GRAPHS = ("encoder.onnx", "decoder.onnx")
SIZES = [(256, 256), (216, 256), (256, 199), (97, 61), (301, 411), (23, 300), (512, 512)]
PROMPTS = {
    "one point": ([(0.4, 0.6)], [1], None),
    "points": ([(0.4, 0.6), (0.7, 0.2), (0.52, 0.61)], [1, 0, 1], None),
    "box": ([], [], (0.2, 0.3, 0.7, 0.8)),
    "points and box": ([(0.4, 0.6), (0.9, 0.1)], [1, 0], (0.2, 0.3, 0.7, 0.8)),
    "many points": (np.random.default_rng(5).uniform(0, 0.99, (17, 2)), [0, 1] * 8 + [1], (0.1, 0.1, 0.95, 0.9)),
    "at the rim": ([(0.0, 0.0), (0.999, 0.999)], [1, 0], (-0.1, 0.0, 1.1, 1.0)),
}


def model_in(folder):
    return PromptModel("tiny", "slice-256", folder, folder / "weights.npz")


@pytest.fixture(scope="module")
def sam():
    from SparseCardiacSegLib.prompting.architectures import build

    torch.manual_seed(0)
    return build("slice-256")


@pytest.fixture(scope="module")
def folder(sam, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    save_weights(folder / "weights.npz", sam.state_dict(), half=True)
    export_prompt_model(folder, sam)
    return folder


@pytest.fixture(scope="module")
def backend(folder):
    return OnnxBackend(model_in(folder))


@pytest.fixture(scope="module")
def reference(folder):
    """The network with the weights that are on the disk."""
    return load_sam(model_in(folder))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def picture(shape, seed=0):
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(rows / shape[0] - 0.5, cols / shape[1] - 0.45) < 0.2
    return np.clip(rng.normal(70, 20, shape) + 90 * disc, 0, 255).astype(np.uint8)


def prompt_of(kind, shape):
    points, signs, box = PROMPTS[kind]
    size = np.array(shape[::-1], float)
    points = np.reshape(points, (-1, 2)) * size
    return points, np.array(signs, int), None if box is None else np.array(box) * np.tile(size, 2)


def sam_predictor(sam, image):
    """Plain `SamPredictor` that has seen a slice."""
    predictor = segment_anything.SamPredictor(sam)
    with torch.no_grad():
        predictor.set_image(np.repeat(image[:, :, None], 3, 2))
    return predictor


def ask(predictor, points, signs, box, features=None):
    """Logits and score; for the image's own embedding or for given features."""
    own = predictor.features
    if features is not None:
        predictor.features = torch.from_numpy(features.astype(np.float32))[None]
    some = len(points) > 0
    logits, scores, _ = predictor.predict(points if some else None, signs if some else None, box, None, False, True)
    predictor.features = own
    return logits[0], float(scores[0])


@pytest.mark.parametrize("shape", SIZES)
def test_embeddings_equal_those_of_sam_predictor(backend, reference, shape):
    image = picture(shape)
    expected = sam_predictor(reference, image).features[0].numpy()
    found = backend.encode(image)
    assert found.features.dtype == np.float16
    assert found.original_size == shape
    assert found.input_size == sam_numpy.encoder_shape(shape, 256)
    # Half precision gives 4.9e-4 of a value.
    assert np.abs(found.features - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("shape", SIZES[1:6])
def test_masks_and_scores_equal_those_of_sam_predictor(backend, reference, shape):
    image = picture(shape)
    embedding, predictor = backend.encode(image), sam_predictor(reference, image)
    for kind in PROMPTS:
        prompt = prompt_of(kind, shape)
        decoded = backend.decode(embedding, *prompt)
        logits, score = ask(predictor, *prompt, embedding.features)
        assert decoded.logits.shape == shape
        assert decoded.logits.dtype == np.float32
        np.testing.assert_allclose(decoded.logits, logits, rtol=0, atol=1e-5 * np.abs(logits).max(), err_msg=kind)
        assert decoded.score == pytest.approx(score, abs=1e-5)
        logits, _ = ask(predictor, *prompt)
        assert (decoded.mask != (logits > 0)).mean() <= 2e-3


def test_every_kind_of_prompt_changes_the_answer(backend):
    embedding = backend.encode(picture((256, 256)))
    logits = [backend.decode(embedding, *prompt_of(kind, (256, 256))).logits for kind in PROMPTS]
    for i, one in enumerate(logits):
        assert all(np.abs(one - other).max() > 1e-3 for other in logits[:i])


@pytest.mark.parametrize(
    ("shape", "new"), [((90, 70), (90, 31)), ((90, 70), (201, 70)), ((90, 70), (256, 199)), ((301, 411), (187, 256))]
)
def test_resizing_equals_pillows_to_the_last_bit(shape, new):
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    image[:4] = 255
    expected = image_module.fromarray(image)
    for size in ((new[1], shape[0]), (new[1], new[0])):  # one axis after the other: newer Pillow chooses the order
        expected = expected.resize(size, image_module.Resampling.BILINEAR)
    np.testing.assert_array_equal(sam_numpy.resize_8_bit(image, new), np.asarray(expected))


@pytest.mark.parametrize("shape", [*SIZES, (1, 256), (2, 700), (640, 480), (300, 23)])
def test_pictures_and_points_reach_the_encoder_as_with_segment_anything(reference, shape):
    transform = segment_anything.utils.transforms.ResizeLongestSide(256)
    image = picture(shape)
    resized = transform.apply_image(np.repeat(image[:, :, None], 3, 2))
    # Newer Pillow resizes tall pictures along the rows first, and rounds single pixels otherwise.
    allowed = 1 if shape[0] > 1.8 * shape[1] else 0
    assert np.abs(resized[:, :, 0].astype(int) - sam_numpy.resize_8_bit(image, resized.shape[:2])).max() <= allowed
    found, inside = sam_numpy.encoder_image(image, 256)
    assert inside == resized.shape[:2]
    own = np.repeat(sam_numpy.resize_8_bit(image, inside)[None], 3, 0)
    expected = reference.preprocess(torch.from_numpy(own)[None]).mean(1, keepdim=True)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-6)
    points = np.random.default_rng(0).uniform(0, 600, (9, 2))
    np.testing.assert_array_equal(
        sam_numpy.encoder_points(points, shape, 256), transform.apply_coords(points, shape).astype(np.float32)
    )


@pytest.mark.parametrize("shape", [*SIZES, (2, 700), (640, 480)])
def test_logits_reach_the_slice_as_with_segment_anything(reference, shape):
    logits = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    inside = sam_numpy.encoder_shape(shape, 256)
    expected = reference.postprocess_masks(torch.from_numpy(logits)[None, None], inside, shape)
    np.testing.assert_allclose(sam_numpy.slice_logits(logits, 256, inside, shape), expected[0, 0].numpy(), atol=5e-5)


def test_it_runs_without_torch_pillow_and_onnx(folder):
    code = f"""
import sys
for name in ("torch", "torchvision", "segment_anything", "onnx", "PIL", "skimage", "SimpleITK"):
    sys.modules[name] = None
from pathlib import Path
import numpy as np
from SparseCardiacSegLib.prompting.model import PromptModel
from SparseCardiacSegLib.prompting.predictor import open_backend
folder = Path({str(folder)!r})
backend = open_backend(PromptModel("tiny", "slice-256", folder, folder / "weights.npz"), "cpu")
assert (backend.name, backend.device) == ("onnx", "cpu")
embedding = backend.encode(np.random.default_rng(0).integers(0, 256, (300, 280)).astype(np.uint8))
result = backend.decode(embedding, np.array([[100.0, 120.0]]), np.array([1]), None)
assert result.mask.shape == (300, 280) and np.isfinite(result.logits).all()
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_graphs_hold_no_weights_and_nothing_of_this_computer(folder, sam):
    expected = set()
    for name in GRAPHS:
        data = (folder / name).read_bytes()
        assert len(data) < 100_000
        proto = onnx.load_from_string(data)
        for tensor in proto.graph.initializer:
            assert tensor.data_location == onnx.TensorProto.EXTERNAL
            assert not tensor.raw_data
            assert not tensor.float_data
            assert tuple(tensor.dims) == tuple(sam.state_dict()[tensor.name].shape)
            expected.add(tensor.name)
        constants = [node.attribute[0].t for node in proto.graph.node if node.op_type == "Constant"]
        assert max(onnx.numpy_helper.to_array(tensor).size for tensor in constants) <= 64
        for trace in (b"site-packages", b".py", b"/home", b"/tmp"):
            assert trace not in data
    assert len(expected) > 150


def test_the_same_network_gives_the_same_bytes(folder, sam):
    for name, write in zip(GRAPHS, (onnx_graphs.encoder_graph, onnx_graphs.decoder_graph), strict=True):
        assert write(sam).SerializeToString(deterministic=True) == (folder / name).read_bytes()


def test_the_network_that_is_exported_stays_as_it_was(sam):
    assert sam.training
    assert next(sam.parameters()).requires_grad


def test_a_fine_tuned_decoder_runs_with_the_encoder_of_its_base(folder, reference, tmp_path):
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    for name in GRAPHS:
        shutil.copy(folder / name, tuned)
    weights = load_weights(folder / "weights.npz")
    rng = np.random.default_rng(2)
    changed = {
        name: value + rng.normal(0, 0.02, value.shape).astype(np.float16)
        for name, value in weights.items()
        if name.startswith("mask_decoder.")
    }
    save_weights(tuned / "weights.npz", changed)
    base = model_in(folder)
    model = PromptModel("tuned", "slice-256", tuned, tuned / "weights.npz", base=base)
    backend = OnnxBackend(model)
    assert backend.model_id == base.model_id
    image, prompt = picture((100, 130)), prompt_of("points and box", (100, 130))
    embedding = backend.encode(image)
    expected, _ = ask(sam_predictor(load_sam(model), image), *prompt, embedding.features)
    unchanged, _ = ask(sam_predictor(reference, image), *prompt, embedding.features)
    found = backend.decode(embedding, *prompt).logits
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found - unchanged).max() > 1e-2


def test_auto_takes_onnx_runtime_and_torch_gives_the_same_mask(folder):
    model, image, prompt = model_in(folder), picture((120, 140)), prompt_of("points", (120, 140))
    masks = {}
    for name in ("auto", "torch"):
        backend = open_backend(model, "cpu", name)
        masks[backend.name] = backend.decode(backend.encode(image), *prompt).mask
    assert set(masks) == {"onnx", "torch"}
    assert (masks["onnx"] != masks["torch"]).mean() <= 2e-3


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_a_damaged_graph_is_refused_with_a_sentence(copy, name, content):
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(InputError, match=rf"{name} is damaged or does not fit"):
        OnnxBackend(model_in(copy))


def test_a_graph_of_another_kind_or_size_is_refused(copy):
    shutil.copy(copy / "encoder.onnx", copy / "decoder.onnx")
    with pytest.raises(InputError, match=r"decoder\.onnx is damaged or does not fit weights\.npz"):
        OnnxBackend(model_in(copy))
    with (copy / "decoder.onnx").open("r+b") as stream:
        stream.truncate(5 * 1024**2)
    with pytest.raises(InputError, match="larger than 4 MB"):
        OnnxBackend(model_in(copy))
    (copy / "decoder.onnx").unlink()
    with pytest.raises(InputError, match="use the torch backend"):
        OnnxBackend(model_in(copy))


@pytest.mark.parametrize("change", ["missing", "shape", "extra"])
@pytest.mark.parametrize("name", ["image_encoder.stages.2.0.weight", "mask_decoder.iou_token.weight"])
def test_weights_that_do_not_fit_are_refused_with_a_sentence(copy, name, change):
    weights = dict(load_weights(copy / "weights.npz"))
    if change == "missing":
        del weights[name]
    elif change == "shape":
        weights[name] = weights[name][..., :-1]
    else:
        weights[f"{name}.more"] = weights[name]
    save_weights(copy / "weights.npz", weights)
    graph = "encoder" if name.startswith("image") else "decoder"
    with pytest.raises(InputError, match=rf"{graph}\.onnx is damaged or does not fit weights\.npz"):
        OnnxBackend(model_in(copy))


def test_truncated_weights_are_refused_with_a_sentence(copy):
    with (copy / "weights.npz").open("r+b") as stream:
        stream.truncate(100_000)
    with pytest.raises(InputError, match=r"weights\.npz"):
        OnnxBackend(model_in(copy))


def test_an_encoder_that_overflows_is_told(copy):
    weights = {name: np.array(value) for name, value in load_weights(copy / "weights.npz").items()}
    weights["image_encoder.neck.4.weight"][:] = 60000
    save_weights(copy / "weights.npz", weights)
    with pytest.raises(InputError, match="overflowed"):
        OnnxBackend(model_in(copy)).encode(picture((64, 64)))


def test_prompts_and_slices_that_cannot_be_used_are_refused(backend):
    embedding = backend.encode(picture((64, 64)))
    with pytest.raises(InputError, match="needs a point or a box"):
        backend.decode(embedding, np.zeros((0, 2)), np.zeros(0, int), None)
    other = SimpleNamespace(features=np.zeros((256, 64, 64), np.float16), original_size=(64, 64), input_size=(256, 256))
    with pytest.raises(InputError, match="not one of this model's"):
        backend.decode(other, np.ones((1, 2)), np.ones(1, int), None)
    with pytest.raises(InputError, match="uint8"):
        backend.encode(np.zeros((64, 64), np.float32))
    with pytest.raises(InputError, match="too long and thin"):
        backend.encode(np.zeros((1, 2000), np.uint8))


def test_a_device_that_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="unknown device 'tpu'"):
        OnnxBackend(model_in(folder), "tpu")
    with pytest.raises(InputError, match="cannot use device 'directml'"):
        OnnxBackend(model_in(folder), "directml")


def test_graphs_that_compute_something_else_are_not_written(sam, copy, monkeypatch):
    monkeypatch.setattr(onnx_export, "_SHAPES", ((64, 50),))
    monkeypatch.setattr(onnx_graphs, "POINT_RADIUS", 5.0)
    before = {name: (copy / name).read_bytes() for name in GRAPHS}
    with pytest.raises(RuntimeError, match="do not do what the network does"):
        export_prompt_model(copy, sam)
    assert {name: (copy / name).read_bytes() for name in GRAPHS} == before
    assert len(list(copy.iterdir())) == 3


def test_what_cannot_be_exported_is_refused(sam, tmp_path, copy):
    with pytest.raises(InputError, match=r"weights\.npz"):
        export_prompt_model(tmp_path, sam)
    with pytest.raises(InputError, match="only a model of architecture slice-256"):
        export_prompt_model(copy, SimpleNamespace(image_encoder=None))
    weights = dict(load_weights(copy / "weights.npz"))
    del weights["mask_decoder.iou_token.weight"]
    save_weights(copy / "weights.npz", weights)
    with pytest.raises(InputError, match=r"lacks 'mask_decoder\.iou_token\.weight'"):
        export_prompt_model(copy, sam)
