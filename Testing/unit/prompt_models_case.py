"""Promptable models for the tests of their catalogue: embedded, published on a server, fine-tuned, as files."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import tiny_models
from file_server import serve
from SparseCardiacSegLib.automatic import catalogue as automatic
from SparseCardiacSegLib.prompting import architectures
from SparseCardiacSegLib.prompting.catalogue import (
    list_prompt_models,
)
from SparseCardiacSegLib.prompting.weights import save_weights

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")

CARD = {
    "kind": "promptable",
    "name": "clicks",
    "title": "Clicks",
    "architecture": "slice-256",
    "image_size": 256,
    "view": "short-axis",
    "structures": ["RV", "MYO", "LV"],
    "licence": "CC0",
    "citation": "None",
    "weights": "weights.npz",
}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_model(folder, weights, **changes):
    """A model folder with the file `weights`; the card tells its checksum."""
    folder.mkdir(parents=True)
    card = {**CARD, **changes}
    shutil.copyfile(weights, folder / "weights.npz")
    (folder / "card.json").write_text(json.dumps({**card, "sha256": {"weights.npz": sha256(folder / "weights.npz")}}))
    return folder


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return architectures.build("slice-256").state_dict()


@pytest.fixture(scope="module")
def full(state, tmp_path_factory):
    """All weights in a file."""
    path = tmp_path_factory.mktemp("full") / "weights.npz"
    save_weights(path, state)
    return path


@pytest.fixture(scope="module")
def tuned_state(state):
    return {name: value + 1 for name, value in state.items() if name.startswith("mask_decoder.")}


@pytest.fixture(scope="module")
def decoder(tuned_state, tmp_path_factory):
    """The weights of a fine-tuned mask decoder in a file."""
    path = tmp_path_factory.mktemp("decoder") / "weights.npz"
    save_weights(path, tuned_state)
    return path


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    """The small network as a published file would be."""
    path = tmp_path_factory.mktemp("published") / "small_123abc.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def server(file):
    with serve(file.read_bytes()) as running:
        yield running


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch, full, file, server):
    """A folder for the user's models, empty; one embedded model of each kind; one published model on a server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SPARSECARDIACSEG_MODELS", str(tmp_path / "models"))
    embedded = tmp_path / "embedded"
    tiny_models.write_folder(embedded / "small", weights=False)
    write_model(embedded / "sax-clicks", full)
    entries = [
        {"name": "auto", "title": "A", "view": "short-axis", "structures": ["LV"], "folder": "small", "card": ""},
        {"name": "sax-clicks", "kind": "promptable", "title": "C", "folder": "sax-clicks"},
    ]
    (embedded / "models.json").write_text(json.dumps({"models": entries}))
    published = {
        "name": "small-net",
        "title": "Published",
        "architecture": "slice-256",
        "image_size": 256,
        "url": server.url,
        "file": file.name,
        "size": file.stat().st_size,
        "sha256": sha256(file),
        "data": "D",
        "licence": "Apache-2.0",
        "citation": "Somebody",
    }
    other = {**published, "name": "by-md5", "size": None, "url": server.url + "x", "file": "other.pth"}
    del other["sha256"]
    other["md5"] = "0" * 32
    (embedded / "promptable.json").write_text(json.dumps({"models": [published, other]}))
    monkeypatch.setattr(automatic, "EMBEDDED", embedded)
    server.status = 0
    server.ranges_asked.clear()
    return tmp_path / "models"


def origins():
    return {entry.name: entry.origin for entry in list_prompt_models()}
