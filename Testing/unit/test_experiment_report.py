"""Tables beside the thesis's, learning curves and needed amounts, from run folders whose figures are known."""

from __future__ import annotations

import csv
import json
import re

import experiment_folders
import numpy as np
import pytest
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.training.experiments.grid import read_grid
from SparseCardiacSegLib.training.experiments.lines import interval, resampled_dice
from SparseCardiacSegLib.training.experiments.promptable import read_evaluations
from SparseCardiacSegLib.training.experiments.report import write_report
from SparseCardiacSegLib.training.experiments.results import read_results
from SparseCardiacSegLib.training.experiments.tables import make_tables
from SparseCardiacSegLib.training.experiments.thesis import METRICS, thesis_tables

GRID = """
data: acdc
seeds: [0, 1]
networks: {small: {epochs: 2}}
studies:
  volumes: {volumes: [1, 8, 16, 24, 48]}
  regions: {volumes: 48, regions: [A, M, B, AM, MB, AB, AMB]}
  slices: {volumes: 48, slices: [1, 2, 3, 6, null]}
  total:
    - {slices: [6, 9], total: [144, 72]}
"""
REGION = {"A": 0.30, "M": 0.60, "B": 0.40, "AM": 0.78, "MB": 0.80, "AB": 0.70}


def true_dice(settings):
    """1 - 0.5 n^-0.6 - 0.1 for volumes, less where slices or regions are missing; 0.01 more for seed 1."""
    sparsity = settings.sparsity
    if sparsity.total is not None:
        dice = 0.5 + sparsity.slices / 100 + sparsity.total / 1000
    elif sparsity.slices is not None:
        dice = 0.86 - 0.3 * sparsity.slices**-0.8
    else:
        dice = REGION.get(sparsity.regions, 0.9 - 0.5 * sparsity.volumes**-0.6)
    return dice + 0.01 * settings.seed


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A grid and the folder of its made-up runs."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "grid.yaml").write_text(GRID)
    grid = read_grid(folder / "grid.yaml")
    for settings in grid.runs:
        path = experiment_folders.finish(folder / "out", settings, true_dice(settings))
        if settings.sparsity.total is not None:
            summary = json.loads((path / "summary.json").read_text())
            summary["annotated"]["volumes"] = settings.sparsity.total // settings.sparsity.slices
            (path / "summary.json").write_text(json.dumps(summary))
    return grid, folder / "out"


@pytest.fixture(scope="module")
def reported(made):
    """The folder of its report."""
    grid, out = made
    write_report(grid, out, (0.8, 0.87, 0.95))
    return out / "report"


def table(made, number):
    grid, out = made
    return next(table for table in make_tables(read_results(out, grid.runs)) if table.number == number)


def row(made, number, what, whose):
    found = [cells for name, of, cells in table(made, number).rows if name == what and of.startswith(whose)]
    assert len(found) == 1
    return dict(zip(table(made, number).columns, found[0], strict=True))


def test_the_thesis_tables_are_whole():
    tables = thesis_tables()
    assert list(tables) == ["5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.9"]
    for one in tables.values():
        for line in one.rows:
            for metric in METRICS:
                assert len(line.values[metric]) == len(one.columns)
                assert all(
                    value is None or 0 < value <= (1 if metric == "dice" else 120) for value in line.values[metric]
                )
    first = tables["5.1"].rows[0]
    assert dict(zip(tables["5.1"].columns, first.values["dice"], strict=True))[8] == 0.62
    assert dict(zip(tables["5.5"].columns, tables["5.5"].rows[0].values["hd95_mm"], strict=True))[(32, 20)] == 32.4


def test_volumes_stand_beside_the_thesis(made):
    ours, theirs = row(made, "5.1", "Dice", "ours"), row(made, "5.1", "Dice", "thesis, ACDC 2D")
    assert ours["48"].startswith(f"{0.9 - 0.5 * 48**-0.6 + 0.005:.3f} ±")
    assert theirs["48"] == "0.85"
    assert (ours["80"], theirs["80"]) == ("-", "0.89")
    assert not any("M&Ms" in whose for _, whose, _ in table(made, "5.1").rows)


def test_regions_are_in_the_thesis_order_with_all_of_them_last(made):
    assert table(made, "5.2").columns == ("A", "M", "B", "AM", "MB", "AB", "AMB")
    ours = row(made, "5.2", "Dice", "ours")
    assert ours["MB"].startswith("0.805")
    assert row(made, "5.2", "Dice", "thesis")["MB"] == "0.89"
    assert row(made, "5.2", "annotated slices", "ours")["A"] == str(48 * 3)


def test_slices_stand_beside_the_setting_of_the_same_share(made):
    theirs = row(made, "5.3", "Dice", "thesis, ACDC")
    assert theirs["3 a volume"] == "0.770 (6 of 20)"  # 30 % of stacks of 10
    assert theirs["all slices"] == "0.910 (20 of 20)"
    assert row(made, "5.3", "slices annotated", "ours")["6 a volume"] == "60%"


def test_volumes_times_slices_has_both_forms(made):
    assert row(made, "5.4", "Dice", "ours")["16 V, 9 S"].startswith("0.739")
    assert row(made, "5.4", "Dice", "thesis")["100 V, 14 S"] == "0.88"
    columns = table(made, "5.5").columns
    assert columns.index("12 V, 6 S") < columns.index("24 V, 6 S") < columns.index("8 V, 9 S")


def test_regional_and_structural_rows_are_the_means_of_the_metrics(made):
    mean = 0.9 - 0.5 * 8**-0.6 + 0.005
    assert float(row(made, "5.1", "Dice, LV", "ours")["8"]) == pytest.approx(mean + 0.04, abs=1e-3)
    assert float(row(made, "5.1", "Dice, apex", "ours")["8"]) == pytest.approx(mean - 0.1, abs=1e-3)


def test_one_case_missed_shows_in_the_distance_with_the_diagonal(made, tmp_path):
    grid, _ = made
    path = experiment_folders.finish(tmp_path, grid.runs[0], 0.5)
    (result,) = read_results(tmp_path, grid.runs[:1])
    assert result.mean("hd95_mm", diagonal=True) == result.mean("hd95_mm") == 6.0
    summary = json.loads((path / "summary.json").read_text())
    summary["aggregates"]["RV"]["all"]["hd95_mm"]["mean_with_diagonal"] = 36.0
    summary["aggregates"]["RV"]["all"]["n_missing"] = 2
    (path / "summary.json").write_text(json.dumps(summary))
    (result,) = read_results(tmp_path, grid.runs[:1])
    assert result.mean("hd95_mm", diagonal=True) == pytest.approx(16.0)
    assert result.missing() == 2


def test_the_interval_comes_from_patients_and_seeds(made):
    grid, out = made
    results = [one for one in read_results(out, grid.runs) if one.settings.sparsity.volumes == 8]
    assert [one.settings.seed for one in results] == [0, 1]
    low, high = interval(results[:1])
    mean = results[0].mean("dice")
    assert low < mean < high
    assert high - low < 0.06
    assert interval(results)[1] > high
    # The same patients at every point: what differs between two points does not vary with the patients.
    resampled = resampled_dice([results[:1], results[1:]], times=50)
    assert np.ptp(resampled[:, 1, -1] - resampled[:, 0, -1]) < 1e-9
    assert np.ptp(resampled[:, 0, -1]) > 0.005


def test_the_report_tells_what_targets_need(reported):
    text = (reported / "report.md").read_text()
    needed = (0.1 / 0.5) ** (-1 / 0.6)  # where 0.5 n^-0.6 + 0.1 - 0.005 is 0.2, about
    found = re.search(r"Dice 0\.8: about (\d+) volumes \(95 % interval (\d+) to (\d+)\)", text)
    assert int(found[1]) == pytest.approx(needed, abs=2)
    assert int(found[2]) < int(found[1]) < int(found[3])
    assert "Dice 0.95: out of reach" in text
    assert "2 seeds" in text
    assert re.search(r"Dice 0\.87: .*(extrapolated|guess|never)", text)


def test_a_gain_within_the_scatter_of_the_points_is_called_chance(made, reported, tmp_path):
    assert re.search(r"From 1 to 48 volumes the curve gains 0\.4\d\d\.", (reported / "report.md").read_text())
    grid, _ = made
    values = {1: 0.75, 8: 0.74, 16: 0.765, 24: 0.74, 48: 0.757}
    for settings in grid.runs:
        if settings.name in grid.studies["volumes"] and settings.seed == 0:
            experiment_folders.finish(tmp_path, settings, values[settings.sparsity.volumes])
    write_report(grid, tmp_path)
    assert "so it may be chance" in (tmp_path / "report" / "report.md").read_text()


def test_everything_named_in_the_report_is_there(reported):
    text = (reported / "report.md").read_text()
    for name in re.findall(r"\]\(([^)]+)\)", text):
        assert (reported / name).is_file(), name
    assert (reported / "learning_curve_volumes_1.png").read_bytes()[:4] == b"\x89PNG"
    with (reported / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({one["run"] for one in rows}) == 38
    with (reported / "needed.csv").open(newline="") as file:
        laws = {(one["study"], one["structure"]): one for one in csv.DictReader(file)}
    assert float(laws["volumes-1", "mean"]["b"]) == pytest.approx(0.6, abs=0.03)
    with (reported / "table_5_2.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[2:] == ["A", "M", "B", "AM", "MB", "AB", "AMB"]


def test_unfinished_runs_are_counted_not_reported(made, tmp_path, capsys):
    grid, _ = made
    with pytest.raises(InputError, match=r"no run of .* is finished"):
        write_report(grid, tmp_path)
    experiment_folders.finish(tmp_path, grid.runs[0], 0.5)
    assert main(["experiment", str(grid.path), "--out", str(tmp_path), "--report"]) == 0
    assert "report.md" in capsys.readouterr().out
    assert "1 of 38 runs" in (tmp_path / "report" / "report.md").read_text()


def test_a_damaged_run_is_named(made, tmp_path):
    grid, _ = made
    path = experiment_folders.finish(tmp_path, grid.runs[0], 0.5)
    (path / "metrics.csv").write_text("case,structure,region,dice\n")
    with pytest.raises(InputError, match=str(path / "metrics.csv")):
        write_report(grid, tmp_path)


def test_a_target_outside_of_dice_is_refused(made):
    grid, out = made
    with pytest.raises(InputError, match="between 0 and 1"):
        write_report(grid, out, (85,))


def evaluation(folder, **changes):
    folder.mkdir()
    headline = {"box-2-1": {"dice": 0.9042, "hd95_mm": 3.226, "mad_mm": 1.168}}
    content = {"schema": "sparsecardiacseg.prompt_evaluation", "model": "m", "dataset": "/data/acdc", "n_cases": 40,
               "headlines": headline, **changes}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def test_the_promptable_model_has_its_table(made, tmp_path):
    grid, _ = made
    experiment_folders.finish(tmp_path / "out", grid.runs[0], 0.5)
    folder = evaluation(tmp_path / "e8")
    paths = write_report(grid, tmp_path / "out", promptable=read_evaluations([f"8={folder}"]))
    assert tmp_path / "out" / "report" / "table_5_9.csv" in paths
    text = (tmp_path / "out" / "report" / "report.md").read_text()
    assert "| Dice | ours, embedded promptable model | - | 0.904 |" in text
    assert "| Dice | thesis, ACDC SAM | 0.69 | 0.76 |" in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("8", "is not VOLUMES=FOLDER"),
        ("8=nowhere", "cannot be read"),
        ("8=OTHER", "was not written by"),
        ("8=POINTS", "no figures for a box"),
    ],
)
def test_what_is_no_evaluation_of_prompts_is_refused(tmp_path, text, sentence):
    evaluation(tmp_path / "OTHER", schema="x")
    evaluation(tmp_path / "POINTS", headlines={})
    with pytest.raises(InputError, match=sentence):
        read_evaluations([text.replace("=", f"={tmp_path}/")])
