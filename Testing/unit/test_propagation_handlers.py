"""The worker's commands for a cine: what they return, and what they refuse."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
from propagation_cines import beating
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.propagation_handlers import find_phases, propagate, propagation_handlers
from SparseCardiacSegLib.worker.server import Context

NUMBERS = {str(structure): number for structure, number in ACDC.numbers.items()}


def context(report=lambda *_: None, cancelled=lambda: False):
    return Context(report, cancelled, LoadedModels())


def request(n_frames=3, **changes):
    cine, labels = beating(n_frames)
    params = {"frames": [0], "numbers": NUMBERS, "spacing": list(cine.spacing), "engine": "dis", "strategy": "direct"}
    return {**params, **changes}, {"image": cine.array, "labels": labels.labels.array[:1]}, labels


def test_labels_of_every_frame_come_back_with_their_origin():
    params, arrays, labels = request()
    told = []
    values, found = propagate(params, arrays, context(lambda _, text: told.append(text)))
    assert found["labels"].dtype == np.uint8
    assert found["labels"].shape == arrays["image"].shape
    np.testing.assert_array_equal(found["labels"][0], arrays["labels"][0])
    expected = labels.mask(Structure.LV)[1]
    assert np.sum((found["labels"][1] == NUMBERS["LV"]) & expected) > 0.95 * expected.sum()
    assert values["engine"] == "dis"
    assert values["sources"] == [[0], [0], [0]]
    assert len(values["folding"]) == 3
    assert values["warnings"] == []
    assert values["seconds"] > 0
    assert "frame 0" in told


def test_a_cancelled_request_ends():
    params, arrays, _ = request(engine="identity")
    with pytest.raises(Cancelled):
        propagate(params, arrays, context(cancelled=lambda: True))


def test_ed_and_es_are_found():
    cine = phantom.cine(12, phantom.grid((6, 64, 72), (14.0, 2.0, 2.0)))[0]
    values, found = find_phases({"spacing": list(cine.spacing)}, {"image": cine.array}, context())
    assert values["ed"] == 0
    assert abs(values["es"] - phantom.es_frame(12)) <= 1
    assert isinstance(values["certain"], bool)
    assert "frame" in values["reason"]
    assert len(values["curve"]) == 12
    assert found == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frames": [0, 1]}, "'frames' of n frames"),
        ({"frames": None}, "'frames' of n frames"),
        ({"frames": [9]}, "frames 0 to 2"),
        ({"numbers": {"heart": 1}}, "'numbers'"),
        ({"numbers": {"RV": 1}}, "does not name"),
        ({"spacing": [1, 2]}, "three positive numbers"),
        ({"engine": "magic"}, "unknown registration engine"),
        ({"strategy": "sideways"}, "unknown strategy"),
    ],
)
def test_wrong_parameters_are_refused_with_a_clear_sentence(changes, said):
    params, arrays, _ = request(**changes)
    with pytest.raises(InputError, match=said):
        propagate(params, arrays, context())


def test_arrays_that_do_not_fit_are_refused():
    params, arrays, _ = request()
    with pytest.raises(InputError, match="needs an array 'image'"):
        propagate(params, {"labels": arrays["labels"]}, context())
    with pytest.raises(InputError, match="do not fit frames"):
        propagate(params, {**arrays, "labels": arrays["labels"][:, :, :20]}, context())
    with pytest.raises(InputError, match="given once"):
        propagate({**params, "frames": [0, 0]}, {**arrays, "labels": np.repeat(arrays["labels"], 2, 0)}, context())
    with pytest.raises(InputError, match="needs an array 'image'"):
        find_phases(params, {}, context())


def test_the_commands_carry_the_names_that_the_panels_send():
    assert set(propagation_handlers()) == {"propagate", "find-phases"}
