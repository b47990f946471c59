from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from SparseCardiacSegLib.worker import exchange, processes, protocol
from SparseCardiacSegLib.worker.environment import LIBRARY_ROOT, worker_environment
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.protocol import (
    CancelRequest,
    ErrorKind,
    Failure,
    Hello,
    NotAMessage,
    ProgressReport,
    ProtocolError,
    Ready,
    Request,
    Result,
    Stopped,
)

MESSAGES = [
    Hello(),
    Request(1, "segment", {"spacing": [10.0, 1.5, 1.5], "model": "µ\n"}, {"image": "1-in-0.npy"}),
    CancelRequest(1),
    Ready(12, ("ping", "segment")),
    ProgressReport(1, 0.5, "tile 3 of 6"),
    Result(1, {"seconds": 2.5}, {"labels": "1-out-0.npy"}, 2.6),
    Failure(1, ErrorKind.INPUT, "no", "because"),
    Failure(None, ErrorKind.PROTOCOL, "what?"),
    Stopped(1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_the_pipe(message):
    line = protocol.encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.decode(line) == message


def test_numpy_values_become_plain_numbers():
    line = protocol.encode(Result(1, {"a": np.float32(0.5), "b": np.arange(2), "c": np.int64(3)}, {}, 0.0))
    assert protocol.decode(line).values == {"a": 0.5, "b": [0, 1], "c": 3}


@pytest.mark.parametrize(
    "line",
    [b"Loading model...", b"\xff\xfe\x00binary", b"[1, 2]", b"null", b"[" * 100_000, b'{"version": 1', b"9" * 5000],
    ids=lambda line: repr(line[:12]),
)
def test_what_is_no_message_is_refused_with_the_text_shortened(line):
    with pytest.raises(NotAMessage) as caught:
        protocol.decode(line)
    assert "not a message" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 2 instead of 1"),
        ({"version": None}, "version None"),
        ({"type": "bogus"}, "unknown type"),
        ({"type": ["request"]}, "unknown type"),
        ({"command": 5}, "'command' is no str"),
        ({"params": []}, "'params'"),
        ({"arrays": {"image": 5}}, "'arrays'"),
        ({"id": True}, "'id'"),
        ({"extra": 1}, "wrong fields"),
    ],
)
def test_a_malformed_message_is_refused_and_says_why(change, said):
    body = json.loads(protocol.encode(MESSAGES[1])) | change
    with pytest.raises(ProtocolError, match=said) as caught:
        protocol.decode(json.dumps(body).encode())
    assert caught.value.request == (None if change == {"id": True} else 1)
    assert not isinstance(caught.value, NotAMessage)


@pytest.mark.parametrize("fraction", ["NaN", "Infinity", '"0.5"', "true"])
def test_a_fraction_that_is_no_number_is_refused(fraction):
    line = f'{{"version": 1, "type": "progress", "id": 1, "fraction": {fraction}, "message": ""}}'
    with pytest.raises(ProtocolError, match="fraction"):
        protocol.decode(line.encode())


def test_a_line_without_end_is_cut_and_the_next_one_is_found(monkeypatch):
    monkeypatch.setattr(protocol, "LINE_LIMIT", 100)
    stream = io.BytesIO(b"x" * 1000 + b"\n\n  \n" + b"next\r\n" + b"rest")
    lines = [protocol.read_line(stream) for _ in range(4)]
    assert lines == [b"x" * 100, b"next", b"rest", b""]


def test_a_message_that_is_too_long_is_not_sent(monkeypatch):
    monkeypatch.setattr(protocol, "LINE_LIMIT", 100)
    with pytest.raises(ValueError, match="pass it as an array"):
        protocol.encode(Request(1, "x" * 100))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4))),
        np.zeros((0, 3)),
        np.float32(4.0),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_as_they_were(tmp_path, array):
    files = exchange.write_arrays(tmp_path, 7, "in", {"a b": array})
    back = exchange.read_arrays(tmp_path, files)["a b"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_an_array_of_objects_is_neither_written_nor_read(tmp_path):
    with pytest.raises(TypeError, match="Python objects"):
        exchange.write_arrays(tmp_path, 1, "in", {"a": np.array([{}])})
    np.save(tmp_path / "1-in-0.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(exchange.ArrayError, match="Python objects"):
        exchange.read_arrays(tmp_path, {"a": "1-in-0.npy"})


@pytest.mark.parametrize("name", ["../1-in-0.npy", "/etc/passwd", "1-in-0.npy/../x", "1-in-0.npz", ""])
def test_array_files_outside_the_folder_are_refused(tmp_path, name):
    with pytest.raises(exchange.ArrayError, match="outside"):
        exchange.read_arrays(tmp_path, {"a": name})


def damaged_files():
    whole = io.BytesIO()
    np.save(whole, np.arange(10))
    data = whole.getvalue()
    huge = data[:128].replace(b"(10,), }" + b" " * 12, b"(100000000000000000,), }"[:20], 1)
    yield "truncated", data[:-8]
    yield "too long", data + b"more"
    yield "only header", data[:50]
    yield "empty", b""
    yield "text", b"<html>502 Bad Gateway</html>"
    yield "pickle", b"\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94"
    yield "huge", huge + data[128:]
    yield "bad header", data.replace(b"'descr'", b"'desc\\x")


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in damaged_files()])
def test_a_damaged_array_file_is_refused(tmp_path, data):
    (tmp_path / "1-out-0.npy").write_bytes(data)
    with pytest.raises(exchange.ArrayError, match="array 'a' cannot be read"):
        exchange.read_arrays(tmp_path, {"a": "1-out-0.npy"})


def test_the_environment_drops_what_breaks_a_worker_and_leaves_the_host_alone(monkeypatch):
    for name in ("ITK_AUTOLOAD_PATH", "PYTHONHOME", "PYTHONINSPECT", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/else/where")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("nnUNet_results", "/mine")
    before = dict(os.environ)
    made = worker_environment()
    assert dict(os.environ) == before
    assert not {"ITK_AUTOLOAD_PATH", "PYTHONHOME", "PYTHONINSPECT", "PYTHONSTARTUP"} & set(made)
    assert made["PYTHONPATH"].split(os.pathsep) == [str(LIBRARY_ROOT), "/else/where"]
    assert made["OMP_NUM_THREADS"] == "7"
    assert made["nnUNet_results"] == "/mine"
    assert {"nnUNet_raw", "nnUNet_preprocessed"} <= set(made)
    assert "OMP_NUM_THREADS" not in worker_environment({})
    assert (LIBRARY_ROOT / "SparseCardiacSegLib" / "worker" / "__main__.py").is_file()


@pytest.mark.skipif(processes.WINDOWS, reason="exit codes of POSIX systems")
@pytest.mark.parametrize(
    ("code", "said"),
    [(-9, "signal 9 (SIGKILL: killed from outside, often because memory"), (137, "signal 9"), (-11, "segmentation"),
     (139, "segmentation"), (3, "exit code 3"), (0, "exit code 0"), (-64, "signal 64"), (255, "exit code 255")],
)  # fmt: skip
def test_exit_codes_are_told_in_words(code, said):
    assert said in processes.exit_in_words(code)


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (1, "ModuleNotFoundError: No module named 'onnxruntime.capi'", "'onnxruntime'"),
        (1, "/usr/bin/python: No module named SparseCardiacSegLib", "'SparseCardiacSegLib'"),
        (-9, "", "smaller model"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", "smaller model"),
        (1, "ImportError: DLL load failed while importing _C", "install it again"),
        (-11, "", "Try again"),
    ],
)
def test_a_death_comes_with_a_remedy_that_fits(code, log, said):
    assert said in processes.remedy_for(code, log)


def test_the_model_unused_for_longest_makes_room():
    models = LoadedModels(capacity=2)
    loads = []

    def use(name):
        return models.get(name, lambda: loads.append(name) or name.upper())

    assert [use(name) for name in "abacab"] == list("ABACAB")
    assert loads == ["a", "b", "c", "b"]
    assert len(models) == 2
    models.clear()
    assert len(models) == 0


def test_a_model_that_fails_to_load_is_not_kept():
    models = LoadedModels()
    with pytest.raises(ZeroDivisionError):
        models.get("a", lambda: 1 / 0)
    assert models.get("a", lambda: 5) == 5
