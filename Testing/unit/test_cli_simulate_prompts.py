"""The command `simulate-prompts`: its file, its defaults, and what it says when nothing can be drawn."""

from __future__ import annotations

import argparse
import json

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, MNMS, Structure
from SparseCardiacSegLib.cli import simulate_prompts
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import write_segmentation
from SparseCardiacSegLib.prompting.prompt_file import read_prompts
from SparseCardiacSegLib.prompting.simulation import SimulationSettings
from SparseCardiacSegLib.prompting.simulation import simulate_prompts as draw
from SparseCardiacSegLib.segmentation import Segmentation

RV, MYO, LV, LA = Structure


@pytest.fixture(scope="module")
def heart():
    """An oblique stack whose slices are not the first axis, with ACDC's numbers."""
    return phantom.heart(0.0, phantom.grid((80, 10, 96), (1.5, 10.0, 1.5), oblique=True, through_plane=1))[1]


@pytest.fixture(scope="module")
def reference(heart, tmp_path_factory):
    """The file of it."""
    path = tmp_path_factory.mktemp("reference") / "heart.nrrd"
    write_segmentation(heart, path)
    return path


@pytest.fixture
def simulate(tmp_path, capsys):
    """Run the command; returns the prompts, what it printed and what it warned of."""
    parser = argparse.ArgumentParser()
    simulate_prompts.add_parser(parser.add_subparsers())

    def run(*arguments):
        out = tmp_path / "prompts.json"
        options = parser.parse_args(["simulate-prompts", *map(str, arguments), "--out", str(out)])
        options.run(options)
        said = capsys.readouterr()
        return read_prompts(out), said.out.splitlines(), said.err

    return run


def test_the_defaults_are_those_of_the_contract(simulate, reference, heart, tmp_path):
    prompts, printed, _ = simulate(reference, "--scheme", "acdc")
    assert printed == [str(tmp_path / "prompts.json")]
    assert prompts == draw(heart, SimulationSettings(positive=2, negative=1, box=True, margin=5, seed=0))
    (first, *_) = json.loads((tmp_path / "prompts.json").read_text())["prompts"]
    assert set(first) == {"frame", "slice", "structure", "positive", "negative", "box"}
    assert (len(first["positive"]), len(first["negative"]), len(first["box"])) == (2, 2, 4)
    numbers = [number for point in (*first["positive"], *first["negative"], first["box"]) for number in point]
    assert all(isinstance(number, int) for number in numbers)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--positive", 5, "--negative", 2], {"positive": 5, "negative": 2}),
        (["--box"], {}),
        (["--no-box"], {"box": False}),
        (["--margin", 0], {"margin": 0}),
        (["--seed", 12], {"seed": 12}),
        (["--negatives-from", "total"], {"negatives_from": "total"}),
        (["--box-jitter", 6], {"box_jitter": 6}),
        (["--off-centre"], {"off_centre": True}),
        (["--structures", "LV,MYO"], {"structures": (LV, MYO)}),
        (["--structures", "lv", "myo"], {"structures": (LV, MYO)}),
        (["--structures", "LV,", "MYO"], {"structures": (LV, MYO)}),
        (["--all-slices"], {"only_complete_slices": False}),
    ],
)
def test_every_option_reaches_the_simulation(simulate, reference, heart, options, settings):
    prompts, _, _ = simulate(reference, "--scheme", "acdc", *options)
    assert prompts == draw(heart, SimulationSettings(**settings))
    if settings:
        assert prompts != draw(heart)


def test_a_guessed_scheme_and_slices_left_out_are_warned_of(simulate, reference):
    prompts, _, warned = simulate(reference)
    assert {prompt.structure for prompt in prompts} == {RV, MYO, LV}
    assert "guessed as 'acdc'" in warned
    assert "labelled slices lack" in warned


def test_the_bundled_case_gets_prompts_for_the_cavity_it_has(simulate, sample_case):
    prompts, _, warned = simulate(sample_case / "SC-HF-I-01_ED_gt.nii.gz", "--scheme", "acdc")
    assert {prompt.structure for prompt in prompts} == {LV}
    assert len(prompts) == 9
    assert "no negative point" in warned


def test_a_cine_of_labels_gets_prompts_for_every_frame(simulate, tmp_path):
    write_segmentation(phantom.cine(3)[1], tmp_path / "cine.nii.gz")
    prompts, _, _ = simulate(tmp_path / "cine.nii.gz", "--scheme", "acdc")
    assert {prompt.frame for prompt in prompts} == {0, 1, 2}


def refused(simulate, *arguments) -> str:
    with pytest.raises(InputError) as stopped:
        simulate(*arguments)
    return str(stopped.value)


def test_no_complete_slice_is_an_error_that_counts_and_names_the_way_out(simulate, sample_case, tmp_path):
    path = sample_case / "SC-HF-I-01_ED_gt.nii.gz"
    message = refused(simulate, path, "--scheme", "acdc", "--structures", "RV,LV")
    assert "no slice that holds all of RV, LV (RV on no slices, LV on 9 slices)" in message
    assert "--all-slices" in message
    assert not (tmp_path / "prompts.json").exists()
    assert len(simulate(path, "--scheme", "acdc", "--structures", "RV,LV", "--all-slices")[0]) == 9


def test_nothing_to_draw_from_is_an_error_even_with_all_slices(simulate, sample_case):
    path = sample_case / "SC-HF-I-01_ED_gt.nii.gz"
    message = refused(simulate, path, "--scheme", "acdc", "--structures", "RV", "--all-slices")
    assert message.endswith("holds no RV")


def test_an_empty_reference_is_an_error(simulate, tmp_path):
    empty = phantom.heart()[1]
    empty.labels.array[:] = 0
    write_segmentation(empty, tmp_path / "empty.nii.gz", ACDC)
    assert "holds no label" in refused(simulate, tmp_path / "empty.nii.gz", "--scheme", "acdc")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--positive", 0, "--no-box"], "a positive point or a box"),
        (["--margin", -1], "margin must be a whole number from 0, not -1"),
        (["--structures", "LV,aorta"], "unknown structure 'aorta'; known are RV, MYO, LV, LA"),
        (["--structures", ","], "known are RV, MYO, LV, LA"),
        (["--scheme", "mine"], "unknown label scheme 'mine'"),
    ],
)
def test_options_that_cannot_work_are_refused(simulate, reference, options, said):
    assert said in refused(simulate, reference, *options)


def test_a_wrong_choice_stops_at_the_command_line(simulate, reference, capsys):
    with pytest.raises(SystemExit) as stopped:
        simulate(reference, "--negatives-from", "somewhere")
    assert stopped.value.code == 2
    assert "somewhere" in capsys.readouterr().err


def test_a_missing_reference_is_named(simulate, tmp_path):
    assert "gone.nii.gz does not exist" in refused(simulate, tmp_path / "gone.nii.gz")


def test_a_damaged_reference_leaves_an_older_file_alone(simulate, reference, tmp_path):
    simulate(reference)
    before = (tmp_path / "prompts.json").read_bytes()
    cut = tmp_path / "cut.nrrd"
    cut.write_bytes(reference.read_bytes()[:-200])
    assert "cut.nrrd" in refused(simulate, cut)
    assert (tmp_path / "prompts.json").read_bytes() == before


def test_a_reference_of_another_scheme_gives_the_same_prompts(simulate, reference, heart, tmp_path):
    swapped = np.array([0, 3, 2, 1], np.uint8)[heart.labels.array]
    write_segmentation(Segmentation(heart.labels.with_array(swapped), MNMS), tmp_path / "mnms.nrrd")
    expected, _, _ = simulate(reference, "--scheme", "acdc")
    assert simulate(tmp_path / "mnms.nrrd", "--scheme", "mnms")[0] == expected
