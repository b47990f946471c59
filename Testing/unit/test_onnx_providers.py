"""Which part of ONNX Runtime computes: the CPU, or CUDA, DirectML or CoreML where the user's package has them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from SparseCardiacSegLib.automatic import onnx_predictor, onnx_session
from SparseCardiacSegLib.automatic import predictor as predictor_module
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.onnx_session import PROVIDERS, onnx_device, onnx_devices
from SparseCardiacSegLib.automatic.predictor import DEVICES, PredictionSettings, choose_backend, open_predictor
from SparseCardiacSegLib.cli import console
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.prompting.predictor import open_backend

RealSession = onnxruntime.InferenceSession


@pytest.fixture
def package(monkeypatch):
    """Make ONNX Runtime look like a package built for these devices; sessions compute on the CPU but say otherwise."""
    opened = []

    def pretend(*devices, starts=True):
        class Session:
            def __init__(self, content, options, providers):
                self._real = RealSession(content, options, providers=["CPUExecutionProvider"])
                names = [name if isinstance(name, str) else name[0] for name in providers]
                self._providers = names if starts else ["CPUExecutionProvider"]
                opened.append({"providers": providers, "threads": options.intra_op_num_threads})

            def get_providers(self):
                return self._providers

            def __getattr__(self, name):
                return getattr(self._real, name)

        names = [PROVIDERS[device] for device in devices]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
        monkeypatch.setattr(predictor_module, "_has_cuda", lambda: False)
        return opened

    return pretend


@pytest.mark.parametrize(
    ("devices", "asked", "expected"),
    [
        (("cpu",), "auto", "cpu"),
        (("cuda", "cpu"), "auto", "cuda"),
        (("directml", "cpu"), "auto", "directml"),
        (("cuda", "directml", "cpu"), "auto", "cuda"),
        (("coreml", "cpu"), "auto", "cpu"),  # in every package for macOS, and not exact
        (("coreml", "cpu"), "coreml", "coreml"),
        (("cuda", "cpu"), "cpu", "cpu"),
    ],
)
def test_the_device_follows_the_package_and_the_wish(package, devices, asked, expected):
    package(*devices)
    assert onnx_devices()[0] == "cpu"
    assert onnx_device(asked) == expected


def test_a_device_that_the_package_lacks_is_refused(package):
    package("cpu")
    for device in ("cuda", "directml", "coreml"):
        with pytest.raises(InputError, match=f"cannot use device '{device}'"):
            onnx_device(device)
    with pytest.raises(InputError, match="unknown device 'mps'"):
        onnx_device("mps")


@pytest.mark.parametrize(
    ("devices", "torch_gpu", "asked", "expected"),
    [
        (("cpu",), False, "auto", "onnx"),
        (("cpu",), True, "auto", "torch"),
        (("cuda", "cpu"), True, "auto", "onnx"),
        (("cuda", "cpu"), False, "cuda", "onnx"),
        (("cpu",), False, "cuda", "torch"),
        (("cpu",), False, "mps", "torch"),
        (("directml", "cpu"), False, "directml", "onnx"),
        (("coreml", "cpu"), False, "coreml", "onnx"),
    ],
)
def test_torch_is_taken_only_for_a_device_that_onnx_runtime_lacks(
    package, monkeypatch, devices, torch_gpu, asked, expected
):
    package(*devices)
    monkeypatch.setattr(predictor_module, "_has_cuda", lambda: torch_gpu)
    assert choose_backend(find_model("sax-acdc-24"), PredictionSettings(asked)) == expected


@pytest.mark.parametrize("device", ["directml", "coreml"])
def test_a_device_of_onnx_runtime_alone_does_not_serve_torch(package, device):
    package("cpu")
    with pytest.raises(InputError, match="needs the ONNX backend"):
        choose_backend(find_model("sax-acdc-24"), PredictionSettings(device, backend="torch"))


def test_a_model_runs_on_cuda_one_batch_at_a_time_and_without_tf32(package):
    opened = package("cuda", "cpu")
    predictor = open_predictor(find_model("sax-acdc-24"))
    assert (predictor.backend, predictor.device) == ("onnx", "cuda")
    assert predictor._side_by_side == 1
    (name, options), fallback = opened[-1]["providers"]
    assert (name, fallback) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["use_tf32"] == "0"


def test_auto_takes_the_cpu_where_the_packages_gpu_does_not_start_and_a_wish_is_refused(package):
    package("cuda", "cpu", starts=False)
    assert open_predictor(find_model("sax-acdc-24")).device == "cpu"
    with pytest.raises(InputError, match="could not start its CUDAExecutionProvider"):
        open_predictor(find_model("sax-acdc-24"), PredictionSettings("cuda"))


def test_the_promptable_model_runs_on_what_the_package_has(package):
    package("directml", "cpu")
    backend = open_backend(find_prompt_model("sax-prompt"))
    assert (backend.name, backend.device) == ("onnx", "directml")


@pytest.mark.parametrize(("cores", "side_by_side", "each"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (8, 4, 2), (32, 4, 8)])
def test_threads_come_from_the_machine(package, monkeypatch, cores, side_by_side, each):
    opened = package("cpu")
    monkeypatch.setattr(onnx_predictor, "processor_threads", lambda: cores)
    predictor = open_predictor(find_model("sax-acdc-24"), PredictionSettings("cpu"))
    assert (predictor._side_by_side, opened[-1]["threads"]) == (side_by_side, each)
    monkeypatch.setattr(onnx_session, "processor_threads", lambda: cores)
    open_backend(find_prompt_model("sax-prompt"), "cpu", "onnx")
    assert opened[-1]["threads"] == cores


def test_the_command_line_knows_every_device():
    assert console.DEVICES == DEVICES
    assert set(PROVIDERS) <= set(DEVICES)


def test_the_real_package_labels_on_the_cpu():
    predictor = open_predictor(find_model("sax-acdc-24"), PredictionSettings("cpu", mirroring=False))
    assert predictor.device == "cpu"
    labels = predictor.predict(np.random.default_rng(0).normal(100, 20, (2, 96, 96)), (10.0, 1.5, 1.5))
    assert labels.shape == (2, 96, 96)
