"""The worker's commands for wall thickness: the figures of the library, and pictures that are PNGs."""

from __future__ import annotations

import importlib.util
import json

import phantom
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.worker.handlers import default_handlers
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.server import Context
from SparseCardiacSegLib.worker.wall_handlers import walls_request

SMALL = phantom.grid((9, 48, 48), (10.0, 3.0, 3.0), oblique=True)


def ask(command, params, arrays=None):
    """Run a command in this process, through its messages' own form."""
    context = Context(lambda *_: None, lambda: False, LoadedModels())
    return default_handlers()[command](json.loads(json.dumps(params)), arrays or {}, context)


@pytest.fixture(scope="module")
def pair():
    return phantom.heart(0.0, SMALL)[1], phantom.heart(1.0, SMALL)[1]


def test_the_walls_are_those_of_clinical_measures_and_the_insertion_counts(pair):
    expected = clinical_measures(*pair, wall=True)["wall_thickness"]
    assert ask("measure_walls", *walls_request(*pair))[0]["walls"] == expected
    point = [value + 15.0 for value in expected["ed"]["insertion_ras_mm"]["4"]]
    moved = ask("measure_walls", *walls_request(*pair, point))[0]["walls"]
    assert moved == clinical_measures(*pair, wall=True, insertion=point)["wall_thickness"]
    assert moved["ed"]["mean_mm"] != expected["ed"]["mean_mm"]


def test_each_view_is_a_picture_of_its_own_and_what_was_not_measured_is_refused(pair):
    walls = ask("measure_walls", *walls_request(*pair))[0]["walls"]
    pictures = {
        shown: ask("draw_bullseye", {"walls": walls, "title": "A", "shown": shown})[1]["png"].tobytes()
        for shown in ("ed", "es", "thickening")
    }
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert len(set(pictures.values())) == 3
    only = ask("measure_walls", *walls_request(pair[0], None))[0]["walls"]
    with pytest.raises(InputError, match="'thickening': it was not measured"):
        ask("draw_bullseye", {"walls": only, "title": "A", "shown": "thickening"})


def test_without_matplotlib_the_missing_package_is_named(pair, monkeypatch):
    walls = ask("measure_walls", *walls_request(*pair))[0]["walls"]
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else known(name))
    with pytest.raises(InputError, match="matplotlib, which is not installed"):
        ask("draw_bullseye", {"walls": walls, "title": "A", "shown": "ed"})
