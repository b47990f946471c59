"""A YAML grid becomes explicit runs with stable names; what cannot be meant is refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.training.experiments.grid import read_grid
from SparseCardiacSegLib.training.experiments.run_folder import SETTINGS, prepare
from SparseCardiacSegLib.training.experiments.run_settings import settings_from

GRID = """
data: acdc
networks:
  small: {epochs: 2, base_features: 8}
studies:
  volumes: {volumes: [8, 48]}
  slices:
    - {volumes: 48, slices: [1, null]}
"""


def written(folder, text):
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_combination_is_a_run_and_a_shared_one_is_run_once(tmp_path):
    grid = read_grid(written(tmp_path, GRID + "seeds: [0, 1]\n"))
    assert len(grid.runs) == 6
    kept = [(one.sparsity.volumes, one.sparsity.slices, one.seed, one.training.seed) for one in grid.runs]
    assert kept == [(8, None, 0, 0), (48, None, 0, 0), (48, 1, 0, 0), (8, None, 1, 1), (48, None, 1, 1), (48, 1, 1, 1)]
    shared = grid.runs[1].name
    assert grid.studies_of(shared) == ["volumes", "slices"]
    assert len(grid.studies["volumes"]) == len(grid.studies["slices"]) == 4
    assert grid.runs[0].data.folder == tmp_path / "acdc"


def test_names_are_readable_and_the_same_wherever_the_data_lies(tmp_path):
    path = written(tmp_path, GRID)
    here, there = read_grid(path), read_grid(path, tmp_path / "other" / "acdc")
    assert [one.name for one in here.runs] == [one.name for one in there.runs]
    assert here.runs[2].name.startswith("v48-s1-AMB-ignore-small-seed0-")
    assert len({one.name for one in here.runs}) == 3


def test_the_name_of_this_grids_run_is_the_one_that_earlier_versions_gave(tmp_path):
    # Whoever changes this makes every finished run of every user run again.
    assert read_grid(written(tmp_path, GRID)).runs[0].name == "v8-sall-AMB-ignore-small-seed0-e28970a1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("epochs: 2", "epochs: 3"),
        ("volumes: [8, 48]", "volumes: [9, 48]"),
        ("data: acdc", "data: mnms"),
        ("data: acdc", "data: acdc\nmode: zero"),
        ("data: acdc", "data: acdc\nevaluation: {mirroring: true}"),
        ("data: acdc", "data: acdc\nvalidation: test"),
        ("data: acdc", "data: acdc\nseeds: [3]"),
    ],
)
def test_whatever_changes_the_result_changes_the_name(tmp_path, before, after):
    first = read_grid(written(tmp_path, GRID)).runs[0]
    other = read_grid(written(tmp_path, GRID.replace(before, after))).runs[0]
    assert first.name != other.name


@pytest.mark.parametrize("more", ["device: cuda", "keep: all", "networks: {large: {epochs: 2, base_features: 8}}"])
def test_what_does_not_change_the_result_does_not_change_the_hash(tmp_path, more):
    text = GRID.replace("networks:\n  small: {epochs: 2, base_features: 8}\n", "") if "networks" in more else GRID
    first, other = read_grid(written(tmp_path, GRID)).runs[0], read_grid(written(tmp_path, text + more + "\n")).runs[0]
    assert first.digest == other.digest


def test_another_training_of_one_study_is_another_network(tmp_path):
    text = GRID.replace("{volumes: [8, 48]}", "{volumes: [8, 48], training: {initial_learning_rate: 0.1}}")
    grid = read_grid(written(tmp_path, text))
    assert [one.network for one in grid.runs] == ["small.volumes", "small.volumes", "small", "small"]
    assert len({one.digest for one in grid.runs}) == 4


def test_only_the_measuring_differs_where_post_processing_is_asked_for(tmp_path):
    path = written(tmp_path, GRID)
    plain, cleaned = read_grid(path).runs[0], read_grid(path, postprocess=True).runs[0]
    assert cleaned.evaluation.postprocess
    assert cleaned.digest != plain.digest
    assert cleaned.same_model(plain)
    assert not cleaned.same_model(read_grid(path).runs[1])
    assert read_grid(path, postprocess=False).runs[0].name == plain.name


def test_a_list_of_names_is_one_choice_of_patients(tmp_path):
    text = GRID.replace("volumes: {volumes: [8, 48]}", "volumes: {volumes: [patient001, patient002], slices: [1, 2]}")
    runs = read_grid(written(tmp_path, text)).runs
    assert [one.sparsity.volumes for one in runs[:2]] == [("patient001", "patient002")] * 2
    assert runs[0].name.startswith("vnames-s1-")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("data: acdc", "data: acdc\nepochs: 3", "unknown key 'epochs'; known are data"),
        ("base_features", "features", "networks: small has the unknown key 'features'"),
        ("slices: [1", "slice: [1", "studies: slices has the unknown key 'slice'"),
        ("epochs: 2", "epochs: 0", "epochs must be at least 1"),
        ("epochs: 2", "seed: 2", "has the key 'seed'"),
        ("volumes: [8, 48]", "volumes: [8, many]", "volumes must be a whole number"),
        ("data: acdc", "data: acdc\nvalidation: train", "validation must name another split"),
        ("data: acdc", "data: acdc\nkeep: some", "keep must be model or all or none"),
        ("data: acdc", "data: acdc\nseeds: [x]", "seeds must be a list of whole numbers"),
        ("data: acdc", "data: acdc\nevaluation: {regions: quarters}", "regions must be"),
        ("data: acdc", "data: acdc\ndata: mnms", "'data' is there twice"),
        ("data: acdc", "", "needs 'data'"),
        ("studies:", "study:", "unknown key 'study'"),
        ("data: acdc", "data: [", "is not YAML"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path, before, after, sentence):
    path = written(tmp_path, GRID.replace(before, after))
    with pytest.raises(InputError) as caught:
        read_grid(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value) or "keep" in sentence
    assert "\n" not in str(caught.value)


def test_yaml_cannot_run_code(tmp_path):
    path = written(tmp_path, f"data: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    with pytest.raises(InputError, match="is not YAML"):
        read_grid(path)
    assert not (tmp_path / "made").exists()


def test_settings_come_back_from_run_json_as_they_were(tmp_path):
    for settings in read_grid(written(tmp_path, GRID)).runs:
        folder = prepare(tmp_path / "out", settings)
        assert folder.settings() == settings
        assert settings_from(json.loads(json.dumps(settings.as_dict())), "x") == settings


def test_a_folder_with_other_settings_of_the_same_name_is_refused(tmp_path):
    settings = read_grid(written(tmp_path, GRID)).runs[0]
    folder = prepare(tmp_path / "out", settings)
    other = replace(settings, training=replace(settings.training, epochs=9))
    content = {"settings": other.as_dict()}
    (folder.path / SETTINGS).write_text(json.dumps(content))
    with pytest.raises(InputError, match="other settings under the same name"):
        prepare(tmp_path / "out", settings)


def test_moved_data_is_written_down_before_a_run_goes_on(tmp_path):
    path = written(tmp_path, GRID)
    prepare(tmp_path / "out", read_grid(path).runs[0])
    moved = read_grid(path, tmp_path / "elsewhere" / "acdc").runs[0]
    assert prepare(tmp_path / "out", moved).settings().data.folder == tmp_path / "elsewhere" / "acdc"
